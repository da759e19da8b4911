import { type IncomingHttpHeaders, request as httpRequest } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import type { AdminLimits } from '../../../src/admin/limits.js'
import type { AdminTls } from '../../../src/admin/listener.js'
import type { AdminPorts, DeviceName, Outcome, PortProblem } from '../../../src/admin/ports.js'
import type { Client } from '../../../src/admin/client-certificate.js'
import { RecentDecisions } from '../../../src/admin/recent-decisions.js'
import type { DeviceAnswer } from '../../../src/admin/schemas/devices.js'
import type { GrantAnswer } from '../../../src/admin/schemas/grants.js'
import type { LogLevelAnswer } from '../../../src/admin/schemas/log-level.js'
import { type AdminServer, type AdminServerOptions, startAdminServer } from '../../../src/admin/server.js'
import { hashTokens } from '../../../src/admin/tokens.js'
import type { AdminEvent } from '../../../src/audit/admin-event.js'
import type { DeviceReport } from '../../../src/device/device-report.js'
import { formatTimestamp } from '../../../src/audit/timestamp.js'

export const ADMIN_TOKEN = 'alice-0123456789abcdefghijklmnopq'
export const READER_TOKEN = 'rhea-9876543210zyxwvutsrqponmlkji'
export const NOW_MS = Date.parse('2026-03-01T12:00:00Z')
export const ISSUER = 'https://idp.example'
export const WORKLOAD = 'spiffe://cluster.local/ns/shop/sa/api'

export const REPORT = {
  managed: true,
  osPatched: true,
  diskEncrypted: true,
  firewall: true,
  antivirus: true,
  jailbroken: false,
} as const satisfies DeviceReport

