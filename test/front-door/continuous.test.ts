import { setTimeout as sleep } from 'node:timers/promises'
import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { encodeHttpLogs, type EntryFields, STREAM_ACCESS_LOGS } from '../support/access-logs.js'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import type { CheckFields } from '../support/envoy-wire.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { jwksText, signedToken, testKey, type TestKey } from '../support/tokens.js'

const DOCUMENT = (kind: string, name: string, spec: string): string =>
  `---\napiVersion: portcullis.dev/v1beta1\nkind: ${kind}\nmetadata: { name: ${name}, namespace: shop }\nspec: ${spec}\n`
const CLUSTER_WIDE = (kind: string, spec: string): string =>
  `---\napiVersion: portcullis.dev/v1beta1\nkind: ${kind}\nmetadata: { name: mine }\nspec: ${spec}\n`
const TARGETS = Array.from({ length: 6 }, (_, index) => `target-${index}`)

const POLICY = [
  DOCUMENT(
    'ServicePolicy',
    'orders',
    `
  require: User
  routes: [{ host: shop.example.com, pathPrefix: /shop, stripPrefix: /shop }]
  endpoints:
    - { name: Orders, paths: [/orders], methods: [GET] }
    - { name: Wipe, paths: [/wipe], methods: [POST], userScopes: [orders:wipe] }
    - { name: Vault, paths: [/vault], methods: [GET], sensitivity: High }
    - { name: Abroad, paths: [/abroad], methods: [GET] }
    - { name: Tried, paths: [/tried], methods: [GET], mode: Shadow }
    - { name: Watched, paths: [/watched], methods: [GET], mode: Observe }
  rules: [{ name: users, from: [{ users: true }] }]
  forbid: [{ name: home-only, to: [{ endpoints: [Abroad] }], when: [{ key: client.country, notValues: ["DE"] }] }]`,
  ),
  ...TARGETS.map((name) =>
    DOCUMENT(
      'ServicePolicy',
      name,
      '{ endpoints: [{ name: All, paths: [/all], methods: [GET] }, { name: Private, paths: [/private], methods: [GET], require: Both }] }',
    ),
  ),
  DOCUMENT('ServicePolicy', 'prober', '{ calls: [{ service: target-0 }] }'),
  DOCUMENT(
    'ServicePolicy',
    'front',
    `{ calls: [${TARGETS.map((name) => `{ service: ${name} }`).join(', ')}] }`,
  ),
  DOCUMENT('ServicePolicy', 'bystander', '{ calls: [{ service: target-0 }] }'),
  CLUSTER_WIDE('AdaptivePolicy', '{ session: { maxDuration: 1h, idleTimeout: 1s } }'),
  CLUSTER_WIDE('RiskPolicy', '{ factors: { lateralMovement: { tiers: [{ above: 3, points: 90 }] } } }'),
].join('')

// Places that are public, since private and documentation ranges have none for rules on countries.
const PLACES = '5.1.0.0/16,DE,52.52,13.40\n5.2.0.0/16,AU,-33.87,151.21\n'
const BERLIN = '5.1.0.1'
const SYDNEY = '5.2.0.1'
const LISTED = '5.3.0.1'

const root = createAuthority({ name: 'root' })
let userKey: TestKey
let portcullis: TestPortcullis

async function startOne(): Promise<TestPortcullis> {
  return startPortcullis(
    {
      'policy/shop.yaml': POLICY,
      'pki/ca.pem': root.certificatePem,
      'keys/idp.json': jwksText(userKey),
      'places.csv': PLACES,
      'threats.txt': '# seen lately\n5.3.0.0/24\n',
    },
    {
      listeners: [
        { name: 'mesh', address: '127.0.0.1:0' },
        { name: 'edge', address: '127.0.0.1:0', role: 'Gateway', peerIdentity: 'None', trustedHops: 1 },
      ],
      trustDomains: { 'cluster.local': { bundle: { file: './pki/ca.pem' } } },
      userTokens: {
        issuers: [
          {
            issuer: 'https://idp.example',
            audiences: ['shop'],
            jwksFile: './keys/idp.json',
            algorithms: ['RS256'],
          },
        ],
      },
      accessLogService: { enabled: true },
      geo: { table: './places.csv' },
      threats: { files: ['./threats.txt'] },
    },
  )
}

