import { describe, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { loadConfig } from '../../../src/config/load.js'
import { formatProblem } from '../../../src/schema/problem.js'

type Fields = Readonly<Record<string, unknown>>

const SPIFFE: Fields = { url: 'https://b.example/bundle', profile: 'HttpsSpiffe' }

function load(bundle: Fields, tls?: Fields, more: Fields = {}) {
  const text = stringify({
    apiVersion: 'portcullis.dev/v1beta1',
    kind: 'Configuration',
    listeners: [{ name: 'mesh', address: '127.0.0.1:0', ...(tls ? { tls } : {}) }],
    trustDomains: { 'cluster.local': { bundle: { file: 'ca.pem' } }, 'b.example': { bundle } },
    ...more,
  })
  return loadConfig({ file: '/etc/portcullis/portcullis.yaml', text, env: {}, flags: {} })
}

const problemsOf = (...input: Parameters<typeof load>): string[] => {
  const loaded = load(...input)
  return 'problems' in loaded ? loaded.problems.map(formatProblem) : []
}
const configOf = (...input: Parameters<typeof load>) => {
  const loaded = load(...input)
  if ('problems' in loaded) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  return loaded.config
}

describe('a bundle is refused', () => {
  test.each<[string, Fields, string]>([
    ['without a source', {}, 'a bundle needs `file`, `workloadApi` or `url`'],
    ['of file and agent', { file: 'a', workloadApi: 'unix:/x' }, 'give one'],
    [
      'of agent and endpoint',
      { workloadApi: 'unix:/x', ...SPIFFE, endpointId: 'spiffe://cluster.local/e' },
      'give one',
    ],
    ['of an agent without a scheme', { workloadApi: '/run/agent.sock' }, 'must be unix:/path'],
    ['of an agent on another host', { workloadApi: 'tcp://10.0.0.1:8081' }, 'must have a loopback address'],
    ['of an agent by name', { workloadApi: 'tcp://localhost:8081' }, 'must begin with an IP address'],
    [
      'of an agent without a port',
      { workloadApi: 'tcp://127.0.0.1:0' },
      'must have a loopback address and a port',
    ],
    ['of an endpoint without a profile', { url: 'https://b/x' }, '`url` needs `profile`'],
    ['of an unknown profile', { url: 'https://b/x', profile: 'https_web' }, 'did you mean `HttpsWeb`'],
    ['over http', { url: 'http://127.0.0.1/x', profile: 'HttpsWeb' }, 'is no https URL'],
    ['of no URL', { url: 'b.example', profile: 'HttpsWeb' }, 'is no https URL'],
    ['with a password', { url: 'https://u:hunter2@b/x', profile: 'HttpsWeb' }, 'must not hold a user name'],
    ['with a profile for a file', { file: 'a', profile: 'HttpsWeb' }, '`profile` says nothing without `url`'],
    ['with roots for a file', { file: 'a', ca: 'b' }, '`ca` says nothing without `url`'],
    [
      'with an identity for the web',
      { url: 'https://b/x', profile: 'HttpsWeb', endpointId: 'spiffe://b.example/e' },
      'is for `profile: HttpsSpiffe`',
    ],
    [
      'with a first bundle for the web',
      { url: 'https://b/x', profile: 'HttpsWeb', file: 'a' },
      'is for `profile: HttpsSpiffe`',
    ],
    [
      'with web roots for an SVID',
      { ...SPIFFE, endpointId: 'spiffe://cluster.local/e', ca: 'a' },
      '`ca` is for `profile: HttpsWeb`',
    ],
    ['without an identity', SPIFFE, 'needs `endpointId`'],
    ['with an identity that is none', { ...SPIFFE, endpointId: 'spiffe://b.example' }, 'must be a SPIFFE ID'],
    [
      'with an identity of an unknown domain',
      { ...SPIFFE, endpointId: 'spiffe://c.example/e' },
      '`trustDomains` has no `c.example`',
    ],
    [
      'that vouches for itself without a first bundle',
      { ...SPIFFE, endpointId: 'spiffe://b.example/e' },
      '`file` must give a bundle',
    ],
    [
      'with a first bundle that is of no use',
      { ...SPIFFE, endpointId: 'spiffe://cluster.local/e', file: 'a' },
      '`file` has no use',
    ],
  ])('%s', (_name, bundle, says) => {
    const problems = problemsOf(bundle)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(says)
    expect(problems[0]).not.toContain('hunter2')
  })
})

describe('a bundle comes from', () => {
  test.each<[string, Fields, Fields]>([
    ['a file', { file: 'b.pem' }, { kind: 'file', path: '/etc/portcullis/b.pem' }],
    [
      'an agent',
      { workloadApi: 'unix:///run/agent.sock' },
      { kind: 'workloadApi', target: 'unix:/run/agent.sock' },
    ],
    [
      'an agent beside the file',
      { workloadApi: 'unix:./agent.sock' },
      { kind: 'workloadApi', target: 'unix:/etc/portcullis/agent.sock' },
    ],
    [
      'an agent on a loopback port',
      { workloadApi: 'tcp://127.0.0.1:8081' },
      { kind: 'workloadApi', target: 'ipv4:127.0.0.1:8081' },
    ],
    [
      'an agent on IPv6',
      { workloadApi: 'tcp://[::1]:8081' },
      { kind: 'workloadApi', target: 'ipv6:[::1]:8081' },
    ],
    [
      'the web',
      { url: 'https://b/x', profile: 'HttpsWeb' },
      { kind: 'HttpsWeb', url: 'https://b/x', caFile: undefined },
    ],
    [
      'the web of own roots',
      { url: 'https://b/x', profile: 'HttpsWeb', ca: 'web.pem' },
      { kind: 'HttpsWeb', url: 'https://b/x', caFile: '/etc/portcullis/web.pem' },
    ],
    [
      'an endpoint that another domain vouches for',
      { ...SPIFFE, endpointId: 'spiffe://cluster.local/e' },
      {
        kind: 'HttpsSpiffe',
        url: 'https://b.example/bundle',
        endpointId: 'spiffe://cluster.local/e',
        bootstrapFile: undefined,
      },
    ],
    [
      'an endpoint of its own',
      { ...SPIFFE, endpointId: 'spiffe://b.example/e', file: 'b.json' },
      {
        kind: 'HttpsSpiffe',
        url: 'https://b.example/bundle',
        endpointId: 'spiffe://b.example/e',
        bootstrapFile: '/etc/portcullis/b.json',
      },
    ],
  ])('%s', (_name, bundle, source) => {
    expect(configOf(bundle).trustDomains.get('b.example')).toEqual(source)
  })
})

describe("a listener's TLS", () => {
  test.each<[string, Fields, string]>([
    ['of nothing', {}, 'it lacks both'],
    ['without its certificate', { key: 'k' }, 'it lacks `certificate`'],
    [
      'of agent and certificate',
      { workloadApi: 'unix:/x', certificate: 'c' },
      '`tls.certificate` says nothing beside `tls.workloadApi`',
    ],
    ['of agent and key', { workloadApi: 'unix:/x', key: 'k' }, '`tls.key` says nothing beside'],
    ['of agent and roots', { workloadApi: 'unix:/x', clientCa: 'k' }, '`tls.clientCa` says nothing beside'],
    ['of an agent elsewhere', { workloadApi: 'tcp://192.0.2.1:1' }, 'must have a loopback address'],
  ])('is refused %s', (_name, tls, says) => {
    const problems = problemsOf({ file: 'b' }, tls)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(says)
  })

  test('comes from an agent', () => {
    const allowedClients = ['spiffe://cluster.local/ns/*/sa/*']
    expect(configOf({ file: 'b' }, { workloadApi: 'unix:/x', allowedClients }).listeners[0]?.tls).toEqual({
      kind: 'workloadApi',
      target: 'unix:/x',
      allowedClients,
    })
  })
})

test('revocation lists are files', () => {
  expect(
    configOf({ file: 'b' }, undefined, { certificates: { revoked: { crls: ['a.crl', '/b.crl'] } } })
      .certificates.revoked.crls,
  ).toEqual(['/etc/portcullis/a.crl', '/b.crl'])
})
