import { RECORD_VERSION, type RecordedCheck, RecordedCheckSchema } from '../../audit/recorded-check-schema.js'
import type { Question } from '../../decide.js'
import type { Refusal } from '../../decision/decision.js'
import { MODES } from '../../decision/mode.js'
import { HTTP_STATUS_OF_REASON, type RefusalReason } from '../../decision/reason.js'
import type { Identified } from '../../identity/identify.js'
import type { UserPrincipal, WorkloadPrincipal } from '../../identity/principal.js'
import { parseSpiffeId } from '../../identity/spiffe-id.js'
import type { AccessRequest, HttpCall, RequestHeaders } from '../../request/access-request.js'
import { parseBody } from '../../request/body.js'
import { type Located, NOWHERE } from '../../risk/locate.js'
import { matchesShape } from '../../schema/shape.js'
import { NOTHING_KNOWN, type Recalled } from '../../state/recall.js'
import { EMPTY_RECORD, type StateRecord } from '../../state/record.js'

/** A recorded Check as the way behind identity takes it. */
export type ReplayableCheck = {
  readonly recorded: RecordedCheck
  readonly question: Question
  /** Undefined: then no target was found, so nobody was asked for. */
  readonly identified: Identified | undefined
  readonly known: Recalled | 'unavailable'
  readonly located: Located
  /** Conditions may have seen a body, which is not recorded. */
  readonly lacksBody: boolean
}

export type ReadRecord =
  | { readonly kind: 'check'; readonly check: ReplayableCheck }
  | { readonly kind: 'blank' }
  | { readonly kind: 'bad'; readonly problem: string }

/** Longest line that is read, UTF-16 units. */
const MAX_LINE = 1024 * 1024

/** Reads one line of `audit.record`. Bad input is a result. */
export function readRecordLine(line: string): ReadRecord {
  if (line.trim() === '') return { kind: 'blank' }
  if (line.length > MAX_LINE) return bad(`longer than ${MAX_LINE} characters`)
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return bad('no JSON, or cut off')
  }
  if (typeof value !== 'object' || value === null || !('recordVersion' in value)) {
    return bad('no recorded Check: `recordVersion` is missing (security events are for learn and diff)')
  }
  if (value.recordVersion !== RECORD_VERSION) {
    return bad(`of version ${JSON.stringify(value.recordVersion)}, and this reads version ${RECORD_VERSION}`)
  }
  if (!matchesShape(RecordedCheckSchema, value)) return bad('no whole recorded Check')
  return replayable(value)
}

function bad(problem: string): ReadRecord {
  return { kind: 'bad', problem }
}

function replayable(recorded: RecordedCheck): ReadRecord {
  const nowMs = Date.parse(recorded.timestamp)
  if (Number.isNaN(nowMs)) return bad('its timestamp is no time')
  const identified = recorded.identity && identifiedOf(recorded.identity)
  if (identified === 'bad') return bad('its identity names no workload or no reason')
  const { listener } = recorded
  const request = requestOf(recorded)
  const check: ReplayableCheck = {
    recorded,
    question: {
      request,
      listener: { ...listener, principalTrustDomains: [], trustedProxies: new Map(), trustedHops: 0 },
      asker: { spiffeId: recorded.asker },
      nowMs,
    },
    identified,
    known: recorded.state || !recorded.identity ? knownOf(recorded.state) : 'unavailable',
    located: locatedOf(recorded.client),
    lacksBody: lacksBody(request),
  }
  return { kind: 'check', check }
}

function requestOf({ request }: RecordedCheck): AccessRequest {
  return {
    requestId: request.requestId,
    source: { ...request.source, certificate: '' },
    destination: request.destination,
    sni: request.sni,
    contextExtensions: new Map(Object.entries(request.extensions)),
    http: request.http && httpOf(request.http),
  }
}

const UNRECORDED: NonNullable<HttpCall['body']> = {
  read: () => ({ ok: false, problem: 'bodies are not recorded' }),
}

function httpOf({ headers, body, ...call }: NonNullable<RecordedCheck['request']['http']>): HttpCall {
  return { ...call, headers: headersOf(headers), body: body ? UNRECORDED : undefined }
}

/** One of each kind that can be read at all. */
const READABLE = ['{}', 'a=1'].map((text) => Buffer.from(text))
const ABOUT_BODIES = ['content-type', 'x-envoy-auth-partial-body'] as const

/**
 * There was a body that conditions may have seen, and nobody knows it now. One that its headers keep from being read,
 * such as a gRPC message, could not be read then either; but a record may lack headers too.
 */
