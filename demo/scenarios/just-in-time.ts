import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer } from '../calls.js'
import type { CallableMesh } from '../mesh.js'
import { laptopOf } from '../people.js'
import type { Scenario } from '../scenario.js'
import { bearer } from '../tokens.js'
import { ALLOWED, CHALLENGED, denied, upstreamGot, user } from './calling.js'

const HISTORY = 'GET /api/orders/7/history'

/** Does something before the call. Throws when that is refused, which ends the demo. */
function after(scenario: Scenario, act: (mesh: CallableMesh) => Promise<Answer>, status: string): Scenario {
  return {
    ...scenario,
    call: async (mesh) => {
      const answer = await act(mesh)
      if (answer.status !== status) throw new Error(`${answer.status} instead of ${status}: ${answer.body}`)
      return scenario.call(mesh)
    },
  }
}

function dora(note: string, rest: Pick<Scenario, 'expected' | 'also'>): Scenario {
  return user(HISTORY, {
    caller: 'dora',
    target: 'order-service',
    note,
    headers: async (mesh) => ({ authorization: await bearer(mesh, 'dora, data scientist') }),
    ...rest,
  })
}

let grantId = ''

async function grantAnHour(mesh: CallableMesh): Promise<Answer> {
  const answer = await mesh.administer('oscar', 'POST', '/v1/grants', {
    subject: { subject: 'dora' },
    service: 'shop/order-service',
    endpoints: ['OrderHistory'],
    operations: ['Read'],
    requester: 'bob',
    ticket: 'DATA-42',
    reason: 'churn analysis of the third quarter',
    duration: '1h',
  })
  const made: unknown = answer.status === '201' ? JSON.parse(answer.body) : undefined
  grantId = typeof made === 'object' && made !== null && 'id' in made ? String(made.id) : ''
  return answer
}

const revoke = (mesh: CallableMesh): Promise<Answer> =>
  mesh.administer('oscar', 'POST', `/v1/grants/${grantId}/revoke`, { reason: 'analysis is done' })

/** Whether the event of the call names the grant, at the record's full level. */
const audited: NonNullable<Scenario['also']> = ({ decisionId }, mesh) => {
  const event = mesh.trail.known(decisionId ?? '')
  if (event?.grantId !== grantId) return `the event names the grant ${event?.grantId}`
  return event.auditLevel === 'Full' ? undefined : 'the event is not at level Full'
}

/** Restricted data: nobody reads it for good. */
export const RESTRICTED_DATA: readonly Scenario[] = [
  user(HISTORY, {
    caller: 'alice',
    target: 'order-service',
    note: 'no data scientist',
    headers: async (mesh) => ({ authorization: await bearer(mesh, 'alice') }),
    expected: denied(403, 'data-policy'),
  }),
  dora('data scientist, not approved', { expected: denied(403, 'approval-required') }),
  after(dora('oscar approves for an hour', { expected: ALLOWED, also: audited }), grantAnHour, '201'),
  dora('again', { expected: ALLOWED, also: audited }),
  after(dora('oscar revokes it', { expected: denied(403, 'approval-required') }), revoke, '200'),
]

function dan(request: string, note: string, rest: Pick<Scenario, 'expected' | 'also'>): Scenario {
  return user(request, {
    caller: 'dan',
    target: 'order-service',
    note,
    headers: async (mesh) => ({ authorization: await bearer(mesh, 'dan') }),
    ...rest,
  })
}

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type'
const ISSUER = 'https://idp.example'

const deviceIs =
  (status: 'compliant' | 'not-compliant') =>
  async (mesh: CallableMesh): Promise<Answer> => {
    // Of two that are told in one second the worse one counts, and the laptop is mended in a later one.
    if (status === 'compliant') await sleep(1005 - (Date.now() % 1000))
    return mesh.signal({
      type: `${CAEP}/device-compliance-change`,
      subject: { format: 'complex', device: { format: 'iss_sub', iss: ISSUER, sub: laptopOf('dan') } },
      payload: {
        event_timestamp: Math.floor(Date.now() / 1000),
        previous_status: status === 'compliant' ? 'not-compliant' : 'compliant',
        current_status: status,
      },
    })
  }

const endSessions = (mesh: CallableMesh): Promise<Answer> =>
  mesh.signal({
    type: `${CAEP}/session-revoked`,
    subject: { format: 'complex', user: { format: 'iss_sub', iss: ISSUER, sub: 'dan' } },
    // Of that second and before; a token of the same second is over too.
    payload: { event_timestamp: Math.floor(Date.now() / 1000) + 1 },
  })

const HELD = { 'x-portcullis-obligations': 'read-only,no-download' }

/** What the identity provider tells counts on the next call. */
export const COMPROMISED_LAPTOP: readonly Scenario[] = [
  dan('POST /api/orders', 'a laptop in order', { expected: ALLOWED }),
  after(
    dan('POST /api/orders', 'CAEP: not compliant', { expected: denied(403, 'device-read-only') }),
    deviceIs('not-compliant'),
    '202',
  ),
  dan('GET /api/orders', 'it may still read', { expected: ALLOWED, also: upstreamGot(HELD) }),
  user('GET /api/orders', {
    caller: 'dan',
    target: 'order-service',
    note: 'from a device nobody knows',
    headers: async (mesh) => ({ authorization: await bearer(mesh, 'dan, MFA', { device_id: 'a-tablet' }) }),
    expected: CHALLENGED,
    also: ({ body }) => (body.includes('"factor":"push"') ? undefined : `the challenge is ${body}`),
  }),
  after(dan('POST /api/orders', 'CAEP: compliant', { expected: ALLOWED }), deviceIs('compliant'), '202'),
  after(
    dan('GET /api/orders', 'CAEP: session revoked', { expected: denied(401, 'session-terminated') }),
    endSessions,
    '202',
  ),
]
