import type { Refusal } from '../decision/decision.js'
import type { AccessRequest } from '../request/access-request.js'
import type { ListenerRules } from '../request/listener.js'
import { andThen, type Eventually } from './eventually.js'
import type { Identity, ServiceTokenPrincipal, UserPrincipal, WorkloadPrincipal } from './principal.js'
import { parseSpiffeId, type SpiffeId } from './spiffe-id.js'

export type Verified<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal }

/** Everyone behind a request, or the first credential that failed. */
export type Identified =
  { readonly ok: true; readonly identity: Identity } | { readonly ok: false; readonly refusal: Refusal }

/** What the target is called in a token's audience. */
export type TargetNames = { readonly id: string | undefined; readonly spiffeId: SpiffeId | undefined }

/** Which service a SPIFFE ID is, by the policy in force. */
export type ServiceOf = (id: SpiffeId) => string | undefined

/** One verifier a credential. Each answers at once for what it has seen before. */
export type Verifiers = {
  readonly serviceTokenHeader: string
  readonly certificate: (request: AccessRequest, nowMs: number) => Eventually<Verified<WorkloadPrincipal>>
  readonly userToken: (authorization: string, nowMs: number) => Eventually<Verified<UserPrincipal>>
  /** Consumes the token's id, so it is asked last: a call that another credential fails burns nothing. */
  readonly serviceToken: (
    token: string,
    holder: TokenHolder,
    nowMs: number,
  ) => Eventually<Verified<VerifiedServiceToken>>
}

/** Whom a service token must belong to and what it must be meant for. */
export type TokenHolder = {
  /** The mTLS caller. Without one the token may stand in only on a Permissive listener. */
  readonly workload: WorkloadPrincipal | undefined
  readonly mayStandIn: boolean
  readonly target: TargetNames
  readonly serviceOf: ServiceOf
}

export type VerifiedServiceToken = {
  readonly token: ServiceTokenPrincipal
  /** The holder's workload, or the one that the token stands in for. */
  readonly workload: WorkloadPrincipal
}

/**
 * Verifies what a request presents, in the order certificate, user token, service token; the first
 * that fails is the answer, because a present but invalid credential is never ignored. Which of them
 * a target requires is the matrix's question; here only a Strict listener asks for the workload.
 */
export function identify(
  request: AccessRequest,
  listener: ListenerRules,
  target: TargetNames,
  serviceOf: ServiceOf,
  verifiers: Verifiers,
  nowMs: number,
): Eventually<Identified> {
  const headers = request.http?.headers
  const authorization = headers?.get('authorization')
  const serviceToken = headers?.get(verifiers.serviceTokenHeader)
  const mayStandIn = listener.mtls === 'Permissive' && listener.peerIdentity !== 'None'

  return andThen(verifyPeer(request, listener, verifiers, nowMs), (peer) => {
    if (!peer.ok) return peer
    const workload = peer.value
    if (!workload && listener.peerIdentity !== 'None' && listener.mtls === 'Strict')
      return CERTIFICATE_REQUIRED

    const user = authorization === undefined ? NOBODY : verifiers.userToken(authorization, nowMs)
    return andThen(user, (verifiedUser) => {
      if (!verifiedUser.ok) return verifiedUser
      if (serviceToken === undefined) {
        return { ok: true, identity: { workload, serviceToken: undefined, user: verifiedUser.value } }
      }
      const holder = { workload, mayStandIn, target, serviceOf }
      return andThen(verifiers.serviceToken(serviceToken, holder, nowMs), (verified) =>
        verified.ok
          ? {
              ok: true,
              identity: {
                workload: verified.value.workload,
                serviceToken: verified.value.token,
                user: verifiedUser.value,
              },
            }
          : verified,
      )
    })
  })
}

const NOBODY: Verified<undefined> = { ok: true, value: undefined }

const CERTIFICATE_REQUIRED: Identified = {
  ok: false,
  refusal: {
    reason: 'certificate-required',
    message: 'this listener takes no call without a workload identity from mTLS',
  },
}

function verifyPeer(
  request: AccessRequest,
  listener: ListenerRules,
  verifiers: Verifiers,
  nowMs: number,
): Eventually<Verified<WorkloadPrincipal | undefined>> {
  if (listener.peerIdentity === 'None') return NOBODY
  if (request.source.certificate !== '') return verifiers.certificate(request, nowMs)
  if (listener.peerIdentity === 'Certificate' || request.source.principal === '') return NOBODY
  return verifyPrincipal(request.source.principal, listener.principalTrustDomains)
}

/** `source.principal` on Envoy's word alone: what Istio and Envoy Gateway can give. */
function verifyPrincipal(principal: string, trustDomains: readonly string[]): Verified<WorkloadPrincipal> {
  const parsed = parseSpiffeId(principal)
  if (!parsed.ok || parsed.id.path === '') {
    return {
      ok: false,
      refusal: { reason: 'svid-invalid', message: 'the principal is not the SPIFFE ID of a workload' },
    }
  }
  if (!trustDomains.includes(parsed.id.trustDomain)) {
    return {
      ok: false,
      refusal: {
        reason: 'untrusted-domain',
        message: `this listener takes no principal of trust domain ${parsed.id.trustDomain}`,
      },
    }
  }
  return { ok: true, value: { spiffeId: parsed.id, verifiedBy: 'principal' } }
}
