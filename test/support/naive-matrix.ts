import type { Mode } from '../../src/decision/mode.js'
import type { BaselinePolicy } from '../../src/segmentation/baseline-policy.js'
import type { ServicePolicy } from '../../src/segmentation/service-policy.js'
import { all, anyHolds, type Around, type Asked, type Maybe, whenHolds } from './naive-conditions.js'
import { type Endpoint, endpointsOf, exactly, isGrpc, loosely } from './naive-endpoints.js'

/**
 * The rules of the matrix read straight from the documents, on every call, without an index: slow, plain, and
 * sharing no code with the compiler. Knows the fields that the property test writes.
 */
export type Naive = { readonly services: readonly ServicePolicy[]; readonly baseline: BaselinePolicy }

type Rule = NonNullable<ServicePolicy['spec']['rules']>[number]
type From = Rule['from'][number]
type To = NonNullable<NonNullable<NonNullable<BaselinePolicy['spec']['allow']>[number]['to']>>[number]

const idOf = ({ metadata }: ServicePolicy) => `${metadata.namespace}/${metadata.name}`

type Who = {
  readonly id: string | undefined
  readonly local: boolean
  readonly document: ServicePolicy | undefined
}

function who(mesh: Naive, call: Asked): Who {
  if (call.from === undefined) return { id: undefined, local: false, document: undefined }
  const federated = call.from.startsWith('spiffe:')
  const [namespace, name] = call.from.split('/')
  const id = federated ? call.from : `spiffe://cluster.local/ns/${namespace}/sa/${name}`
  const document = mesh.services.find((each) =>
    federated ? each.spec.identities?.includes(id) : idOf(each) === call.from,
  )
  return { id, local: !federated, document }
}

function fromMatches(from: From, caller: Who, call: Asked, home: string | undefined): Maybe {
  if (from.any) return true
  const { users, ...workload } = from
  const parts: Maybe[] = [users ? call.user !== undefined : true]
  if (Object.keys(workload).length === 0) return all(parts)
  if (caller.id === undefined) return all([...parts, call.gateway ? false : undefined])
  const { id, document } = caller
  const path = /^spiffe:\/\/cluster\.local\/ns\/([^/]+)\//.exec(id)?.[1]
  const namespaces = from.namespaces ?? (from.selector && home !== undefined ? [home] : undefined)
  if (from.services) {
    const wanted = from.services.map((name) => (name.includes('/') ? name : `${home}/${name}`))
    parts.push(document !== undefined && wanted.includes(idOf(document)))
  }
  if (from.identities)
    parts.push(from.identities.some((pattern) => new RegExp(`^${pattern.replace('*', '[^/]+')}$`).test(id)))
  if (from.trustDomains) parts.push(from.trustDomains.includes(id.split('/')[2] ?? ''))
  if (namespaces) {
    if (!caller.local) parts.push(false)
    else if (document) parts.push(namespaces.includes(document.metadata.namespace ?? ''))
    else parts.push(path === undefined || namespaces.includes(path) ? undefined : false)
  }
  if (from.notNamespaces) {
    const known = caller.local && document
    parts.push(known ? !from.notNamespaces.includes(document.metadata.namespace ?? '') : undefined)
  }
  if (from.selector) parts.push(document && selects(from.selector, document.metadata.labels ?? {}))
  return all(parts)
}

/** As Kubernetes selects: NotIn and DoesNotExist hold of what has no such label. */
function selects(
  { matchLabels = {}, matchExpressions = [] }: NonNullable<From['selector']>,
  labels: Readonly<Record<string, string>>,
): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key]
      const isListed = value !== undefined && values.includes(value)
      if (operator === 'In') return isListed
      if (operator === 'NotIn') return !isListed
      return (value !== undefined) === (operator === 'Exists')
    })
  )
}

const anyOf = (from: readonly From[] | undefined, matches: (element: From) => Maybe): Maybe => {
  return anyHolds((from ?? [{ any: true }]).map(matches))
}

