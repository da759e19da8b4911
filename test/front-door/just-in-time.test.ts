import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type AdminClient, adminClient, anAdminToken } from '../support/admin.js'
import { eventually } from '../support/eventually.js'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import { type Answer, startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { jwksText, signedToken, testKey, type TestKey } from '../support/tokens.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: vault, namespace: shop }
spec:
  endpoints:
    - { name: Records, paths: ["/records/{id}"], methods: [GET, PUT], require: Both, dataPolicy: restricted }
    - { name: Notes, paths: ["/notes/{id}"], methods: [GET], require: Both, dataPolicy: internal }
    - { name: Console, paths: [/console], methods: [GET, POST], require: Both }
    - { name: Export, paths: [/export], methods: [GET], require: Both, operation: Download }
    - { name: Safe, paths: [/safe], methods: [GET, POST], require: Both, sensitivity: High }
    - { name: Tried, paths: ["/tried/{id}"], methods: [GET], require: Both, mode: Shadow, dataPolicy: restricted }
  rules:
    - name: admins
      from: [{ users: true }]
      to: [{ endpoints: [Console] }]
      when: [{ key: user.roles, values: [admin] }]
    - { name: users, from: [{ users: true }], to: [{ endpoints: [Records, Notes, Export, Safe, Tried] }] }
  forbid:
    - name: no-contractors
      to: [{ endpoints: [Notes] }]
      when: [{ key: user.roles, values: [contractor] }]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: vault }] }
---
apiVersion: portcullis.dev/v1beta1
kind: BaselinePolicy
metadata: { name: default }
spec: { grantOnlyRoles: [admin, contractor] }
---
apiVersion: portcullis.dev/v1beta1
kind: DataPolicy
metadata: { name: restricted }
spec:
  access:
    - { role: data-scientist, operations: [Read], approval: Required }
    - { role: admin, operations: [Read, Write], approval: Required, mfa: Required }
  audit: { level: Full, retention: 7y, alert: true }
