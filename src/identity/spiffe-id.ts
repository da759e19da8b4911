/** A parsed SPIFFE ID. `text` is its one canonical spelling, so it serves as a map key. */
export type SpiffeId = {
  readonly text: string
  /** Lower-case. */
  readonly trustDomain: string
  /** '' or begins with `/`. */
  readonly path: string
}
