import { describe, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { loadConfig } from '../../../src/config/load.js'
import { formatProblem } from '../../../src/schema/problem.js'

const IDP = 'https://idp.example'
const TRANSMITTER = {
  issuer: IDP,
  audiences: ['https://portcullis.example/ssf'],
  jwksFile: 'idp.json',
  push: {},
}
const POLL = { url: 'https://idp.example/poll', tokenFile: 'poll.token' }

const load = (ssf: object, sections: object = {}) =>
  loadConfig({
    file: '/etc/portcullis/portcullis.yaml',
    text: stringify({
      apiVersion: 'portcullis.dev/v1beta1',
      kind: 'Configuration',
      listeners: [{ name: 'mesh', address: '127.0.0.1:0' }],
      trustDomains: { 'cluster.local': { bundle: { file: 'ca.pem' } } },
      userTokens: { issuers: [{ issuer: IDP, audiences: ['shop'], jwksFile: 'idp.json' }] },
      public: { listen: '127.0.0.1:8443' },
      ssf,
      ...sections,
    }),
    env: {},
    flags: {},
  })
const problemsOf = (ssf: object, sections?: object): string[] => {
  const loaded = load(ssf, sections)
  return 'problems' in loaded ? loaded.problems.map(formatProblem) : []
}
const one = (fields: object): object => ({ transmitters: [{ ...TRANSMITTER, ...fields }] })

describe('refused', () => {
  test.each<{ name: string; ssf: object; sections?: object; says: string }>([
    { name: 'an option nobody knows', ssf: one({ secret: 'x' }), says: 'secret' },
    { name: 'no audience', ssf: one({ audiences: [] }), says: 'audiences' },
    {
      name: 'no keys',
      ssf: one({ jwksFile: undefined }),
      says: 'needs `jwksFile` or `jwksUri` (keys-missing)',
    },
    { name: 'keys twice', ssf: one({ jwksUri: `${IDP}/keys` }), says: '(keys-twice)' },
    {
      name: 'keys over http',
      ssf: one({ jwksFile: undefined, jwksUri: 'http://idp.example/keys' }),
      says: 'must be https',
    },
    { name: 'a symmetric algorithm', ssf: one({ algorithms: ['HS256'] }), says: 'algorithms' },
    { name: 'no delivery', ssf: one({ push: undefined }), says: 'needs `push` or `poll` (delivery-missing)' },
    {
      name: 'two deliveries',
      ssf: one({ poll: POLL }),
      says: 'has `push` and `poll`; give one (delivery-twice)',
    },
    {
      name: 'push without a listener',
      ssf: one({}),
      sections: { public: { listen: '' } },
      says: '`push` needs `public.listen`',
    },
    {
      name: 'a poll without token',
      ssf: one({ push: undefined, poll: { url: POLL.url } }),
      says: 'tokenFile',
    },
    {
      name: 'a poll over http',
      ssf: one({ push: undefined, poll: { ...POLL, url: 'http://idp.example/poll' } }),
      says: 'must be https',
    },
    {
      name: 'a secret in the URL',
      ssf: one({ push: undefined, poll: { ...POLL, url: 'https://u:hunter2@idp.example/poll' } }),
      says: '(secret-in-url)',
    },
    {
      name: 'a URL that is none',
      ssf: one({ push: undefined, poll: { ...POLL, url: 'idp' } }),
      says: '(wrong-url)',
    },
    {
      name: 'a poll without rest',
      ssf: one({ push: undefined, poll: { ...POLL, interval: '10ms' } }),
      says: 'must be from 1s to 1h',
    },
    {
      name: 'an issuer without users, unless it says whose',
      ssf: one({ issuer: 'https://mdm.example' }),
      says: '`https://mdm.example` is no issuer under `userTokens`; give `subjectIssuers`',
    },
    {
      name: 'users of nobody',
      ssf: one({ subjectIssuers: ['https://x.example'] }),
      says: '(unknown-issuer)',
    },
    {
      name: 'workloads of nobody',
      ssf: one({ trustDomains: ['other.example'] }),
      says: '(unknown-trust-domain)',
    },
    { name: 'nobody at all', ssf: one({ subjectIssuers: [] }), says: 'it may speak about nobody' },
    { name: 'one twice', ssf: { transmitters: [TRANSMITTER, TRANSMITTER] }, says: '(issuer-twice)' },
    { name: 'events of years ago', ssf: { ...one({}), eventMaxAge: '2y' }, says: 'must be from 1m to 90d' },
    { name: 'clocks of another day', ssf: { ...one({}), clockSkew: '1d' }, says: 'must be from 0s to 5m' },
  ])('$name', ({ ssf, sections, says }) => {
    const problems = problemsOf(ssf, sections)
    expect(problems.join('\n')).toContain(says)
    expect(problems.join('\n')).not.toContain('hunter2')
  })
})

test('defaults, and paths from the folder of the file', () => {
  const mdm = {
    issuer: 'https://mdm.example',
    audiences: ['a'],
    jwksUri: 'https://keys.mdm.example/jwks',
    subjectIssuers: [IDP],
    trustDomains: ['cluster.local'],
    streamId: 's',
    poll: POLL,
  }
  const loaded = load({ transmitters: [{ ...TRANSMITTER, push: { tokenFile: 'push.token' } }, mdm] })
  if ('problems' in loaded) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  const { ssf, jwks } = loaded.config
  expect(ssf).toEqual({
    transmitters: [
      {
        issuer: IDP,
        audiences: TRANSMITTER.audiences,
        keys: { kind: 'file', path: '/etc/portcullis/idp.json' },
        algorithms: ['RS256', 'ES256'],
        subjectIssuers: [IDP],
        trustDomains: [],
        streamId: undefined,
        delivery: { kind: 'push', tokenFile: '/etc/portcullis/push.token' },
      },
      {
        issuer: mdm.issuer,
        audiences: ['a'],
        keys: { kind: 'url', url: mdm.jwksUri },
        algorithms: ['RS256', 'ES256'],
        subjectIssuers: [IDP],
        trustDomains: ['cluster.local'],
        streamId: 's',
        delivery: {
          kind: 'poll',
          url: POLL.url,
          tokenFile: '/etc/portcullis/poll.token',
          intervalMs: 10_000,
        },
      },
    ],
    eventMaxAgeMs: 7 * 86_400_000,
    clockSkewMs: 60_000,
  })
  expect(jwks.allowedHosts).toContain('keys.mdm.example')
})

test('without the section nothing is received', () => {
  const loaded = load({})
  expect('config' in loaded && loaded.config.ssf.transmitters).toEqual([])
})
