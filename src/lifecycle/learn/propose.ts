import type { CompiledService } from '../../segmentation/compiled.js'
import type { Matrix, Requirement } from '../../segmentation/matrix.js'
import { parsePathTemplate } from '../../segmentation/path-template.js'
import type { Evidence, TargetEvidence } from './evidence.js'
import { nameEndpoints } from './name-endpoints.js'
import { ANYONE, type Callers, mergeAll, type Seen, total, USERS } from './seen.js'
import { kept } from './single-users.js'
import { untangle, type WrittenEndpoints } from './untangle.js'

/** An endpoint that a document has to say. */
export type NewEndpoint = {
  readonly name: string
  readonly paths?: readonly string[]
  readonly methods?: readonly string[]
  readonly grpc?: readonly string[]
  readonly protocol?: 'WebSocket' | 'TCP'
  readonly ports?: readonly number[]
  readonly require: Requirement
  readonly seen: Seen
  /** How many users the target had. */
  readonly ofUsers: number
  /** Services by `namespace/name`, USERS, ANYONE. */
  readonly from: readonly string[]
}

export type NewCall = { readonly service: string; readonly endpoints: readonly string[]; readonly seen: Seen }

export type NewRule = {
  readonly name: string
  /** Services by `namespace/name`, USERS, ANYONE. */
  readonly from: readonly string[]
  /** The neighbours who may call a service without rules, before it gets one. */
  readonly namespace?: string
  readonly endpoints: readonly string[]
  readonly seen: Seen
}

/** What one document gets. */
export type Addition = {
  /** `namespace/name`. */
  readonly id: string
  readonly calls: readonly NewCall[]
  readonly endpoints: readonly NewEndpoint[]
  /** Paths that endpoints which are there need besides, so that a more specific new template takes nothing from them. */
  readonly paths: readonly { readonly endpoint: string; readonly path: string }[]
  readonly rules: readonly NewRule[]
}

type Draft = {
  readonly id: string
  readonly calls: Map<string, Map<string, Callers>>
  endpoints: readonly NewEndpoint[]
  paths: Addition['paths']
  rules: readonly NewRule[]
}

/** One way that was seen, before it has a name. */
export type Way = Omit<NewEndpoint, 'name' | 'seen' | 'ofUsers' | 'from'> & { readonly callers: Callers }

/** The least that documents have to say beyond the policy, so that every call of the evidence passes its matrix. */
export function propose(
  { targets, users }: Pick<Evidence, 'targets' | 'users'>,
  matrix: Matrix,
  /** By `namespace/name`. */
  written: ReadonlyMap<string, WrittenEndpoints>,
): readonly Addition[] {
  const drafts = new Map<string, Draft>()
  const draftOf = (id: string): Draft => {
    let draft = drafts.get(id)
    if (!draft) drafts.set(id, (draft = { id, calls: new Map(), endpoints: [], paths: [], rules: [] }))
    return draft
  }
  for (const [id, evidence] of sorted(targets)) {
    const draft = draftOf(id)
    const service = matrix.services.get(id)
    const ways = waysOf(evidence)
    const named = nameEndpoints(ways, new Set(service?.endpoints.map(({ name: taken }) => taken)))
    const { endpoints, paths } = untangle(
      named.map(({ name, way: { callers, ...way } }) => ({
        ...way,
        name,
        seen: total(callers.values()),
        ofUsers: users.of(id),
        from: [...callers.keys()].sort(),
      })),
      written.get(id) ?? [],
    )
    for (const { paths: own = [] } of endpoints) for (const path of own) neverWide(path)
    draft.endpoints = endpoints
    draft.paths = paths
    const edges: readonly (readonly [string, Callers])[] = [
      ...named.map(({ name, way }) => [name, way.callers] as const),
      ...sorted(evidence.named).map(([name, callers]) => [name, kept(callers)] as const),
    ]
    for (const [endpoint, callers] of edges) {
      for (const caller of callers.keys()) {
        if (caller === USERS || caller === ANYONE) continue
        const { calls } = draftOf(caller)
        let row = calls.get(id)
        if (!row) calls.set(id, (row = new Map()))
        row.set(endpoint, new Map([[caller, callers.get(caller) ?? total([])]]))
      }
    }
    draft.rules = rulesOf(id, service, edges)
  }
  return sorted(drafts).map(([, { id, calls, endpoints, paths, rules }]) => ({
    id,
    calls: sorted(calls).map(([service, row]) => newCall(service, row)),
    endpoints,
    paths,
    rules,
  }))
}

