import type { PolicyInForce } from '../../authorize.js'
import { parseInstantMs } from '../../grants/instant.js'
import type { ClaimMapping } from '../../identity/user-claims.js'
import type { Identity } from '../../identity/principal.js'
import type { Located } from '../../risk/locate.js'
import { nearestName } from '../../schema/nearest-name.js'
import type { Pointer, Problem } from '../../schema/problem.js'
import { parseDurationMs } from '../../schema/units.js'
import type { Recalled } from '../../state/recall.js'
import { supposeCaller } from '../suppose-caller.js'
import { type Supposition, userOf } from '../supposition.js'
import { factsOfCase } from './case-facts.js'
import type { CaseFacts } from './case-schema.js'
import { locatedIn, recalledIn } from './case-state.js'
import type { ReadCase } from './read-cases.js'

/** When a case happens that does not say: a Wednesday at noon, so that no result depends on the day of the run. */
export const DEFAULT_AT_MS = Date.UTC(2026, 0, 7, 12)

/** What a configuration would give the cases. */
export type CaseSetting = {
  readonly policy: PolicyInForce
  readonly serviceTokenHeader: string
  /** Issuer of users of whom no case says it. */
  readonly issuer: string
  readonly mappingOf: (issuer: string) => ClaimMapping
}

/** A case, ready to be decided. */
export type SupposedCase = {
  readonly read: ReadCase
  readonly supposed: Supposition
  readonly who: Identity
  readonly known: Recalled
  readonly located: Located
  readonly nowMs: number
}

/** The call of a case, or everything that is wrong with it. */
export function supposeCase(
  read: ReadCase,
  setting: CaseSetting,
): { readonly supposed: SupposedCase | undefined; readonly problems: readonly Problem[] } {
  const facts = factsOfCase(read.written, read.defaults)
  const problems: Problem[] = []
  const report = (pointer: Pointer, message: string, code = 'wrong-case'): void => {
    problems.push({ severity: 'error', code, message, position: read.positionOf(pointer) })
  }
  const nowMs = facts.at === undefined ? DEFAULT_AT_MS : parseInstantMs(facts.at)
  if (nowMs === undefined) report(['at'], `\`${facts.at}\` is no time such as 2026-03-01T12:00:00Z`)
  checkTogether(facts, report)
  const { matrix, adaptive } = setting.policy
  const state = recalledIn(facts, adaptive.session, nowMs ?? DEFAULT_AT_MS)
  if (!state.ok) report(['grants', state.grant], 'a grant as long as this can not be stored')
  const supposed = suppositionOf(facts, setting)
  const who = supposeCaller(
    {
      caller: facts.caller,
      via: facts.via,
      workloadScopes: facts.serviceToken?.scopes,
      user: userOf(supposed, nowMs ?? DEFAULT_AT_MS),
    },
    matrix,
    setting.mappingOf(supposed.issuer),
    CASE_FIELDS,
  )
  if (!who.ok) report([who.field === 'workloadScope' ? 'serviceToken' : who.field], who.problem)
  warnOfUnknown(read, facts, setting, problems)
  if (facts.device && !setting.policy.device.inventory) {
    const message = 'no inventory of devices is kept, so `device` counts for nothing: see deviceInventory'
    const position = read.positionOf(['device'])
    problems.push({ severity: 'warning', code: 'no-inventory', message, position })
  }
  if (!who.ok || !state.ok || nowMs === undefined) return { supposed: undefined, problems }
  return {
    supposed: { read, supposed, who: who.value, known: state.known, located: locatedIn(facts), nowMs },
    problems,
  }
}

const CASE_FIELDS = { caller: '`caller`', via: '`via`', workloadScope: '`serviceToken`' } as const