beforeAll(async () => {
  userKey = await testKey('RS256', 'idp-1')
  portcullis = await startOne()
})
afterAll(() => portcullis.stop())

const seconds = (): number => Math.floor(Date.now() / 1000)

type Call = {
  readonly sub: string
  readonly path?: string
  readonly method?: string
  readonly from?: string
  readonly agent?: string
  readonly claims?: Readonly<Record<string, unknown>>
}

function userCall({
  sub,
  path = '/shop/orders',
  method = 'GET',
  from = BERLIN,
  agent = 'a/1',
  claims,
}: Call): CheckFields {
  const now = seconds()
  const token = signedToken(userKey, {
    iss: 'https://idp.example',
    aud: 'shop',
    sub,
    iat: now,
    exp: now + 600,
    ...claims,
  })
  return {
    method,
    path,
    host: 'shop.example.com',
    sourceIp: '10.0.0.9',
    headers: {
      authorization: `Bearer ${token}`,
      'user-agent': agent,
      'x-forwarded-for': `6.6.6.6, ${from}, 10.0.0.9`,
    },
  }
}

const reasonOf = async (call: Call): Promise<string> =>
  (await portcullis.check(userCall(call), 'edge')).reason

const certificates = new Map<string, string>()
function workloadCall(caller: string, target: string): CheckFields {
  const spiffeId = `spiffe://cluster.local/ns/shop/sa/${caller}`
  let certificate = certificates.get(caller)
  if (certificate === undefined) {
    certificate = asEnvoySends(root.issueSvid({ spiffeId }).certificatePem)
    certificates.set(caller, certificate)
  }
  return { principal: spiffeId, certificate, method: 'GET', path: '/all', service: `shop/${target}` }
}

const mfaNow = (): Record<string, unknown> => ({ mfa_verified: true, auth_time: seconds() + 2 })

/** The newest event of a decision; what is found out of the ordinary is told in between. */
function lastDecision() {
  return portcullis.events().findLast(({ eventType }) => eventType === 'authorization')
}

describe('sessions', () => {
  test.each<[string, Record<string, unknown>, string]>([
    [
      'older than its longest duration',
      { session_id: 's-old', auth_time: seconds() - 3700 },
      'session-expired',
    ],
    ['within it', { session_id: 's-new', auth_time: seconds() - 3500 }, 'allowed'],
    ['of no name, however old', { auth_time: seconds() - 37_000 }, 'allowed'],
  ])('%s', async (_name, claims, reason) => {
    expect(await reasonOf({ sub: 'sam', claims })).toBe(reason)
  })

  test('idle for too long is over until the user signs in again; refused calls do not keep it awake', async () => {
    const claims = { session_id: 's-idle', auth_time: seconds() - 60 }
    expect(await reasonOf({ sub: 'ida', claims })).toBe('allowed')
    await sleep(1300)
    expect(await reasonOf({ sub: 'ida', claims })).toBe('session-idle')
    expect(await reasonOf({ sub: 'ida', claims })).toBe('session-idle')
    expect(await reasonOf({ sub: 'ida', claims: { ...claims, auth_time: seconds() } })).toBe('allowed')
  })
})

