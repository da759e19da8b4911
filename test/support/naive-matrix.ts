import type { BaselinePolicy } from '../../src/segmentation/baseline-policy.js'
import type { ServicePolicy } from '../../src/segmentation/service-policy.js'
import type { Call } from './mesh.js'

/**
 * The rules of the matrix read straight from the documents, on every call, without an index: slow, plain, and
 * sharing no code with the compiler. Knows the fields that the property test writes.
 */
export type Naive = { readonly services: readonly ServicePolicy[]; readonly baseline: BaselinePolicy }

type Spec = ServicePolicy['spec']
type Endpoint = NonNullable<Spec['endpoints']>[number]
type Rule = NonNullable<Spec['rules']>[number]
type From = Rule['from'][number]
type To = NonNullable<NonNullable<NonNullable<BaselinePolicy['spec']['allow']>[number]['to']>>[number]
type Maybe = boolean | undefined

const idOf = ({ metadata }: ServicePolicy) => `${metadata.namespace}/${metadata.name}`
const all = (parts: readonly Maybe[]): Maybe =>
  parts.includes(false) ? false : parts.includes(undefined) ? undefined : true

const anyHolds = (parts: readonly Maybe[]): Maybe =>
  parts.includes(true) ? true : parts.includes(undefined) ? undefined : false

function regexp(template: string, flags = ''): RegExp {
  const body = template
    .replace(/\/\*\*$/, '\u0001')
    .replace(/\{[a-z]+\}/g, '[^/]+')
    .replace('\u0001', template === '/**' ? '/.*' : '(/.*)?')
  return new RegExp(`^${body}$`, flags)
}

const fold = (path: string) => (path.length > 1 ? path.replace(/\/$/, '') : path).toLowerCase()
const exactly = (template: string) => (path: string) => regexp(template).test(path)
const loosely = (template: string) => (path: string) =>
  regexp(template.length > 1 && !template.endsWith('**') ? template.replace(/\/$/, '') : template, 'i').test(
    fold(path),
  )

/** Every path of up to three segments that the templates of the test can tell apart. */
const SEGMENTS = ['a', 'b', 'c', 'A', 'B']
const ONE = SEGMENTS.map((segment) => `/${segment}`)
const TWO = ONE.flatMap((one) => ONE.map((two) => one + two))
const UNIVERSE = [...ONE, ...TWO, ...TWO.flatMap((two) => ONE.map((one) => two + one))].flatMap((path) => [
  path,
  `${path}/`,
])
UNIVERSE.push('/')
const narrower = new Map<string, boolean>()

/** Whether one set of paths lies within the other and is smaller, as far as the universe shows. */
function isNarrower(one: string, other: string, matcher: typeof exactly): boolean {
  const key = `${matcher.name} ${one} ${other}`
  let known = narrower.get(key)
  if (known === undefined) {
    const [inner, outer] = [UNIVERSE.filter(matcher(one)), UNIVERSE.filter(matcher(other))]
    known = inner.length < outer.length && inner.every((path) => outer.includes(path))
    narrower.set(key, known)
  }
  return known
}

function candidates(spec: Spec, path: string, matcher: typeof exactly): Endpoint[] {
  const grpc = matcher === loosely ? 'i' : ''
  const methods = (spec.endpoints ?? []).flatMap((endpoint) =>
    (endpoint.grpc ?? []).map((method) => ({ endpoint, method })),
  )
  const named = methods.filter(
    ({ method }) => new RegExp(`^/${method.replace('.', '\\.')}$`, grpc).test(path) && !method.endsWith('*'),
  )
  if (named.length > 0) return named.map(({ endpoint }) => endpoint)
  const wide = methods.filter(
    ({ method }) =>
      method.endsWith('*') &&
      new RegExp(`^/${method.replace('.', '\\.').replace('*', '[^/]+')}$`, grpc).test(path),
  )
  if (wide.length > 0) return wide.map(({ endpoint }) => endpoint)
  const matching = (spec.endpoints ?? []).flatMap((endpoint) =>
    (endpoint.paths ?? [])
      .filter((template) => matcher(template)(path))
      .map((template) => ({ endpoint, template })),
  )
  return matching
    .filter(({ template }) => !matching.some((other) => isNarrower(other.template, template, matcher)))
    .map(({ endpoint }) => endpoint)
}

function accepts(endpoint: Endpoint, call: Call): boolean {
  if (endpoint.ports && !endpoint.ports.includes(call.port ?? 0)) return false
  if (call.tcp || endpoint.protocol === 'TCP') return Boolean(call.tcp) && endpoint.protocol === 'TCP'
  if ((endpoint.protocol === 'WebSocket') !== Boolean(call.upgrade)) return false
  return endpoint.grpc ? call.method === 'POST' : (endpoint.methods ?? []).includes(call.method ?? '')
}

