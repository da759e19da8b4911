import type { BaselineAllow, CompiledService } from '../../segmentation/compiled.js'
import type { Matrix } from '../../segmentation/matrix.js'
import type { Edge } from '../graph/edges.js'
import type { Obstacle, Principal } from './access.js'
import { type BarredPorts, barredPorts, withoutBarred } from './barred-ports.js'
import { namesOfAllow } from './baseline-clauses.js'
import { namesOf } from './callers.js'
import { type Written, writtenAt } from './written.js'

type Json = { readonly [key: string]: unknown }

export type Projection =
  | { readonly ok: true; readonly object: Json; readonly notes: readonly string[] }
  /** Nothing is to be said of it, or it can't be said. */
  | { readonly ok: false; readonly obstacles: readonly Obstacle[]; readonly note?: string }

/** No peer is everybody, no ports are all of them; an empty list of ports opens nothing. */
type Opening = { readonly peer: Json | undefined; readonly ports: readonly number[] | undefined }

/**
 * Who may connect to which port of a service at all, as a Kubernetes NetworkPolicy for what comes in. It is never
 * narrower than the matrix; what asks for more than a connection is told in `notes` and left to Portcullis.
 * `incoming`: the edges to this service. Source: networking.k8s.io/v1.
 */
export function networkPolicy(
  service: CompiledService,
  incoming: readonly Edge[],
  matrix: Matrix,
  written: Written,
  podLabel: string,
): Projection {
  const { name, namespace, endpoints, source } = service
  const open = [service, ...endpoints].find(({ mode }) => mode !== 'Enforce')
  if (open) {
    const what = open === service ? 'the service' : `the endpoint ${open.name}`
    const message = `${what} is in mode ${open.mode}, which lets every call pass: a NetworkPolicy would refuse some`
    return { ok: false, obstacles: [{ message, source: open.source }] }
  }
  if (endpoints.length === 0) {
    return {
      ok: false,
      obstacles: [],
      note: `${service.id} exposes nothing, so nothing is said of who connects to it`,
    }
  }
  const notes = new Set<string>()
  const openings: Opening[] = []
  for (const { caller, ways, baseline } of incoming) {
    const peer = peerOf(caller, matrix, podLabel)
    const barred = barredPorts(service, namesOf(caller, written))
    for (const allow of service.baseline.allow)
      if (baseline.includes(allow.name))
        openings.push({ peer, ports: withoutBarred(portsOfAllow(allow), barred) })
    if (ways.length === 0) continue
    openings.push({ peer, ports: withoutBarred(portsOf(ways.map(({ endpoint }) => endpoint)), barred) })
    for (const { endpoint } of ways.filter(({ conditional }) => conditional)) {
      notes.add(`${endpoint.name} asks for more than its caller (${endpoint.source})`)
    }
  }
  openings.push(...fromBaseline(service, matrix, written))
  for (const endpoint of endpoints) {
    const barred = barredPorts(service, undefined, endpoint)
    if (barred === 'every' || !isOpenToUsers(service, endpoint)) continue
    notes.add(
      `${endpoint.name} may be called without a workload (${endpoint.source}), so its ports are open to all`,
    )
    openings.push({ peer: undefined, ports: withoutBarred(portsOf([endpoint]), barred) })
  }
  if (endpoints.some(({ protocol }) => protocol !== 'TCP')) {
    notes.add('paths, methods, headers, users and risk are decided per request, not here')
  }
  if (endpoints.some(({ ports }) => ports.length === 0)) {
    notes.add('endpoints without ports leave every port open to their callers')
  }
  const object = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: `${name}-callers`, namespace, annotations: { 'portcullis.dev/source': source } },
    spec: {
      podSelector: { matchLabels: { [podLabel]: name } },
      policyTypes: ['Ingress'],
      ingress: ingressOf(openings),
    },
  }
  return { ok: true, object, notes: [...notes] }
}

