import type { Refusal } from '../decision/decision.js'
import type { AccessRequest } from '../request/access-request.js'
import type { ListenerRules, TrustedProxy } from '../request/listener.js'
import { andThen, type Eventually } from './eventually.js'
import type { Identity, ServiceTokenPrincipal, UserPrincipal, WorkloadPrincipal } from './principal.js'
import { parseSpiffeId, type SpiffeId } from './spiffe-id.js'

export type Verified<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal }

/** Everyone behind a request, or the first credential that failed. */
export type Identified =
  | { readonly ok: true; readonly identity: Identity }
  | {
      readonly ok: false
      readonly refusal: Refusal
      /** Who was verified before another credential failed; absent: nobody. */
      readonly verified?: Identity | undefined
    }

/** What the target is called in a token's audience. */
export type TargetNames = { readonly id: string | undefined; readonly spiffeId: SpiffeId | undefined }

/** Which service a SPIFFE ID is, by the policy in force. */
export type ServiceOf = (id: SpiffeId) => string | undefined

/** One verifier a credential. Each answers at once for what it has seen before. */
export type Verifiers = {
  readonly serviceTokenHeader: string
  readonly certificate: (request: AccessRequest, nowMs: number) => Eventually<Verified<WorkloadPrincipal>>
  /** Whether a SPIFFE ID is on the deny-list, whatever it was proved by. */
  readonly isRevoked: (id: SpiffeId) => boolean
  /** The caller whom a trusted proxy names in x-forwarded-client-cert. */
  readonly forwarded: (
    xfcc: string,
    proxy: SpiffeId,
    rules: TrustedProxy,
    nowMs: number,
  ) => Verified<WorkloadPrincipal>
  /** Undefined: an `authorization` is always a user's. */
  readonly jwtSvid: JwtSvidVerifier | undefined
  /** Nobody where there is no credential of a user. */
  readonly userToken: (
    evidence: UserEvidence,
    nowMs: number,
  ) => Eventually<Verified<UserPrincipal | undefined>>
  /** Consumes the token's id, so it is asked last: a call that another credential fails burns nothing. */
  readonly serviceToken: (
    token: string,
    holder: TokenHolder,
    nowMs: number,
  ) => Eventually<Verified<VerifiedServiceToken>>
}

/** What a user's credential came with; a token may be bound to any of it. */
export type UserEvidence = {
  readonly request: AccessRequest
  /** The listener's name. */
  readonly listener: string
  readonly workload: WorkloadPrincipal | undefined
  /** The header's value, unless it was a workload's. */
  readonly authorization: string | undefined
}

/** JWT-SVIDs in `authorization`. */
export type JwtSvidVerifier = {
  /** By issuer and subject alone, so that no header is ever tried as both a workload's and a user's. */
  readonly claims: (authorization: string, nowMs: number) => boolean
  /** The holder's workload, or the one that the JWT-SVID stands in for. */
  readonly verify: (
    authorization: string,
    holder: TokenHolder,
    nowMs: number,
  ) => Eventually<Verified<WorkloadPrincipal>>
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
 * Verifies what a request presents, in the order certificate, JWT-SVID, user token, service token; the first
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

  return andThen(verifyPeer(request, listener, verifiers, nowMs), (peer) => {
    if (!peer.ok) return peer
    // A proxy that is revoked speaks for nobody.
    if (isGone(peer.value, verifiers)) return IDENTITY_REVOKED
    const caller = verifyCaller(peer, request, listener, verifiers, nowMs)
    if (!caller.ok) return caller
    const workload = caller.value
    if (!workload && listener.peerIdentity !== 'None' && listener.mtls === 'Strict')
      return peer.value ? CALLER_REQUIRED : CERTIFICATE_REQUIRED
    // Behind a trusted proxy a token stands in for nobody: the proxy's own edge could not be asked for.
    const mayStandIn = listener.mtls === 'Permissive' && listener.peerIdentity !== 'None' && !peer.value

    const { jwtSvid } = verifiers
    if (authorization === undefined || !jwtSvid?.claims(authorization, nowMs)) {
      const evidence = { request, listener: listener.name, workload, authorization }
      return verifyTokens(
        evidence,
        { workload, mayStandIn, target, serviceOf },
        serviceToken,
        verifiers,
        nowMs,
      )
    }
    const holder = { workload, mayStandIn, target, serviceOf }
    return andThen(jwtSvid.verify(authorization, holder, nowMs), (svid) => {
      if (!svid.ok) return svid
      if (isGone(svid.value, verifiers)) return IDENTITY_REVOKED
      const evidence = {
        request,
        listener: listener.name,
        workload: svid.value,
        authorization: undefined,
      }
      return verifyTokens(evidence, { ...holder, workload: svid.value }, serviceToken, verifiers, nowMs)
    })
  })
}

