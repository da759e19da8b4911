import { describe, expect, test } from '@jest/globals'
import { MAX_WRITTEN_BYTES, readEnvoyText } from '../../../../src/lifecycle/doctor/read-source.js'
import { envoyText } from './examined.js'

const BOMB = [
  'a0: &a0 [x, x, x, x, x, x, x, x, x, x]',
  ...Array.from({ length: 9 }, (_, at) => `a${at + 1}: &a${at + 1} [${`*a${at}, `.repeat(9)}*a${at}]`),
].join('\n')

describe('what is no configuration of an Envoy', () => {
  test.each([
    { name: 'nothing', text: '', problem: 'envoy.yaml is empty' },
    { name: 'blanks', text: ' \n\t\n', problem: 'envoy.yaml is empty' },
    { name: 'comments', text: '# to do\n', problem: 'envoy.yaml is empty' },
    {
      name: 'a list',
      text: '- a\n',
      problem: 'envoy.yaml holds no map; an Envoy bootstrap or a config_dump is one',
    },
    {
      name: 'a manifest',
      text: 'apiVersion: v1\nkind: ConfigMap\n',
      problem: 'envoy.yaml is no Envoy bootstrap, file of resources or config_dump: it is a ConfigMap',
    },
    {
      name: 'a web page',
      text: '<html><body>Hello</body></html>',
      problem: 'envoy.yaml holds no map; an Envoy bootstrap or a config_dump is one',
    },
    {
      name: 'other JSON',
      text: '{"a": 1, "b\\u001b": 2}',
      problem: expect.stringMatching(/^envoy\.yaml/),
    },
    {
      name: 'configs of something else',
      text: '{"configs": [{"a": 1}]}',
      problem:
        "envoy.yaml has `configs` but nothing in it that Envoy's config_dump has; ask for /config_dump?include_eds",
    },
    {
      name: 'two documents',
      text: 'node: { id: a }\n---\nnode: { id: b }\n',
      problem: 'envoy.yaml:3:1: a second document; Envoy reads one a file',
    },
    {
      name: 'broken YAML',
      text: 'node: [\n',
      problem: expect.stringMatching(/^envoy\.yaml:2:1: error: .*yaml-syntax/),
    },
    {
      name: 'a key twice',
      text: 'node: { id: a }\nnode: {}\n',
      problem: expect.stringMatching(/^envoy\.yaml:2:1: error: .*duplicate-key/),
    },
    { name: 'a YAML bomb', text: `node: {}\n${BOMB}`, problem: expect.stringContaining('too-many-aliases') },
    {
      name: 'JSON without an end',
      text: `{"node": ${'['.repeat(100_000)}`,
      problem: expect.stringContaining('too-deep'),
    },
    {
      name: 'more than anybody writes',
      text: `node: { id: a }\n#${'x'.repeat(MAX_WRITTEN_BYTES)}`,
      problem: expect.stringContaining('file-too-large'),
    },
  ])('$name', ({ text, problem }) => {
    const read = readEnvoyText('envoy.yaml', Buffer.from(text))
    expect(read.ok ? [] : read.problems.slice(0, 1)).toEqual([problem])
  })

  test('bytes that are not UTF-8', () => {
    const read = readEnvoyText('envoy.yaml', Buffer.from([0x6e, 0x3a, 0x20, 0xff]))
    expect(read).toMatchObject({ ok: false, problems: [expect.stringContaining('not UTF-8')] })
  })
})

describe('what is one', () => {
  test.each([
    { name: 'YAML', text: 'static_resources: {}', kind: 'bootstrap' },
    { name: 'JSON', text: '\n {"staticResources": {}}', kind: 'bootstrap' },
    { name: "YAML 1.1's words", text: 'admin: {}\na: yes\nb: 0x10\n', kind: 'bootstrap' },
    {
      name: 'resources',
      text: 'resources: [{ "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster }]',
      kind: 'resources',
    },
    {
      name: 'a dump',
      text: '{"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump"}]}',
      kind: 'config dump',
    },
  ])('$name', ({ text, kind }) => {
    expect(envoyText('envoy.yaml', text).kind).toBe(kind)
  })
})
