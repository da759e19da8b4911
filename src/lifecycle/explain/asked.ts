import type { Identity } from '../../identity/principal.js'
import type { AccessRequest } from '../../request/access-request.js'
import type { ListenerRules } from '../../request/listener.js'
import { serviceOfIdentity } from '../../segmentation/compile.js'
import {
  chooseEndpoint,
  evaluateMatrix,
  evaluateProxy,
  type MatrixVerdict,
} from '../../segmentation/evaluate.js'
import type { Facts } from '../../segmentation/facts.js'
import type { Matrix } from '../../segmentation/matrix.js'
import { resolveTarget } from '../../segmentation/target.js'

/** A call that is explained: what is the same on every policy. */
export type Asked = {
  readonly request: AccessRequest
  readonly identity: Identity
  readonly listener: ListenerRules
  readonly known: Pick<
    Facts,
    'riskScore' | 'riskSources' | 'riskLevel' | 'client' | 'session' | 'device' | 'nowMs'
  >
}

/** What a policy makes of the call; undefined where it can't tell which target is meant. */
export function factsOn(matrix: Matrix, { request, identity, listener, known }: Asked): Facts | undefined {
  const found = resolveTarget(matrix, request, listener, { spiffeId: undefined })
  if (!found.ok) return undefined
  const { workload } = identity
  return {
    ...known,
    request,
    identity,
    caller: workload && serviceOfIdentity(matrix, workload.spiffeId),
    target: found.target,
    endpoint: chooseEndpoint(found.target, request),
    gateway: listener.role === 'Gateway' && listener.peerIdentity === 'None',
  }
}

/** What the matrix says of it, the trusted proxy's own edge included, and of whom; modes are not applied. */
export function verdictOn(
  matrix: Matrix,
  facts: Facts,
): { readonly verdict: MatrixVerdict; readonly of: Facts } {
  const verdict = evaluateMatrix(matrix, facts)
  const { via } = facts.identity.workload ?? {}
  const refusal = verdict.permit && via ? evaluateProxy(matrix, facts)?.refusal : undefined
  if (!refusal || !via) return { verdict, of: facts }
  const { spiffeId } = via
  const of: Facts = {
    ...facts,
    identity: {
      workload: { spiffeId, verifiedBy: 'certificate' },
      serviceToken: undefined,
      user: facts.identity.user,
    },
    caller: serviceOfIdentity(matrix, spiffeId),
  }
  return { verdict: { permit: false, endpoint: verdict.endpoint, refusal }, of }
}
