import type { Decision } from '../decision/decision.js'
import type { Identified } from '../identity/identify.js'
import type { UserPrincipal } from '../identity/principal.js'
import type { AccessRequest, HttpCall } from '../request/access-request.js'
import type { Asker, ListenerRules } from '../request/listener.js'
import type { Located } from '../risk/locate.js'
import { NOTHING_KNOWN, type Recalled } from '../state/recall.js'
import type { StateRecord } from '../state/record.js'
import {
  RECORD_VERSION,
  type RecordedCheck,
  type RecordedHttp,
  type RecordedUser,
} from './recorded-check-schema.js'
import { withoutTokens } from './redact.js'
import { isSecretClaim, isSecretHeader, namesSecret } from './secret-name.js'
import { formatTimestamp } from './timestamp.js'
import { REDACTED, withoutCredentials } from './without-credentials.js'

/** A decided Check with what was looked up for it. */
export type DecidedCheck = {
  readonly request: AccessRequest
  readonly listener: ListenerRules
  readonly asker: Asker
  readonly nowMs: number
  /** Undefined: no target was found, so nobody was asked for. */
  readonly identified: Identified | undefined
  readonly known: Recalled | 'unavailable' | undefined
  readonly located: Located | undefined
  readonly decision: Decision
  readonly decisionId: string
}

/** Longest value of a header, and of a claim, that is recorded, UTF-16 units; a longer one is withheld. */
const MAX_VALUE = 4096
const MAX_HEADERS = 128
const MAX_CLAIM_DEPTH = 8
const MAX_CLAIM_ITEMS = 256

const NEVER: ReadonlySet<string> = new Set(['dpop', 'x-forwarded-client-cert', 'cookie', 'set-cookie'])
const NOT_ASCII = /[\x7f-\uffff]/g

/**
 * The line of a decided Check, without the line feed, in ASCII. No credential gets into it: headers and parameters
 * that carry one are named without their value, and what looks like one is cut out of every other text. What looks
 * like nothing in particular stays: a secret in a path, or under a name that says nothing of it.
 * `serviceTokenHeader` in lower case.
 */