describe('a session that moves to somebody else', () => {
  const claims = { session_id: 's-eve', device_id: 'laptop', auth_time: seconds() - 5 }
  const thief = { from: SYDNEY, agent: 'b/2', claims: { ...claims, device_id: 'phone' } }

  test('is challenged, answered by MFA alone, ended by what follows, and stays ended', async () => {
    expect(await reasonOf({ sub: 'eve', claims })).toBe('allowed')
    expect(await reasonOf({ sub: 'eve', ...thief })).toBe('step-up-required')
    const answered = { ...thief.claims, auth_time: seconds() + 2 }
    expect(await reasonOf({ sub: 'eve', ...thief, claims: answered })).toBe('step-up-required')
    expect(await reasonOf({ sub: 'eve', ...thief, claims: { ...answered, mfa_verified: true } })).toBe(
      'allowed',
    )
    expect(await reasonOf({ sub: 'eve', ...thief })).toBe('step-up-required')
    for (let attempt = 0; attempt < 12; attempt++) {
      expect(await reasonOf({ sub: 'eve', ...thief, path: '/shop/wipe', method: 'POST' })).toBe(
        'scope-missing',
      )
    }
    expect(await reasonOf({ sub: 'eve', ...thief, path: '/shop/vault' })).toBe('session-terminated')
    expect(await reasonOf({ sub: 'eve', claims })).toBe('session-terminated')
    expect(await reasonOf({ sub: 'eve', claims: { ...claims, ...mfaNow() } })).toBe('session-terminated')
    for (const path of ['/shop/tried', '/shop/watched']) {
      expect(await reasonOf({ sub: 'eve', path, claims })).toBe('session-terminated')
    }
    const event = portcullis.events().find(({ decisionReason }) => decisionReason === 'session-terminated')
    expect(event).toMatchObject({
      clientIp: SYDNEY,
      riskScore: 95,
      riskFactors: expect.arrayContaining([
        { factor: 'impossible-travel', points: 30 },
        { factor: 'failed-attempts', points: 25 },
      ]),
    })
    for (const path of ['/shop/tried', '/shop/watched']) {
      const call = userCall({ sub: 'eve', path, claims })
      const headers = { ...call.headers, 'x-service-token': 'x' }
      expect((await portcullis.check({ ...call, headers }, 'edge')).reason).toBe('session-terminated')
    }
    expect(await reasonOf({ sub: 'eve', claims: { session_id: 's-next', ...mfaNow() } })).toBe('allowed')
    // What the thief goes on doing with the dead session is not held against the next one.
    expect(await reasonOf({ sub: 'eve', ...thief })).toBe('session-terminated')
    expect(await reasonOf({ sub: 'eve', claims: { session_id: 's-next', ...mfaNow() } })).toBe('allowed')
    expect(await reasonOf({ sub: 'somebody', claims })).toBe('allowed')
  })

  test('in Shadow it is recorded and passes, in Observe nobody looks', async () => {
    const session = { session_id: 's-sue', auth_time: seconds() - 5 }
    expect(await reasonOf({ sub: 'sue', claims: session })).toBe('allowed')
    expect(await reasonOf({ sub: 'sue', path: '/shop/watched', from: SYDNEY, claims: session })).toBe(
      'allowed',
    )
    expect(lastDecision()).toMatchObject({ mode: 'Observe' })
    expect(lastDecision()).not.toHaveProperty('wouldBeReason')
    expect(await reasonOf({ sub: 'sue', path: '/shop/tried', from: SYDNEY, claims: session })).toBe('allowed')
    expect(lastDecision()).toMatchObject({ mode: 'Shadow', wouldBeReason: 'step-up-required' })
  })
})

describe('where a call comes from', () => {
  test('a caller can not choose it: only the trusted hop counts', async () => {
    const call = userCall({ sub: 'tom', path: '/shop/abroad' })
    const headers = { ...call.headers, 'x-forwarded-for': `${BERLIN}, ${SYDNEY}, 10.0.0.9` }
    expect((await portcullis.check({ ...call, headers }, 'edge')).reason).toBe('forbidden')
    expect(await reasonOf({ sub: 'tom2', path: '/shop/abroad' })).toBe('allowed')
  })

  test.each([
    ['no header', {}],
    ['a header that ends with somebody else', { 'x-forwarded-for': `${BERLIN}, 10.0.0.8` }],
    ['a header that is too short', { 'x-forwarded-for': '10.0.0.9' }],
    ['no address', { 'x-forwarded-for': 'berlin, 10.0.0.9' }],
  ])('with %s nobody knows, and what forbids other countries forbids', async (_name, forwarded) => {
    const call = userCall({ sub: 'tim', path: '/shop/abroad' })
    const headers = { authorization: call.headers?.['authorization'] ?? '', ...forwarded }
    expect((await portcullis.check({ ...call, headers }, 'edge')).reason).toBe('forbidden')
  })

  test('an address on a threat list asks for MFA', async () => {
    expect(await reasonOf({ sub: 'lea', from: LISTED })).toBe('step-up-required')
    expect(await reasonOf({ sub: 'lea', from: LISTED, claims: mfaNow() })).toBe('allowed')
  })
})

