import type { BaselineAllow, CompiledService } from '../../segmentation/compiled.js'
import type { Matrix } from '../../segmentation/matrix.js'
import { serviceOfIdentity } from '../../segmentation/compile.js'
import { compiledService } from '../../segmentation/compiled.js'
import { foldTemplate, meet } from '../../segmentation/path-template.js'
import { compileSelector } from '../../segmentation/selector.js'
import { parseSpiffeId } from '../../identity/spiffe-id.js'
import type { Clause, Obstacle, PathShape, Principal, RequestShape } from './access.js'
import { type CallerName, matchesFrom, namesOf, principalKey, principalOf } from './callers.js'
import { headerTests } from './conditions.js'
import { type EndpointWays, grpcTemplate, pathTemplate } from './request-shape.js'
import { type Written, type WrittenAllow, writtenAt, type WrittenForbid } from './written.js'

type WrittenTo = NonNullable<WrittenForbid['to']>[number]

/** The elements of a cluster-wide `to` that are about this service, as requests; undefined: every request. */
export function requestsOfTo(
  to: readonly WrittenTo[] | undefined,
  service: CompiledService,
  folded: boolean,
): RequestShape[] | undefined {
  return to
    ?.filter((element) => isAbout(element, service))
    .map((element) => ({
      paths: [
        ...(element.paths ?? []).map((text) => shapeOf(pathTemplate(text), folded)),
        ...(element.grpc ?? []).map((text) => shapeOf(grpcTemplate(text), folded)),
      ],
      except: [],
      // A permit of gRPC methods is one of their calls; a forbid is of whatever goes there.
      methods: element.methods ?? (element.grpc && !folded ? ['POST'] : []),
      ports: element.ports ?? [],
      upgrade: undefined,
    }))
}

function shapeOf(template: PathShape['template'], folded: boolean): PathShape {
  return { template: folded ? foldTemplate(template) : template, folded }
}

function isAbout({ services, namespaces, selector }: WrittenTo, service: CompiledService): boolean {
  if (services && !services.includes(service.id)) return false
  if (namespaces && !namespaces.includes(service.namespace)) return false
  return !selector || compileSelector(selector, [], () => undefined)(service.labels)
}

const ANYONE: CallerName = { caller: undefined, principal: { kind: 'any' }, example: undefined }
const NONE: readonly never[] = []
/** More would make an export of thousands of services larger than anybody could load. */
const MAX_NAMES = 1000

type Meant = { readonly names: readonly CallerName[]; readonly obstacles: readonly Obstacle[] }

/** By the `from` of an allow, which all the targets of a matrix share: whom it means doesn't depend on the target. */
const known = new WeakMap<BaselineAllow['from'], Meant>()

/** Everybody that a baseline allow lets in: services, and identities that no document names. */
export function namesOfAllow(
  allow: BaselineAllow,
  rule: WrittenAllow,
  service: CompiledService,
  matrix: Matrix,
  written: Written,
): Meant {
  let meant = known.get(allow.from)
  if (!meant) known.set(allow.from, (meant = findNames(allow, rule, service, matrix, written)))
  return meant
}

