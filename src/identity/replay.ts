import { createHash } from 'node:crypto'
import type { Eventually } from './eventually.js'

/** The one use of a one-time credential. */
export type Claim = {
  /** From `replayKey`. */
  readonly key: string
  readonly issuedAtMs: number
  /** When the credential itself ends; the claim is remembered until then. */
  readonly expiresAtMs: number
}

/**
 * `before-start`: issued before this guard can know what was used, so it may be a replay.
 * `unavailable`: the guard can't remember one more, or can't be reached; the call is refused.
 */
export type ClaimAnswer = 'first' | 'replayed' | 'before-start' | 'unavailable'

/** Consumes one-time credentials atomically: of all claims of one key exactly one is `first`. Never throws. */
export type ReplayGuard = {
  claim(claim: Claim, nowMs: number): Eventually<ClaimAnswer>
}

/**
 * The name under which a `jti` is used up: 22 base64url characters of a SHA-256, so that memory does not depend
 * on the peer. Two issuers may use the same `jti`.
 */
export function replayKey(issuer: string, jti: string): string {
  return createHash('sha256').update(`${issuer}\n${jti}`).digest().toString('base64url', 0, 16)
}