/** One security event. */
export const decisionLine = (id: string, more: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({
    timestamp: formatTimestamp(NOW_MS),
    eventType: 'authorization',
    decisionId: id,
    userId: 'dana',
    callerService: 'shop/order',
    workloadId: WORKLOAD,
    targetService: 'shop/payment',
    decision: 'deny',
    decisionReason: 'call-not-allowed',
    ...more,
  })

const missing = (what: string): Outcome<never> => ({
  ok: false,
  status: 404,
  problems: [{ pointer: [], code: `${what}-unknown`, message: `no such ${what}` }],
})

/** The ports over plain maps: what is asked of them and what they hold can be looked at. */
export function knownState(options: { defaultIssuer?: string | undefined } = { defaultIssuer: ISSUER }) {
  const events: AdminEvent[] = []
  const grants = new Map<string, GrantAnswer>()
  const devices = new Map<string, DeviceAnswer>()
  const quarantined = new Map<string, { workload: string; until: string; by: string; reason: string }>()
  const ended: { issuer: string; subject: string; state: 'ended'; endedBy: string; reason: string }[] = []
  const decisions = new RecentDecisions(100)
  const state = {
    /** What the audit log says to the next event. */
    audit: 'accepted' as 'accepted' | 'refused',
    /** What creating a grant comes to. */
    grantProblem: undefined as { status: 409 | 503; problem: PortProblem } | undefined,
    breaks: false,
    logLevel: { level: 'Info', configured: 'Info' } as LogLevelAnswer,
  }
  const keyOf = ({ issuer, id }: DeviceName): string => JSON.stringify([issuer, id])
  const store = (device: DeviceName, report: DeviceReport): DeviceAnswer => {
    const answer = { ...device, ...report, posture: 0, findings: [] }
    devices.set(keyOf(device), answer)
    return answer
  }
  const ports: AdminPorts = {
    audit: (event) => {
      events.push(event)
      return Promise.resolve(state.audit)
    },
    defaultIssuer: options.defaultIssuer,
    issuers: [ISSUER, 'https://other.example'],
    trustDomains: ['cluster.local'],
    decisions: {
      newest: () => ({ ok: true, value: decisions.newest() }),
      follow: (listener) => decisions.follow(listener),
    },
    explain: async (asked) => ({
      ok: true,
      value: { decision: 'deny', reason: 'caller-unknown', message: 'nobody', steps: [], asked },
    }),
    matrix: async () => ({
      ok: true,
      value: {
        revision: 'r1',
        services: ['shop/order', 'shop/payment', 'shop/records'].map((id) => ({
          id,
          mode: 'Enforce',
          source: 'shop.yaml:1:1',
          identities: [],
          endpoints: [],
        })),
        edges: [
          { caller: 'shop/order', target: 'shop/payment' },
          { caller: 'shop/payment', target: 'shop/records', endpoints: ['read'] },
        ],
      },
    }),
    policy: async () => ({
      ok: true,
      value: {
        revision: 'r1',
        loadedAt: formatTimestamp(NOW_MS),
        documents: 3,
        counts: { services: 3, endpoints: 0, edges: 2, rules: 0, forbids: 0 },
        inert: [],
      },
    }),
    grants: {
      create: async (asked, actor, id) => {
        if (state.breaks) throw new Error('the disk is full of secrets')
        if (state.grantProblem) {
          return { ok: false, status: state.grantProblem.status, problems: [state.grantProblem.problem] }
        }
        const { duration: _, maxUses, subject, service, operations, requester, reason } = asked
        const grant: GrantAnswer = {
          id,
          state: 'live',
          subject,
          service,
          operations,
          requester,
          reason,
          ...(maxUses !== undefined && { maxUses }),
          approver: actor.name,
          breakGlass: false,
          createdAt: formatTimestamp(NOW_MS),
          expiresAt: formatTimestamp(NOW_MS + 3_600_000),
          uses: 0,
        }
        grants.set(id, grant)
        return { ok: true, value: grant }
      },
      get: async (id) => {
        const grant = grants.get(id)
        return grant ? { ok: true, value: grant } : missing('grant')
      },
      list: async ({ state: wanted, limit }) => {
        const found = [...grants.values()].filter((grant) => wanted === undefined || grant.state === wanted)
        return { ok: true, value: { grants: found.slice(0, limit) } }
      },
      revoke: async (id, reason, actor) => {
        const grant = grants.get(id)
        if (!grant) return missing('grant')
        const revoked = { at: formatTimestamp(NOW_MS), by: actor.name, reason }
        const value: GrantAnswer = { ...grant, state: 'revoked', revoked }
        grants.set(id, value)
        return { ok: true, value }
      },
      review: async (unusedForMs, format) => ({
        ok: true,
        value: format === 'json' ? JSON.stringify({ unusedForMs }) : `${format} ${unusedForMs}`,
      }),
    },
    sessions: {
      ofUser: async (user) => ({ ok: true, value: { sessions: [{ ...user, state: 'active' }] } }),
      ended: async () => ({ ok: true, value: { sessions: ended } }),
      terminate: async (user, sessionId, reason, actor) => {
        const session = { ...user, state: 'ended', endedBy: actor.name, reason } as const
        ended.push(session)
        return { ok: true, value: { ...session, ...(sessionId !== undefined && { sessionId }) } }
      },
    },
    devices: {
      list: async ({ limit }) => ({ ok: true, value: { devices: [...devices.values()].slice(0, limit) } }),
      get: async (device) => {
        const found = devices.get(keyOf(device))
        return found ? { ok: true, value: found } : missing('device')
      },
      put: async (device, report) => ({ ok: true, value: store(device, report) }),
      putAll: async (reports) => {
        for (const { report, ...device } of reports) store(device, report)
        return { ok: true, value: { accepted: reports.length } }
      },
      remove: async (device) =>
        devices.delete(keyOf(device)) ? { ok: true, value: undefined } : missing('device'),
    },
    risk: {
      of: async (subject) => ({
        ok: true,
        value: {
          ...subject,
          score: 55,
          level: 'medium',
          signals: 2,
          factors: [{ factor: 'newDevice', points: 15 }],
        },
      }),
      setLevel: async (subject, level) => ({
        ok: true,
        value: {
          ...subject,
          score: 80,
          level: 'high',
          signals: 3,
          factors: [],
          externalLevel: { level, at: formatTimestamp(NOW_MS) },
        },
      }),
    },
    quarantine: {
      list: async () => ({ ok: true, value: [...quarantined.values()] }),
      add: async (workload, untilMs, reason, actor) => {
        const entry = { workload, until: formatTimestamp(untilMs), by: actor.name, reason }
        quarantined.set(workload, entry)
        return { ok: true, value: entry }
      },
      lift: async (workload) =>
        quarantined.delete(workload) ? { ok: true, value: undefined } : missing('quarantine'),
    },
    logLevel: {
      get: async () => ({ ok: true, value: state.logLevel }),
      set: async (level, forMs) => {
        const until = forMs === undefined ? {} : { until: formatTimestamp(NOW_MS + forMs) }
        state.logLevel = { level, configured: 'Info', ...until }
        return { ok: true, value: state.logLevel }
      },
    },
  }
  return { ports, events, grants, devices, quarantined, ended, decisions, state }
}

export type KnownState = ReturnType<typeof knownState>

/** Until `close`. Time stands still unless `clock` moves it. */
export async function startApi(
  known: KnownState,
  more: {
    readonly limits?: Partial<AdminLimits>
    readonly tls?: AdminTls
    readonly clients?: readonly Client[]
    readonly clock?: { nowMs: number }
    readonly isRevoked?: AdminServerOptions['isRevoked']
    readonly warn?: (message: string) => void
  } = {},
): Promise<AdminServer> {
  const hashed = hashTokens([
    { name: 'alice', role: 'Admin', text: `${ADMIN_TOKEN}\n` },
    { name: 'rhea', role: 'Reader', text: READER_TOKEN },
  ])
  if (!hashed.ok) throw new Error(hashed.problems.join())
  let ids = 0
  const unexpected = (message: string): never => {
    throw new Error(`unexpected warning: ${message}`)
  }
  return startAdminServer({
    listen: { host: '127.0.0.1', port: 0 },
    tls: more.tls,
    actors: { tokens: hashed.tokens, clients: more.clients ?? [] },
    ports: known.ports,
    ...(more.limits && { limits: more.limits }),
    isRevoked: more.isRevoked ?? (() => false),
    nowMs: () => more.clock?.nowMs ?? NOW_MS,
    newId: () => `id-${++ids}`,
    warn: more.warn ?? unexpected,
  })
}

export type Answer = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** Undefined where it is no JSON. */
  readonly json: unknown
}

