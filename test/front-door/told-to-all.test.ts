import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type AdminClient, adminClient, anAdminToken } from '../support/admin.js'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import { type Answer, startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { type RunningRedis, startStandalone } from '../support/redis-servers.js'
import { jwksText, signedToken, testKey, type TestKey } from '../support/tokens.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: vault, namespace: shop }
spec:
  require: Both
  endpoints:
    - { name: Notes, paths: [/notes], methods: [GET, POST] }
    - { name: Records, paths: [/records], methods: [GET], dataPolicy: restricted }
    - { name: Strong, paths: [/strong], methods: [GET], mfa: Required }
    - { name: Admin, paths: [/settings], methods: [GET] }
    - { name: Plain, paths: [/plain], methods: [GET], require: Workload }
  rules:
    - { name: users, from: [{ users: true }], to: [{ endpoints: [Notes, Records, Strong] }] }
    - { name: admins, from: [{ users: true }], to: [{ endpoints: [Admin] }], when: [{ key: user.roles, values: [ops] }] }
    - { name: web, from: [{ services: [web] }], to: [{ endpoints: [Plain] }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: vault }] }
---
apiVersion: portcullis.dev/v1beta1
kind: DataPolicy
metadata: { name: restricted }
spec: { access: [{ role: data-scientist, operations: [Read], approval: Required }] }
`
const ISSUER = 'https://idp.example'
/** Its roles are nested. */
const MAPPED = 'https://realm.example'
const WEB = 'spiffe://cluster.local/ns/shop/sa/web'
const CAEP = 'https://schemas.openid.net/secevent/caep/event-type'
const RISC = 'https://schemas.openid.net/secevent/risc/event-type'
/** Source: REQUIREMENTS R6, R10. */
const EFFECTIVE_WITHIN_MS = 1000

const authority = createAuthority({ name: 'root' })
const leaf = authority.issueSvid({ spiffeId: WEB })
const certificate = asEnvoySends(leaf.certificatePem)
const [oscar, pushToken] = [anAdminToken(), anAdminToken()]
let redis: RunningRedis
let replicas: readonly TestPortcullis[]
let admins: readonly AdminClient[]
let userKey: TestKey

async function startReplica(): Promise<TestPortcullis> {
  const { deployment } = redis
  if (deployment.kind !== 'standalone') throw new Error('not one server')
  return startPortcullis(
    {
      'policy/shop.yaml': POLICY,
      'pki/ca.pem': authority.certificatePem,
      'keys/idp.json': jwksText(userKey),
      'oscar.token': oscar,
      'idp.token': pushToken,
    },
    {
      trustDomains: { 'cluster.local': { bundle: { file: './pki/ca.pem' } } },
      userTokens: {
        issuers: [
          { issuer: ISSUER, audiences: ['shop'], jwksFile: './keys/idp.json' },
          {
            issuer: MAPPED,
            audiences: ['shop'],
            jwksFile: './keys/idp.json',
            claims: { roles: 'realm_access.roles' },
          },
        ],
      },
      store: { type: 'Redis', url: `redis://${deployment.host}:${deployment.port}` },
      admin: { listen: '127.0.0.1:0', tokens: [{ name: 'oscar', file: './oscar.token', role: 'Admin' }] },
      public: { listen: '127.0.0.1:0' },
      ssf: {
        transmitters: [
          {
            issuer: ISSUER,
            audiences: ['portcullis'],
            jwksFile: './keys/idp.json',
            subjectIssuers: [ISSUER, MAPPED],
            trustDomains: ['cluster.local'],
            push: { tokenFile: './idp.token' },
          },
        ],
      },
    },
  )
}

beforeAll(async () => {
  userKey = await testKey('RS256', 'idp-1')
  redis = await startStandalone()
  replicas = await Promise.all([startReplica(), startReplica()])
  admins = replicas.map(({ running }) => adminClient(running.admin ?? '', oscar))
  await reportDevice('laptop')
  await reportDevice('laptop', MAPPED)
}, 30_000)
afterAll(async () => {
  await Promise.all(replicas.map((each) => each.stop()))
  await redis.stop()
})

const SOUND = {
  managed: true,
  osPatched: true,
  diskEncrypted: true,
  firewall: true,
  antivirus: true,
  jailbroken: false,
}

async function asAdmin(index: number, method: string, path: string, body?: unknown) {
  const answer = await admins[index]?.(method, path, body)
  if (!answer || answer.status >= 300) throw new Error(`${answer?.status} ${answer?.text}`)
  return answer
}

const reportDevice = (id: string, issuer = ISSUER) =>
  asAdmin(0, 'PUT', `/v1/devices/${id}?issuer=${encodeURIComponent(issuer)}`, { ...SOUND, reason: 'test' })