function suppositionOf(facts: CaseFacts, { issuer }: CaseSetting): Supposition {
  const { request = {}, listener = {}, user, device, session, risk } = facts
  return {
    caller: facts.caller,
    via: facts.via,
    workloadScope: facts.serviceToken?.scopes,
    target: request.target,
    method: request.method ?? 'GET',
    path: request.path ?? '/',
    host: request.host,
    ...contentOf(request),
    grpc: request.grpc,
    tcp: request.tcp,
    port: request.port ?? 0,
    sourceIp: request.sourceIp ?? '127.0.0.1',
    listenerRole: listener.role ?? 'Sidecar',
    mtls: listener.mtls ?? 'Strict',
    user: user && (user.subject ?? 'alice'),
    issuer: user?.issuer ?? issuer,
    role: user?.roles,
    userScope: user?.scopes,
    claim: user?.claims,
    mfa: user?.mfa,
    acr: user?.acr,
    amr: user?.amr,
    email: user?.email,
    authAge: user?.authAge === undefined ? undefined : parseDurationMs(user.authAge),
    risk: risk?.claimed,
    deviceTrust: user?.deviceTrust,
    deviceId: user && (device?.id ?? 'device-1'),
    sessionId: session && (session.id ?? 'session-1'),
  }
}

/** Headers and body. What is no text is written as JSON. */
function contentOf({
  headers = {},
  body,
}: NonNullable<CaseFacts['request']>): Pick<Supposition, 'header' | 'body'> {
  const given = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const)
  if (body === undefined || typeof body === 'string') return { header: given, body }
  const typed = given.some(([name]) => name === CONTENT_TYPE)
  const header = typed ? given : [...given, [CONTENT_TYPE, 'application/json'] as const]
  return { header, body: JSON.stringify(body) }
}

const CONTENT_TYPE = 'content-type'

type Report = (pointer: Pointer, message: string) => void

/** What contradicts itself or lacks something. */
function checkTogether(facts: CaseFacts, report: Report): void {
  const { request = {}, listener, user, risk } = facts
  const outside = listener?.role === 'Gateway'
  if (request.target === undefined && !outside) {
    report(['request'], '`request.target` is missing; only a Gateway listener finds it by host and path')
  }
  if (request.tcp && (request.port ?? 0) === 0) report(['request', 'tcp'], '`tcp` needs `port`')
  if (request.tcp && request.grpc !== undefined) {
    report(['request', 'grpc'], '`tcp` and `grpc` exclude each other')
  }
  if (request.body !== undefined && request.body !== '') checkBody(request, report)
  if (outside && facts.caller !== undefined) {
    report(['caller'], 'nobody outside has a workload: `caller` and a Gateway listener exclude each other')
  }
  if (user) return
  for (const fact of ['device', 'session', 'grants'] as const) {
    if (facts[fact] !== undefined) report([fact], `\`${fact}\` is a user's, and the case has no \`user\``)
  }
  for (const fact of ['claimed', 'userLevel'] as const) {
    if (risk?.[fact] === undefined) continue
    report(['risk', fact], `\`${fact}\` is of a user, and the case has no \`user\``)
  }
}

function checkBody(request: NonNullable<CaseFacts['request']>, report: Report): void {
  const at = ['request', 'body']
  if (request.tcp) report(at, '`body` and `tcp` exclude each other: a connection has no body')
  if (request.grpc !== undefined)
    report(at, '`body` and `grpc` exclude each other: conditions read no gRPC messages')
  if (contentOf(request).header?.some(([name]) => name === CONTENT_TYPE)) return
  const message = 'a `body` of text needs a header `content-type`: without it a server reads no body'
  report(at, message)
}

/** A name that no document has may be what the case is about; where that is not expected, it is a slip of the pen. */
function warnOfUnknown(
  { written, positionOf }: ReadCase,
  facts: CaseFacts,
  { policy }: CaseSetting,
  problems: Problem[],
): void {
  const { services } = policy.matrix
  const { reason } = written.expect
  const names: readonly (readonly [Pointer, string | undefined])[] = [
    [['caller'], reason === 'caller-unknown' ? undefined : facts.caller],
    [['via'], facts.via],
    [['request', 'target'], reason === 'target-unknown' ? undefined : facts.request?.target],
  ]
  for (const [pointer, name] of names) {
    if (name === undefined || services.has(name) || name.startsWith('spiffe:')) continue
    const near = nearestName(name, services.keys())
    const message = `no document names \`${name}\`${near === undefined ? '' : `; did you mean \`${near}\`?`}`
    problems.push({ severity: 'warning', code: 'unknown-service', message, position: positionOf(pointer) })
  }
}
