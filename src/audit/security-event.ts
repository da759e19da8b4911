import type { DataAudit, Decision, RiskFactor } from '../decision/decision.js'
import type { UserPrincipal } from '../identity/principal.js'
import type { AccessRequest, HttpCall } from '../request/access-request.js'
import { jsonText } from './json-text.js'
import { recordableHost, recordableId, recordableMethod, recordablePath, withoutTokens } from './redact.js'
import { formatTimestamp } from './timestamp.js'
import { parseTraceparent } from './traceparent.js'

/** What could be read of a request that never became an AccessRequest; raw, so nothing of it is canonical. */
export type UnreadRequest = {
  readonly requestId?: string | undefined
  readonly source?: { readonly ip: string; readonly port: number } | undefined
  readonly destination?: { readonly ip: string; readonly port: number } | undefined
  readonly method?: string | undefined
  /** As sent, query and all: the event takes only what is surely path. */
  readonly path?: string | undefined
  readonly host?: string | undefined
}

export type SecurityEventInput = {
  readonly decision: Decision
  readonly decisionId: string
  readonly request: AccessRequest | undefined
  readonly unreadable: UnreadRequest | undefined
  /** Of Envoy's own span, from the gRPC metadata; the request's header counts only without it. */
  readonly traceparent: string | undefined
  /** Milliseconds since the epoch when the Check arrived. */
  readonly nowMs: number
  readonly durationUs: number
}

/** Of the fields and their meaning; grows when a field changes its meaning, not when one is added. */
export const SCHEMA_VERSION = '1.0'

/** Longest recorded, in UTF-16 units. */
const NAME_LIMIT = 256
const MESSAGE_LIMIT = 1024
const PATH_LIMIT = 2048
const LIST_LIMIT = 64

/** Reasons that say something of Portcullis and nothing of the call: the event's `errorCode`. */
const OWN_FAILURES: ReadonlySet<string> = new Set([
  'overloaded',
  'internal-error',
  'state-unavailable',
  'not-ready',
])

/**
 * The security event of one decision: one JSON object on one line, without the line feed. Fields and their
 * order: FORMATS 5; what is unknown, empty or not a number is absent. Built from named fields only, so no
 * header, query, token or claim can get into it. `success` says that the call was let pass.
 */
export function writeSecurityEvent(input: SecurityEventInput): string {
  const { decision, request, unreadable } = input
  const user = decision.user
  return (
    `{"schemaVersion":"${SCHEMA_VERSION}","timestamp":"${formatTimestamp(input.nowMs)}"` +
    `,"eventType":"authorization","decisionId":"${input.decisionId}"` +
    (user ? userFields(user) : '') +
    name(',"workloadId":"', decision.workload?.spiffeId.text, PATH_LIMIT) +
    name(',"viaWorkloadId":"', decision.workload?.via?.spiffeId.text, PATH_LIMIT) +
    name(',"callerService":"', decision.caller) +
    name(',"targetService":"', decision.target) +
    name(',"targetId":"', decision.targetId, PATH_LIMIT) +
    name(',"endpoint":"', decision.endpoint) +
    (user ? writeDevice(user, decision) : '') +
    writeNetwork(request ?? unreadable, decision.clientIp) +
    (request ? writeCall(request.http) : writeUnread(unreadable)) +
    writeResource(decision) +
    (decision.data ? writeData(decision.data, user, request?.http) : '') +
    `,"decision":"${decision.outcome}","decisionReason":"${decision.reason}"` +
    given(',"message":"', decision.message, MESSAGE_LIMIT) +
    name(',"rule":"', decision.rule) +
    name(',"ruleSource":"', decision.ruleSource, PATH_LIMIT) +
    count(',"riskScore":', decision.riskScore) +
    writeRiskFactors(decision.riskFactors) +
    name(',"policyRevision":"', decision.revision) +
    `,"mode":"${decision.mode}"` +
    (decision.wouldBe
      ? `,"wouldBeDecision":"${decision.wouldBe.outcome}","wouldBeReason":"${decision.wouldBe.reason}"`
      : '') +
    (decision.state ? `,"state":"${decision.state}"` : '') +
    name(',"grantId":"', decision.grantId) +
    list(',"obligations":[', decision.obligations) +
    (decision.outcome === 'allow' ? ',"success":true' : ',"success":false') +
    (OWN_FAILURES.has(decision.reason) ? `,"errorCode":"${decision.reason}"` : '') +
    writeTrace(input) +
    given(',"requestId":"', recordableId(request?.requestId ?? unreadable?.requestId)) +
    `,"durationUs":${Math.max(0, Math.round(input.durationUs))}}`
  )
}

/** A verified user serves many requests: what their events say of it is written once and forgotten with it. */
const writtenUsers = new WeakMap<UserPrincipal, string>()

function userFields(user: UserPrincipal): string {
  let fields = writtenUsers.get(user)
  if (fields === undefined) {
    fields = writeUser(user)
    writtenUsers.set(user, fields)
  }
  return fields
}

function writeUser(user: UserPrincipal): string {
  return (
    name(',"userId":"', user.subject) +
    name(',"userIssuer":"', user.issuer, PATH_LIMIT) +
    list(',"userRoles":[', user.roles) +
    name(',"sessionId":"', user.sessionId) +
    name(',"clientId":"', user.clientId)
  )
}

