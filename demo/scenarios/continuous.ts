import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, callHttp } from '../calls.js'
import type { CallableMesh } from '../mesh.js'
import type { Scenario } from '../scenario.js'
import { WEB_HOST } from '../services.js'
import { bearer } from '../tokens.js'
import { ALLOWED, CHALLENGED, denied, http } from './calling.js'

/** What the places of the demo say where these addresses are; see lay.ts. */
const BERLIN = '192.0.2.10'
const SYDNEY = '198.51.100.20'

const LAPTOP = { agent: 'laptop/1.0', device: 'laptop-of-berta' }
const STRANGER = { agent: 'tool/9.9', device: 'unknown-phone' }
const SESSION = 'session-of-berta'

type Visit = {
  readonly from: string
  readonly by: typeof LAPTOP
  readonly method?: string
  readonly path?: string
  /** How often; the answer is the last one's. */
  readonly times?: number
  /** Authenticated with a second factor just now. */
  readonly mfa?: true
}

async function visit(
  mesh: CallableMesh,
  { from, by, method = 'GET', path = '/api/orders', times = 1, mfa }: Visit,
): Promise<Answer> {
  const claims = {
    sub: 'berta',
    session_id: SESSION,
    device_id: by.device,
    scope: 'orders:read',
    // In whole seconds, and after all that has happened so far.
    auth_time: Math.floor(Date.now() / 1000) + (mfa ? 2 : -60),
    // By a push to the phone, which devices that nobody manages have to show too.
    ...(mfa && { mfa_verified: true, amr: ['push', 'mfa'] }),
  }
  const authorization = await bearer(mesh, 'alice', claims)
  const headers = { authorization, 'user-agent': by.agent, 'x-forwarded-for': from }
  const call = (): Promise<Answer> =>
    callHttp(mesh.throughGateway(), { method, path, host: WEB_HOST, headers })
  for (let done = 1; done < times; done++) await call()
  return call()
}

function berta(
  note: string,
  target: string,
  visiting: Visit,
  rest: Pick<Scenario, 'expected' | 'also'>,
): Scenario {
  const { method = 'GET', path = '/api/orders' } = visiting
  return {
    caller: 'berta',
    target,
    request: `${method} ${path}  ${note}`,
    call: (mesh) => visit(mesh, visiting),
    ...rest,
  }
}

/** Whether an alert of this severity names somebody, in the log of Portcullis. */
const alerted =
  (severity: 'MEDIUM' | 'HIGH', name: string): NonNullable<Scenario['also']> =>
  (_answer, mesh) => {
    const log = readFileSync(join(mesh.directory, 'logs/portcullis-1.log'), 'utf8')
    const found = log
      .split('\n')
      .some((line) => line.includes('"risk alert"') && line.includes(`"${severity}"`) && line.includes(name))
    return found ? undefined : `no ${severity} alert names ${name}`
  }

/** A user whose session moves to somebody else. */
export const STOLEN_SESSION: readonly Scenario[] = [
  berta('from Berlin', 'order-service', { from: BERLIN, by: LAPTOP }, { expected: ALLOWED }),
  berta(
    'from Sydney at once, another device',
    'order-service',
    { from: SYDNEY, by: STRANGER },
    { expected: CHALLENGED },
  ),
  berta('after a step-up', 'order-service', { from: SYDNEY, by: STRANGER, mfa: true }, { expected: ALLOWED }),
  berta('without it', 'order-service', { from: SYDNEY, by: STRANGER }, { expected: CHALLENGED }),
  berta(
    'twelve times without the scope',
    'order-service',
    { from: SYDNEY, by: STRANGER, method: 'POST', times: 12 },
    { expected: denied(403, 'scope-missing'), also: alerted('HIGH', 'berta') },
  ),
  berta(
    'a sensitive path: too much',
    'admin-service',
    { from: SYDNEY, by: STRANGER, path: '/api/admin/report' },
    { expected: denied(401, 'session-terminated') },
  ),
  berta(
    'from Berlin, the session is over',
    'order-service',
    { from: BERLIN, by: LAPTOP },
    { expected: denied(401, 'session-terminated') },
  ),
  berta(
    'not even with a step-up',
    'order-service',
    { from: BERLIN, by: LAPTOP, mfa: true },
    { expected: denied(401, 'session-terminated') },
  ),
]

const REFUSED_BY_THE_APPLICATION = { status: '403', decision: 'allow', reason: 'allowed' } as const
/** The Envoys send their logs a moment after the calls. */
const LOGS_WITHIN_MS = 3000

async function carl(mesh: CallableMesh, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const authorization = await bearer(mesh, 'alice', { sub: 'carl' })
  const request = {
    method: 'GET',
    path: '/api/orders',
    host: WEB_HOST,
    headers: { ...headers, authorization },
  }
  return callHttp(mesh.throughGateway(), request)
}

/** What the application itself refused is known from the Envoys' logs. */
export const REFUSED_BEHIND: readonly Scenario[] = [
  {
    caller: 'carl',
    target: 'order-service',
    request: 'GET /api/orders  three times; the application says 403',
    call: async (mesh) => {
      const refused = { 'x-echo-status': '403' }
      await carl(mesh, refused)
      await carl(mesh, refused)
      return carl(mesh, refused)
    },
    expected: REFUSED_BY_THE_APPLICATION,
  },
  {
    caller: 'carl',
    target: 'order-service',
    request: 'GET /api/orders  the failures count as risk now',
    call: async (mesh) => {
      const end = Date.now() + LOGS_WITHIN_MS
      for (;;) {
        const answer = await carl(mesh)
        const event = answer.decisionId === undefined ? undefined : await mesh.trail.withId(answer.decisionId)
        if (event?.riskScore === undefined || event.riskScore > 0 || Date.now() > end) return answer
        await sleep(100)
      }
    },
    expected: ALLOWED,
    also: ({ decisionId = '' }, mesh) => {
      const risk = mesh.trail.all.find((event) => event.decisionId === decisionId)?.riskScore
      return risk === undefined || risk === 0 ? `the risk of carl is ${risk}` : undefined
    },
  },
]

const PROBER = 'payment-service'
const probe = (request: string, target: string, reason: string): Scenario =>
  http(request, { caller: PROBER, target, expected: denied(403, reason) })
const email = (note: string, rest: Pick<Scenario, 'expected' | 'also'>): Scenario =>
  http('POST /api/emails', { caller: PROBER, target: 'email-service', note, ...rest })

/** A workload that tries every door. */
export const PROBING_WORKLOAD: readonly Scenario[] = [
  email('an edge that it has', { expected: ALLOWED }),
  probe('GET /api/stock/lamp', 'inventory-service', 'call-not-allowed'),
  probe('GET /api/users/7', 'user-service', 'user-required'),
  probe('GET /api/admin/report', 'admin-service', 'user-required'),
  probe('POST /internal/orders', 'order-service', 'call-not-allowed'),
  email('the same edge, after four that it lacks', {
    expected: denied(403, 'risk-too-high'),
    also: alerted('HIGH', 'spiffe://cluster.local/ns/shop/sa/payment-service'),
  }),
  email('and from now on', { expected: denied(403, 'quarantined') }),
]