---
apiVersion: portcullis.dev/v1beta1
kind: DataPolicy
metadata: { name: internal }
spec: {}
`

const ISSUER = 'https://idp.example'
const WEB = 'spiffe://cluster.local/ns/shop/sa/web'
const root = createAuthority({ name: 'root' })
const certificate = asEnvoySends(root.issueSvid({ spiffeId: WEB }).certificatePem)
const [oscar, rita, tess, uma] = [anAdminToken(), anAdminToken(), anAdminToken(), anAdminToken()]
let userKey: TestKey
let portcullis: TestPortcullis
let admin: AdminClient
let reader: AdminClient

beforeAll(async () => {
  userKey = await testKey('RS256', 'idp-1')
  portcullis = await startPortcullis(
    {
      'policy/shop.yaml': POLICY,
      'pki/ca.pem': root.certificatePem,
      'keys/idp.json': jwksText(userKey),
      'oscar.token': `${oscar}\n`,
      'rita.token': `${rita}\n`,
      'tess.token': tess,
      'uma.token': uma,
    },
    {
      trustDomains: { 'cluster.local': { bundle: { file: './pki/ca.pem' } } },
      userTokens: { issuers: [{ issuer: ISSUER, audiences: ['shop'], jwksFile: './keys/idp.json' }] },
      admin: {
        listen: '127.0.0.1:0',
        tokens: [
          { name: 'oscar', file: './oscar.token', role: 'Admin' },
          { name: 'rita', file: './rita.token', role: 'Reader' },
          { name: 'tess', file: './tess.token', role: 'Reader' },
          { name: 'uma', file: './uma.token', role: 'Reader' },
        ],
      },
      alerts: { sinks: [{ type: 'Log' }] },
    },
  )
  admin = adminClient(portcullis.running.admin ?? '', oscar)
  reader = adminClient(portcullis.running.admin ?? '', rita)
  for (const id of ['laptop', 'second']) await report(id, {})
})

afterAll(() => portcullis.stop())

const SOUND = {
  managed: true,
  osPatched: true,
  diskEncrypted: true,
  firewall: true,
  antivirus: true,
  jailbroken: false,
}

async function report(id: string, facts: Partial<typeof SOUND> & Record<string, unknown>): Promise<void> {
  const { status, text } = await admin('PUT', `/v1/devices/${id}`, { ...SOUND, ...facts, reason: 'test' })
  if (status !== 200) throw new Error(text)
}

type Who = { readonly sub: string } & Readonly<Record<string, unknown>>

function call(method: string, path: string, who: Who, device: string | null = 'laptop'): Promise<Answer> {
  const nowSeconds = Math.floor(Date.now() / 1000)
  const token = signedToken(userKey, {
    iss: ISSUER,
    aud: 'shop',
    iat: nowSeconds,
    exp: nowSeconds + 300,
    auth_time: nowSeconds,
    ...(device !== null && { device_id: device }),
    ...who,
  })
  return portcullis.check({
    certificate,
    principal: WEB,
    service: 'shop/vault',
    method,
    path,
    headers: { authorization: `Bearer ${token}` },
  })
}

const eventOf = (answer: Answer) =>
  portcullis.events().find(({ decisionId }) => decisionId === answer.headers.get('x-portcullis-decision-id'))

let asked = 0
/** Somebody new each time, so that tests don't meet. */
const somebody = (more: Record<string, unknown>): Who => ({ sub: `u${++asked}`, ...more })

const grantTo = (who: Who, more: Record<string, unknown> = {}) => ({
  subject: { subject: who.sub },
  service: 'shop/vault',
  operations: ['Read'],
  requester: 'bob',
  ticket: 'SEC-1',
  reason: 'quarterly report',
  duration: '1h',
  ...more,
})

const SCIENTIST = { roles: ['data-scientist'] }

describe('classified data', () => {
  test.each([
    ['nobody but users', 'GET', { sub: 'x' }, 'data-policy'],
    ['a role that is not named', 'GET', { sub: 'x', roles: ['intern'] }, 'data-policy'],
    ['an operation that the role may not', 'PUT', { sub: 'x', ...SCIENTIST }, 'data-policy'],
    ['a role that needs an approval', 'GET', { sub: 'x', ...SCIENTIST }, 'approval-required'],
  ])('refuses %s', async (_name, method, who, reason) => {
    const answer = await call(method, '/records/1', who)
    expect(answer).toMatchObject({ outcome: 'deny', httpStatus: 403, reason })
    expect(eventOf(answer)).toMatchObject({
      dataPolicy: 'restricted',
      auditLevel: 'Full',
      auditRetention: '7y',
    })
  })

  test('without access rules is only recorded as such', async () => {
    const answer = await call('GET', '/notes/1', somebody({ roles: ['intern'] }))
    expect(answer.outcome).toBe('allow')
    expect(eventOf(answer)).toMatchObject({ dataPolicy: 'internal', auditLevel: 'Metadata' })
  })

  test('approved by another person for an hour, used, revoked, refused', async () => {
    const dora = somebody(SCIENTIST)
    expect((await call('GET', '/records/1', dora)).reason).toBe('approval-required')
    const made = await admin('POST', '/v1/grants', grantTo(dora))
    expect(made.status).toBe(201)
    const { id } = made.body
    const answer = await call('GET', '/records/1', dora)
    expect(answer.outcome).toBe('allow')
    expect(eventOf(answer)).toMatchObject({ grantId: id, userMfa: false, decision: 'allow' })
    expect((await call('PUT', '/records/1', dora)).reason).toBe('data-policy')
    const shown = await reader('GET', `/v1/grants/${id}`)
    expect(shown.body).toMatchObject({ state: 'live', uses: 1, requester: 'bob', approver: 'oscar' })
    expect((await admin('POST', `/v1/grants/${id}/revoke`, { reason: 'done' })).body.state).toBe('revoked')
    expect((await call('GET', '/records/1', dora)).reason).toBe('approval-required')
    const acts = portcullis.events().filter(({ eventType }) => eventType === 'administration')
    expect(acts).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          actor: 'oscar',
          action: 'grant.create',
          resourceId: expect.stringContaining(id),
          details: expect.objectContaining({ subject: dora.sub, service: 'shop/vault', requester: 'bob' }),
          success: true,
        }),
        expect.objectContaining({ actor: 'oscar', action: 'grant.revoke', reason: 'done', success: true }),
      ]),
    )
  })

  test('a grant of two uses lets two calls pass, of many at once', async () => {
    const dora = somebody(SCIENTIST)
    const { body } = await admin('POST', '/v1/grants', grantTo(dora, { maxUses: 2 }))
    const answers = await Promise.all(Array.from({ length: 20 }, () => call('GET', '/records/1', dora)))
    expect(answers.filter(({ outcome }) => outcome === 'allow')).toHaveLength(2)
    expect(new Set(answers.map(({ reason }) => reason))).toEqual(new Set(['allowed', 'approval-required']))
    expect((await reader('GET', `/v1/grants/${body.id}`)).body).toMatchObject({ state: 'exhausted', uses: 2 })
  })

  test('one that has expired is refused on the next call', async () => {
    const dora = somebody(SCIENTIST)
    const soon = new Date(Date.now() + 1200).toISOString()
    const { status } = await admin('POST', '/v1/grants', {
      ...grantTo(dora),
      duration: undefined,
      expiresAt: soon,
    })
    expect(status).toBe(201)
    expect((await call('GET', '/records/1', dora)).outcome).toBe('allow')
    await new Promise((resolve) => setTimeout(resolve, 1300))
    expect((await call('GET', '/records/1', dora)).reason).toBe('approval-required')
  })

  test('a mode that lets the call pass uses no grant up', async () => {
    const dora = somebody(SCIENTIST)
    const { body } = await admin('POST', '/v1/grants', grantTo(dora, { maxUses: 1 }))
    for (let n = 0; n < 3; n++) expect((await call('GET', '/tried/1', dora)).outcome).toBe('allow')
    expect((await reader('GET', `/v1/grants/${body.id}`)).body.uses).toBe(0)
  })
})

describe('a role that nobody has for good', () => {
  test('counts only with a grant of it, and forbids without one', async () => {
    const boss = somebody({ roles: ['admin'] })
    expect(await call('GET', '/console', boss)).toMatchObject({ httpStatus: 403, reason: 'grant-required' })
    // A grant of something else is none of the role.
    await admin('POST', '/v1/grants', grantTo(boss, { endpoints: ['Records'] }))
    expect((await call('GET', '/console', boss)).reason).toBe('grant-required')
    const { body } = await admin(
      'POST',
      '/v1/grants',
      grantTo(boss, { endpoints: ['Console'], roles: ['admin'] }),
    )
    const answer = await call('GET', '/console', boss)
    expect(answer).toMatchObject({ outcome: 'allow' })
    expect(eventOf(answer)).toMatchObject({ grantId: body.id, rule: 'admins' })
    expect(answer.headers.get('x-user-roles')).toBe('admin')
    expect((await call('POST', '/console', boss)).reason).toBe('grant-required')
    expect((await call('GET', '/export', boss)).headers.get('x-user-roles')).toBeUndefined()
    expect((await call('GET', '/notes/1', somebody({ roles: ['contractor'] }))).reason).toBe('forbidden')
  })

  test('a grant lends no role that the token does not assert', async () => {
    const plain = somebody({ roles: ['intern'] })
    await admin('POST', '/v1/grants', grantTo(plain, { roles: ['admin'] }))
    expect((await call('GET', '/console', plain)).reason).toBe('rule-not-matched')
  })
})

describe('grants that are not made', () => {
  test.each([
    ['approver equals requester', { requester: 'oscar' }, 400, 'same-person'],
    ['the subject asks for itself', { requester: 'self' }, 400, 'same-person'],
    ['somebody else as approver', { approver: 'rita' }, 400, 'not-the-caller'],
    ['an end in the past', { duration: undefined, expiresAt: '2020-01-01T00:00:00Z' }, 400, 'in-the-past'],
    ['no end', { duration: undefined }, 400, 'missing-field'],
    ['longer than is allowed', { duration: '30d' }, 400, 'too-long'],
    ['an unknown service', { service: 'shop/valt' }, 400, 'unknown-service'],
    ['an unknown endpoint', { endpoints: ['Record'] }, 400, 'unknown-endpoint'],
    ['a role that grants say nothing about', { roles: ['admn'] }, 400, 'unknown-role'],
    ['an unknown issuer', { subject: { subject: 'self', issuer: `${ISSUER}/` } }, 400, 'unknown-issuer'],
    ['an unknown field', { color: 'red' }, 400, 'unknown-field'],
    ['an unknown operation', { operations: ['Delete'] }, 400, 'wrong-word'],
    ['without a ticket', { ticket: undefined }, 400, 'missing-field'],
  ])('%s', async (_name, change, status, code) => {
    const who = { sub: 'self' }
    const answer = await admin('POST', '/v1/grants', grantTo(who, change))
    expect(answer.status).toBe(status)
    expect(answer.body.errors.map((error: { code: string }) => error.code)).toContain(code)
    expect((await reader('GET', '/v1/grants?subject=self')).body.grants).toEqual([])
  })

  test('one that overlaps names the other', async () => {
    const dora = somebody(SCIENTIST)
    const first = await admin('POST', '/v1/grants', grantTo(dora))
    const second = await admin('POST', '/v1/grants', grantTo(dora, { endpoints: ['Records'] }))
    expect(second.status).toBe(409)
    expect(second.text).toContain(first.body.id)
    await admin('POST', `/v1/grants/${first.body.id}/revoke`, { reason: 'renewed' })
    expect((await admin('POST', '/v1/grants', grantTo(dora))).status).toBe(201)
  })

  test('a reader makes none, and nobody without a token', async () => {
    expect((await reader('POST', '/v1/grants', grantTo({ sub: 'self' }))).status).toBe(403)
    const stranger = adminClient(portcullis.running.admin ?? '', 'x'.repeat(40))
    expect((await stranger('GET', '/v1/grants')).status).toBe(401)
  })

  test('break-glass needs no approver and is short', async () => {
    const dora = somebody(SCIENTIST)
    const emergency = { breakGlass: true, requester: 'oscar', ticket: undefined }
    expect((await admin('POST', '/v1/grants', grantTo(dora, { ...emergency, duration: '8h' }))).status).toBe(
      400,
    )
    const made = await admin('POST', '/v1/grants', grantTo(dora, emergency))
    expect(made).toMatchObject({ status: 201, body: { breakGlass: true } })
    expect(made.body.approver).toBeUndefined()
    expect((await call('GET', '/records/1', dora)).outcome).toBe('allow')
  })
})

test('the access review tells of grants and of rules', async () => {
  const { body } = await reader('GET', '/v1/grants/review?days=30&format=json')
  expect(body.live.length).toBeGreaterThan(0)
  expect(body.revoked.length).toBeGreaterThan(0)
  const csv = await reader('GET', '/v1/grants/review?format=csv')
  expect(csv.text).toMatch(/quarterly report/)
  expect((await reader('GET', '/v1/grants/review?format=table')).text).toMatch(/Rules not used in 30 days/)
})

describe('devices', () => {
  const READ_ONLY = 'read-only,no-download'

  test.each([
    [
      'one in order',
      {},
      { safe: 'allowed', write: 'allowed', download: 'allowed', obligations: undefined, posture: 0 },
    ],
    [
      'disk not encrypted',
      { diskEncrypted: false },
      { safe: 'allowed', write: 'allowed', download: 'allowed', obligations: undefined, posture: 25 },
    ],
    [
      'patched and encrypted neither',
      { osPatched: false, diskEncrypted: false },
      {
        safe: 'allowed',
        write: 'device-read-only',
        download: 'device-read-only',
        obligations: READ_ONLY,
        posture: 55,
      },
    ],
    [
      'jailbroken, not patched',
      { jailbroken: true, osPatched: false },
      {
        safe: 'device-risk',
        write: 'device-read-only',
        download: 'device-read-only',
        obligations: READ_ONLY,
        posture: 80,
      },
    ],
    [
      'everything wrong but management',
      { osPatched: false, diskEncrypted: false, firewall: false, antivirus: false, jailbroken: true },
      {
        safe: 'device-risk',
        write: 'device-read-only',
        download: 'device-read-only',
        obligations: READ_ONLY,
        posture: 100,
      },
    ],
  ])('%s', async (name, facts, expected) => {
    const id = `device of ${name}`
    await report(encodeURIComponent(id), facts)
    const who = somebody({ roles: ['intern'] })
    const read = await call('GET', '/safe', who, id)
    expect(read.reason).toBe(expected.safe)
    if (read.outcome === 'allow')
      expect(read.headers.get('x-portcullis-obligations')).toBe(expected.obligations)
    expect(eventOf(read)).toMatchObject({ devicePosture: expected.posture, deviceTier: 'managed-corporate' })
    expect((await call('GET', '/export', who, id)).reason).toBe(expected.download)
    const write = await call('POST', '/safe', who, id)
    expect(write.reason === 'device-risk' ? 'device-read-only' : write.reason).toBe(expected.write)
  })

  test.each([
    ['one that the inventory does not know', 'stranger'],
    ['none', null],
  ])('%s is unmanaged: another factor is asked for, named in the challenge', async (_name, device) => {
    const who = somebody({ roles: ['intern'], mfa_verified: true })
    const answer = await call('GET', '/safe', who, device)
    expect(answer).toMatchObject({ httpStatus: 401, reason: 'step-up-required' })
    expect(answer.headers.get('www-authenticate')).toMatch(/acr_values="push"/)
    const pushed = somebody({ roles: ['intern'], amr: ['push'] })
    expect((await call('GET', '/safe', pushed, device)).outcome).toBe('allow')
  })

  test('one that leaves the inventory is unmanaged on the next call', async () => {
    await report('leaver', {})
    const who = somebody({ roles: ['intern'] })
    expect((await call('GET', '/safe', who, 'leaver')).outcome).toBe('allow')
    expect((await admin('DELETE', '/v1/devices/leaver?reason=sold')).status).toBe(204)
    expect((await call('GET', '/safe', who, 'leaver')).reason).toBe('step-up-required')
    expect((await admin('DELETE', '/v1/devices/leaver?reason=sold')).status).toBe(404)
    await report('leaver', {})
    expect((await call('GET', '/safe', who, 'leaver')).outcome).toBe('allow')
  })

  test.each([
    ['a report from 2030', { lastSeen: '2030-01-01T00:00:00Z' }, 'lastSeen'],
    ['a text for true', { managed: 'yes' }, 'managed'],
    ['a field that nobody knows', { color: 'red' }, 'color'],
    ['without a reason', { reason: undefined }, 'reason'],
  ])('%s changes nothing', async (_name, change, field) => {
    const answer = await admin('PUT', '/v1/devices/refused', { ...SOUND, reason: 'test', ...change })
    expect(answer.status).toBe(400)
    expect(JSON.stringify(answer.body.errors)).toContain(field)
    expect((await reader('GET', '/v1/devices/refused')).status).toBe(404)
  })

  test('many at once, all or none', async () => {
    const devices = Array.from({ length: 1200 }, (_, n) => ({ id: `bulk-${n}`, ...SOUND }))
    const bad = devices.map((device, n) =>
      n === 700 ? { ...device, lastSeen: '2030-01-01T00:00:00Z' } : device,
    )
    const refused = await admin('POST', '/v1/devices', { reason: 'sync', devices: bad })
    expect(refused).toMatchObject({ status: 400 })
    expect(refused.body.errors[0].pointer).toBe('/devices/700/lastSeen')
    expect((await reader('GET', '/v1/devices/bulk-1')).status).toBe(404)
    expect((await admin('POST', '/v1/devices', { reason: 'sync', devices })).body).toEqual({ accepted: 1200 })
    expect((await reader('GET', '/v1/devices/bulk-1199')).body).toMatchObject({
      posture: 0,
      tier: 'managed-corporate',
    })
    const seen = new Set<string>()
    let cursor = ''
    do {
      const page = await reader('GET', `/v1/devices?limit=500${cursor}`)
      for (const { id } of page.body.devices) seen.add(id)
      cursor = page.body.next === undefined ? '' : `&cursor=${page.body.next}`
    } while (cursor !== '')
    expect(seen.size).toBeGreaterThanOrEqual(1200)
  })
})

describe('by hand', () => {
  test('a session is ended, and the next call of it refused', async () => {
    const who = somebody({ roles: ['intern'], session_id: 's-1' })
    expect((await call('GET', '/safe', who)).outcome).toBe('allow')
    const listed = await reader('GET', `/v1/sessions?subject=${who.sub}`)
    expect(listed.body.sessions).toMatchObject([{ sessionId: 's-1', state: 'active' }])
    const ended = await admin('POST', '/v1/sessions/terminate', {
      subject: who.sub,
      sessionId: 's-1',
      reason: 'lost phone',
    })
    expect(ended.body).toMatchObject({ state: 'ended', endedBy: 'oscar' })
    expect(await call('GET', '/safe', who)).toMatchObject({ httpStatus: 401, reason: 'session-terminated' })
    expect((await call('GET', '/safe', { ...who, session_id: 's-2' })).outcome).toBe('allow')
    expect((await reader('GET', '/v1/sessions')).body.sessions).toEqual(
      expect.arrayContaining([expect.objectContaining({ sessionId: 's-1', reason: 'lost phone' })]),
    )
  })

  test.each([
    ['long', 'x'.repeat(1024), 0],
    ['of odd characters', 'a\u202eb\u2028\u200d"\\ ', 1],
  ])('a session whose id is %s', async (_name, session, known) => {
    const who = somebody({ roles: ['intern'], session_id: session })
    expect((await call('GET', '/safe', who)).outcome).toBe('allow')
    expect((await reader('GET', `/v1/sessions?subject=${who.sub}`)).body.sessions).toHaveLength(known)
    const body = { subject: who.sub, sessionId: session, reason: 'odd' }
    expect((await admin('POST', '/v1/sessions/terminate', body)).status).toBe(200)
    expect((await call('GET', '/safe', who)).reason).toBe('session-terminated')
  })

  test('all sessions of a user', async () => {
    const who = somebody({ roles: ['intern'], session_id: 's-1' })
    expect((await call('GET', '/safe', who)).outcome).toBe('allow')
    expect((await admin('POST', '/v1/sessions/terminate', { subject: who.sub, reason: 'left' })).status).toBe(
      200,
    )
    expect((await reader('GET', `/v1/sessions?subject=${who.sub}`)).body.sessions).toMatchObject([
      { state: 'ended', endedBy: 'oscar', reason: 'left' },
      { sessionId: 's-1', state: 'ended', endedBy: 'oscar', reason: 'left' },
    ])
    const old = { ...who, auth_time: Math.floor(Date.now() / 1000) - 5 }
    expect((await call('GET', '/safe', old)).reason).toBe('session-terminated')
  })

  test('a level of risk asks for a step-up, and a lower one no more', async () => {
    const who = somebody({ roles: ['intern'] })
    const set = await admin('POST', '/v1/risk', { subject: who.sub, level: 'HIGH', reason: 'phished' })
    expect(set.body).toMatchObject({ score: 80, externalLevel: { level: 'HIGH' } })
    const answer = await call('GET', '/safe', who)
    expect(answer.reason).toBe('step-up-required')
    expect(eventOf(answer)).toMatchObject({
      riskScore: 80,
      riskFactors: expect.arrayContaining([{ factor: 'external-level', points: 80 }]),
    })
    await admin('POST', '/v1/risk', { subject: who.sub, level: 'LOW', reason: 'cleared' })
    expect((await call('GET', '/safe', who)).outcome).toBe('allow')
  })

  test('a workload is quarantined in every mode, and let go', async () => {
    const who = somebody({ roles: ['intern'] })
    const added = await admin('POST', '/v1/quarantine', {
      workload: WEB,
      duration: '1h',
      reason: 'incident 7',
    })
    expect(added.status).toBe(201)
    expect((await call('GET', '/safe', who)).reason).toBe('quarantined')
    expect((await call('GET', '/tried/1', who)).reason).toBe('quarantined')
    expect((await reader('GET', '/v1/quarantine')).body.quarantined).toMatchObject([
      { workload: WEB, by: 'oscar' },
    ])
    expect(
      (await admin('DELETE', `/v1/quarantine?workload=${encodeURIComponent(WEB)}&reason=clean`)).status,
    ).toBe(204)
    expect((await call('GET', '/safe', who)).outcome).toBe('allow')
    expect((await reader('GET', '/v1/quarantine')).body.quarantined).toEqual([])
  })

  test('what would be decided is told with all that is known', async () => {
    const who = somebody({})
    await admin('POST', '/v1/risk', { subject: who.sub, level: 'HIGH', reason: 'phished' })
    const { body } = await reader('POST', '/v1/explain', {
      target: 'shop/vault',
      caller: 'shop/web',
      path: '/safe',
      user: who.sub,
      roles: ['intern'],
      deviceId: 'laptop',
    })
    expect(body).toMatchObject({ decision: 'challenge', reason: 'step-up-required', riskScore: 80 })
    expect(body.steps.map(({ step }: { step: string }) => step)).toEqual(
      expect.arrayContaining(['identity', 'risk']),
    )
  })

  test('decisions, matrix and policy can be looked at', async () => {
    const answer = await call('GET', '/safe', somebody({ roles: ['intern'] }))
    const id = answer.headers.get('x-portcullis-decision-id')
    expect((await reader('GET', `/v1/decisions/${id}`)).body).toMatchObject({ decision: 'allow' })
    expect((await reader('GET', '/v1/decisions?limit=1')).body.decisions).toHaveLength(1)
    const matrix = await reader('GET', '/v1/matrix?service=shop/vault')
    expect(matrix.body.services[0].endpoints.map(({ name }: { name: string }) => name)).toContain('Records')
    expect((await reader('GET', '/v1/policy')).body).toMatchObject({ documents: 5, counts: { services: 2 } })
  })
})

test('a token file that is gone takes its token away, and stands in the way of no other', async () => {
  const statusFor = async (token: string): Promise<number> =>
    (await adminClient(portcullis.running.admin ?? '', token)('GET', '/v1/policy')).status
  // A token that is wrong is tried once: ten close the door.
  const gone = (token: string) => eventually(async () => expect(await statusFor(token)).toBe(401))
  expect([await statusFor(tess), await statusFor(uma)]).toEqual([200, 200])
  await rm(join(portcullis.directory, 'tess.token'))
  await gone(tess)
  expect(await statusFor(rita)).toBe(200)
  const renewed = anAdminToken()
  await portcullis.write('uma.token', renewed)
  await gone(uma)
  expect(await statusFor(renewed)).toBe(200)
  await portcullis.write('uma.token', '')
  await gone(renewed)
  expect(await statusFor(rita)).toBe(200)
})
