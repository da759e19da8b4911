import { createHash } from 'node:crypto'
import type { Place } from '../request/place.js'

/** What one call shows of its user. */
export type Sighting = {
  readonly nowMs: number
  /** Where the user is, by the client's address; undefined where nobody knows. */
  readonly place: Place | undefined
  /** The client's address, canonical. */
  readonly address: string | undefined
  /** It is on a threat list. */
  readonly malicious: boolean
  /** From `userAgentKey`. */
  readonly agent: string | undefined
  readonly deviceId: string | undefined
  /** Posture score of the device, and when the newest of what makes it began; undefined where no inventory is kept. */
  readonly device: { readonly posture: number; readonly beganMs: number | undefined } | undefined
  /** IANA name of the user's own time zone. */
  readonly zone: string | undefined
  /** When the user authenticated with MFA, milliseconds since the epoch; undefined where the token shows none. */
  readonly answeredMs: number | undefined
  /** Path as decided on; undefined for TCP. */
  readonly path: string | undefined
  /** The endpoint is of high sensitivity. */
  readonly sensitive: boolean
}

/** UTF-16 units of a user agent that count: what a peer sends beyond costs nothing. */
const AGENT_UNITS = 1024
const AGENTS_KEPT = 4096

const keys = new Map<string, string>()

/** A short name of a user agent: 11 base64url characters of a SHA-256. Agents seen lately are not hashed again. */
export function userAgentKey(agent: string): string {
  const counted = agent.length > AGENT_UNITS ? agent.slice(0, AGENT_UNITS) : agent
  let key = keys.get(counted)
  if (key === undefined) {
    key = shortHash(counted)
    if (keys.size >= AGENTS_KEPT) keys.clear()
    keys.set(counted, key)
  }
  return key
}

/** 11 base64url characters of a SHA-256, for names of any bytes and length. */
export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 11)
}
