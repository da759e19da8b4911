import { describe, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { defaultDetector } from '../../../src/config/detector.js'
import { loadConfig } from '../../../src/config/load.js'
import { formatProblem } from '../../../src/schema/problem.js'

const HEAD = 'apiVersion: portcullis.dev/v1beta1\nkind: Configuration\n'
const TRUST = 'trustDomains: { cluster.local: { bundle: { file: ca.pem } } }\n'
const LISTENERS = 'listeners: [{ name: mesh, address: "127.0.0.1:0" }]\n'
const GOOD = HEAD + LISTENERS + TRUST

type Outside = { readonly env?: Record<string, string>; readonly flags?: Record<string, unknown> }

const load = (text: string, { env = {}, flags = {} }: Outside = {}) =>
  loadConfig({ file: '/etc/portcullis/portcullis.yaml', text, env, flags })

const problemsOf = (text: string, outside?: Outside): string[] => {
  const loaded = load(text, outside)
  return 'problems' in loaded ? loaded.problems.map(formatProblem) : []
}

const configOf = (text: string, outside?: Outside) => {
  const loaded = load(text, outside)
  if ('problems' in loaded) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  return loaded.config
}

const listener = (fields: Record<string, unknown>) =>
  HEAD + TRUST + stringify({ listeners: [{ name: 'mesh', address: '127.0.0.1:0', ...fields }] })

const serviceIssuer = (fields: Record<string, unknown>) =>
  GOOD + stringify({ serviceTokens: { issuers: { a: { service: 'shop/a', ...fields } } } })

const userIssuer = (...issuers: Record<string, unknown>[]) =>
  GOOD +
  stringify({
    userTokens: { issuers: issuers.map((issuer) => Object.assign({ audiences: ['shop'] }, issuer)) },
  })

describe('loadConfig refuses', () => {
  test.each([
    { name: 'nothing', text: '', says: '1:1: error: the file holds no configuration (no-configuration)' },
    { name: 'a list', text: '- a', says: 'must be a map of fields (no-configuration)' },
    {
      name: 'two documents',
      text: `${GOOD}---\n${GOOD}`,
      says: '6:1: error: a configuration is one document',
    },
    { name: 'no listener', text: HEAD + TRUST, says: 'missing field `listeners` in the document' },
    {
      name: 'an empty list of listeners',
      text: `${HEAD}${TRUST}listeners: []`,
      says: '`listeners` is an empty list',
    },
    {
      name: 'another kind',
      text: GOOD.replace('Configuration', 'ConfigMap'),
      says: '`ConfigMap` is not Configuration',
    },
    {
      name: 'another version',
      text: GOOD.replace('v1beta1', 'v1'),
      says: '`portcullis.dev/v1` is not portcullis.dev/v1beta1',
    },
    {
      name: 'an unknown field',
      text: `${GOOD}polcy: {}`,
      says: '5:1: error: unknown field `polcy`; did you mean `policy`?',
    },
    {
      name: 'a secret inline',
      text: `${GOOD}store: { password: hunter2 }`,
      says: 'unknown field `store.password`; did you mean `passwordFile`?',
    },
    {
      name: 'an alien word',
      text: listener({ role: 'sidecar' }),
      says: '`sidecar` is none of Sidecar, Gateway; did you mean `Sidecar`?',
    },
    ...[
      '9191',
      ':9191',
      'localhost:9191',
      '[::]',
      '[127.0.0.1]:1',
      '1.2.3.4:70000',
      '::1:9191',
      'tcp://1.2.3.4:1',
      'unix:',
      `unix:/${'x'.repeat(108)}`,
      '01.2.3.4:80',
    ].map((address) => ({
      name: `address ${address.slice(0, 20)}`,
      text: listener({ address }),
      says: '(wrong-address)',
    })),
    {
      name: 'a name twice',
      text:
        HEAD +
        TRUST +
        'listeners:\n  - { name: a, address: "127.0.0.1:1" }\n  - { name: a, address: "127.0.0.1:2" }\n',
      says: '6:13: error: two listeners are named `a`',
    },
    ...[
      ['127.0.0.1:1', '127.0.0.1:1'],
      ['[::]:1', '127.0.0.1:1'],
      ['0.0.0.0:1', '127.0.0.1:1'],
      ['unix:/a', 'unix:///a'],
    ].map(([left, right]) => ({
      name: `${left} beside ${right}`,
      text: `${HEAD}${TRUST}listeners: [{ name: a, address: "${left}" }, { name: b, address: "${right}" }]`,
      says: 'is already taken by listener `a`',
    })),
    {
      name: 'the health port at a listener',
      text: listener({ address: '127.0.0.1:8282' }),
      says: '`[::]:8282` is already taken by listener `mesh`',
    },
    {
      name: 'health on a socket',
      text: `${GOOD}health: { listen: "unix:/x" }`,
      says: '5:19: error: `health.listen` must be an IP address and a port',
    },
    {
      name: 'half of TLS',
      text: listener({ tls: { certificate: 'a' } }),
      says: '`tls` needs `certificate` and `key`, or `workloadApi`; it lacks `key`',
    },
    {
      name: 'clients without roots',
      text: listener({ tls: { certificate: 'a', key: 'b', allowedClients: ['spiffe://a/b'] } }),
      says: '`allowedClients` needs `clientCa`',
    },
    ...[
      'a/b',
      'spiffe://*/a',
      'spiffe://a',
      'spiffe://a/',
      'spiffe://a/b*',
      'spiffe://a//b',
      'spiffe://a/../b',
      'spiffe://A/b',
      'spiffe://a/b?c',
      'spiffe://a/b/.',
    ].map((pattern) => ({
      name: `client ${pattern}`,
      text: listener({ tls: { certificate: 'a', key: 'b', clientCa: 'c', allowedClients: [pattern] } }),
      says: 'must be a SPIFFE ID such as',
    })),
    {
      name: 'an empty allow-list',
      text: listener({ tls: { certificate: 'a', key: 'b', clientCa: 'c', allowedClients: [] } }),
      says: 'is an empty list',
    },
    {
      name: 'Principal for nobody',
      text: listener({ peerIdentity: 'Principal' }),
      says: '`peerIdentity: Principal` needs `principalTrustDomains`',
    },
    {
      name: 'principals for Certificate',
      text: listener({ principalTrustDomains: ['a'] }),
      says: '(without-effect)',
    },
    {
      name: 'a route on a sidecar',
      text: listener({ target: ['route'] }),
      says: '`target: route` is for `role: Gateway` only',
    },
    ...[
      {
        name: 'a trusted proxy of a trust domain',
        proxy: { identity: 'spiffe://a' },
        says: 'must be the SPIFFE ID of one workload',
      },
      {
        name: 'a trusted proxy by a pattern',
        proxy: { identity: 'spiffe://a/ns/*/sa/b' },
        says: 'must be the SPIFFE ID of one',
      },
      {
        name: 'a trusted proxy for nobody',
        proxy: { identity: 'spiffe://a/b' },
        says: '(trust-domains-missing)',
      },
    ].map(({ name, proxy, says }) => ({
      name,
      text: listener({ trustedProxies: [proxy] }),
      says,
    })),
    {
      name: 'a trusted proxy twice',
      text: listener({
        trustedProxies: [
          { identity: 'spiffe://a/b', self: true },
          { identity: 'spiffe://a/b', self: true },
        ],
      }),
      says: '`spiffe://a/b` is given twice (proxy-twice)',
    },
    {
      name: 'a trusted proxy where callers have no workload',
      text: listener({ peerIdentity: 'None', trustedProxies: [{ identity: 'spiffe://a/b', self: true }] }),
      says: '`trustedProxies` says nothing under `peerIdentity: None`',
    },
    ...[
      { name: 'an assertion without a key', assertion: { issuer: 'a' }, says: 'keyFile' },
      { name: 'an assertion without an issuer', assertion: { keyFile: 'a' }, says: 'issuer' },
      {
        name: 'an assertion signed slowly',
        assertion: { issuer: 'a', keyFile: 'a', algorithm: 'RS256' },
        says: 'none of ES256, EdDSA',
      },
      {
        name: 'an assertion for a day',
        assertion: { issuer: 'a', keyFile: 'a', lifetime: '1d' },
        says: 'must be from 1s to 1h',
      },
      {
        name: 'an assertion used too long',
        assertion: { issuer: 'a', keyFile: 'a', reuse: '16s' },
        says: 'longer than half of `lifetime`',
      },
      {
        name: 'an assertion in a header that is taken',
        assertion: { issuer: 'a', keyFile: 'a', header: 'x-user-id' },
        says: '(header-twice)',
      },
      {
        name: 'an assertion in a reserved header',
        assertion: { issuer: 'a', keyFile: 'a', header: 'cookie' },
        says: '(reserved-header)',
      },
    ].map(({ name, assertion, says }) => ({
      name,
      text: `${GOOD}upstreamAssertion: ${JSON.stringify(assertion)}`,
      says,
    })),
    {
      name: 'a public port on a Unix socket',
      text: `${GOOD}public: { listen: "unix:/a" }`,
      says: '`public.listen` must be an IP address and a port',
    },
    {
      name: 'a public port that health has',
      text: `${GOOD}public: { listen: "[::]:8282" }`,
      says: 'already taken by `health.listen`',
    },
    { name: 'a target by nothing', text: listener({ target: [] }), says: 'is an empty list' },
    {
      name: 'no bundle for the local domain',
      text: HEAD + LISTENERS,
      says: '`trustDomains` has no bundle for the local trust domain `cluster.local`',
    },
    {
      name: 'a bundle for another one only',
      text: `${GOOD}trustDomain: prod.example`,
      says: 'local trust domain `prod.example`',
    },
    {
      name: 'a trust domain as a URL',
      text: HEAD + LISTENERS + 'trustDomain: spiffe://a\n' + TRUST,
      says: 'must be a trust domain such as',
    },
    {
      name: 'a bundle under no trust domain',
      text:
        HEAD +
        LISTENERS +
        'trustDomains: { cluster.local: { bundle: { file: a } }, "spiffe://b": { bundle: { file: a } } }',
      says: '`spiffe://b` is no trust domain',
    },
    { name: 'an issuer without keys', text: serviceIssuer({}), says: 'needs `keyFile` or `jwksUri`' },
    {
      name: 'an issuer with keys twice',
      text: serviceIssuer({ keyFile: 'a', jwksUri: 'https://a/b' }),
      says: 'has `keyFile` and `jwksUri`; give one',
    },
    {
      name: 'an issuer that is no service',
      text: serviceIssuer({ service: 'a', keyFile: 'a' }),
      says: 'must be a service as namespace/name',
    },
    ...['pay*', '*', 'a b', 'pay:*:x'].map((scope) => ({
      name: `scope ${scope}`,
      text: serviceIssuer({ keyFile: 'a', scopes: [scope] }),
      says: '(wrong-scope)',
    })),
    {
      name: 'user tokens without keys',
      text: userIssuer({ issuer: 'a' }),
      says: 'needs `jwksFile` or `jwksUri`',
    },
    {
      name: 'an issuer by plain http that would be asked for its keys',
      text: userIssuer({ issuer: 'http://idp.example' }),
      says: 'must be https; http is for loopback addresses only',
    },
    {
      name: 'an issuer that would be asked for its keys and may not be',
      text:
        userIssuer({ issuer: 'https://idp.example' }) + stringify({ jwks: { allowedHosts: ['b.example'] } }),
      says: 'the host `idp.example` is not among `jwks.allowedHosts`',
    },
    {
      name: 'a place in metadata that nobody looks at',
      text: userIssuer({ issuer: 'a', jwksFile: 'a', metadataKey: 'k' }),
      says: '`metadataKey` says nothing under `verifiedBy: Portcullis`',
    },
    {
      name: 'a type that nobody here sees',
      text: userIssuer({ issuer: 'a', verifiedBy: 'Envoy', typ: 'at+jwt' }),
      says: '`typ` says nothing under `verifiedBy: Envoy`',
    },
    {
      name: 'another word for a sender constraint',
      text: userIssuer({ issuer: 'a', jwksFile: 'a', senderConstraint: 'required' }),
      says: '`required` is none of',
    },
    ...[
      'shop.example.com',
      'https://Shop.example.com',
      'https://a:443',
      'https://a/?b',
      'ftp://a',
      'https://u@a',
    ].map((origin) => ({
      name: `the origin ${origin}`,
      text: GOOD + stringify({ userTokens: { dpop: { origins: [origin] } } }),
      says: `\`${origin}\` is no origin`,
    })),
    {
      name: 'proofs that live for an hour',
      text: GOOD + stringify({ userTokens: { dpop: { maxAge: '1h' } } }),
      says: 'must be from 1s to 10m',
    },
    {
      name: 'JWT-SVIDs that live for a year',
      text: GOOD + stringify({ serviceTokens: { jwtSvid: { enabled: true, maxLifetime: '1y' } } }),
      says: 'must be from 1s to 24h',
    },
    {
      name: 'user tokens for nobody',
      text: userIssuer({ issuer: 'a', jwksFile: 'a', audiences: [] }),
      says: 'is an empty list',
    },
    {
      name: 'symmetric algorithms',
      text: userIssuer({ issuer: 'a', jwksFile: 'a', algorithms: ['HS256'] }),
      says: '`HS256` is none of',
    },
    {
      name: 'no algorithm',
      text: userIssuer({ issuer: 'a', jwksFile: 'a', algorithms: ['none'] }),
      says: '`none` is none of',
    },
    {
      name: 'an issuer of users twice',
      text: userIssuer({ issuer: 'a', jwksFile: 'a' }, { issuer: 'a', jwksFile: 'b' }),
      says: 'the issuer `a` is given twice',
    },
    {
      name: 'an issuer of services and users',
      text:
        serviceIssuer({ keyFile: 'k' }) +
        stringify({ userTokens: { issuers: [{ issuer: 'a', audiences: ['b'], jwksFile: 'c' }] } }),
      says: 'the issuer `a` stands under serviceTokens too',
    },
    ...[
      'http://idp.example/jwks',
      'ftp://idp.example/',
      'idp.example/jwks',
      'file:///etc/passwd',
      'http://127.0.0.1.example/',
      'http://0.0.0.0/',
    ].map((jwksUri) => ({
      name: `keys from ${jwksUri}`,
      text: userIssuer({ issuer: 'a', jwksUri }),
      says: '(wrong-url)',
    })),
    {
      name: 'a secret in a URL',
      text: userIssuer({ issuer: 'a', jwksUri: 'https://u:hunter2@idp.example/' }),
      says: 'must not hold a user name or password',
    },
    {
      name: 'keys from a host not allowed',
      text: `${userIssuer({ issuer: 'a', jwksUri: 'https://idp.example/' })}jwks: { allowedHosts: [other.example] }`,
      says: '`idp.example` is not among',
    },
    { name: 'a URL as a host', text: `${GOOD}jwks: { allowedHosts: ["https://a"] }`, says: '(wrong-host)' },
    {
      name: 'keys too old before they are fetched',
      text: `${GOOD}jwks: { maxStale: 1m }`,
      says: '`jwks.maxStale` is shorter than',
    },
    {
      name: 'a header twice',
      text: `${GOOD}upstreamHeaders: { userId: x-user, userRoles: x-user }`,
      says: '`upstreamHeaders.userId` has the header `x-user` already',
    },
    {
      name: 'the token header as an upstream one',
      text: `${GOOD}upstreamHeaders: { userId: x-service-token }`,
      says: '`serviceTokens.header` has the header',
    },
    {
      name: 'a reserved header',
      text: `${GOOD}upstreamHeaders: { userId: authorization }`,
      says: '(reserved-header)',
    },
    {
      name: 'a header in upper case',
      text: `${GOOD}upstreamHeaders: { userId: X-User }`,
      says: 'must be a header name in lower case',
    },
    {
      name: 'a header with an underscore',
      text: `${GOOD}upstreamHeaders: { userId: x_user }`,
      says: 'must be a header name in lower case',
    },
    { name: 'a challenge of 200', text: `${GOOD}stepUp: { status: 200 }`, says: '`200` is none of 401, 403' },
    {
      name: 'a realm that ends its quotes',
      text: `${GOOD}stepUp: { realm: 'a", b="c' }`,
      says: 'printable ASCII without quotes',
    },
    {
      name: 'a lifetime of nothing',
      text: `${GOOD}certificates: { maxLifetime: 0s }`,
      says: 'must be from 1s to 100y',
    },
    { name: 'an endless fetch', text: `${GOOD}jwks: { timeout: 2h }`, says: 'must be from 10ms to 1m' },
    {
      name: 'tiny messages',
      text: `${GOOD}limits: { maxMessageSize: 1KiB }`,
      says: 'must be from 64KiB to 64MiB',
    },
    { name: 'no connection', text: `${GOOD}limits: { connections: 0 }`, says: 'limits.connections' },
    {
      name: 'no connection of an address',
      text: `${GOOD}limits: { connectionsPerAddress: 0 }`,
      says: 'limits.connectionsPerAddress',
    },
    {
      name: 'half a new connection',
      text: `${GOOD}limits: { newConnectionsPerAddress: 0.5 }`,
      says: 'limits.newConnectionsPerAddress',
    },
    { name: 'endless streams', text: `${GOOD}limits: { streams: 100000 }`, says: 'limits.streams' },
    { name: 'too few headers for a call', text: `${GOOD}limits: { headers: 4 }`, says: 'limits.headers' },
    {
      name: 'headers without room',
      text: `${GOOD}limits: { headerSize: 1KiB }`,
      says: 'must be from 8KiB to 1MiB',
    },
    {
      name: 'connections that live for a second',
      text: `${GOOD}limits: { connectionAge: 1s }`,
      says: 'must be 0s or at least 10s',
    },
    {
      name: 'no grace',
      text: `${GOOD}limits: { connectionGrace: 0s }`,
      says: 'must be from 1s to 10m',
    },
    { name: 'a PING all the time', text: `${GOOD}limits: { pingAfter: 1ms }`, says: 'must be from 1s to 1d' },
    {
      name: 'no time for its answer',
      text: `${GOOD}limits: { pingWait: 0s }`,
      says: 'must be from 1s to 10m',
    },
    { name: 'no sink', text: `${GOOD}audit: { sinks: [] }`, says: 'is an empty list' },
    {
      name: 'a serial that is no number',
      text: `${GOOD}certificates: { revoked: { serials: ["0x1g"] } }`,
      says: 'must be a serial number in hexadecimal',
    },
    {
      name: 'a fingerprint by SHA-1',
      text: `${GOOD}certificates: { revoked: { fingerprints: ["${'a'.repeat(40)}"] } }`,
      says: 'must be the SHA-256',
    },
  ])('$name', ({ text, says }) => {
    const problems = problemsOf(text)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(says)
    expect(problems[0]).not.toContain('hunter2')
  })

  test('everything at once, in the order of the file', () => {
    const text = `apiVersion: portcullis.dev/v1beta1
kind: configuration
listeners: [{ name: mesh, address: "9191", mtls: strict }]
drain: { timeout: 5 minutes, delay: yes }
policy: { directory: ./policy, kubernetes: {} }
serviceTokens: { issuers: { a: { service: shop/a } } }
jwks: { timeout: 2h }
`
    const codes = problemsOf(text, { env: { PORTCULLIS__STORE__TYP: 'x' } }).map((line) =>
      /(?::(\d+):\d+: error|^error).*\((.*)\)$/.exec(line)?.slice(1).join(' ').trim(),
    )
    expect(codes).toEqual([
      'unknown-field',
      '1 bundle-missing',
      '2 wrong-word',
      '3 wrong-address',
      '3 wrong-word',
      '4 wrong-value',
      '4 ambiguous-word',
      '5 policy-twice',
      '6 keys-missing',
      '7 out-of-bounds',
    ])
  })
})

describe('the environment and flags', () => {
  test.each([
    {
      env: { PORTCULLIS__STORE__TYP: 'x' },
      says: 'PORTCULLIS__STORE__TYP: unknown option `TYP`; did you mean `type`?',
    },
    { env: { PORTCULLIS__: 'x' }, says: 'PORTCULLIS__: unknown option ``' },
    {
      env: { PORTCULLIS__POLICY__KUBERNETES: 'x' },
      says: 'PORTCULLIS__POLICY__KUBERNETES: `policy.kubernetes` is a string, must be a map of fields',
    },
    { env: { PORTCULLIS__LISTENERS__2__NAME: 'x' }, says: '`2` is no index of this list (0 to 1)' },
    { env: { PORTCULLIS__LISTENERS__FIRST__NAME: 'x' }, says: '`FIRST` is no index' },
    { env: { PORTCULLIS__STORE__TYPE__X: 'x' }, says: '`store.type` has no options within it' },
    {
      env: { PORTCULLIS__STORE__TYPE: 'embedded' },
      says: 'PORTCULLIS__STORE__TYPE: `store.type`: `embedded` is none of Embedded, Redis; did you mean `Embedded`?',
    },
    { env: { PORTCULLIS__SHOWMESSAGES: 'yes' }, says: 'PORTCULLIS__SHOWMESSAGES: must be true or false' },
    { env: { PORTCULLIS__AUDIT__BUFFER: '1e3' }, says: 'PORTCULLIS__AUDIT__BUFFER: must be a whole number' },
    {
      env: { PORTCULLIS__AUDIT__BUFFER: '0' },
      says: 'PORTCULLIS__AUDIT__BUFFER: `audit.buffer` is 0, must be at least 1',
    },
    { env: { PORTCULLIS__STEPUP__ACRVALUES: '[a' }, says: 'must be a list as JSON' },
    { env: { PORTCULLIS__STEPUP__ACRVALUES: 'a' }, says: '`stepUp.acrValues` is a string, must be a list' },
    {
      env: { PORTCULLIS__DRAIN__TIMEOUT: '20' },
      says: 'PORTCULLIS__DRAIN__TIMEOUT: `drain.timeout` is `20`, must be a duration',
    },
    {
      env: { PORTCULLIS__TRUSTDOMAIN: 'cluster.local', PORTCULLIS__TRUST_DOMAIN: 'y' },
      says: 'sets the same option',
    },
    {
      env: { PORTCULLIS__HEALTH__LISTEN: 'localhost:1' },
      says: 'PORTCULLIS__HEALTH__LISTEN: `localhost:1` must begin with an IP address',
    },
    {
      flags: { 'store.Type': 'Embedded' },
      says: '--set store.Type: unknown option `Type`; did you mean `type`?',
    },
    {
      flags: { 'health.listen': 5 },
      says: '--set health.listen: `health.listen` is the number `5`, must be a string',
    },
    { flags: { '': 'x' }, says: 'names no option' },
  ])('refused: $says', ({ says, ...outside }) => {
    const problems = problemsOf(GOOD, outside)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(says)
    expect(problems[0]).toMatch(/^error: /)
  })

  test('names that are not ours are left alone', () => {
    const env = { PORTCULLIS_PORT: 'tcp://10.0.0.1:9191', PORTCULLIS_SERVICE_HOST: '10.0.0.1', PATH: '/bin' }
    expect(problemsOf(GOOD, { env })).toEqual([])
  })

  test('flags win over environment, environment over file, file over defaults', () => {
    const text = `${GOOD}drain: { timeout: 2s, delay: 2s }\nlimits: { deadline: 2ms }\n`
    const env = { PORTCULLIS__DRAIN__TIMEOUT: '3s', PORTCULLIS__LIMITS__DEADLINE: '3ms' }
    const config = configOf(text, { env, flags: { 'limits.deadline': '4ms', 'store.directory': undefined } })
    expect([config.drain.delayMs, config.drain.timeoutMs, config.limits.deadlineMs]).toEqual([2000, 3000, 4])
    expect(config.jwks.cooldownMs).toBe(30_000)
  })

  test('limits of listeners, and an age of 0 for connections that live on', () => {
    const text = `${GOOD}limits:
  connections: 2
  connectionsPerAddress: 3
  newConnectionsPerAddress: 4
  streams: 5
  headerSize: 16KiB
  headers: 17
  connectionAge: 0s
  connectionGrace: 2s
  pingAfter: 3s
  pingWait: 4s
`
    expect(configOf(text).limits.listener).toEqual({
      connections: 2,
      connectionsPerAddress: 3,
      newConnectionsPerAddress: 4,
      streams: 5,
      headerBytes: 16_384,
      headers: 17,
      connectionAgeMs: Infinity,
      farewellMs: 2000,
      pingAfterMs: 3000,
      pingWaitMs: 4000,
    })
  })

  test('lists by index, values as JSON, names of maps, any case', () => {
    const config = configOf(GOOD, {
      env: {
        portcullis__store__directory: '/ignored',
        PORTCULLIS__listeners__0__Address: 'unix:/run/a.sock',
        PORTCULLIS__LISTENERS__1__NAME: 'edge',
        PORTCULLIS__LISTENERS__1__ADDRESS: '127.0.0.1:9',
        PORTCULLIS__LISTENERS__1__ROLE: 'Gateway',
        PORTCULLIS__STEP_UP__ACR_VALUES: '["a", "b"]',
        'PORTCULLIS__TRUSTDOMAINS__CLUSTER.LOCAL__BUNDLE__FILE': '/run/ca.pem',
        PORTCULLIS__SERVICETOKENS__ISSUERS: '{"A": {"service": "shop/a", "keyFile": "a.pem"}}',
        PORTCULLIS__SERVICETOKENS__ISSUERS__A__SCOPES: '["x:*"]',
        PORTCULLIS__HEALTH__LISTEN: '',
        PORTCULLIS__SHOWMESSAGES: 'true',
      },
      flags: { 'trustDomains["b.example"].bundle.file': 'b.pem', 'listeners[0].mtls': 'Permissive' },
    })
    expect(config.listeners.map(({ name, address, role, mtls }) => ({ name, address, role, mtls }))).toEqual([
      { name: 'mesh', address: { kind: 'unix', path: '/run/a.sock' }, role: 'Sidecar', mtls: 'Permissive' },
      { name: 'edge', address: { kind: 'tcp', host: '127.0.0.1', port: 9 }, role: 'Gateway', mtls: 'Strict' },
    ])
    expect(config.stepUp.acrValues).toEqual(['a', 'b'])
    expect([...config.trustDomains]).toEqual([
      ['cluster.local', { kind: 'file', path: '/run/ca.pem' }],
      ['b.example', { kind: 'file', path: '/etc/portcullis/b.pem' }],
    ])
    expect(config.serviceTokens.issuers.get('A')?.scopes).toEqual(['x:*'])
    expect(config.health.listen).toBe(undefined)
    expect(config.showMessages).toBe(true)
  })
})

describe('the configuration', () => {
  test('defaults', () => {
    expect(configOf(GOOD)).toEqual({
      listeners: [
        {
          name: 'mesh',
          address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
          tls: undefined,
          role: 'Sidecar',
          peerIdentity: 'Certificate',
          principalTrustDomains: [],
          trustedProxies: new Map(),
          trustedHops: 0,
          mtls: 'Strict',
          target: ['principal', 'extension'],
          checkServer: 'Http2',
        },
      ],
      drain: { timeoutMs: 20_000, delayMs: 0 },
      trustDomain: 'cluster.local',
      trustDomains: new Map([['cluster.local', { kind: 'file', path: '/etc/portcullis/ca.pem' }]]),
      certificates: {
        maxLifetimeMs: 86_400_000,
        gracePeriodMs: 3_600_000,
        revoked: { serials: [], fingerprints: [], identities: [], crls: [] },
      },
      policy: { directory: '/etc/portcullis/policy' },
      serviceTokens: {
        header: 'x-service-token',
        maxLifetimeMs: 30_000,
        jwtSvid: undefined,
        issuers: new Map(),
      },
      userTokens: {
        clockSkewMs: 5000,
        dpop: { origins: [], maxAgeMs: 60_000, nonce: false },
        issuers: [],
      },
      jwks: {
        refreshIntervalMs: 600_000,
        cooldownMs: 30_000,
        maxStaleMs: 3_600_000,
        timeoutMs: 5000,
        allowedHosts: [],
      },
      stepUp: { status: 401, acrValues: ['mfa'], realm: 'portcullis' },
      upstreamHeaders: {
        userId: 'x-user-id',
        userRoles: 'x-user-roles',
        deviceTrust: 'x-device-trust',
        callerService: 'x-caller-service',
        callerId: 'x-caller-spiffe-id',
        obligations: 'x-portcullis-obligations',
      },
      store: { type: 'Embedded', directory: '/etc/portcullis/state', copies: 200_000 },
      onUnavailable: { mode: 'Deny' },
      geo: undefined,
      threats: { files: [] },
      accessLogService: { enabled: false },
      admin: undefined,
      deviceInventory: { enabled: false },
      grants: { maxDurationMs: 86_400_000, breakGlassMaxDurationMs: 3_600_000 },
      ssf: { transmitters: [], eventMaxAgeMs: 604_800_000, clockSkewMs: 60_000 },
      alerts: { sinks: [{ type: 'Log' }], buffer: 1000 },
      audit: {
        sinks: [{ type: 'Stdout', format: 'Event', overflow: 'Block', buffer: 10_000 }],
        record: undefined,
        detector: defaultDetector(),
      },
      upstreamAssertion: undefined,
      public: { listen: undefined },
      health: { listen: { kind: 'tcp', host: '::', port: 8282 } },
      telemetry: { metrics: { collector: undefined, maxServicePairs: 1000 }, traces: undefined },
      log: { level: 'info' },
      limits: {
        maxMessageBytes: 4_194_304,
        deadlineMs: 200,
        listener: {
          connections: 10_000,
          connectionsPerAddress: 1000,
          newConnectionsPerAddress: 50,
          streams: 1024,
          headerBytes: 65_536,
          headers: 128,
          connectionAgeMs: 3_600_000,
          farewellMs: 10_000,
          pingAfterMs: 60_000,
          pingWaitMs: 20_000,
        },
      },
      caches: { tokens: 50_000, certificates: 10_000 },
      showMessages: false,
    })
  })

  test('everything given', () => {
    const text = `${HEAD}listeners:
  - name: mesh
    address: "[::]:9191"
    tls: { certificate: tls/a.pem, key: /k.pem, clientCa: ca.pem, allowedClients: [spiffe://cluster.local/ns/*/sa/*] }
    peerIdentity: Principal
    principalTrustDomains: [cluster.local]
    mtls: Permissive
  - { name: edge, address: "unix:edge.sock", role: Gateway, peerIdentity: None }
trustDomain: cluster.local
certificates: { revoked: { serials: ["00:0A:1b", "ff@CN=Mesh CA,O=Shop"], fingerprints: ["${'AB:'.repeat(31)}ab"], identities: [spiffe://b/c] } }
serviceTokens:
  issuers:
    order-service: { service: shop/order-service, keyFile: ./keys/order.pem, scopes: ["payments:*", users:read] }
    pay: { service: shop/pay, jwksUri: "http://127.0.0.1:8080/jwks" }
userTokens:
  issuers:
    - issuer: https://idp.example
      audiences: [shop]
      jwksUri: https://IdP.example:8443/jwks.json
      algorithms: [ES256]
      typ: at+jwt
      claims: { roles: realm_access.roles, __proto__: x }
      roles: [admin]
upstreamHeaders: { userId: "", deviceTrust: "" }
`
    const config = configOf(text)
    expect(config.listeners[0]?.tls).toEqual({
      kind: 'files',
      certificate: '/etc/portcullis/tls/a.pem',
      key: '/k.pem',
      clientCa: '/etc/portcullis/ca.pem',
      allowedClients: ['spiffe://cluster.local/ns/*/sa/*'],
    })
    expect(config.listeners[1]).toMatchObject({
      address: { kind: 'unix', path: '/etc/portcullis/edge.sock' },
      target: ['extension', 'route'],
    })
    expect(config.certificates.revoked).toEqual({
      serials: ['00:0A:1b', 'ff@CN=Mesh CA,O=Shop'],
      fingerprints: ['ab'.repeat(32)],
      identities: ['spiffe://b/c'],
      crls: [],
    })
    expect(config.serviceTokens.issuers).toEqual(
      new Map([
        [
          'order-service',
          {
            service: 'shop/order-service',
            keys: { kind: 'file', path: '/etc/portcullis/keys/order.pem' },
            scopes: ['payments:*', 'users:read'],
          },
        ],
        [
          'pay',
          { service: 'shop/pay', keys: { kind: 'url', url: 'http://127.0.0.1:8080/jwks' }, scopes: [] },
        ],
      ]),
    )
    expect(config.userTokens.issuers).toEqual([
      {
        issuer: 'https://idp.example',
        audiences: ['shop'],
        keys: { kind: 'url', url: 'https://IdP.example:8443/jwks.json' },
        metadataKey: undefined,
        senderConstraint: 'Optional',
        algorithms: ['ES256'],
        typ: 'at+jwt',
        claims: new Map([
          ['roles', 'realm_access.roles'],
          ['__proto__', 'x'],
        ]),
        roles: ['admin'],
      },
    ])
    expect(config.jwks.allowedHosts).toEqual(['127.0.0.1', 'idp.example'])
    expect(config.upstreamHeaders.userId).toBe('')
  })

  test('tells where a value came from', () => {
    const loaded = load(GOOD, { env: { PORTCULLIS__DRAIN__TIMEOUT: '3s' }, flags: { showMessages: 'true' } })
    if ('problems' in loaded) throw new Error('refused')
    expect(loaded.originOf(['listeners', 0, 'name'])).toBe('/etc/portcullis/portcullis.yaml:3:21')
    expect(loaded.originOf(['listeners', 0, 'role'])).toBe('default')
    expect(loaded.originOf(['drain', 'timeout'])).toBe('PORTCULLIS__DRAIN__TIMEOUT')
    expect(loaded.originOf(['drain', 'delay'])).toBe('default')
    expect(loaded.originOf(['showMessages'])).toBe('--set showMessages')
  })
})
