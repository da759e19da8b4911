/** What one listener takes on trust. Source: FORMATS 2 `listeners`. */
export type ListenerRules = {
  readonly name: string
  readonly role: 'Sidecar' | 'Gateway'
  readonly peerIdentity: 'Certificate' | 'Principal' | 'None'
  /** Trust domains that may be named in `source.principal` under `peerIdentity: Principal`. */
  readonly principalTrustDomains: readonly string[]
  readonly mtls: 'Strict' | 'Permissive'
  /** Sources of the target's name; all that are present must agree. */
  readonly target: readonly ('principal' | 'extension' | 'route')[]
}

/** The Envoy that asks: its SPIFFE ID when it authenticated by mTLS to this listener. */
export type Asker = { readonly spiffeId: string | undefined }
