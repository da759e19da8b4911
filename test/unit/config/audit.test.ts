import { describe, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { loadConfig } from '../../../src/config/load.js'
import { formatProblem } from '../../../src/schema/problem.js'

const load = (audit: object) =>
  loadConfig({
    file: '/etc/portcullis/portcullis.yaml',
    text: stringify({
      apiVersion: 'portcullis.dev/v1beta1',
      kind: 'Configuration',
      listeners: [{ name: 'mesh', address: '127.0.0.1:0' }],
      trustDomains: { 'cluster.local': { bundle: { file: 'ca.pem' } } },
      audit,
    }),
    env: {},
    flags: {},
  })

const sinks = (...list: object[]): object => ({ sinks: list })
const FILE = { type: 'File', file: './audit/events.jsonl' }
const HTTP = { type: 'Http', url: 'https://logs.example/logs' }

describe('refused', () => {
  test.each([
    { name: 'a file sink without a file', audit: sinks({ type: 'File' }), says: '`type: File` needs `file`' },
    {
      name: 'a file of another kind',
      audit: sinks({ type: 'File', file: './audit/' }),
      says: 'must be named NAME.jsonl',
    },
    {
      name: 'one file twice',
      audit: sinks(FILE, { ...FILE, file: 'audit/events.jsonl' }),
      says: '(sink-twice)',
    },
    {
      name: 'recorded Checks in the file of a sink',
      audit: { ...sinks(FILE), record: { file: './audit/events.jsonl' } },
      says: '(sink-twice)',
    },
    {
      name: 'standard output twice',
      audit: sinks({ type: 'Stdout' }, { type: 'Stdout' }),
      says: '(sink-twice)',
    },
    { name: 'no sink', audit: { sinks: [] }, says: 'is an empty list' },
    {
      name: 'a collector without an address',
      audit: sinks({ type: 'Http' }),
      says: '`type: Http` needs `url`',
    },
    {
      name: 'a collector in plain text',
      audit: sinks({ ...HTTP, url: 'http://logs.example' }),
      says: '(wrong-url)',
    },
    {
      name: 'a secret in its address',
      audit: sinks({ ...HTTP, url: 'https://u:hunter2@a' }),
      says: '(secret-in-url)',
    },
    {
      name: 'one spool for two',
      audit: sinks(
        { ...HTTP, spool: { directory: './spool' } },
        { ...HTTP, url: 'https://b', spool: { directory: 'spool' } },
      ),
      says: '(sink-twice)',
    },
    {
      name: 'labels without their format',
      audit: sinks({ ...HTTP, format: 'Ocsf', labels: { a: 'b' } }),
      says: '`labels` says nothing',
    },
    {
      name: 'an option of another type',
      audit: sinks({ type: 'Stdout', fsync: 'Always' }),
      says: '`fsync` says nothing under `type: Stdout`',
    },
    {
      name: 'a stream without Redis',
      audit: sinks({ type: 'RedisStream' }),
      says: 'needs `store.type: Redis`',
    },
    {
      name: 'a recipient that can be no DataPolicy',
      audit: sinks({ ...FILE, recipients: { 'a.b': './k.pem' } }),
      says: '(wrong-name)',
    },
    {
      name: 'an interval of an hour',
      audit: sinks({ ...FILE, flushInterval: '1h' }),
      says: 'must be from 1ms to 1m',
    },
    {
      name: 'a file of a kilobyte',
      audit: sinks({ ...FILE, maxSize: '1KiB' }),
      says: 'must be from 64KiB to 10GiB',
    },
    {
      name: 'a spool of a kilobyte',
      audit: sinks({ ...HTTP, spool: { directory: 's', maxSize: '1KiB' } }),
      says: 'must be from 1MiB',
    },
    { name: 'another word', audit: sinks({ ...FILE, fsync: 'always' }), says: 'Always' },
  ])('$name', ({ audit, says }) => {
    const loaded = load(audit)
    const problems = 'problems' in loaded ? loaded.problems.map(formatProblem) : []
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(says)
    expect(problems[0]).not.toContain('hunter2')
  })
})

test('a sink takes what it does not say from the whole, and its type from its defaults', () => {
  const loaded = load({
    overflow: 'Drop',
    buffer: 5,
    ...sinks(FILE, { ...HTTP, overflow: 'Block', buffer: 9 }),
  })
  if ('problems' in loaded) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  expect(loaded.config.audit.sinks).toMatchObject([
    {
      type: 'File',
      format: 'Event',
      overflow: 'Drop',
      buffer: 5,
      file: '/etc/portcullis/audit/events.jsonl',
      maxBytes: 100 * 1024 * 1024,
      maxAgeMs: 86_400_000,
      fsync: 'Interval',
      flushIntervalMs: 200,
      checkpointIntervalMs: 60_000,
    },
    {
      type: 'Http',
      format: 'DecisionLog',
      overflow: 'Block',
      buffer: 9,
      timeoutMs: 10_000,
      flushIntervalMs: 1000,
    },
  ])
})
