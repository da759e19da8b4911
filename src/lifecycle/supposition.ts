import type { HypotheticalCall } from './encode-check.js'
import type { HypotheticalCaller } from './suppose-caller.js'

/** A call that nobody made and whose credentials nobody verified, for `check` and the admin API. */
export type Supposition = {
  /** SPIFFE ID or `namespace/name` of the calling workload, and of the trusted proxy that forwards it. */
  readonly caller?: string | undefined
  readonly via?: string | undefined
  readonly workloadScope?: readonly string[] | undefined
  /** `namespace/name`; only a Gateway finds it by host and path. */
  readonly target?: string | undefined
  readonly method: string
  /** With its query. */
  readonly path: string
  readonly host?: string | undefined
  readonly header?: readonly (readonly [string, string])[] | undefined
  /** Whole, as Envoy would send it along; empty is none. */
  readonly body?: string | Uint8Array | undefined
  /** `package.Service/Method`. */
  readonly grpc?: string | undefined
  readonly tcp?: boolean | undefined
  readonly port: number
  readonly sourceIp: string
  readonly listenerRole: 'Sidecar' | 'Gateway'
  readonly mtls: 'Strict' | 'Permissive'
  readonly user?: string | undefined
  readonly issuer: string
  readonly role?: readonly string[] | undefined
  readonly userScope?: readonly string[] | undefined
  /** Claims as the issuer writes them. */
  readonly claim?: Readonly<Record<string, unknown>> | undefined
  readonly mfa?: boolean | undefined
  readonly acr?: string | undefined
  readonly amr?: readonly string[] | undefined
  /** A verified address. */
  readonly email?: string | undefined
  /** Milliseconds since the user authenticated. */
  readonly authAge?: number | undefined
  readonly risk?: number | undefined
  readonly deviceTrust?: 'high' | 'medium' | 'low' | undefined
  readonly deviceId?: string | undefined
  readonly sessionId?: string | undefined
}

/** As Envoy would describe the call. */
export function callOf(supposed: Supposition): HypotheticalCall {
  const grpc = supposed.grpc !== undefined
  return {
    http: supposed.tcp
      ? undefined
      : {
          method: grpc ? 'POST' : supposed.method,
          path: grpc ? `/${supposed.grpc}` : supposed.path,
          host: supposed.host ?? supposed.target?.split('/')[1] ?? '',
          headers: grpc
            ? [['content-type', 'application/grpc'], ...(supposed.header ?? [])]
            : (supposed.header ?? []),
          body: supposed.body,
        },
    target: supposed.target,
    sourceIp: supposed.sourceIp,
    destinationPort: supposed.port,
  }
}

/** The claims of the user's token; auth_time counts back from `nowMs`, and the token was issued then. */
export function userOf(supposed: Supposition, nowMs: number): HypotheticalCaller['user'] {
  if (supposed.user === undefined) return undefined
  const authenticatedAt = Math.floor((nowMs - (supposed.authAge ?? 0)) / 1000)
  const used = {
    iss: supposed.issuer,
    sub: supposed.user,
    roles: supposed.role,
    scope: supposed.userScope?.join(' '),
    mfa_verified: supposed.mfa,
    acr: supposed.acr,
    amr: supposed.amr,
    email: supposed.email,
    email_verified: supposed.email === undefined ? undefined : true,
    auth_time: supposed.authAge === undefined ? undefined : authenticatedAt,
    iat: authenticatedAt,
    risk_score: supposed.risk,
    device_trust_level: supposed.deviceTrust,
    device_id: supposed.deviceId,
    session_id: supposed.sessionId,
  }
  const given = Object.entries(used).filter(([, value]) => value !== undefined)
  return { raw: supposed.claim ?? {}, used: Object.fromEntries(given) }
}
