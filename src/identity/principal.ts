import type { SpiffeId } from './spiffe-id.js'

/** A caller's workload, verified. */
export type WorkloadPrincipal = {
  readonly spiffeId: SpiffeId
  /** What it was believed on. */
  readonly verifiedBy: 'certificate' | 'principal' | 'forwarded' | 'service-token' | 'jwt-svid'
  /** SHA-256 of the leaf's DER, lower-case hex, where there was a certificate. */
  readonly certificateSha256?: string | undefined
  /** The leaf's serial number in lower-case hex, and its own notBefore, where there was a certificate to read. */
  readonly certificate?: { readonly serialHex: string; readonly notBeforeMs: number } | undefined
  /** The trusted proxy that named the caller; it needs the edge too. */
  readonly via?:
    { readonly spiffeId: SpiffeId; readonly certificate?: WorkloadPrincipal['certificate'] } | undefined
}

/** A service token that was verified, bound to the workload and meant for the target. */
export type ServiceTokenPrincipal = {
  readonly issuer: string
  /** `namespace/name` the issuer stands for by configuration. */
  readonly service: string
  /** Scopes of the token, cut to what its issuer may claim. */
  readonly scopes: readonly string[]
  readonly jti: string
}

/** A user, verified by a token of a configured issuer. Keyed everywhere by issuer and subject. */
export type UserPrincipal = {
  readonly issuer: string
  readonly subject: string
  /** Absent unless the token says that it is verified. */
  readonly email: string | undefined
  readonly roles: readonly string[]
  readonly scopes: readonly string[]
  readonly clientId: string | undefined
  readonly deviceId: string | undefined
  readonly deviceTrust: 'high' | 'medium' | 'low' | undefined
  /** 0..100 as the token claims. */
  readonly riskScore: number | undefined
  /** False unless claimed true. */
  readonly mfaVerified: boolean
  readonly sessionId: string | undefined
  readonly acr: string | undefined
  readonly amr: readonly string[]
  /** Milliseconds since the epoch. */
  readonly authTimeMs: number | undefined
  /** IANA name of the user's time zone. */
  readonly zone: string | undefined
  /** Every claim of the token by name, for `when` conditions. Parsed JSON on null-prototype objects or Maps; never logged. */
  readonly claims: Readonly<Record<string, unknown>>
}

/** Everyone that stands behind a request. */
export type Identity = {
  readonly workload: WorkloadPrincipal | undefined
  readonly serviceToken: ServiceTokenPrincipal | undefined
  readonly user: UserPrincipal | undefined
}

export type { Eventually } from './eventually.js'
