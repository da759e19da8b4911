import { parseSpiffeId } from '../../identity/spiffe-id.js'
import {
  compiledEndpoint,
  type CompiledEndpoint,
  compiledService,
  type CompiledService,
} from '../../segmentation/compiled.js'
import { chooseEndpoint } from '../../segmentation/evaluate.js'
import type { Facts } from '../../segmentation/facts.js'
import type { Matrix } from '../../segmentation/matrix.js'
import { serviceOfIdentity } from '../../segmentation/service-identity.js'
import { eventFacts } from '../learn/event-facts.js'
import type { TrafficEvent } from '../traffic.js'

/** Paths this long may be cut off in an event, UTF-16 units: audit/security-event cuts at 2048, of escapes before. */
const CUT_PATH = 2000

/** What a recorded call may have been in a matrix that it was perhaps not recorded under. */
export type RecordedCall = {
  /** By each target that it may have had and each caller: the workload, and the proxy that named it. */
  readonly readings: readonly Reading[]
  /** Nothing in the event says what it was for. */
  readonly unplaced: boolean
}

export type Reading = {
  readonly facts: Facts
  readonly service: CompiledService | undefined
  readonly caller: CompiledService | undefined
  /** Those that it may have been for. */
  readonly endpoints: readonly CompiledEndpoint[]
  /** The event has a workload that can't be told, so that every `from` may mean it. */
  readonly anyCaller: boolean
  /** Whether the event has whatever a `to` may ask for. */
  readonly whole: boolean
}

export function readCall(event: TrafficEvent, matrix: Matrix): RecordedCall {
  const facts = eventFacts(event, matrix)
  const { destinationPort, requestPath = '', protocol } = event
  const whole =
    destinationPort !== undefined &&
    requestPath.length < CUT_PATH &&
    (facts.request.http !== undefined || protocol === 'TCP')
  const { services, unplaced } = targetsOf(event, facts, matrix)
  const readings = services.flatMap((service) => {
    const endpoints = service ? endpointsOf(facts, service, whole) : []
    const target = { ...facts.target, service, id: service?.id ?? facts.target.id }
    return callersOf(event, facts, matrix).map(({ caller, workload, anyCaller }): Reading => {
      const identity = { ...facts.identity, workload }
      return {
        facts: { ...facts, target, identity, caller, gateway: false },
        service,
        caller: compiledService(caller),
        endpoints,
        anyCaller,
        whole,
      }
    })
  })
  return { readings, unplaced }
}

/** By its name of then, its identity and the route: a policy may have given the same target another name. */
function targetsOf(
  { targetService, fields }: TrafficEvent,
  { request: { http } }: Facts,
  matrix: Matrix,
): { readonly services: readonly (CompiledService | undefined)[]; readonly unplaced: boolean } {
  const { targetId } = fields
  const id = typeof targetId === 'string' ? parseSpiffeId(targetId) : undefined
  const found = new Set<CompiledService>()
  const add = (service: CompiledService | undefined): void => void (service && found.add(service))
  add(targetService === undefined ? undefined : matrix.services.get(targetService))
  if (id?.ok) add(compiledService(serviceOfIdentity(matrix, id.id)))
  if (http) add(matrix.routes.find(http.host, http.path)?.service)
  if (found.size > 0) return { services: [...found], unplaced: false }
  return { services: [undefined], unplaced: targetService === undefined && targetId === undefined }
}

/** An event says neither whether a route took a prefix off nor, for sure, whether the call was an upgrade. */
function endpointsOf(facts: Facts, service: CompiledService, whole: boolean): readonly CompiledEndpoint[] {
  if (!whole) return service.endpoints
  const { http } = facts.request
  const paths = new Set([facts.target.path, http?.path ?? ''])
  const requests = http
    ? [facts.request, { ...facts.request, http: { ...http, upgrade: !http.upgrade } }]
    : [facts.request]
  const found = new Set<CompiledEndpoint>()
  for (const path of paths) {
    for (const request of requests) {
      const chosen = compiledEndpoint(chooseEndpoint({ ...facts.target, service, path }, request))
      if (chosen) found.add(chosen)
    }
  }
  return [...found]
}

type Caller = Pick<Reading, 'anyCaller'> & {
  readonly caller: Facts['caller']
  readonly workload: Facts['identity']['workload']
}

function callersOf(event: TrafficEvent, { identity, caller }: Facts, matrix: Matrix): readonly Caller[] {
  const { workload } = identity
  const callers: Caller[] = [{ caller, workload, anyCaller: event.workloadId !== undefined && !workload }]
  const named = event.callerService === undefined ? undefined : matrix.services.get(event.callerService)
  if (named && named !== caller) callers.push({ caller: named, workload, anyCaller: !workload })
  const { viaWorkloadId } = event.fields
  const via = typeof viaWorkloadId === 'string' ? parseSpiffeId(viaWorkloadId) : undefined
  if (via?.ok) {
    const proxy = { spiffeId: via.id, verifiedBy: 'certificate' } as const
    callers.push({ caller: serviceOfIdentity(matrix, via.id), workload: proxy, anyCaller: false })
  } else if (via) callers.push({ caller: undefined, workload: undefined, anyCaller: true })
  return callers
}
