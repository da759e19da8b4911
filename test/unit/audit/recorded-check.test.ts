import { describe, expect, test } from '@jest/globals'
import { writeRecordedCheck } from '../../../src/audit/recorded-check.js'
import type { Decision } from '../../../src/decision/decision.js'
import { aCall, aUser, NOW_MS } from '../../support/facts.js'

const JWT = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.hunter2'
const DECISION: Decision = {
  outcome: 'allow',
  reason: 'allowed',
  message: '',
  mode: 'Enforce',
  obligations: [],
  revision: 'r',
}

type Given = {
  readonly path?: string
  readonly query?: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly claims?: Readonly<Record<string, unknown>>
  readonly extensions?: readonly (readonly [string, string])[]
  readonly requestId?: string
}

function lineOf({
  path = '/',
  query = '',
  headers = [],
  claims = {},
  extensions = [],
  requestId = '',
}: Given) {
  return writeRecordedCheck(
    {
      request: {
        requestId,
        source: { ip: '10.0.0.1', port: 1, principal: '', certificate: '' },
        destination: { ip: '10.0.0.2', port: 2, principal: '' },
        http: aCall({ path, query, headers }),
        contextExtensions: new Map(extensions),
        sni: '',
      },
      listener: {
        name: 'mesh',
        role: 'Sidecar',
        peerIdentity: 'Certificate',
        principalTrustDomains: [],
        trustedProxies: new Map(),
        trustedHops: 0,
        mtls: 'Strict',
        target: ['extension'],
      },
      asker: { spiffeId: undefined },
      nowMs: NOW_MS,
      identified: {
        ok: true,
        identity: { workload: undefined, serviceToken: undefined, user: aUser({ claims }) },
      },
      known: undefined,
      located: undefined,
      decision: DECISION,
      decisionId: 'd',
    },
    'x-service-token',
  )
}

const SECRET_HEADERS = (
  'authorization proxy-authorization cookie dpop x-service-token x-api-key x-access-key ' +
  'ocp-apim-subscription-key x-functions-key x-auth-key x-shared-key x-auth x-bearer x-hmac x-pwd x-jwt ' +
  'x-mfa-otp x-mfa-code x-session-id x-csrf x-xsrf-token x-otp2 x-accesskey x_access_key x-sid x-ticket ' +
  'x-amz-security-token x-hub-signature-256 x-pass x-passcode x-credential x-pin x-keys x-totp x-monkey-key'
).split(' ')

test.each(SECRET_HEADERS)('a header named %s is recorded without its value', (name) => {
  const line = lineOf({ headers: [[name, 'hunter2']] })
  expect(line).not.toContain('hunter2')
  expect(JSON.parse(line)).toMatchObject({ request: { http: { headers: [[name]] } } })
})

const SECRET_VALUES = [
  { name: 'Basic', text: 'Basic aHVudGVyMg==hunter2' },
  { name: 'Bearer, in lower case', text: 'bearer hunter2' },
  { name: 'Bearer behind other text', text: 'was: Bearer hunter2' },
  { name: 'Bearer, percent-encoded', text: 'Bearer%20hunter2' },
  { name: 'DPoP', text: 'DPoP hunter2' },
  { name: 'Negotiate', text: 'Negotiate hunter2' },
  { name: 'Digest', text: 'Digest username="a", response="hunter2"' },
  { name: 'an own scheme', text: 'ApiKey hunter2' },
  { name: 'a request signature', text: 'AWS4-HMAC-SHA256 Credential=a, Signature=hunter2' },
  { name: 'a private key', text: '-----BEGIN PRIVATE KEY----- hunter2' },
  { name: 'a private key, percent-encoded', text: '%2D----BEGIN%20PRIVATE%20KEY-----hunter2' },
  { name: 'a private key in base64', text: 'LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0thunter2' },
  { name: 'a JWT', text: `a ${JWT} b` },
  { name: 'a JWT with encoded dots', text: JWT.replaceAll('.', '%2E') },
  { name: 'a JWT encoded twice', text: JWT.replaceAll('.', '%252e') },
  { name: 'a JWT with an encoded beginning', text: `%65${JWT.slice(1)}` },
  { name: 'the query of an address', text: 'https://shop.example/a?access_token=hunter2&b=1' },
  { name: 'a nameless parameter', text: '/reset?hunter2' },
  { name: 'an encoded name', text: '/reset?tok%65n=hunter2' },
  { name: 'a fragment', text: 'https://shop.example/#access_token=hunter2' },
  { name: 'a link', text: '<https://shop.example/f?sv=1&sig=hunter2>; rel="next"' },
  { name: 'a password in an address', text: 'https://alice:hunter2@shop.example/' },
  { name: 'an encoded address', text: 'https%3A%2F%2Fshop.example%2F%3Ftoken%3Dhunter2' },
  { name: 'an address encoded twice', text: 'https%253A%252F%252Fshop.example%252F%253Ftoken%253Dhunter2' },
  { name: 'pairs', text: 'user=alice; password="hunter2, hunter2"; page=3' },
  { name: 'JSON', text: '{"user":"alice","password" : "hunter2 \\" hunter2","pin":"hunter2"}' },
  { name: 'encoded too often to be read', text: `a%${'25'.repeat(12)}3Dhunter2` },
]

