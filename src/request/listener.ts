/** What one listener takes on trust. Source: FORMATS 2 `listeners`. */
export type ListenerRules = {
  readonly name: string
  readonly role: 'Sidecar' | 'Gateway'
  readonly peerIdentity: 'Certificate' | 'Principal' | 'None'
  /** Trust domains that may be named in `source.principal` under `peerIdentity: Principal`. */
  readonly principalTrustDomains: readonly string[]
  /** Peers whose x-forwarded-client-cert names the caller, by SPIFFE ID. */
  readonly trustedProxies: ReadonlyMap<string, TrustedProxy>
  /**
   * How many elements before the last one of x-forwarded-for the client's address is. Counts on Gateway listeners and
   * from trusted proxies only.
   */
  readonly trustedHops: number
  readonly mtls: 'Strict' | 'Permissive'
  /** Sources of the target's name; all that are present must agree. */
  readonly target: readonly ('principal' | 'extension' | 'route')[]
}

/** What a proxy may say of its own callers. Source: FORMATS 2 `listeners[].trustedProxies`. */
export type TrustedProxy = {
  /** Trust domains of the callers that it may name. */
  readonly trustDomains: readonly string[]
  /** Without a header the proxy is itself the caller; else there is no workload then. */
  readonly self: boolean
}

/** The Envoy that asks: its SPIFFE ID when it authenticated by mTLS to this listener. */
export type Asker = { readonly spiffeId: string | undefined }