describe('a workload that tries every door', () => {
  const ask = async (caller: string, target: string): Promise<string> =>
    (await portcullis.check(workloadCall(caller, target), 'mesh')).reason

  test('is refused on the edges that it has, then quarantined; others are not', async () => {
    expect(await ask('prober', 'target-0')).toBe('allowed')
    for (const target of TARGETS.slice(1, 5)) expect(await ask('prober', target)).toBe('call-not-allowed')
    expect(await ask('prober', 'target-0')).toBe('risk-too-high')
    expect(await ask('prober', 'target-0')).toBe('quarantined')
    expect(await ask('bystander', 'target-0')).toBe('allowed')
  })

  test('a broken credential beside it changes nothing, in no mode', async () => {
    for (const path of ['/tried', '/watched']) {
      for (const headers of [{ authorization: 'Bearer x' }, { 'x-service-token': 'x' }]) {
        const call = { ...workloadCall('prober', 'orders'), path, headers }
        expect((await portcullis.check(call, 'mesh')).reason).toBe('quarantined')
      }
    }
  })

  test('visitors without a login make no probe of the workload that brings them', async () => {
    for (let visit = 0; visit < 8; visit++) {
      for (const target of TARGETS) {
        const call = { ...workloadCall('front', target), path: '/private' }
        expect((await portcullis.check(call, 'mesh')).reason).toBe('user-required')
      }
    }
    expect(await ask('front', 'target-0')).toBe('allowed')
  })

  test('a call to itself, or four to one target, is no way through the mesh', async () => {
    for (let attempt = 0; attempt < 4; attempt++) {
      expect(await ask('bystander', 'target-1')).toBe('call-not-allowed')
    }
    expect(await ask('bystander', 'target-0')).toBe('allowed')
  })
})

describe('what Envoys tell of calls that were let pass', () => {
  /** Sends entries as one Envoy does, over a stream of the listener, and returns once they were taken. */
  async function tell(entries: readonly EntryFields[]): Promise<void> {
    const address = portcullis.running.listeners.find(({ name }) => name === 'edge')?.address
    const client = new grpc.Client(address ?? '', grpc.credentials.createInsecure())
    await new Promise<void>((resolve, reject) => {
      const stream = client.makeClientStreamRequest(
        STREAM_ACCESS_LOGS.path,
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        (error) => (error ? reject(error) : resolve()),
      )
      stream.write(encodeHttpLogs(...entries))
      stream.end()
    })
    client.close()
  }
  const idOf = async (sub: string): Promise<string> => {
    const { headers, reason } = await portcullis.check(userCall({ sub }), 'edge')
    expect(reason).toBe('allowed')
    return headers.get('x-portcullis-decision-id') ?? ''
  }
  const riskOf = async (sub: string): Promise<unknown> => {
    await idOf(sub)
    return lastDecision()?.['riskScore']
  }

  test.each<[string, number, unknown]>([
    ['200', 200, 0],
    ['404', 404, 0],
    ['401', 401, 5],
    ['403', 403, 5],
    ['500', 500, 5],
  ])('three times %s', async (name, code, risk) => {
    const sub = `logged-${name}`
    const entries = []
    for (let call = 0; call < 3; call++) entries.push({ decisionId: await idOf(sub), code })
    await tell(entries)
    expect(await riskOf(sub)).toBe(risk)
  })

  test('an entry counts once, and only for a decision that was given', async () => {
    const decisionId = await idOf('logged-once')
    await tell(Array.from({ length: 9 }, () => ({ decisionId, code: 403 })))
    await tell(Array.from({ length: 9 }, (_, n) => ({ decisionId: `made-up-${n}`, code: 403 })))
    expect(await riskOf('logged-once')).toBe(0)
  })
})

test('to send no user agent is another way of calling too', async () => {
  expect(await reasonOf({ sub: 'una' })).toBe('allowed')
  const { headers = {}, ...call } = userCall({ sub: 'una' })
  const { 'user-agent': _none, ...others } = headers
  expect((await portcullis.check({ ...call, headers: others }, 'edge')).reason).toBe('allowed')
  expect(lastDecision()?.['riskFactors']).toEqual([{ factor: 'anomalous-behaviour', points: 10 }])
})

test('subjects of any name', async () => {
  for (const sub of ['\u0000', 'a\nb', '../../etc', '__proto__', 'constructor', '👩‍🚀', 'x'.repeat(5000)]) {
    expect(await reasonOf({ sub, claims: { session_id: sub, device_id: sub } })).toMatch(
      /^(allowed|user-token-malformed)$/,
    )
  }
  expect(await reasonOf({ sub: 'agent', agent: 'y'.repeat(100_000) })).toBe('allowed')
})