/** Peers that may use the same ports are one entry; nobody at all is an empty list, which shuts every port. */
function ingressOf(openings: readonly Opening[]): Json[] {
  const byPorts = new Map<
    string,
    { ports: readonly number[] | undefined; peers: Map<string, Json>; all: boolean }
  >()
  for (const { peer, ports } of openings) {
    // To Kubernetes an empty list of ports is every port.
    if (ports?.length === 0) continue
    const key = ports?.join() ?? 'every'
    let group = byPorts.get(key)
    if (!group) byPorts.set(key, (group = { ports, peers: new Map(), all: false }))
    if (peer) group.peers.set(JSON.stringify(peer), peer)
    else group.all = true
  }
  return [...byPorts.values()].map(({ ports, peers, all }) => {
    const from = [...peers].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, peer]) => peer)
    const entry: Json = ports ? { ports: ports.map((port) => ({ protocol: 'TCP', port })) } : {}
    return all ? entry : Object.assign({ from }, entry)
  })
}

/** A service outside of the local trust domain may connect from anywhere; undefined stands for that. */
function peerOf(
  { name, namespace, identities }: CompiledService,
  matrix: Matrix,
  podLabel: string,
): Json | undefined {
  const usual = `spiffe://${matrix.localTrustDomain}/ns/${namespace}/sa/`
  if (identities.length === 0 || !identities.every(({ text }) => text.startsWith(usual))) return undefined
  return { ...inNamespace(namespace), podSelector: { matchLabels: { [podLabel]: name } } }
}

function inNamespace(namespace: string): Json {
  return { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } }
}

/** Identities that no document names and anyone, as far as the baseline lets them in. */
function fromBaseline(service: CompiledService, matrix: Matrix, written: Written): Opening[] {
  return service.baseline.allow.flatMap((allow): Opening[] => {
    const rule = writtenAt(written.allow, allow)
    const toAll = (barred: BarredPorts): Opening => ({
      peer: undefined,
      ports: withoutBarred(portsOfAllow(allow), barred),
    })
    if (rule.from.some(({ users }) => users)) return [toAll(barredPorts(service, undefined))]
    const { names, obstacles } = namesOfAllow(allow, rule, service, matrix, written)
    if (names.length === 0 && obstacles.length > 0) return [toAll(barredPorts(service, undefined))]
    return names.flatMap((name) =>
      name.caller
        ? []
        : [{ ...toAll(barredPorts(service, [name])), peer: namespaceOf(name.principal, matrix) }],
    )
  })
}

/** Undefined: every port. */
function portsOf(ways: readonly { readonly ports: readonly number[] }[]): Opening['ports'] {
  if (ways.some(({ ports }) => ports.length === 0)) return undefined
  return [...new Set(ways.flatMap(({ ports }) => ports))].sort((a, b) => a - b)
}

function portsOfAllow({ to }: BaselineAllow): Opening['ports'] {
  return to && portsOf(to.map(({ ports = [] }) => ({ ports })))
}

/** Of a workload whose pods nobody names only the namespace can be told, by its usual SPIFFE ID. */
function namespaceOf(principal: Principal, matrix: Matrix): Json | undefined {
  if (principal.kind !== 'identity') return undefined
  const prefix = `spiffe://${matrix.localTrustDomain}/ns/`
  if (!principal.text.startsWith(prefix)) return undefined
  const [namespace, kind] = principal.text.slice(prefix.length).split('/')
  return namespace !== undefined && kind === 'sa' ? inNamespace(namespace) : undefined
}

function isOpenToUsers(
  service: CompiledService,
  { require, index }: CompiledService['endpoints'][number],
): boolean {
  if (require === 'Workload' || require === 'Both') return false
  return service.rules.some(
    ({ from, endpoints }) =>
      (endpoints?.includes(index) ?? true) &&
      from.some(({ users, any, workload }) => any || (users && !workload)),
  )
}