function writeDevice(user: UserPrincipal, { devicePosture, deviceTier }: Decision): string {
  return (
    name(',"deviceId":"', user.deviceId) +
    count(',"devicePosture":', devicePosture) +
    name(',"deviceTier":"', deviceTier) +
    (user.deviceTrust ? `,"deviceTrust":"${user.deviceTrust}"` : '')
  )
}

/** What the classification asks of the record; at level Full also how the user authenticated and what was asked for. */
function writeData(
  { name: policy, level, retention }: DataAudit,
  user: UserPrincipal | undefined,
  http: HttpCall | undefined,
): string {
  return (
    name(',"dataPolicy":"', policy) +
    `,"auditLevel":"${level}"` +
    name(',"auditRetention":"', retention) +
    (level === 'Full'
      ? (user ? writeAuthentication(user) : '') + list(',"queryParameters":[', queryNames(http?.query ?? ''))
      : '')
  )
}

function writeAuthentication({ acr, amr, mfaVerified, authTimeMs }: UserPrincipal): string {
  return (
    name(',"userAcr":"', acr) +
    list(',"userAmr":[', amr) +
    `,"userMfa":${mfaVerified}` +
    (authTimeMs !== undefined && Math.abs(authTimeMs) <= LAST_DATE_MS
      ? `,"userAuthTime":"${new Date(authTimeMs).toISOString()}"`
      : '')
  )
}

/** The last time that has a date. */
const LAST_DATE_MS = 8.64e15

/** Names of parameters that have a value; values, and what may be one without a name, nobody should read. */
function queryNames(query: string): readonly string[] {
  if (query === '') return []
  return query
    .split('&', LIST_LIMIT)
    .map((pair) => (pair.includes('=') ? withoutTokens(pair.slice(0, pair.indexOf('='))) : ''))
    .filter((each) => each !== '')
}

function writeNetwork(from: AccessRequest | UnreadRequest | undefined, clientIp: string | undefined): string {
  if (!from) return ''
  const { source, destination } = from
  return (
    name(',"sourceIp":"', source?.ip) +
    count(',"sourcePort":', source?.port || undefined) +
    name(',"clientIp":"', clientIp) +
    name(',"destinationIp":"', destination?.ip) +
    count(',"destinationPort":', destination?.port || undefined)
  )
}

function writeCall(http: HttpCall | undefined): string {
  if (!http) return ',"protocol":"TCP"'
  return (
    name(',"protocol":"', http.protocol) +
    given(',"requestMethod":"', http.method) +
    given(',"requestPath":"', http.path, PATH_LIMIT) +
    given(',"requestHost":"', http.host) +
    (http.grpc ? given(',"grpcMethod":"', http.path.slice(1), PATH_LIMIT) : '')
  )
}

function writeUnread(unread: UnreadRequest | undefined): string {
  if (!unread) return ''
  return (
    given(',"requestMethod":"', unread.method && recordableMethod(unread.method)) +
    given(',"requestPath":"', unread.path && recordablePath(unread.path), PATH_LIMIT) +
    given(',"requestHost":"', unread.host && recordableHost(unread.host))
  )
}

/** The resource is the endpoint once one was chosen, before that the service. */
function writeResource(decision: Decision): string {
  const { target, endpoint } = decision
  if (target === undefined) return ''
  return (
    (endpoint === undefined
      ? `,"resourceType":"service"${name(',"resourceId":"', target)}`
      : `,"resourceType":"endpoint"${name(',"resourceId":"', `${target}/${endpoint}`, 2 * NAME_LIMIT)}`) +
    (decision.operation ? `,"operation":"${decision.operation}"` : '')
  )
}

function writeRiskFactors(factors: readonly RiskFactor[] | undefined): string {
  if (!factors || factors.length === 0) return ''
  const written = factors
    .slice(0, LIST_LIMIT)
    .map(({ factor, points }) => `{"factor":"${jsonText(factor, NAME_LIMIT)}"${count(',"points":', points)}}`)
  return `,"riskFactors":[${written.join(',')}]`
}

function writeTrace(input: SecurityEventInput): string {
  const asked = input.traceparent === undefined ? undefined : parseTraceparent(input.traceparent)
  const trace = asked ?? traceOf(input.request)
  return trace ? `,"traceId":"${trace.traceId}","spanId":"${trace.spanId}"` : ''
}

function traceOf(request: AccessRequest | undefined): ReturnType<typeof parseTraceparent> {
  const header = request?.http?.headers.get('traceparent')
  return header === undefined ? undefined : parseTraceparent(header)
}

/** `opening` holds the comma, the field's name and all up to the value: fewer pieces make the line cheaper. */
function name(opening: string, value: string | undefined, limit = NAME_LIMIT): string {
  return value ? opening + jsonText(value, limit) + '"' : ''
}

/** Text that the caller chose: no token may stand in it. */
function given(opening: string, value: string | undefined, limit = NAME_LIMIT): string {
  return value ? name(opening, withoutTokens(value), limit) : ''
}

function count(opening: string, value: number | undefined): string {
  return Number.isFinite(value) ? opening + value : ''
}

/** At most LIST_LIMIT elements. */
function list(opening: string, values: readonly string[]): string {
  if (values.length === 0) return ''
  const written = values.slice(0, LIST_LIMIT).map((value) => `"${jsonText(value, NAME_LIMIT)}"`)
  return `${opening}${written.join(',')}]`
}
