/** What one caller of the API can take up. Times in milliseconds. */
export type AdminLimits = {
  /** Of a body, where a route doesn't say more. */
  readonly bodyBytes: number
  readonly headerBytes: number
  /** Until a request's headers have come. */
  readonly headersMs: number
  /** Until a whole request has come. */
  readonly requestMs: number
  readonly connections: number
  /** Callers who follow decisions at one time. */
  readonly followers: number
  /** What a slow follower may have waiting before it is cut off. */
  readonly followerBytes: number
  /** Longest that anybody follows; then they come again, and are asked who they are again. */
  readonly followMs: number
  /** Between the blank lines that show a follower that the connection lives. */
  readonly heartbeatMs: number
  /** For an event to be recorded. */
  readonly auditMs: number
  /** For requests under way, when the server closes. */
  readonly closeMs: number
}

export const ADMIN_LIMITS: AdminLimits = {
  bodyBytes: 256 * 1024,
  headerBytes: 16 * 1024,
  headersMs: 10_000,
  requestMs: 30_000,
  connections: 128,
  followers: 8,
  followerBytes: 1024 * 1024,
  followMs: 3_600_000,
  heartbeatMs: 15_000,
  auditMs: 2_000,
  closeMs: 3_000,
}