/** Posts a SET to the first replica. */
async function tell(type: string, subject: object, payload: object, over: object = {}): Promise<Response> {
  const set = signedToken(
    userKey,
    {
      iss: ISSUER,
      aud: 'portcullis',
      iat: seconds(),
      jti: randomUUID(),
      sub_id: subject,
      events: { [type]: payload },
      ...over,
    },
    { alg: 'RS256', kid: 'idp-1', typ: 'secevent+jwt' },
  )
  return fetch(`http://${replicas[0]?.running.public}/ssf/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${pushToken}`, 'content-type': 'application/secevent+jwt' },
    body: set,
  })
}

const seconds = (): number => Math.floor(Date.now() / 1000)
const user = (sub: string) => ({ format: 'iss_sub', iss: ISSUER, sub })

type Claims = { readonly sub: string } & Readonly<Record<string, unknown>>

function ask(index: number, path: string, claims: Claims | undefined, method = 'GET'): Promise<Answer> {
  const at = seconds() - 10
  const token =
    claims &&
    signedToken(userKey, {
      iss: ISSUER,
      aud: 'shop',
      iat: at,
      exp: at + 600,
      auth_time: at,
      device_id: 'laptop',
      ...claims,
    })
  const replica = replicas[index]
  if (!replica) throw new Error('no such replica')
  return replica.check({
    certificate,
    principal: WEB,
    service: 'shop/vault',
    method,
    path,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  })
}

/** How long until both replicas answer so, milliseconds. */
async function untilBoth(isSo: (answer: Answer) => boolean, asking: (index: number) => Promise<Answer>) {
  const startedMs = performance.now()
  for (const index of [0, 1]) {
    for (;;) {
      const answer = await asking(index)
      if (isSo(answer)) break
      if (performance.now() - startedMs > EFFECTIVE_WITHIN_MS) {
        throw new Error(`replica ${index} says ${answer.reason} after ${EFFECTIVE_WITHIN_MS} ms`)
      }
      await sleep(5)
    }
  }
  return performance.now() - startedMs
}

const because = (reason: string) => (answer: Answer) => answer.reason === reason
let people = 0
/** Somebody whom both replicas have a copy of. */
async function somebody(more: Record<string, unknown> = {}): Promise<Claims> {
  const claims = { sub: `p${++people}`, ...more }
  for (const index of [0, 1]) expect((await ask(index, '/notes', claims)).reason).toBe('allowed')
  return claims
}

describe('SETs that change nothing', () => {
  test.each([
    ['an event of tomorrow', { event_timestamp: seconds() + 86_400 }, {}, 'invalid_request'],
    ['another audience', {}, { aud: 'bank' }, 'invalid_audience'],
    ['an issuer that nobody knows', {}, { iss: 'https://idp.evil.example' }, 'invalid_issuer'],
    ['a claim `exp`', {}, { exp: seconds() + 60 }, 'invalid_request'],
    ['a claim `sub`', {}, { sub: 'x' }, 'invalid_request'],
  ])('%s', async (_name, payload, over, err) => {
    const who = await somebody()
    const response = await tell(`${CAEP}/session-revoked`, user(who.sub), payload, over)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ err })
    expect((await ask(1, '/notes', who)).reason).toBe('allowed')
  })

  test("somebody else's user", async () => {
    const subject = { format: 'iss_sub', iss: 'https://idp.other.example', sub: 'p1' }
    const response = await tell(`${CAEP}/session-revoked`, subject, {})
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ err: 'access_denied' })
  })
})

