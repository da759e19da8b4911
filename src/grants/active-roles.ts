import type { UserPrincipal } from '../identity/principal.js'
import type { Endpoint } from '../segmentation/matrix.js'
import { coveringGrant, type LiveGrant } from './live-grant.js'

/** A user with the roles that count for one call. */
export type CutUser = {
  /** The same object where nothing is cut, one object for each set of roles where something is. */
  readonly user: UserPrincipal
  /** Grant-only roles that the token asserts and no live grant makes count. */
  readonly suppressed: readonly string[]
  /** The grants that make roles count; mostly one. Each of them is used, if the call passes. */
  readonly grants: readonly LiveGrant[]
}

const NO_ROLES: readonly string[] = []
const NO_GRANTS: readonly LiveGrant[] = []
/** Sets of cut roles that are kept for one user. */
const MAX_CUTS = 64
/** Others keep what they know of a principal with it, so the same cut has to be the same object. */
const cuts = new WeakMap<UserPrincipal, Map<string, UserPrincipal>>()

/**
 * Takes the grant-only roles away for which no live grant covers the call: nobody has them for good. A grant gives no
 * role that the token doesn't assert. Conditions see the cut roles too, as `user.roles` and as the claims `roles` and
 * `role`; under other names the claims stay what the token says.
 */
export function cutRoles(
  user: UserPrincipal,
  grantOnly: ReadonlySet<string>,
  live: readonly LiveGrant[],
  target: string | undefined,
  endpoint: string | undefined,
  operation: Endpoint['operation'] | undefined,
  nowMs: number,
): CutUser {
  const asserted = grantOnly.size === 0 ? NO_ROLES : assertedOf(user, grantOnly)
  if (asserted.length === 0) return { user, suppressed: NO_ROLES, grants: NO_GRANTS }
  const suppressed: string[] = []
  const grants: LiveGrant[] = []
  for (const role of asserted) {
    const inUse = coveringGrant(grants, target, endpoint, operation, nowMs, role)
    const grant = inUse ?? coveringGrant(live, target, endpoint, operation, nowMs, role)
    if (!grant) suppressed.push(role)
    else if (!inUse) grants.push(grant)
  }
  return suppressed.length === 0
    ? { user, suppressed: NO_ROLES, grants }
    : { user: cutUser(user, suppressed), suppressed, grants }
}

function assertedOf(user: UserPrincipal, grantOnly: ReadonlySet<string>): readonly string[] {
  const named = [...user.roles, ...texts(user.claims['roles']), ...texts(user.claims['role'])]
  const asserted = named.filter((role) => grantOnly.has(role))
  return asserted.length > 1 ? [...new Set(asserted)] : asserted
}

function texts(claim: unknown): readonly string[] {
  if (typeof claim === 'string') return [claim]
  return Array.isArray(claim) ? claim.filter((entry) => typeof entry === 'string') : NO_ROLES
}

function cutUser(user: UserPrincipal, suppressed: readonly string[]): UserPrincipal {
  let known = cuts.get(user)
  if (!known) {
    known = new Map()
    cuts.set(user, known)
  }
  const key = JSON.stringify(suppressed)
  let cut = known.get(key)
  if (!cut) {
    const gone = new Set(suppressed)
    cut = { ...user, roles: user.roles.filter((role) => !gone.has(role)), claims: cutClaims(user, gone) }
    if (known.size >= MAX_CUTS) known.clear()
    known.set(key, cut)
  }
  return cut
}

function cutClaims({ claims }: UserPrincipal, gone: ReadonlySet<string>): UserPrincipal['claims'] {
  const cut: Record<string, unknown> = Object.assign(Object.create(null), claims)
  for (const name of ['roles', 'role']) {
    const claim = cut[name]
    if (typeof claim === 'string' && gone.has(claim)) delete cut[name]
    else if (Array.isArray(claim)) {
      cut[name] = claim.filter((entry) => typeof entry !== 'string' || !gone.has(entry))
    }
  }
  return cut
}