const endpointsOf = (spec: Spec, call: Call, matcher: typeof exactly): Endpoint[] =>
  (call.tcp ? (spec.endpoints ?? []) : candidates(spec, call.path ?? '', matcher)).filter((endpoint) =>
    accepts(endpoint, call),
  )

type Who = {
  readonly id: string | undefined
  readonly local: boolean
  readonly document: ServicePolicy | undefined
}

function who(mesh: Naive, call: Call): Who {
  if (call.from === undefined) return { id: undefined, local: false, document: undefined }
  const federated = call.from.startsWith('spiffe:')
  const [namespace, name] = call.from.split('/')
  const id = federated ? call.from : `spiffe://cluster.local/ns/${namespace}/sa/${name}`
  const document = mesh.services.find((each) =>
    federated ? each.spec.identities?.includes(id) : idOf(each) === call.from,
  )
  return { id, local: !federated, document }
}

function fromMatches(from: From, caller: Who, call: Call, home: string | undefined): Maybe {
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
  if (from.selector) {
    const wanted = Object.entries(from.selector.matchLabels ?? {})
    parts.push(document && wanted.every(([key, value]) => document.metadata.labels?.[key] === value))
  }
  return all(parts)
}

function whenHolds(when: Rule['when'], call: Call): Maybe {
  if (!when) return true
  const sent = (call.headers ?? []).map(([, value]) => value)
  if (call.tcp || sent.length !== 1) return undefined
  return when.every(({ values = [] }) => values.includes(sent[0] ?? ''))
}

const anyOf = (from: readonly From[] | undefined, matches: (element: From) => Maybe): Maybe => {
  return anyHolds((from ?? [{ any: true }]).map(matches))
}

function toMatches(
  to: readonly To[] | undefined,
  target: ServicePolicy | undefined,
  call: Call,
  matcher: typeof exactly,
): Maybe {
  if (!to) return true
  const found = to.map((element) =>
    all([
      element.services ? target !== undefined && element.services.includes(idOf(target)) : true,
      element.namespaces ? target && element.namespaces.includes(target.metadata.namespace ?? '') : true,
      element.paths ? !call.tcp && element.paths.some((path) => matcher(path)(call.path ?? '')) : true,
      element.methods ? !call.tcp && element.methods.includes(call.method ?? '') : true,
      element.ports ? element.ports.includes(call.port ?? 0) : true,
    ]),
  )
  return anyHolds(found)
}

/** `allowed` or the reason, as the nine rules have it. */
export function naiveVerdict(mesh: Naive, call: Call): string {
  const target = mesh.services.find((each) => idOf(each) === call.to)
  const caller = who(mesh, call)
  const home = target?.metadata.namespace
  const [endpoint] = target ? endpointsOf(target.spec, call, exactly) : []
  const loose = target ? endpointsOf(target.spec, call, loosely) : []
  const { allow = [], forbid = [] } = mesh.baseline.spec

  const forbidding = [
    ...forbid.map((rule) => ({
      mode: rule.mode,
      matches: all([
        toMatches(rule.to, target, call, loosely),
        anyOf(rule.from, (from) => fromMatches(from, caller, call, undefined)),
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
          whenHolds(rule.when, call),
        ]),
      }
    }),
  ]
  if (forbidding.some(({ mode, matches }) => matches !== false && mode !== 'Shadow' && mode !== 'Observe'))
    return 'forbidden'

  const lacks = (granted: readonly string[] | undefined) =>
    (endpoint?.workloadScopes ?? []).some((scope) => !(call.token ?? granted ?? []).includes(scope))
  const allowing = allow.filter(
    (rule) =>
      !(call.upgrade && !call.tcp && !endpoint) &&
      toMatches(rule.to, target, call, exactly) === true &&
      anyOf(rule.from, (from) => fromMatches(from, caller, call, undefined)) === true,
  )
  if (!endpoint && allowing.length === 0) return target ? 'endpoint-not-exposed' : 'target-unknown'

  const require = endpoint?.require ?? target?.spec.require ?? 'Workload'
  const needsUser = (endpoint?.userScopes ?? []).length > 0 || endpoint?.mfa === 'Required'
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

function ownHalves(
  target: ServicePolicy,
  endpoint: Endpoint,
  caller: Who,
  call: Call,
  lacks: (granted: readonly string[] | undefined) => boolean,
): string {
  if (caller.id !== undefined) {
    if (!caller.document) return 'caller-unknown'
    if (!(caller.document.spec.calls ?? []).some((each) => each.service === idOf(target)))
      return 'call-not-allowed'
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
      whenHolds(rule.when, call) === true,
  )
  if (matching.length === 0) return 'rule-not-matched'
  return matching.some((rule) => !lacks(rule.grantScopes)) ? 'allowed' : 'scope-missing'
}