function toMatches(
  to: readonly To[] | undefined,
  target: ServicePolicy | undefined,
  call: Asked,
  matcher: typeof exactly,
): Maybe {
  if (!to) return true
  const found = to.map((element) =>
    all([
      element.services ? target !== undefined && element.services.includes(idOf(target)) : true,
      element.namespaces ? target && element.namespaces.includes(target.metadata.namespace ?? '') : true,
      element.selector ? target && selects(element.selector, target.metadata.labels ?? {}) : true,
      element.paths ? !call.tcp && element.paths.some((path) => matcher(path)(call.path ?? '')) : true,
      element.grpc ? !call.tcp && element.grpc.some((method) => isGrpc(method, call, matcher)) : true,
      element.methods ? !call.tcp && element.methods.includes(call.method ?? '') : true,
      element.ports ? element.ports.includes(call.port ?? 0) : true,
    ]),
  )
  return anyHolds(found)
}

type Forbidding = { readonly mode: Mode | undefined; readonly matches: Maybe }

/** What the documents say of a call: the reason, and what decides how it is applied. */
export type NaiveFinding = {
  /** `allowed` or the reason. */
  readonly verdict: string
  readonly endpoint: Endpoint | undefined
  /** Modes of the forbids that match; undefined: the target's. */
  readonly forbids: readonly (Mode | undefined)[]
}

/** `allowed` or the reason, as the nine rules have it. */
export function naiveVerdict(mesh: Naive, call: Asked): string {
  return naiveFinding(mesh, call).verdict
}

export function naiveFinding(mesh: Naive, call: Asked): NaiveFinding {
  const target = mesh.services.find((each) => idOf(each) === call.to)
  const caller = who(mesh, call)
  const [endpoint] = target ? endpointsOf(target.spec, call, exactly) : []
  const forbids = forbidding(mesh, call, target, caller, endpoint)
    .filter(({ matches }) => matches !== false)
    .map(({ mode }) => mode)
  const isForbidden = forbids.some((mode) => mode !== 'Shadow' && mode !== 'Observe')
  const verdict = isForbidden ? 'forbidden' : consented(mesh, call, target, caller, endpoint)
  return { verdict, endpoint, forbids }
}

const aroundOf = ({ local, document }: Who, endpoint: Endpoint | undefined): Around => ({
  callerNamespace: local ? document?.metadata.namespace : undefined,
  callerLabels: document && (document.metadata.labels ?? {}),
  endpoint: endpoint?.name,
})

function forbidding(
  mesh: Naive,
  call: Asked,
  target: ServicePolicy | undefined,
  caller: Who,
  endpoint: Endpoint | undefined,
): Forbidding[] {
  const around = aroundOf(caller, endpoint)
  const home = target?.metadata.namespace
  const loose = target ? endpointsOf(target.spec, call, loosely) : []
  return [
    ...(mesh.baseline.spec.forbid ?? []).map((rule) => ({
      mode: rule.mode,
      matches: all([
        toMatches(rule.to, target, call, loosely),
        anyOf(rule.from, (from) => fromMatches(from, caller, call, undefined)),
        whenHolds(rule.when, call, around),
      ]),
    })),
    ...(target?.spec.forbid ?? []).map((rule) => {
      const names = rule.to?.flatMap(({ endpoints }) => endpoints)
      const meant = [endpoint, ...loose].some((each) => each && (names?.includes(each.name) ?? false))
      return {
        mode: rule.mode,
        matches: all([
          names ? meant : true,
          anyOf(rule.from, (from) => fromMatches(from, caller, call, home)),
          whenHolds(rule.when, call, around),
        ]),
      }
    }),
  ]
}

/** Rules of the baseline that stand for both halves of a call. */
function allowingIn(
  mesh: Naive,
  call: Asked,
  target: ServicePolicy | undefined,
  caller: Who,
  endpoint: Endpoint | undefined,
): NonNullable<BaselinePolicy['spec']['allow']> {
  const around = aroundOf(caller, endpoint)
  return (mesh.baseline.spec.allow ?? []).filter(
    (rule) =>
      !(call.upgrade && !call.tcp && !endpoint) &&
      toMatches(rule.to, target, call, exactly) === true &&
      anyOf(rule.from, (from) => fromMatches(from, caller, call, undefined)) === true &&
      whenHolds(rule.when, call, around) === true,
  )
}

