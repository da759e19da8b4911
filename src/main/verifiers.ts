import { randomBytes } from 'node:crypto'
import type { Config } from '../config/config.js'
import { isRevokedIdentity } from '../identity/certificate-policy.js'
import { CertificateVerifier } from '../identity/certificate-verifier.js'
import { ForwardedCallerVerifier } from '../identity/forwarded-caller.js'
import { DpopNonces } from '../identity/dpop-nonce.js'
import { DpopProofs } from '../identity/dpop.js'
import type { EnvoyIssuer } from '../identity/envoy-user.js'
import type { Verifiers } from '../identity/identify.js'
import { type JwtSvidClaims, jwtSvidVerifier } from '../identity/jwt-svid.js'
import type { ReplayGuard } from '../identity/replay.js'
import { type ServiceTokenClaims, serviceTokenVerifier } from '../identity/service-token.js'
import { tokenVerdicts } from '../identity/signed-token.js'
import {
  type UserTokenClaims,
  type UserTokenIssuer,
  type UserTokenRules,
  userTokenVerifier,
} from '../identity/user-token.js'
import type { VerdictCacheLimits } from '../identity/verdict-cache.js'
import type { UsualTime } from '../ext-authz/overload.js'
import { VerificationQueue } from '../identity/verification-queue.js'
import type { LiveKeys } from './live-keys.js'
import type { LiveTrust } from './live-trust.js'

/**
 * Verifications under way at once of each kind; beyond it a never-seen credential is `overloaded`. After a start a
 * whole mesh comes with certificates that were never seen. How many of them are done in time is measured.
 */
const MAX_PENDING = 1024
/** Of the time that calls are given: what a verification may take, waiting included. */
const SHARE_OF_TIME = 0.75
/** UTF-16 units of the longest credential that is remembered. */
const MAX_KEY_LENGTH = 16 * 1024

/** Every verifier of a request's credentials, with its cache. */
export type LiveVerifiers = Verifiers & {
  readonly sizes: () => Readonly<
    Record<'certificates' | 'forwarded' | 'serviceTokens' | 'userTokens' | 'jwtSvids', CacheSize>
  >
}

export type VerifierTerms = {
  /** 32 bytes, the same for all who answer together; undefined: this process answers alone. */
  readonly dpopNonceKey?: Buffer | undefined
  /** Whether calls wait so long that known callers come first. */
  readonly strained: () => boolean
  /** That calls are given. */
  readonly usualTime: Pick<UsualTime, 'ms'>
}

type CacheSize = { readonly accepted: number; readonly refused: number; readonly pending: number }

export function openVerifiers(
  config: Config,
  trust: Pick<LiveTrust, 'bundles' | 'policy' | 'jwtKeys'>,
  keys: LiveKeys,
  replay: ReplayGuard,
  { dpopNonceKey = randomBytes(32), strained, usualTime }: VerifierTerms,
): LiveVerifiers {
  const targetMs = (): number => usualTime.ms * SHARE_OF_TIME
  const queue = (): VerificationQueue =>
    new VerificationQueue({ most: MAX_PENDING, targetMs, clockMs: () => performance.now(), strained })
  const certificates = new CertificateVerifier(
    trust.bundles,
    trust.policy,
    limits(config.caches.certificates, MAX_PENDING, queue()),
  )
  // Reading one is no work for another thread, so none is ever under way.
  const forwarded = new ForwardedCallerVerifier(
    trust.policy,
    limits(config.caches.certificates, 0, undefined),
  )
  const serviceVerdicts = tokenVerdicts<ServiceTokenClaims>(
    limits(config.caches.tokens, MAX_PENDING, queue()),
  )
  const userVerdicts = tokenVerdicts<UserTokenClaims>(limits(config.caches.tokens, MAX_PENDING, queue()))
  const svidVerdicts = tokenVerdicts<JwtSvidClaims>(limits(config.caches.tokens, MAX_PENDING, queue()))
  const userIssuers = new Set(config.userTokens.issuers.map(({ issuer }) => issuer))
  const { dpop } = config.userTokens
  return {
    serviceTokenHeader: config.serviceTokens.header,
    isRevoked: (id) => isRevokedIdentity(id, trust.policy),
    certificate: (request, nowMs) => certificates.verify(request, nowMs),
    forwarded: (xfcc, proxy, rules, nowMs) => forwarded.verify(xfcc, proxy, rules, nowMs),
    serviceToken: serviceTokenVerifier({
      issuers: new Map(
        [...config.serviceTokens.issuers].map(([issuer, entry]) => [
          issuer,
          { service: entry.service, scopes: entry.scopes, keys: keys.of(entry.keys) },
        ]),
      ),
      maxLifetimeMs: config.serviceTokens.maxLifetimeMs,
      trustDomain: config.trustDomain,
      replay,
      verdicts: serviceVerdicts,
    }),
    jwtSvid:
      config.serviceTokens.jwtSvid &&
      jwtSvidVerifier({
        authorities: trust.jwtKeys,
        isUserIssuer: (issuer) => userIssuers.has(issuer),
        isKnownUserToken: (token, nowMs) => userVerdicts.get(token, nowMs) !== undefined,
        maxLifetimeMs: config.serviceTokens.jwtSvid.maxLifetimeMs,
        verdicts: svidVerdicts,
      }),
    userToken: userTokenVerifier({
      ...issuersOfUsers(config, keys),
      dpop: new DpopProofs({
        origins: dpop.origins,
        maxAgeMs: dpop.maxAgeMs,
        clockSkewMs: config.userTokens.clockSkewMs,
        nonces: dpop.nonce ? new DpopNonces(dpopNonceKey, dpop.maxAgeMs) : undefined,
        replay,
        maxPending: MAX_PENDING,
        queue: queue(),
      }),
      clockSkewMs: config.userTokens.clockSkewMs,
      verdicts: userVerdicts,
    }),
    sizes: () => ({
      certificates: certificates.size,
      forwarded: forwarded.size,
      serviceTokens: serviceVerdicts.size,
      userTokens: userVerdicts.size,
      jwtSvids: svidVerdicts.size,
    }),
  }
}

function issuersOfUsers(
  { userTokens }: Config,
  keys: LiveKeys,
): Pick<UserTokenRules, 'issuers' | 'envoyIssuers'> {
  const issuers = new Map<string, UserTokenIssuer>()
  const envoyIssuers = new Map<string, EnvoyIssuer>()
  for (const entry of userTokens.issuers) {
    const terms = {
      audiences: entry.audiences,
      mapping: { claims: entry.claims, roles: entry.roles },
      senderConstraint: entry.senderConstraint,
    }
    if (entry.keys === undefined) {
      envoyIssuers.set(entry.issuer, { ...terms, metadataKey: entry.metadataKey })
    } else {
      issuers.set(entry.issuer, {
        ...terms,
        keys: keys.of(entry.keys),
        algorithms: entry.algorithms,
        requireAccessTokenType: entry.typ === 'at+jwt',
      })
    }
  }
  return { issuers, envoyIssuers }
}

/** Refused credentials get a tenth of the room: remembering them only saves work. */
function limits(
  entries: number,
  maxPending: number,
  queue: VerificationQueue | undefined,
): VerdictCacheLimits {
  return {
    maxAccepted: entries,
    maxRefused: Math.max(1, Math.ceil(entries / 10)),
    maxPending,
    queue,
    maxKeyLength: MAX_KEY_LENGTH,
  }
}
