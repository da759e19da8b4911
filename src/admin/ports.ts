import type { AdminEvent } from '../audit/admin-event.js'
import type { DeviceReport } from '../device/device-report.js'
import type { GrantRequest } from '../grants/grant.js'
import type { Eventually } from '../identity/eventually.js'
import type { Pointer } from '../schema/problem.js'
import type { Explanation, ExplainRequest, MatrixAnswer, PolicyStatus } from './schemas/decisions.js'
import type { DeviceAnswer, DevicePage } from './schemas/devices.js'
import type { GrantAnswer, GrantPage, GrantsQuery } from './schemas/grants.js'
import type { LogLevelAnswer, LogLevelName } from './schemas/log-level.js'
import type { QuarantineEntry, RiskAnswer, SessionAnswer, SessionPage } from './schemas/subjects.js'

export type Role = 'Admin' | 'Reader'

/** Who calls: a person by token, or a client by its certificate. */
export type Actor = { readonly name: string; readonly role: Role }

/** Something wrong with a request that its shape did not show. */
export type PortProblem = {
  /** Keys and indexes from the root of the body, or of the query where the route has no body. */
  readonly pointer: Pointer
  /** Stable, kebab-case. */
  readonly code: string
  readonly message: string
}

/** Nothing was changed. 503: the state that it takes is not there. */
export type Refused = {
  readonly ok: false
  readonly status: 400 | 403 | 404 | 409 | 503
  readonly problems: readonly PortProblem[]
}

export type Outcome<Value> = { readonly ok: true; readonly value: Value } | Refused

export type Result<Value> = Promise<Outcome<Value>>

export type UserName = { readonly issuer: string; readonly subject: string }
export type DeviceName = { readonly issuer: string; readonly id: string }
export type Subject = UserName | { readonly workload: string }

export type PageQuery = { readonly limit: number; readonly cursor: string | undefined }

/** What the API reads and does. None of them checks who may: the API has. Times of answers are RFC 3339. */
export type AdminPorts = {
  /** As AcceptEvent: `refused`, or a promise of it within `waitMs`, means that nothing may be changed. */
  readonly audit: (event: AdminEvent, waitMs: number) => Eventually<'accepted' | 'refused'>
  /** The only issuer of user tokens; undefined where there are none or several. */
  readonly defaultIssuer: string | undefined
  /** Every issuer of user tokens. */
  readonly issuers: readonly string[]
  /** Every trust domain whose workloads can be known. */
  readonly trustDomains: readonly string[]
  readonly decisions: {
    /** Security events, one JSON text each, newest first. */
    readonly newest: () => Eventually<Outcome<Iterable<string>>>
    /** Tells events as they are made, until the returned function is called. */
    readonly follow: (listener: (line: string) => void) => () => void
  }
  readonly explain: (request: ExplainRequest) => Result<Explanation>
  readonly matrix: () => Result<MatrixAnswer>
  readonly policy: () => Result<PolicyStatus>
  readonly grants: {
    /** `id` is unused yet. */
    readonly create: (request: GrantRequest, actor: Actor, id: string) => Result<GrantAnswer>
    readonly get: (id: string) => Result<GrantAnswer>
    readonly list: (query: Omit<GrantsQuery, 'limit' | 'cursor'> & PageQuery) => Result<GrantPage>
    readonly revoke: (id: string, reason: string, actor: Actor) => Result<GrantAnswer>
    /** The text of the format: JSON, CSV or a table. */
    readonly review: (unusedForMs: number, format: 'json' | 'csv' | 'table') => Result<string>
  }
  readonly sessions: {
    readonly ofUser: (user: UserName, page: PageQuery) => Result<SessionPage>
    readonly ended: (page: PageQuery) => Result<SessionPage>
    /** Without a session: all of the user's that began before now. */
    readonly terminate: (
      user: UserName,
      sessionId: string | undefined,
      reason: string,
      actor: Actor,
    ) => Result<SessionAnswer>
  }
  readonly devices: {
    readonly list: (page: PageQuery) => Result<DevicePage>
    readonly get: (device: DeviceName) => Result<DeviceAnswer>
    readonly put: (device: DeviceName, report: DeviceReport, actor: Actor) => Result<DeviceAnswer>
    /** Where the store goes away meanwhile, the message says how many were taken. Pointers of problems begin at the list. */
    readonly putAll: (
      devices: readonly (DeviceName & { readonly report: DeviceReport })[],
      actor: Actor,
    ) => Result<{ readonly accepted: number }>
    readonly remove: (device: DeviceName, actor: Actor) => Result<undefined>
  }
  readonly risk: {
    readonly of: (subject: Subject) => Result<RiskAnswer>
    readonly setLevel: (
      subject: Subject,
      level: 'LOW' | 'MEDIUM' | 'HIGH',
      reason: string,
      actor: Actor,
    ) => Result<RiskAnswer>
  }
  readonly quarantine: {
    readonly list: () => Result<readonly QuarantineEntry[]>
    readonly add: (workload: string, untilMs: number, reason: string, actor: Actor) => Result<QuarantineEntry>
    readonly lift: (workload: string, reason: string, actor: Actor) => Result<undefined>
  }
  /** Of the operational log of the process that is asked, not of its replicas. */
  readonly logLevel: {
    readonly get: () => Result<LogLevelAnswer>
    /** `forMs` undefined: until the next change or the end of the process. */
    readonly set: (level: LogLevelName, forMs: number | undefined) => Result<LogLevelAnswer>
  }
}
