import type {
  Identity,
  ServiceTokenPrincipal,
  UserPrincipal,
  WorkloadPrincipal,
} from '../identity/principal.js'
import { parseSpiffeId, type SpiffeId } from '../identity/spiffe-id.js'
import { type ClaimMapping, readUserPrincipal } from '../identity/user-claims.js'
import { identitiesOf } from '../segmentation/compile.js'
import type { Matrix } from '../segmentation/matrix.js'

/** Who is supposed to call; nobody verifies it. */
export type HypotheticalCaller = {
  /** A SPIFFE ID or `namespace/name`. */
  readonly caller: string | undefined
  /** The trusted proxy that forwards the caller, likewise. */
  readonly via: string | undefined
  /** As a service token of the caller would carry them; undefined: no token. */
  readonly workloadScopes: readonly string[] | undefined
  /** Claims as the issuer writes them and, over them, claims by the names used here; undefined: no user. */
  readonly user:
    | { readonly raw: Readonly<Record<string, unknown>>; readonly used: Readonly<Record<string, unknown>> }
    | undefined
}

export type Supposed<T> =
  | { readonly ok: true; readonly value: T }
  | {
      readonly ok: false
      readonly problem: string
      /** What of the supposition is wrong. */
      readonly field: 'caller' | 'via' | 'workloadScope' | 'user'
    }

/** How the fields are called where they are asked for. */
export type CallerFields = { readonly caller: string; readonly via: string; readonly workloadScope: string }

const FLAGS: CallerFields = { caller: '--caller', via: '--via', workloadScope: '--workload-scope' }

/** The principals that verified credentials of this caller would give, or what is wrong with the supposition. */
export function supposeCaller(
  { caller, via, workloadScopes, user }: HypotheticalCaller,
  matrix: Matrix,
  mapping: ClaimMapping,
  fields: CallerFields = FLAGS,
): Supposed<Identity> {
  let workload: WorkloadPrincipal | undefined
  let serviceToken: ServiceTokenPrincipal | undefined
  if (caller !== undefined) {
    const spiffeId = spiffeIdOf('caller', caller, matrix, fields)
    if (!spiffeId.ok) return spiffeId
    const proxy = via === undefined ? undefined : spiffeIdOf('via', via, matrix, fields)
    if (proxy?.ok === false) return proxy
    workload = proxy
      ? { spiffeId: spiffeId.value, verifiedBy: 'forwarded', via: { spiffeId: proxy.value } }
      : { spiffeId: spiffeId.value, verifiedBy: 'certificate' }
    if (workloadScopes) {
      serviceToken = { issuer: caller, service: caller, scopes: workloadScopes, jti: 'hypothetical' }
    }
  } else if (via !== undefined) {
    const problem = `${fields.via} needs ${fields.caller}: a proxy forwards a workload`
    return { ok: false, problem, field: 'via' }
  } else if (workloadScopes) {
    const problem = `${fields.workloadScope} needs ${fields.caller}: a service token belongs to a workload`
    return { ok: false, problem, field: 'workloadScope' }
  }
  const principal = user ? supposeUser(user.raw, user.used, mapping) : undefined
  if (principal?.ok === false) return principal
  return { ok: true, value: { workload, serviceToken, user: principal?.value } }
}

/** Of a service the first identity that its document names, else the usual one of that namespace and name. */
function spiffeIdOf(
  field: 'caller' | 'via',
  caller: string,
  matrix: Matrix,
  fields: CallerFields,
): Supposed<SpiffeId> {
  const service = matrix.services.get(caller)
  const [named] = service ? identitiesOf(service) : []
  if (named) return { ok: true, value: named }
  const match = /^([^/:]+)\/([^/:]+)$/.exec(caller)
  const text = match ? `spiffe://${matrix.localTrustDomain}/ns/${match[1]}/sa/${match[2]}` : caller
  const parsed = parseSpiffeId(text)
  if (parsed.ok && parsed.id.path !== '') return { ok: true, value: parsed.id }
  return {
    ok: false,
    problem: `${fields[field]} ${caller} is neither namespace/name nor the SPIFFE ID of a workload`,
    field,
  }
}

function supposeUser(
  raw: Readonly<Record<string, unknown>>,
  used: Readonly<Record<string, unknown>>,
  mapping: ClaimMapping,
): Supposed<UserPrincipal> {
  const mapped = readUserPrincipal({ ...raw, iss: used['iss'], sub: used['sub'] }, mapping)
  if (!mapped.ok) return malformed(mapped.problem)
  const whole = readUserPrincipal({ ...mapped.principal.claims, ...used }, { ...mapping, claims: new Map() })
  return whole.ok ? { ok: true, value: whole.principal } : malformed(whole.problem)
}

function malformed(problem: string): Supposed<never> {
  return { ok: false, problem: `the user's token would be malformed: ${problem}`, field: 'user' }
}
