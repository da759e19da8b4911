import { serviceOfIdentity } from '../../segmentation/compile.js'
import {
  type BaselineForbid,
  compiledService,
  type CompiledService,
  type ForbidRule,
} from '../../segmentation/compiled.js'
import type { From } from '../../segmentation/from.js'
import type { Matrix } from '../../segmentation/matrix.js'
import type { Clause, HeaderTest, Obstacle, Principal, RequestShape } from './access.js'
import { requestsOfTo } from './baseline-clauses.js'
import { type CallerName, exampleOf, matchesFrom, namesOf, principalKey, principalOf } from './callers.js'
import { headerTests } from './conditions.js'
import { onPorts } from './permits.js'
import type { EndpointWays } from './request-shape.js'
import { type Written, writtenAt, type WrittenForbid, type WrittenSpec } from './written.js'

export type Bars = {
  readonly http: readonly Clause[]
  readonly tcp: readonly Clause[]
  readonly obstacles: readonly Obstacle[]
}

type Forbid = {
  readonly rule: Omit<ForbidRule, 'endpoints'>
  readonly written: Pick<WrittenForbid, 'from' | 'when'> | undefined
  /** Undefined: every one. */
  readonly http: readonly RequestShape[] | undefined
  readonly tcp: readonly RequestShape[] | undefined
}

/** What is forbidden to those who are let in at all. */
export function barsOf(
  service: CompiledService,
  matrix: Matrix,
  written: Written,
  ways: EndpointWays,
  allowed: readonly CallerName[],
): Bars {
  const forbids = [
    ...service.baseline.forbid.map((rule) => ofBaseline(rule, writtenAt(written.forbid, rule), service)),
    ...service.forbids.map((rule, index) =>
      ofService(rule, written.services.get(service.id), index, service, ways),
    ),
  ]
  const http: Clause[] = []
  const tcp: Clause[] = []
  const obstacles: Obstacle[] = []
  for (const { rule, written: forbid, ...requests } of forbids) {
    const { name, source, mode } = rule
    // One that lets the call pass by its own mode refuses nobody.
    if (mode !== undefined && mode !== 'Enforce') continue
    const headers = headerTests(forbid?.when)
    if (!headers.ok) {
      obstacles.push({ message: `the forbid ${name} has ${headers.problem}`, source })
      continue
    }
    const principals = barred({ rule, written: forbid }, service, matrix, written, allowed)
    if (principals === 'unclear') {
      obstacles.push({
        message: `the forbid ${name} may mean some of those that are let in and not others`,
        source,
      })
      continue
    }
    if (principals?.length === 0) continue
    const clause = { name: `forbid ${name}`, source, principals }
    if (requests.http?.length !== 0) http.push({ ...clause, requests: requests.http, headers: headers.tests })
    // Of a connection no condition on a header can be evaluated, and what can't be evaluated forbids.
    if (requests.tcp?.length !== 0) tcp.push({ ...clause, requests: requests.tcp, headers: NO_HEADERS })
  }
  return { http, tcp, obstacles }
}

const NO_HEADERS: readonly HeaderTest[] = []

function barred(
  { rule, written: forbid }: Pick<Forbid, 'rule' | 'written'>,
  service: CompiledService,
  matrix: Matrix,
  written: Written,
  allowed: readonly CallerName[],
): readonly Principal[] | undefined | 'unclear' {
  const { from } = rule
  if (!from) return undefined
  if (from.some(({ users }) => users)) return 'unclear'
  const broad = allowed.some(({ principal }) => principal.kind === 'any' || principal.kind === 'domain')
  const elements = forbid?.from ?? []
  // Of a workload that no document names an element says no only where it asks for a service or an identity.
  if (broad && !elements.every(({ services, identities }) => services || identities)) return 'unclear'
  if (!broad) return principalsMeant(from, allowed, service)
  let meant = meantByAll.get(from)
  if (!meant)
    meantByAll.set(from, (meant = principalsMeant(from, everyName(matrix, written, elements), service)))
  return meant
}

/** By the `from` of a forbid, as far as it is asked of every service: that doesn't depend on the target. */
const meantByAll = new WeakMap<readonly From[], readonly Principal[] | 'unclear'>()

function principalsMeant(
  from: readonly From[],
  names: readonly CallerName[],
  service: CompiledService,
): readonly Principal[] | 'unclear' {
  const found = new Map<string, Principal>()
  for (const name of names) {
    const matched = matchesFrom(from, name, service)
    if (matched === 'unclear') return 'unclear'
    if (matched !== false) found.set(principalKey(name.principal), name.principal)
  }
  return [...found.values()]
}

/** All services, and the identities that elements of `from` name whether or not a document does. */
function everyName(
  matrix: Matrix,
  written: Written,
  elements: NonNullable<WrittenForbid['from']>,
): CallerName[] {
  const known = [...matrix.services.values()].flatMap((service) => namesOf(service, written))
  const named = elements.flatMap(({ identities = [] }) =>
    identities.map((text): CallerName => {
      const example = exampleOf(text)
      const caller = example && compiledService(serviceOfIdentity(matrix, example))
      return { caller, principal: principalOf(text), example }
    }),
  )
  return [...known, ...named]
}

function ofBaseline(rule: BaselineForbid, written: WrittenForbid, service: CompiledService): Forbid {
  const requests = requestsOfTo(written.to, service, true)
  const tcp = requests
    ?.filter(({ paths, methods }) => paths.length === 0 && methods.length === 0)
    .map(({ ports }) => onPorts(ports))
  return { rule, written, http: requests, tcp }
}

function ofService(
  rule: ForbidRule,
  spec: WrittenSpec | undefined,
  index: number,
  { endpoints }: CompiledService,
  ways: EndpointWays,
): Forbid {
  const written = spec?.forbid?.[index]
  if (!rule.endpoints) return { rule, written, http: undefined, tcp: undefined }
  const http = rule.endpoints.flatMap((endpoint) => {
    const folded = ways.requestsOf(endpoint, true)
    // Where nothing is taken out of them, those that ignore case hold the exact ones.
    return folded.every(({ except }) => except.length === 0)
      ? folded
      : [...folded, ...ways.requestsOf(endpoint, false)]
  })
  const ports = endpoints.flatMap((endpoint) =>
    endpoint.protocol === 'TCP' && rule.endpoints?.includes(endpoint.index) ? endpoint.ports : [],
  )
  return { rule, written, http, tcp: ports.length > 0 ? [onPorts(ports)] : [] }
}