export type Asked = {
  readonly token?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** An object is sent as JSON. */
  readonly body?: object | string | Buffer
  readonly type?: string
  readonly tls?: Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'agent'>
}

/** One request on a connection of its own, with the token of an Admin unless told otherwise. */
export function call(api: AdminServer, method: string, path: string, asked: Asked = {}): Promise<Answer> {
  const token = 'token' in asked ? asked.token : ADMIN_TOKEN
  const body =
    asked.body === undefined || typeof asked.body === 'string' || Buffer.isBuffer(asked.body)
      ? asked.body
      : JSON.stringify(asked.body)
  const headers = {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(body !== undefined && {
      'content-type': asked.type ?? 'application/json',
      'content-length': Buffer.byteLength(body),
    }),
    ...asked.headers,
  }
  const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(api.address) ?? []
  const send = asked.tls ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const request = send(
      {
        host,
        port,
        method,
        path,
        headers,
        agent: false,
        timeout: 5000,
        servername: 'localhost',
        ...asked.tls,
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          const type = response.headers['content-type'] ?? ''
          const json: unknown = /[/+]json/.test(type) && text !== '' ? JSON.parse(text) : undefined
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json })
        })
      },
    )
    request.on('timeout', () => request.destroy(new Error('no answer in time')))
    request.on('error', reject)
    request.end(body)
  })
}