function consented(
  mesh: Naive,
  call: Asked,
  target: ServicePolicy | undefined,
  caller: Who,
  endpoint: Endpoint | undefined,
): string {
  const { defaults } = mesh.baseline.spec
  const lacks = (granted: readonly string[] | undefined) =>
    (endpoint?.workloadScopes ?? []).some((scope) => !(call.token ?? granted ?? []).includes(scope))
  const allowing = allowingIn(mesh, call, target, caller, endpoint)
  if (!endpoint && allowing.length === 0) return target ? 'endpoint-not-exposed' : 'target-unknown'

  const require = endpoint?.require ?? target?.spec.require ?? defaults?.require ?? 'Workload'
  const needsUser =
    (endpoint?.userScopes ?? []).length > 0 ||
    (endpoint?.mfa ?? 'None') !== 'None' ||
    endpoint?.maxAuthAge !== undefined
  const [workload, user] = [caller.id !== undefined, call.user !== undefined]
  if (require !== 'None' && !workload && !user) return 'no-credentials'
  if (!workload && require === 'Workload')
    return call.gateway ? 'endpoint-not-exposed' : 'certificate-required'
  if (!workload && require === 'Both' && !call.gateway) return 'certificate-required'
  if (!user && (needsUser || require === 'User' || require === 'Both')) return 'user-required'

  const own = endpoint && target ? ownHalves(target, endpoint, caller, call, lacks) : 'scope-missing'
  const granted = allowing.some((rule) => !lacks(rule.grantScopes))
  if (own !== 'allowed' && !granted) return allowing.length > 0 ? 'scope-missing' : own
  if ((endpoint?.userScopes ?? []).some((scope) => !call.user?.scopes?.includes(scope)))
    return 'scope-missing'
  return 'allowed'
}

function namesIn(caller: ServicePolicy, target: ServicePolicy, endpoint: Endpoint): boolean {
  return (caller.spec.calls ?? []).some(({ service, endpoints }) => {
    const whole = service.includes('/') ? service : `${caller.metadata.namespace}/${service}`
    return whole === idOf(target) && (endpoints?.includes(endpoint.name) ?? true)
  })
}

function ownHalves(
  target: ServicePolicy,
  endpoint: Endpoint,
  caller: Who,
  call: Asked,
  lacks: (granted: readonly string[] | undefined) => boolean,
): string {
  if (caller.id !== undefined) {
    if (!caller.document) return 'caller-unknown'
    if (!namesIn(caller.document, target, endpoint)) return 'call-not-allowed'
  }
  const home = target.metadata.namespace
  const rules = target.spec.rules ?? []
  if (rules.length === 0) {
    const neighbour = caller.local && caller.document?.metadata.namespace === home
    return !neighbour ? 'rule-not-matched' : lacks([]) ? 'scope-missing' : 'allowed'
  }
  const matching = rules.filter(
    (rule) =>
      (rule.to?.some(({ endpoints }) => endpoints.includes(endpoint.name)) ?? true) &&
      anyOf(rule.from, (from) => fromMatches(from, caller, call, home)) === true &&
      whenHolds(rule.when, call, aroundOf(caller, endpoint)) === true,
  )
  if (matching.length === 0) return 'rule-not-matched'
  return matching.some((rule) => !lacks(rule.grantScopes)) ? 'allowed' : 'scope-missing'
}

/** As naiveFinding, of a trusted proxy that forwards the call: the edge alone, without requirements and scopes. */
export function naiveProxyFinding(mesh: Naive, call: Asked, proxy: string): Omit<NaiveFinding, 'endpoint'> {
  const asked: Asked = { ...call, from: proxy }
  const target = mesh.services.find((each) => idOf(each) === call.to)
  const caller = who(mesh, asked)
  const [endpoint] = target ? endpointsOf(target.spec, call, exactly) : []
  const forbids = forbidding(mesh, asked, target, caller, endpoint)
    .filter(({ matches }) => matches !== false)
    .map(({ mode }) => mode)
  if (forbids.some((mode) => mode !== 'Shadow' && mode !== 'Observe'))
    return { verdict: 'forbidden', forbids }
  if (allowingIn(mesh, asked, target, caller, endpoint).length > 0) return { verdict: 'allowed', forbids }
  if (!target) return { verdict: 'target-unknown', forbids }
  if (!endpoint) return { verdict: 'endpoint-not-exposed', forbids }
  return { verdict: ownHalves(target, endpoint, caller, asked, () => false), forbids }
}