export function writeRecordedCheck(check: DecidedCheck, serviceTokenHeader: string): string {
  const text = JSON.stringify(recorded(check, serviceTokenHeader))
  return text.replace(NOT_ASCII, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function recorded(check: DecidedCheck, serviceTokenHeader: string): RecordedCheck {
  const { decision, request, listener, asker } = check
  const { name, role, peerIdentity, mtls, target } = listener
  return {
    recordVersion: RECORD_VERSION,
    timestamp: formatTimestamp(check.nowMs),
    decisionId: check.decisionId,
    decision: decision.outcome,
    decisionReason: decision.reason,
    ...(decision.wouldBe && {
      wouldBeDecision: decision.wouldBe.outcome,
      wouldBeReason: decision.wouldBe.reason,
    }),
    mode: decision.mode,
    ...given({
      callerService: decision.caller,
      targetService: decision.target,
      endpoint: decision.endpoint,
      rule: decision.rule,
      ruleSource: decision.ruleSource,
      riskScore: decision.riskScore,
      devicePosture: decision.devicePosture,
    }),
    policyRevision: decision.revision,
    listener: { name, role, peerIdentity, mtls, target: [...target] },
    ...given({ asker: asker.spiffeId }),
    request: {
      requestId: cleanText(request.requestId),
      source: peer(request.source),
      destination: peer(request.destination),
      sni: request.sni,
      extensions: Object.fromEntries(
        [...request.contextExtensions].filter(([key]) => !namesSecret(key)).map(cleanEntry),
      ),
      ...(request.http && { http: recordedHttp(request.http, serviceTokenHeader) }),
    },
    ...(check.identified && { identity: recordedIdentity(check.identified) }),
    // Of nobody nothing is looked up.
    ...(check.identified &&
      check.known !== 'unavailable' && { state: recordedState(check.known ?? NOTHING_KNOWN) }),
    ...(check.located && { client: recordedClient(check.located) }),
  }
}

function peer({ ip, port, principal }: AccessRequest['source'] | AccessRequest['destination']) {
  return { ip, port, principal }
}

function recordedHttp(http: HttpCall, serviceTokenHeader: string): RecordedHttp {
  const { method, path, query, host, protocol, upgrade, grpc } = http
  const headers: (readonly [name: string, value?: string, times?: number])[] = []
  for (const name of new Set(http.headers.names())) {
    if (headers.length >= MAX_HEADERS) break
    const times = http.headers.count(name)
    if (times > 1) headers.push([name, '', times])
    else if (isWithheld(name, serviceTokenHeader)) headers.push([name])
    else {
      const value = recordable(http.headers.get(name))
      headers.push(value === undefined ? [name] : [name, value])
    }
  }
  const cleanQuery = query === '' ? '' : query.split('&').map(cleanParameter).join('&')
  return {
    method,
    path: cleanPath(path),
    query: cleanQuery,
    host,
    protocol,
    upgrade,
    grpc,
    headers,
    ...(http.body && { body: true }),
  }
}

function isWithheld(name: string, serviceTokenHeader: string): boolean {
  return name === serviceTokenHeader || NEVER.has(name) || isSecretHeader(name)
}

/** Undefined: too long, or the whole of it may be a credential. */
function recordable(value: string | undefined): string | undefined {
  return value === undefined || value.length > MAX_VALUE ? undefined : withoutCredentials(value)
}

/** What one segment holds leaves the others as they are, since they find the endpoint. */
function cleanPath(path: string): string {
  return withoutCredentials(path) === path ? path : path.split('/').map(cleanText).join('/')
}

function cleanText(text: string): string {
  return recordable(text) ?? REDACTED
}

/** What stands without a name may itself be the secret. */
function cleanParameter(pair: string): string {
  const equals = pair.indexOf('=')
  if (equals < 0) return pair === '' ? '' : REDACTED
  const name = pair.slice(0, equals)
  const value = pair.slice(equals + 1)
  return `${cleanText(name)}=${namesSecret(name) ? REDACTED : cleanText(value)}`
}

function recordedIdentity(identified: Identified): NonNullable<RecordedCheck['identity']> {
  const { workload, serviceToken, user } = identified.ok
    ? identified.identity
    : (identified.verified ?? NOBODY)
  return {
    ...(!identified.ok && { refusal: refusalOf(identified.refusal) }),
    ...(workload && {
      workload: {
        spiffeId: workload.spiffeId.text,
        verifiedBy: workload.verifiedBy,
        ...given({ via: workload.via?.spiffeId.text }),
      },
    }),
    ...(serviceToken && {
      serviceToken: {
        issuer: serviceToken.issuer,
        service: serviceToken.service,
        scopes: [...serviceToken.scopes],
      },
    }),
    ...(user && { user: recordedUser(user) }),
  }
}

const NOBODY = { workload: undefined, serviceToken: undefined, user: undefined }

function refusalOf({
  reason,
  message,
  rule,
  ruleSource,
  mode,
  stepUp,
}: (Identified & { ok: false })['refusal']) {
  return { reason, message: withoutTokens(message), ...given({ rule, ruleSource, mode, stepUp }) }
}

/** A verified user serves many requests. */
const recordedUsers = new WeakMap<UserPrincipal, RecordedUser>()

function recordedUser(user: UserPrincipal): RecordedUser {
  let known = recordedUsers.get(user)
  if (!known) {
    const { roles, scopes, amr, claims, mfaVerified, issuer, subject, ...rest } = user
    known = {
      issuer,
      subject,
      roles: [...roles],
      scopes: [...scopes],
      amr: [...amr],
      mfaVerified,
      ...given(rest),
      claims: cleanClaims(claims),
    }
    recordedUsers.set(user, known)
  }
  return known
}

function cleanClaims(claims: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const cleaned = cleanValue(claims, 0)
  return typeof cleaned === 'object' && cleaned !== null ? { ...cleaned } : {}
}

/** A claim that is secret, too long, or too deep in others, is left out, so that a condition on it can't be evaluated. */
function cleanValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return recordable(value)
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? Number(value) : value
  if (depth >= MAX_CLAIM_DEPTH) return undefined
  if (Array.isArray(value)) {
    return value.length > MAX_CLAIM_ITEMS ? undefined : value.map((item) => cleanValue(item, depth + 1))
  }
  const entries: Iterable<readonly [unknown, unknown]> = value instanceof Map ? value : Object.entries(value)
  const cleaned: [string, unknown][] = []
  for (const [name, member] of entries) {
    if (cleaned.length >= MAX_CLAIM_ITEMS) break
    const text = String(name)
    if (!isSecretClaim(text)) cleaned.push([text, cleanValue(member, depth + 1)])
  }
  return Object.fromEntries(cleaned)
}

const RECORDS = [
  'user',
  'session',
  'workload',
  'proxy',
  'address',
  'device',
  'grants',
  'email',
  'named',
] as const

function recordedState(known: Recalled): NonNullable<RecordedCheck['state']> {
  const records: Record<string, Record<string, number | string>> = {}
  for (const name of RECORDS) {
    const record: StateRecord | undefined = known[name]
    // That a session has no record yet says something; of others an empty record and none are the same.
    if (record && (record.size > 0 || name === 'session')) records[name] = Object.fromEntries(record)
  }
  return { standing: known.standing, ...given({ lostBeforeMs: known.lostBeforeMs }), records }
}

function recordedClient({ client, place, malicious }: Located): NonNullable<RecordedCheck['client']> {
  const { ip, country, isPublic } = client
  return {
    ...given({ ip, country }),
    isPublic,
    malicious,
    ...(place && {
      place: given({ latitude: place.latitude, longitude: place.longitude, country: place.country }),
    }),
  }
}

function cleanEntry([name, value]: readonly [string, string]): [string, string] {
  return [name, cleanText(value)]
}

type Given<T> = { [Name in keyof T]?: Exclude<T[Name], undefined> }

/** Without the members that are undefined. */
function given<T extends object>(members: T): Given<T>
function given(members: object): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}