describe.each(SECRET_VALUES)('$name', ({ text }) => {
  test.each<{ place: string; given: Given }>([
    { place: 'a header', given: { headers: [['x-note', text]] } },
    { place: 'the referer', given: { headers: [['referer', text]] } },
    { place: 'a claim', given: { claims: { note: text } } },
    { place: 'a claim in others', given: { claims: { a: { b: [text] } } } },
    { place: 'a registered claim', given: { claims: { name: text } } },
    { place: 'an extension', given: { extensions: [['note', text]] } },
    { place: 'the request id', given: { requestId: text } },
    { place: 'a parameter', given: { query: `a=1&note=${encodeURIComponent(text)}` } },
    { place: 'a parameter as it is', given: { query: `note=${text.replaceAll('&', ';')}` } },
  ])('is in no line as $place', ({ given }) => {
    expect(lineOf(given)).not.toMatch(/hunter2|aHVudGVy|eyJ/)
  })
})

test.each(
  'x-envoy-original-path x-original-url x-forwarded-uri x-rewrite-url location content-location :path'.split(
    ' ',
  ),
)('no query of an address stays in %s', (name) => {
  const line = lineOf({ headers: [[name, '/a?page=3&access_token=hunter2&AWSAccessKeyId=hunter2']] })
  expect(JSON.parse(line)).toMatchObject({
    request: {
      http: { headers: [[name, '/a?page=3&access_token=[redacted]&AWSAccessKeyId=[redacted]']] },
    },
  })
})

test.each(
  (
    'access_token access_key AWSAccessKeyId SAMLResponse SAMLart ticket auth pwd bearer tok%65n se%63ret ' +
    'tok%2565n code sig X-Amz-Signature X-Goog-Credential sessionId JSESSIONID PHPSESSID apikey apiKey ' +
    'user[password] otp jti nonce client_assertion _csrf code_verifier privateKeys acceSsKeY pIn'
  ).split(' '),
)('a parameter named %s is recorded without its value', (name) => {
  const line = lineOf({ query: `page=3&${name}=hunter2` })
  expect(line).not.toContain('hunter2')
  expect(JSON.parse(line)).toMatchObject({
    request: { http: { query: `page=3&${name}=[redacted]` } },
  })
})

test('an address in a parameter is withheld if a secret is in it', () => {
  const query = 'u=https%3A%2F%2Fa%2F%3Ftoken%3Dhunter2&v=https%3A%2F%2Fa%2F%3Fpage%3D3'
  expect(JSON.parse(lineOf({ query }))).toMatchObject({
    request: { http: { query: 'u=[redacted]&v=https%3A%2F%2Fa%2F%3Fpage%3D3' } },
  })
})

