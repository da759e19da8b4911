/**
 * A call as the core sees it: read from Envoy's CheckRequest, canonical, not yet believed.
 * Strings are '' when Envoy sent nothing.
 */
export type AccessRequest = {
  /** Envoy's request id (`x-request-id`). */
  readonly requestId: string
  readonly source: Peer & {
    /** Percent-encoded PEM of the peer's leaf certificate, as Envoy sent it. */
    readonly certificate: string
  }
  readonly destination: Peer
  /** Absent for a TCP check. */
  readonly http: HttpCall | undefined
  readonly contextExtensions: ReadonlyMap<string, string>
  /** TLS server name of the downstream connection. */
  readonly sni: string
  /** What Envoy's own jwt_authn filter says; absent where it says nothing. */
  readonly jwtMetadata?: JwtMetadata | undefined
}

/** Metadata of Envoy's jwt_authn filter. Reading it costs its decoding. */
export interface JwtMetadata {
  /**
   * The objects that the filter keeps, by its keys: payloads of tokens that it verified, and parts of them. Objects
   * have no prototype. A result and no exception for what could be read in two ways or is too large.
   */
  payloads():
    | { readonly ok: true; readonly payloads: ReadonlyMap<string, Readonly<Record<string, unknown>>> }
    | { readonly ok: false; readonly problem: string }
}

export type Peer = {
  /** Textual IP address, '' for a pipe or when absent. */
  readonly ip: string
  readonly port: number
  /** First URI SAN, else DNS SAN, else Subject, of the certificate on that side. Unverified text. */
  readonly principal: string
}

/** An HTTP call in canonical form. What can't be brought to it never becomes one (reason ambiguous-request). */
export type HttpCall = {
  /** Upper-case token as sent. */
  readonly method: string
  /** Begins with `/`, without query; percent-encoding of unreserved bytes never occurs. */
  readonly path: string
  /** After the first `?`, '' when none. */
  readonly query: string
  /** Lower-case, without port. */
  readonly host: string
  /** `HTTP/1.1`, `HTTP/2`, `HTTP/3`. */
  readonly protocol: string
  /** Upgrade or CONNECT: matched only by endpoints with `protocol: WebSocket`. */
  readonly upgrade: boolean
  /** The caller speaks gRPC (content type), so a refusal is written as a gRPC status. */
  readonly grpc: boolean
  readonly headers: RequestHeaders
  /** Absent where Envoy sent none along. */
  readonly body?: RequestBody | undefined
}

/** What the request carries, as far as Envoy sends it along. The first reading costs its decoding. */
export interface RequestBody {
  read(): ReadBody
}

/** Objects have no prototype. `problem` says why nobody can tell what the upstream will find in it. */
export type ReadBody =
  | {
      readonly ok: true
      readonly value: unknown
      /** Names of form fields that occur more than once; they are not in `value`. */
      readonly repeated: ReadonlySet<string>
    }
  | { readonly ok: false; readonly problem: string }

/** Request headers by lower-case name. Reading one that was never asked for before costs its decoding. */
export interface RequestHeaders {
  /** The value of a header that occurs once; undefined when absent or repeated. */
  get(name: string): string | undefined
  /** How often it occurs as far as Envoy's message shows. */
  count(name: string): number
  /** All names as sent, lower-case, pseudo-headers left out. */
  names(): Iterable<string>
}
