import type { AdminPorts, Outcome } from '../../admin/ports.js'
import type { ExplainRequest, MatrixAnswer } from '../../admin/schemas/decisions.js'
import type { Lookups } from '../../authorize.js'
import type { Step } from '../../decision/decision.js'
import type { GrantRequest } from '../../grants/grant.js'
import { parseInstantMs } from '../../grants/instant.js'
import type { ClaimMapping } from '../../identity/user-claims.js'
import { decideSupposed } from '../../lifecycle/decide-supposed.js'
import { supposeCaller } from '../../lifecycle/suppose-caller.js'
import { type Supposition, userOf } from '../../lifecycle/supposition.js'
import type { Policy } from '../../policy/load-policy.js'
import { nearestName } from '../../schema/nearest-name.js'
import { formatPosition } from '../../schema/problem.js'
import { parseDurationMs } from '../../schema/units.js'
import type { Steps } from '../../schema/steps.js'
import type { CompiledService } from '../../segmentation/compiled.js'
import type { LivePolicy } from '../live-policy.js'
import { found, given, problem, refused, timeOf } from './answers.js'

/** The matrix in force: who is there, what they expose, who calls whom. */
export function* matrixAnswer({ matrix }: Policy): Steps<MatrixAnswer> {
  const services: CompiledService[] = []
  const shown: MatrixAnswer['services'] = []
  for (const service of matrix.services.values()) {
    services.push(service)
    shown.push(shownService(service))
    yield
  }
  const edges: MatrixAnswer['edges'] = []
  for (const caller of services) {
    for (const { target: index, endpoints } of matrix.calls.rowOf(caller.index)) {
      const target = services[index]
      if (!target) continue
      const named = endpoints?.flatMap((each) => {
        const endpoint = target.endpoints.find((other) => other.index === each)
        return endpoint ? [endpoint.name] : []
      })
      edges.push(given({ caller: caller.id, target: target.id, endpoints: named }))
    }
    yield
  }
  return { revision: matrix.revision, services: shown, edges }
}

function shownService(service: CompiledService): MatrixAnswer['services'][number] {
  const { id, mode, source, endpoints } = service
  const names = [...new Set(endpoints.map(({ name }) => name))]
  return {
    id,
    mode,
    source,
    identities: service.identities.map(({ text }) => text),
    endpoints: names.flatMap((name) => {
      const halves = endpoints.filter((endpoint) => endpoint.name === name)
      const [first] = halves
      if (!first) return []
      const operations = [...new Set(halves.map(({ operation }) => operation))]
      const { require, sensitivity, mfa, dataPolicy } = first
      return [
        given({
          name,
          operations,
          mode: first.mode,
          require,
          sensitivity,
          mfa,
          dataPolicy,
          source: first.source,
        }),
      ]
    }),
  }
}

export function policyPort(policy: LivePolicy): AdminPorts['policy'] {
  return async () => {
    const { current, loadedAtMs, refused: last } = policy
    const { revision, documents, matrix, inert } = current
    return Promise.resolve(
      found(
        given({
          revision,
          loadedAt: timeOf(loadedAtMs) ?? '',
          documents,
          counts: matrix.counts,
          inert: [...inert],
          refused: last && {
            at: timeOf(last.atMs) ?? '',
            problems: last.problems.map(({ severity, code, message, position }) =>
              given({
                severity,
                code,
                message,
                file: position && (position.field === undefined ? position.file : formatPosition(position)),
                ...(position?.field === undefined && { line: position?.line, column: position?.column }),
              }),
            ),
          },
        }),
      ),
    )
  }
}

/** Whether a grant's service and endpoints are there in the policy in force, and its roles count by grants alone. */
export function checkGrantTarget(
  { matrix }: Policy,
  { service, endpoints = [], roles = [] }: Pick<GrantRequest, 'service' | 'endpoints' | 'roles'>,
): Outcome<never> | undefined {
  const known = matrix.services.get(service)
  const names = new Set(known?.endpoints.map(({ name }) => name))
  const unknown = [
    ...(known ? [] : [unknownName(['service'], 'service', service, matrix.services.keys())]),
    ...(known ? endpoints : []).flatMap((name, index) =>
      names.has(name) ? [] : [unknownName(['endpoints', index], 'endpoint', name, names)],
    ),
    ...roles.flatMap((name, index) =>
      matrix.grantOnlyRoles.has(name)
        ? []
        : [unknownName(['roles', index], 'role', name, matrix.grantOnlyRoles, 'grant-only role')],
    ),
  ]
  return unknown.length > 0 ? refused(400, ...unknown) : undefined
}