test.each(
  (
    'access_key pwd pin_code hmac password api_key id_token jti nonce cookie session_key backup_codes ' +
    'clientSecret otp'
  ).split(' '),
)('a claim named %s is not recorded', (name) => {
  const line = lineOf({ claims: { [name]: 'hunter2', deep: [{ [name]: 'hunter2', a: 1 }] } })
  expect(line).not.toContain('hunter2')
  expect(JSON.parse(line)).toMatchObject({ identity: { user: { claims: { deep: [{ a: 1 }] } } } })
})

test('an extension named for a secret is not recorded', () => {
  expect(lineOf({ extensions: [['access_key', 'hunter2']] })).not.toMatch(/hunter2|access_key/)
})

test.each([
  { path: '/v1/Bearer%20hunter2/x', kept: '/v1/[redacted]/x' },
  { path: '/v1/a;token=hunter2/x', kept: '/v1/a;token=[redacted]/x' },
  { path: `/v1/${JWT}/x`, kept: '/v1/[redacted]/x' },
  { path: '/v1/basic:export', kept: '/v1/basic:export' },
  { path: '/v1/100%25/x', kept: '/v1/100%25/x' },
])('of the path $path stays $kept', ({ path, kept }) => {
  expect(JSON.parse(lineOf({ path }))).toMatchObject({ request: { http: { path: kept } } })
})

const PLAIN_HEADERS: readonly (readonly [string, string])[] = [
  ['x-env', 'prod'],
  ['content-type', 'application/x-www-form-urlencoded; charset=utf-8'],
  ['user-agent', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Safari/537.36'],
  ['accept', 'text/html,application/xml;q=0.9,*/*;q=0.8'],
  ['x-request-id', '0c0b4d1e-3d0c-4b1e-9d3c-5d8d5a6b7c8d'],
  ['x-test-run', 'nightly-7'],
  ['x-envoy-auth-partial-body', 'false'],
  ['x-country-code', 'DE'],
  ['x-forwarded-for', '10.1.2.3, 10.1.2.4'],
  ['x-monkey', 'george'],
  ['referer', 'https://shop.example/cart?page=2&sort=asc'],
  ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
  ['if-none-match', 'W/"abc"'],
  ['x-discount', '100%, 50% off'],
]

test.each(PLAIN_HEADERS)('the header %s stays as it is', (name, value) => {
  expect(JSON.parse(lineOf({ headers: [[name, value]] }))).toMatchObject({
    request: { http: { headers: [[name, value]] } },
  })
})

test('plain claims and parameters stay as they are', () => {
  const claims = {
    token_use: 'access',
    sub: 'alice',
    roles: ['clerk'],
    auth_time: 1,
    acr: 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport',
    amr: ['pwd', 'otp'],
    sid: 's-1',
    authorization_details: [{ type: 'payment', actions: ['read'] }],
    address: { postal_code: '10115', country: 'DE' },
    country_code: 'DE',
    cnf: { jkt: 'abc' },
    email: 'alice@shop.example',
    iss: 'https://idp.example/realms/a',
    department: 'Pay & Ship',
  }
  const query = 'page=3&sort=asc&q=caf%C3%A9&currency_code=EUR'
  expect(JSON.parse(lineOf({ claims, query }))).toMatchObject({
    request: { http: { query } },
    identity: { user: { claims } },
  })
})

test.each([
  'a'.repeat(4096),
  '%'.repeat(4096),
  '%25'.repeat(1365),
  '?'.repeat(4096),
  '//'.repeat(2048),
  '="'.repeat(2048),
  '"" '.repeat(1365),
  '"a":"\\'.repeat(585),
  '"a"'.padEnd(4096),
  'Basic'.padEnd(4096),
  'eyJ'.repeat(1365),
  'a-'.repeat(2048),
  'aA'.repeat(2048),
])('hostile text %# costs little', (text) => {
  const headers = Array.from({ length: 64 }, (_, at) => [`x-h${at}`, text] as const)
  const startMs = performance.now()
  lineOf({ headers, query: `${text}=${text}`, path: `/${text}` })
  expect(performance.now() - startMs).toBeLessThan(500)
})