/** Evidence is of paths; `/**` is for people to write. */
function neverWide(path: string): void {
  const parsed = parsePathTemplate(path)
  if (parsed.ok && parsed.template.rest) throw new Error(`${path} was learned, and no path is`)
}

function newCall(service: string, row: ReadonlyMap<string, Callers>): NewCall {
  const all: Callers = new Map()
  for (const callers of row.values()) mergeAll(all, callers)
  return { service, endpoints: [...row.keys()].sort(), seen: total(all.values()) }
}

/** Methods of one template that the same callers use in the same way are one endpoint. */
function waysOf({ http, webSocket, grpc, tcp }: TargetEvidence): Way[] {
  const ways: Way[] = []
  for (const protocol of [undefined, 'WebSocket'] as const) {
    for (const { template, methods } of protocol ? webSocket.leaves() : http.leaves()) {
      const alike = new Map<string, { methods: string[]; callers: Callers; require: Requirement }>()
      for (const [method, all] of sorted(methods)) {
        const callers = kept(all)
        if (callers.size === 0) continue
        const require = requirementOf(callers)
        const key = JSON.stringify([[...callers.keys()].sort(), require])
        const known = alike.get(key)
        if (known) {
          known.methods.push(method)
          mergeAll(known.callers, callers)
        } else {
          const own: Callers = new Map()
          mergeAll(own, callers)
          alike.set(key, { methods: [method], callers: own, require })
        }
      }
      for (const way of alike.values())
        ways.push({ paths: [template], ...way, ...(protocol && { protocol }) })
    }
  }
  for (const [method, all] of sorted(grpc)) {
    const callers = kept(all)
    if (callers.size > 0) ways.push({ grpc: [method], require: requirementOf(callers), callers })
  }
  for (const [port, callers] of [...tcp].sort(([a], [b]) => a - b)) {
    ways.push({ protocol: 'TCP', ports: [port], require: tcpRequirement(callers), callers })
  }
  return ways.sort((a, b) => compare(a.paths?.[0] ?? '', b.paths?.[0] ?? ''))
}

/** The most that every call of the evidence meets. */
function requirementOf(callers: Callers): Requirement {
  const { count, withUser, withWorkload } = total(callers.values())
  if (callers.has(ANYONE)) return 'None'
  if (withUser === count) return withWorkload === count ? 'Both' : 'User'
  return withWorkload === count ? 'Workload' : 'Any'
}

function tcpRequirement(callers: Callers): Requirement {
  return callers.has(ANYONE) ? 'None' : 'Workload'
}

/** One rule for the endpoints that the same callers use. */
function rulesOf(
  id: string,
  service: CompiledService | undefined,
  edges: readonly (readonly [string, Callers])[],
): NewRule[] {
  const byCallers = new Map<string, { from: string[]; endpoints: string[]; callers: Callers }>()
  for (const [endpoint, callers] of edges) {
    const lacking: Callers = new Map([...callers].filter(([, { needsConsent }]) => needsConsent))
    if (lacking.size === 0) continue
    const from = [...lacking.keys()].sort()
    const key = JSON.stringify(from)
    const known = byCallers.get(key)
    if (known) {
      known.endpoints.push(endpoint)
      mergeAll(known.callers, lacking)
    } else {
      const own: Callers = new Map()
      mergeAll(own, lacking)
      byCallers.set(key, { from, endpoints: [endpoint], callers: own })
    }
  }
  const taken = new Set(service?.rules.map(({ name }) => name))
  const [namespace = ''] = id.split('/')
  const rules: NewRule[] = []
  if (byCallers.size > 0 && service?.rules.length === 0 && service.endpoints.length > 0) {
    const name = freeName('neighbours', taken)
    const old = service.endpoints.map((endpoint) => endpoint.name).sort()
    rules.push({ name, from: [], namespace, endpoints: old, seen: total([]) })
  }
  for (const { from, endpoints, callers } of byCallers.values()) {
    const [first = ''] = from
    const short = first.includes('/') ? first.slice(first.indexOf('/') + 1) : first
    const name = freeName(from.length === 1 ? short : `${short}-and-${from.length - 1}-more`, taken)
    rules.push({ name, from, endpoints: endpoints.sort(), seen: total(callers.values()) })
  }
  return rules
}

function freeName(wanted: string, taken: Set<string>): string {
  const base = wanted.slice(0, 240)
  let name = base
  for (let number = 2; taken.has(name); number++) name = `${base}-${number}`
  taken.add(name)
  return name
}

function sorted<Value>(map: ReadonlyMap<string, Value>): (readonly [string, Value])[] {
  return [...map].sort(([a], [b]) => compare(a, b))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