describe('what one replica is told is so on the next call to both', () => {
  test('session-revoked of a user, by number, by e-mail, of one session', async () => {
    const byNumber = await somebody()
    expect((await tell(`${CAEP}/session-revoked`, user(byNumber.sub), {})).status).toBe(202)
    await untilBoth(because('session-terminated'), (index) => ask(index, '/notes', byNumber))
    const byMail = await somebody({ email: 'Maja@Shop.example', email_verified: true })
    await tell(`${CAEP}/session-revoked`, { format: 'email', email: 'maja@shop.example' }, {})
    await untilBoth(because('session-terminated'), (index) => ask(index, '/notes', byMail))
    const ofSession = await somebody({ session_id: 's-9' })
    await tell(`${CAEP}/session-revoked`, { format: 'complex', session: { format: 'opaque', id: 's-9' } }, {})
    await untilBoth(because('session-terminated'), (index) => ask(index, '/notes', ofSession))
    const other = await ask(1, '/notes', { ...ofSession, session_id: 's-10' })
    expect(other.reason).toBe('allowed')
  })

  test('a sign-in after the revocation is taken', async () => {
    const who = await somebody()
    await tell(`${CAEP}/session-revoked`, user(who.sub), { event_timestamp: seconds() - 3 })
    await untilBoth(because('session-terminated'), (index) => ask(index, '/notes', who))
    const anew = { ...who, iat: seconds(), auth_time: seconds() }
    expect((await ask(1, '/notes', anew)).reason).toBe('allowed')
  })

  test('device-compliance-change: reads pass, writes do not, until it is compliant again', async () => {
    await reportDevice('d-1')
    const who = await somebody({ device_id: 'd-1' })
    const device = { format: 'complex', device: { format: 'iss_sub', iss: ISSUER, sub: 'd-1' } }
    const change = (status: string, at: number) =>
      tell(`${CAEP}/device-compliance-change`, device, {
        previous_status: status === 'compliant' ? 'not-compliant' : 'compliant',
        current_status: status,
        event_timestamp: at,
      })
    await change('not-compliant', seconds() - 5)
    await untilBoth(because('device-read-only'), (index) => ask(index, '/notes', who, 'POST'))
    const read = await ask(1, '/notes', who)
    expect(read.headers.get('x-portcullis-obligations')).toBe('read-only,no-download')
    // An older one comes late.
    await change('compliant', seconds() - 60)
    expect((await ask(0, '/notes', who, 'POST')).reason).toBe('device-read-only')
    await change('compliant', seconds() - 1)
    await untilBoth(because('allowed'), (index) => ask(index, '/notes', who, 'POST'))
  })

  test('risk-level-change: HIGH asks for a step-up that is newer, LOW no more', async () => {
    const who = await somebody()
    await tell(`${CAEP}/risk-level-change`, user(who.sub), {
      principal: 'USER',
      current_level: 'HIGH',
      event_timestamp: seconds() - 5,
    })
    await untilBoth(because('step-up-required'), (index) => ask(index, '/notes', who))
    const old = { ...who, mfa_verified: true }
    const challenged = await ask(1, '/notes', old)
    expect(challenged.reason).toBe('step-up-required')
    const maxAge = /max_age="(\d+)"/.exec(challenged.headers.get('www-authenticate') ?? '')?.[1]
    expect(Number(maxAge)).toBeLessThanOrEqual(7)
    const anew = { ...old, iat: seconds(), auth_time: seconds() }
    expect((await ask(1, '/notes', anew)).reason).toBe('allowed')
    await tell(`${CAEP}/risk-level-change`, user(who.sub), {
      principal: 'USER',
      current_level: 'LOW',
      event_timestamp: seconds() - 1,
    })
    await untilBoth(because('allowed'), (index) => ask(index, '/notes', who))
  })

  test('credential-change and assurance-level-change: an earlier MFA shows nothing any more', async () => {
    for (const [type, payload] of [
      ['credential-change', { credential_type: 'fido2-roaming', change_type: 'revoke' }],
      [
        'assurance-level-change',
        {
          namespace: 'NIST-AAL',
          current_level: 'nist-aal1',
          previous_level: 'nist-aal2',
          change_direction: 'decrease',
        },
      ],
    ] as const) {
      const who = await somebody({ mfa_verified: true })
      expect((await ask(1, '/strong', who)).reason).toBe('allowed')
      await tell(`${CAEP}/${type}`, user(who.sub), payload)
      await untilBoth(because('step-up-required'), (index) => ask(index, '/strong', who))
    }
  })

  test('token-claims-change: a role goes at once, none comes', async () => {
    const who = await somebody({ roles: ['ops'] })
    expect((await ask(1, '/settings', who)).reason).toBe('allowed')
    await tell(`${CAEP}/token-claims-change`, user(who.sub), { claims: { roles: ['intern'] } })
    await untilBoth(because('rule-not-matched'), (index) => ask(index, '/settings', who))
    const plain = await somebody({ roles: ['intern'] })
    await tell(`${CAEP}/token-claims-change`, user(plain.sub), { claims: { roles: ['intern', 'ops'] } })
    await sleep(50)
    expect((await ask(1, '/settings', plain)).reason).toBe('rule-not-matched')
  })

  test('token-claims-change: a nested role goes with what it was in', async () => {
    for (const left of [null, {}, { verify: 1 }, 'none']) {
      const who = await somebody({ iss: MAPPED, realm_access: { roles: ['ops'] } })
      expect((await ask(1, '/settings', who)).reason).toBe('allowed')
      const subject = { format: 'iss_sub', iss: MAPPED, sub: who.sub }
      await tell(`${CAEP}/token-claims-change`, subject, { claims: { realm_access: left } })
      await untilBoth(because('rule-not-matched'), (index) => ask(index, '/settings', who))
    }
  })

  test('session-revoked of one session: a token that names none; of a user: one that is refreshed without auth_time', async () => {
    const nameless = await somebody()
    const session = { format: 'opaque', id: 'any' }
    const subject = { format: 'complex', user: user(nameless.sub), session }
    expect((await tell(`${CAEP}/session-revoked`, subject, {})).status).toBe(202)
    await untilBoth(because('session-terminated'), (index) => ask(index, '/notes', nameless))
    const who = await somebody({ session_id: 'refreshed', auth_time: undefined })
    // Both are in whole seconds, and the session was first seen within one.
    await tell(`${CAEP}/session-revoked`, user(who.sub), { event_timestamp: seconds() + 1 })
    await untilBoth(because('session-terminated'), (index) =>
      ask(index, '/notes', { ...who, iat: seconds() + 2 }),
    )
    const anew = { ...who, session_id: 'anew', iat: seconds() + 5 }
    expect((await ask(1, '/notes', anew)).reason).toBe('allowed')
  })

  test('what a signal ended is among the ended sessions', async () => {
    const who = await somebody({ session_id: 'told' })
    const session = { format: 'opaque', id: 'told' }
    await tell(`${CAEP}/session-revoked`, { format: 'complex', user: user(who.sub), session }, {})
    const { body } = await asAdmin(1, 'GET', '/v1/sessions')
    expect(body.sessions).toContainEqual(
      expect.objectContaining({
        subject: who.sub,
        sessionId: 'told',
        endedBy: ISSUER,
        reason: 'session revoked',
        state: 'ended',
      }),
    )
  })

  test('account-disabled and account-enabled', async () => {
    const who = await somebody()
    await tell(`${RISC}/account-disabled`, user(who.sub), { event_timestamp: seconds() - 5 })
    await untilBoth(because('session-terminated'), (index) =>
      ask(index, '/notes', { ...who, iat: seconds(), auth_time: seconds() }),
    )
    await tell(`${RISC}/account-enabled`, user(who.sub), { event_timestamp: seconds() - 1 })
    await untilBoth(because('allowed'), (index) => ask(index, '/notes', who))
  })

  test('a SET that comes twice is taken twice and recorded once', async () => {
    const who = await somebody()
    const jti = randomUUID()
    const send = () => tell(`${CAEP}/session-revoked`, user(who.sub), {}, { jti })
    expect([(await send()).status, (await send()).status]).toEqual([202, 202])
    const told = replicas[0]?.events().filter((event) => event.eventType === 'signal' && event.jti === jti)
    expect(told).toHaveLength(1)
  })

  test('a grant is good on both, its revocation too, and its uses are counted together', async () => {
    const who = await somebody({ roles: ['data-scientist'] })
    const grant = {
      subject: { issuer: ISSUER, subject: who.sub },
      service: 'shop/vault',
      operations: ['Read'],
      requester: 'bob',
      ticket: 'T-1',
      reason: 'report',
      duration: '1h',
    }
    const made = await asAdmin(0, 'POST', '/v1/grants', grant)
    await untilBoth(because('allowed'), (index) => ask(index, '/records', who))
    await asAdmin(1, 'POST', `/v1/grants/${made.body.id}/revoke`, { reason: 'done' })
    await untilBoth(because('approval-required'), (index) => ask(index, '/records', who))
    await asAdmin(0, 'POST', '/v1/grants', { ...grant, maxUses: 7 })
    await untilBoth(because('allowed'), (index) => ask(index, '/records', who))
    const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => ask(n % 2, '/records', who)))
    // Two uses were taken while waiting for both.
    expect(answers.filter(({ outcome }) => outcome === 'allow')).toHaveLength(5)
  })

  test('a session ended by hand, and a quarantine', async () => {
    const who = await somebody({ session_id: 'by-hand' })
    await asAdmin(0, 'POST', '/v1/sessions/terminate', {
      issuer: ISSUER,
      subject: who.sub,
      sessionId: 'by-hand',
      reason: 'lost',
    })
    await untilBoth(because('session-terminated'), (index) => ask(index, '/notes', who))
    await asAdmin(1, 'POST', '/v1/quarantine', { workload: WEB, duration: '1h', reason: 'incident' })
    await untilBoth(because('quarantined'), (index) => ask(index, '/plain', undefined))
    await asAdmin(0, 'DELETE', `/v1/quarantine?workload=${encodeURIComponent(WEB)}&reason=clean`)
    await untilBoth(because('allowed'), (index) => ask(index, '/plain', undefined))
  })

  // Last, since nobody gets in by this certificate afterwards.
  test('credential-change x509 revoke: the workload certificate with that serial', async () => {
    await untilBoth(because('allowed'), (index) => ask(index, '/plain', undefined))
    const subject = { format: 'complex', application: { format: 'uri', uri: WEB } }
    const told = await tell(`${CAEP}/credential-change`, subject, {
      credential_type: 'x509',
      change_type: 'revoke',
    })
    expect(told.status).toBe(202)
    await untilBoth(because('certificate-revoked'), (index) => ask(index, '/plain', undefined))
  })
})