function unknownName(
  pointer: readonly (string | number)[],
  what: string,
  name: string,
  names: Iterable<string>,
  words = what,
): ReturnType<typeof problem> {
  const near = nearestName(name, names)
  const hint = near === undefined ? '' : `; did you mean \`${near}\`?`
  return problem(pointer, `unknown-${what}`, `the policy names no ${words} \`${name}\`${hint}`)
}

export type ExplainParts = {
  readonly policy: () => Policy
  readonly lookups: Pick<Lookups, 'recall' | 'locate' | 'signals'>
  readonly mappingOf: (issuer: string) => ClaimMapping | undefined
  readonly serviceTokenHeader: string
  readonly defaultIssuer: string | undefined
  readonly nowMs: () => number
}

/** What would be decided on a call now, with all that is known of its subjects; nothing is learned from it. */
export function explainPort(parts: ExplainParts): AdminPorts['explain'] {
  return async (request) => {
    const atMs = request.at === undefined ? parts.nowMs() : parseInstantMs(request.at)
    if (atMs === undefined) return refused(400, problem(['at'], 'bad-time', '`at` is no day of the calendar'))
    const supposed = suppositionOf(request, parts.defaultIssuer ?? 'https://idp.example')
    const wrong = contradictionIn(supposed)
    if (wrong) return refused(400, wrong)
    const policy = parts.policy()
    const { caller, via, workloadScope: workloadScopes } = supposed
    const mapping = parts.mappingOf(supposed.issuer) ?? { claims: new Map(), roles: [] }
    const user = userOf(supposed, atMs)
    const who = supposeCaller({ caller, via, workloadScopes, user }, policy.matrix, mapping)
    if (!who.ok) return refused(400, problem([], 'impossible-caller', who.problem.replaceAll('--', '')))
    const steps: Step[] = []
    const decision = await decideSupposed(
      supposed,
      who.value,
      policy,
      parts.lookups,
      parts.serviceTokenHeader,
      atMs,
      steps,
    )
    const { outcome, reason, message, rule, ruleSource, mode, wouldBe, target, endpoint, grantId } = decision
    const { riskScore, obligations, revision, devicePosture, deviceTier } = decision
    return found({
      decision: outcome,
      reason,
      message,
      steps,
      ...given({
        rule,
        ruleSource,
        mode,
        wouldBe,
        caller: decision.caller,
        target,
        endpoint,
        grantId,
        riskScore,
        devicePosture,
        deviceTier,
        obligations,
        revision,
      }),
    })
  }
}

function suppositionOf(request: ExplainRequest, issuer: string): Supposition {
  return {
    caller: request.caller,
    via: request.via,
    workloadScope: request.workloadScopes,
    target: request.target,
    method: request.method ?? 'GET',
    path: request.path ?? '/',
    host: request.host,
    header: request.headers?.map(({ name, value }) => [name.toLowerCase(), value] as const),
    grpc: request.grpc,
    tcp: request.tcp,
    port: request.port ?? 0,
    sourceIp: request.sourceIp ?? '127.0.0.1',
    listenerRole: request.listenerRole ?? 'Sidecar',
    mtls: request.mtls ?? 'Strict',
    user: request.user,
    issuer: request.issuer ?? issuer,
    role: request.roles,
    userScope: request.userScopes,
    claim: request.claims,
    mfa: request.mfa,
    authAge: request.authAge === undefined ? undefined : parseDurationMs(request.authAge),
    risk: request.risk,
    deviceTrust: request.deviceTrust,
    deviceId: request.deviceId,
    sessionId: request.sessionId,
  }
}

function contradictionIn(supposed: Supposition): ReturnType<typeof problem> | undefined {
  if (supposed.target === undefined && supposed.listenerRole === 'Sidecar') {
    return problem(['target'], 'missing-field', 'only a Gateway finds the target by host and path')
  }
  if (supposed.tcp === true && supposed.port === 0) {
    return problem(['port'], 'missing-field', 'a TCP connection has a `port`')
  }
  if (supposed.tcp === true && supposed.grpc !== undefined) {
    return problem(['grpc'], 'without-effect', '`tcp` and `grpc` exclude each other')
  }
  return undefined
}