function verifyTokens(
  evidence: UserEvidence,
  holder: TokenHolder,
  serviceToken: string | undefined,
  verifiers: Verifiers,
  nowMs: number,
): Eventually<Identified> {
  return andThen(verifiers.userToken(evidence, nowMs), (user) => {
    if (!user.ok)
      return { ...user, verified: { workload: holder.workload, serviceToken: undefined, user: undefined } }
    if (serviceToken === undefined) {
      return { ok: true, identity: { workload: holder.workload, serviceToken: undefined, user: user.value } }
    }
    return andThen(verifiers.serviceToken(serviceToken, holder, nowMs), (verified) => {
      if (!verified.ok) {
        const { workload } = holder
        return { ...verified, verified: { workload, serviceToken: undefined, user: user.value } }
      }
      const { workload, token } = verified.value
      if (isGone(workload, verifiers)) return IDENTITY_REVOKED
      return { ok: true, identity: { workload, serviceToken: token, user: user.value } }
    })
  })
}

/**
 * A certificate, forwarded or not, was held against revocation with everything in it; here the others' identities are.
 * Before any later credential can fail: revocation holds in every mode.
 */
function isGone(workload: WorkloadPrincipal | undefined, { isRevoked }: Verifiers): boolean {
  if (!workload || workload.verifiedBy === 'certificate' || workload.verifiedBy === 'forwarded') return false
  return isRevoked(workload.spiffeId)
}

const IDENTITY_REVOKED: Identified = {
  ok: false,
  refusal: { reason: 'certificate-revoked', message: "the caller's identity is revoked" },
}

const NOBODY: Verified<undefined> = { ok: true, value: undefined }

const CERTIFICATE_REQUIRED: Identified = {
  ok: false,
  refusal: {
    reason: 'certificate-required',
    message: 'this listener takes no call without a workload identity from mTLS',
  },
}

const CALLER_REQUIRED: Identified = {
  ok: false,
  refusal: {
    reason: 'certificate-required',
    message: 'a trusted proxy named no caller in x-forwarded-client-cert, and may not call for itself',
  },
}

type Peer = { readonly ok: true; readonly value: WorkloadPrincipal | undefined }

/** The peer itself, or whom it names where it is a trusted proxy. Everybody else's header says nothing. */
function verifyCaller(
  peer: Peer,
  request: AccessRequest,
  listener: ListenerRules,
  verifiers: Verifiers,
  nowMs: number,
): Verified<WorkloadPrincipal | undefined> {
  const proxy = peer.value && listener.trustedProxies.get(peer.value.spiffeId.text)
  if (!proxy) return peer
  const xfcc = request.http?.headers.get('x-forwarded-client-cert')
  if (xfcc === undefined) return proxy.self ? peer : NOBODY
  const named = verifiers.forwarded(xfcc, peer.value.spiffeId, proxy, nowMs)
  const { spiffeId, certificate } = peer.value
  // What the header says is remembered by its bytes alone; who brought it is another question each time.
  return named.ok && named.value && certificate
    ? { ok: true, value: { ...named.value, via: { spiffeId, certificate } } }
    : named
}

function verifyPeer(
  request: AccessRequest,
  listener: ListenerRules,
  verifiers: Verifiers,
  nowMs: number,
): Eventually<Verified<WorkloadPrincipal | undefined>> {
  if (listener.peerIdentity === 'None') return NOBODY
  if (request.source.certificate !== '') return verifiers.certificate(request, nowMs)
  if (request.source.principal === '') return NOBODY
  // Envoy names a peer and shows no certificate: nobody may stand in for a caller that is there.
  if (listener.peerIdentity === 'Certificate') return UNPROVEN_PEER
  return verifyPrincipal(request.source.principal, listener.principalTrustDomains)
}

const UNPROVEN_PEER: Verified<never> = {
  ok: false,
  refusal: {
    reason: 'certificate-required',
    message: 'Envoy names a peer and sends no certificate (include_peer_certificate)',
  },
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