function findNames(
  allow: BaselineAllow,
  rule: WrittenAllow,
  service: CompiledService,
  matrix: Matrix,
  written: Written,
): Meant {
  // Every verified workload: nobody need be named.
  if (allow.from.some(({ any }) => any)) return { names: [ANYONE], obstacles: NONE }
  const obstacles: Obstacle[] = []
  const found = new Map<string, CallerName>()
  const add = (name: CallerName): void => void found.set(principalKey(name.principal), name)
  for (const caller of matrix.services.values()) {
    for (const name of namesOf(caller, written)) {
      const matched = matchesFrom(allow.from, name, service)
      if (matched === true) add(name)
      else if (matched === 'unclear') {
        const message = `the baseline's ${allow.name} may mean some of ${principalKey(name.principal)} and not others`
        obstacles.push({ message, source: allow.source })
      }
    }
  }
  for (const element of rule.from) {
    const { identities, trustDomains, services, namespaces, notNamespaces, selector } = element
    if (services || namespaces || notNamespaces || selector || element.users) continue
    for (const text of identities ?? []) {
      const principal = principalOf(text)
      const parsed = parseSpiffeId(text)
      const example = parsed.ok ? parsed.id : undefined
      if (example && trustDomains && !trustDomains.includes(example.trustDomain)) continue
      const caller = example && compiledService(serviceOfIdentity(matrix, example))
      add({ caller, principal, example })
    }
    if (identities) continue
    for (const trustDomain of trustDomains ?? []) {
      add({ caller: undefined, principal: { kind: 'domain', trustDomain }, example: undefined })
    }
  }
  if (found.size > MAX_NAMES) {
    const message = `the baseline's ${allow.name} means ${found.size} workloads at every service, more than ${MAX_NAMES}`
    return { names: [], obstacles: [{ message, source: allow.source }] }
  }
  return { names: [...found.values()], obstacles }
}

/** What the baseline lets in at a service; it stands for both halves and for the endpoint. */
export function baselinePermits(
  service: CompiledService,
  matrix: Matrix,
  written: Written,
  ways: EndpointWays,
  obstacles: Obstacle[],
): { readonly clauses: Clause[]; readonly names: CallerName[] } {
  const names: CallerName[] = []
  const clauses = service.baseline.allow.flatMap((allow): Clause[] => {
    const rule = writtenAt(written.allow, allow)
    const headers = headerTests(rule.when)
    if (!headers.ok) {
      obstacles.push({ message: `the baseline's ${rule.name} has ${headers.problem}`, source: allow.source })
    }
    if (rule.from.some(({ users }) => users)) {
      obstacles.push({ message: `the baseline's ${rule.name} is for users`, source: allow.source })
    }
    const { names: found, obstacles: unclear } = namesOfAllow(allow, rule, service, matrix, written)
    obstacles.push(...unclear)
    if (found.length === 0) return []
    names.push(...found)
    const principals: Principal[] = found.map(({ principal }) => principal)
    const requests = (requestsOfTo(rule.to, service, false) ?? [EVERY_REQUEST]).map(withoutUpgrade)
    obstacles.push(...entangled(allow, requests, service, ways))
    const { name, source } = allow
    return [
      { name: `baseline ${name}`, source, principals, requests, headers: headers.ok ? headers.tests : [] },
    ]
  })
  return { clauses, names }
}

const EVERY_REQUEST: RequestShape = { paths: [], except: [], methods: [], ports: [], upgrade: undefined }

/** An upgrade is let in only by an endpoint that says so. */
function withoutUpgrade(request: RequestShape): RequestShape {
  return { ...request, upgrade: false }
}

/** Endpoints among the requests of a baseline allow that ask for something it doesn't bring. */
function entangled(
  { name, source, grantScopes }: BaselineAllow,
  requests: readonly RequestShape[],
  service: CompiledService,
  ways: EndpointWays,
): Obstacle[] {
  return service.endpoints.flatMap((endpoint): Obstacle[] => {
    const scopes = endpoint.workloadScopes.filter((scope) => !grantScopes.includes(scope))
    if (endpoint.protocol !== 'WebSocket' && scopes.length === 0) return []
    const shared = ways
      .requestsOf(endpoint.index, false)
      .some((own) => requests.some((request) => couldBeBoth(own, request)))
    if (!shared) return []
    const what =
      endpoint.protocol === 'WebSocket' ? 'is a WebSocket' : `asks for the scopes ${scopes.join(', ')}`
    return [{ message: `the baseline's ${name} covers the endpoint ${endpoint.name}, which ${what}`, source }]
  })
}

function couldBeBoth(left: RequestShape, right: RequestShape): boolean {
  if (left.methods.length > 0 && right.methods.length > 0) {
    if (!left.methods.some((method) => right.methods.includes(method))) return false
  }
  if (left.paths.length === 0 || right.paths.length === 0) return true
  return left.paths.some((one) =>
    right.paths.some((other) => meet(one.template, other.template) !== undefined),
  )
}