function lacksBody({ http }: AccessRequest): boolean {
  if (http?.body === undefined) return false
  const { headers } = http
  if (ABOUT_BODIES.some((name) => headers.get(name) === undefined)) return true
  return READABLE.some((bytes) => parseBody(bytes, headers).ok)
}

function headersOf(entries: NonNullable<RecordedCheck['request']['http']>['headers']): RequestHeaders {
  const byName = new Map(entries.map((entry) => [entry[0], entry]))
  return {
    get: (name) => {
      const [, value, times = 1] = byName.get(name) ?? []
      return times === 1 ? value : undefined
    },
    count: (name) => {
      const entry = byName.get(name)
      return entry ? (entry[2] ?? 1) : 0
    },
    names: () => byName.keys(),
  }
}

function identifiedOf({
  refusal,
  workload,
  serviceToken,
  user,
}: NonNullable<RecordedCheck['identity']>): Identified | 'bad' {
  const principal = workload && workloadOf(workload)
  if (workload && !principal) return 'bad'
  const identity = {
    workload: principal,
    serviceToken: serviceToken && { ...serviceToken, jti: 'recorded' },
    user: user && userOf(user),
  }
  if (!refusal) return { ok: true, identity }
  const { reason } = refusal
  if (!isReason(reason)) return 'bad'
  const { message, rule, ruleSource, stepUp } = refusal
  const mode = MODES.find((each) => each === refusal.mode)
  const refused: Refusal = { reason, message, rule, ruleSource, stepUp, mode }
  return { ok: false, refusal: refused, verified: identity }
}

function isReason(text: string): text is RefusalReason {
  return Object.hasOwn(HTTP_STATUS_OF_REASON, text)
}

/** Few workloads make most calls. */
const workloads = new Map<string, WorkloadPrincipal>()
const WORKLOADS_KEPT = 20_000

function workloadOf({
  spiffeId,
  verifiedBy,
  via,
}: NonNullable<NonNullable<RecordedCheck['identity']>['workload']>): WorkloadPrincipal | undefined {
  const key = `${verifiedBy} ${spiffeId} ${via ?? ''}`
  const known = workloads.get(key)
  if (known) return known
  const id = parseSpiffeId(spiffeId)
  const proxy = via === undefined ? undefined : parseSpiffeId(via)
  if (!id.ok || proxy?.ok === false) return undefined
  const made = { spiffeId: id.id, verifiedBy, via: proxy && { spiffeId: proxy.id } }
  if (workloads.size >= WORKLOADS_KEPT) workloads.clear()
  workloads.set(key, made)
  return made
}

function userOf(user: NonNullable<NonNullable<RecordedCheck['identity']>['user']>): UserPrincipal {
  const { deviceTrust } = user
  return {
    issuer: user.issuer,
    subject: user.subject,
    email: user.email,
    roles: user.roles,
    scopes: user.scopes,
    clientId: user.clientId,
    deviceId: user.deviceId,
    deviceTrust:
      deviceTrust === 'high' || deviceTrust === 'medium' || deviceTrust === 'low' ? deviceTrust : undefined,
    riskScore: user.riskScore,
    mfaVerified: user.mfaVerified,
    sessionId: user.sessionId,
    acr: user.acr,
    amr: user.amr,
    authTimeMs: user.authTimeMs,
    zone: user.zone,
    claims: user.claims,
  }
}

function knownOf(state: RecordedCheck['state']): Recalled {
  if (!state) return NOTHING_KNOWN
  const record = (name: string): StateRecord => {
    const fields = Object.hasOwn(state.records, name) ? state.records[name] : undefined
    return fields ? new Map(Object.entries(fields)) : EMPTY_RECORD
  }
  return {
    // Names of records: only what a call teaches is kept under them, and a replay teaches nothing.
    keys: NOTHING_KNOWN.keys,
    user: record('user'),
    session: Object.hasOwn(state.records, 'session') ? record('session') : undefined,
    workload: record('workload'),
    proxy: record('proxy'),
    address: record('address'),
    device: record('device'),
    grants: record('grants'),
    email: record('email'),
    named: record('named'),
    standing: state.standing,
    lostBeforeMs: state.lostBeforeMs,
  }
}

function locatedOf(client: RecordedCheck['client']): Located {
  if (!client) return NOWHERE
  const { ip, country, isPublic, malicious, place } = client
  return {
    client: { ip, country, isPublic },
    place: place && { latitude: place.latitude, longitude: place.longitude, country: place.country },
    malicious,
  }
}
