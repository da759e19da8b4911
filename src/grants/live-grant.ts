import type { Endpoint } from '../segmentation/matrix.js'

/** A grant as calls are decided on it. */
export type LiveGrant = {
  readonly id: string
  /** `namespace/name`. */
  readonly service: string
  /** Undefined: every endpoint of the service. */
  readonly endpoints: readonly string[] | undefined
  readonly operations: readonly Endpoint['operation'][]
  /** Grant-only roles that count while it is live. */
  readonly roles: readonly string[]
  /** Undefined: as often as its user likes. */
  readonly maxUses: number | undefined
  readonly usesLeft: number | undefined
  /** Milliseconds since the epoch; at that instant it is over. */
  readonly expiresAtMs: number
  readonly breakGlass: boolean
}

/**
 * The first grant that covers the call. A target that no document names is covered by none; an operation that nobody can
 * tell is a Write.
 */
export function coveringGrant(
  grants: readonly LiveGrant[],
  target: string | undefined,
  endpoint: string | undefined,
  operation: Endpoint['operation'] | undefined,
  nowMs: number,
  role?: string,
): LiveGrant | undefined {
  if (grants.length === 0 || target === undefined) return undefined
  return grants.find(
    (grant) =>
      grant.service === target &&
      nowMs < grant.expiresAtMs &&
      (grant.usesLeft === undefined || grant.usesLeft > 0) &&
      grant.operations.includes(operation ?? 'Write') &&
      (grant.endpoints === undefined || (endpoint !== undefined && grant.endpoints.includes(endpoint))) &&
      (role === undefined || grant.roles.includes(role)),
  )
}
