import { createHash } from 'node:crypto'
import type { AccessRequest } from '../request/access-request.js'
import { type CertificatePolicy, isRevoked, REVOKED } from './certificate-policy.js'
import { andThen, type Eventually } from './eventually.js'
import type { Verified } from './identify.js'
import {
  checkLeaf,
  intermediateHints,
  type LeafVerdict,
  retainLeafVerdict,
  verifyLeaf,
} from './peer-certificate.js'
import type { WorkloadPrincipal } from './principal.js'
import type { TrustBundles } from './trust-bundles.js'
import { VerdictCache, type VerdictCacheLimits } from './verdict-cache.js'

const XFCC = 'x-forwarded-client-cert'
const CHAIN = /(?:^|[;,])chain=/i

/**
 * Verifies the certificate of `source`, once for its exact bytes and the bundles' generation. What it has verified
 * before it answers at once; a new one is verified while other requests go on.
 */
export class CertificateVerifier {
  readonly #bundles: TrustBundles
  readonly #policy: CertificatePolicy
  readonly #verdicts: VerdictCache<LeafVerdict>

  constructor(bundles: TrustBundles, policy: CertificatePolicy, limits: VerdictCacheLimits) {
    this.#verdicts = new VerdictCache<LeafVerdict>(limits, retainLeafVerdict)
    this.#bundles = bundles
    this.#policy = policy
  }

  verify(request: AccessRequest, nowMs: number): Eventually<Verified<WorkloadPrincipal>> {
    const { certificate, principal } = request.source
    if (certificate === '') return REQUIRED
    const known = this.#verdicts.get(certificate, nowMs)
    if (known?.ok) return this.#check(known, principal, nowMs)
    const xfcc = request.http?.headers.get(XFCC) ?? ''
    if (CHAIN.test(xfcc)) return this.#verifyHinted(certificate, xfcc, principal, nowMs)
    const verdict = known ?? this.#verify(certificate, certificate, '', nowMs)
    return verdict ? andThen(verdict, (one) => this.#check(one, principal, nowMs)) : OVERLOADED
  }

  /** What is remembered now, for metrics. */
  get size(): VerdictCache<LeafVerdict>['size'] {
    return this.#verdicts.size
  }

  /**
   * Hints can turn a refusal into an acceptance and nothing else. So a refusal counts for exactly these hints, and an
   * acceptance for the certificate with any.
   */
  #verifyHinted(
    certificate: string,
    xfcc: string,
    principal: string,
    nowMs: number,
  ): Eventually<Verified<WorkloadPrincipal>> {
    const { generation } = this.#bundles
    const key = createHash('sha256').update(certificate).update('\n').update(xfcc).digest('hex')
    const verdict = this.#verdicts.get(key, nowMs) ?? this.#verify(key, certificate, xfcc, nowMs)
    if (!verdict) return OVERLOADED
    return andThen(verdict, (one) => {
      if (one.ok) this.#verdicts.keep(certificate, this.#bundles, generation, nowMs, one)
      return this.#check(one, principal, nowMs)
    })
  }

  #verify(key: string, certificate: string, xfcc: string, nowMs: number): Promise<LeafVerdict> | undefined {
    return this.#verdicts.verify(key, this.#bundles, nowMs, () =>
      verifyLeaf(certificate, intermediateHints(xfcc), this.#bundles, nowMs),
    )
  }

  #check(verdict: LeafVerdict, principal: string, nowMs: number): Verified<WorkloadPrincipal> {
    if (!verdict.ok) {
      const { claimed, reason, message } = verdict
      const revoked = claimed !== undefined && isRevoked(claimed, this.#policy)
      return { ok: false, refusal: revoked ? REVOKED : { reason, message } }
    }
    const refusal = checkLeaf(verdict, principal, this.#policy, nowMs)
    return refusal ? { ok: false, refusal } : { ok: true, value: verdict.workload }
  }
}

const REQUIRED: Verified<never> = {
  ok: false,
  refusal: { reason: 'certificate-required', message: 'the peer presented no certificate' },
}
const OVERLOADED: Verified<never> = {
  ok: false,
  refusal: { reason: 'overloaded', message: 'too many certificates are being verified for the first time' },
}
