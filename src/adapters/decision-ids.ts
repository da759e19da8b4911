import { randomFillSync } from 'node:crypto'

const RANDOM_BYTES_AT_ONCE = 8192
const BYTES_PER_ID = 10
const VARIANT = ['8', '9', 'a', 'b']

/**
 * Makes decision ids: UUIDs of version 7, so they sort by time and 74 random bits can't be guessed.
 * Randomness is drawn in blocks, since asking the system costs about a microsecond each time.
 * Source: RFC 9562, 5.7. `nowMs`: milliseconds since the epoch.
 */
export function createDecisionIds(nowMs: () => number): () => string {
  const block = Buffer.alloc(RANDOM_BYTES_AT_ONCE)
  let hex = ''
  let used = RANDOM_BYTES_AT_ONCE
  let time = { ms: Number.NaN, text: '' }

  return () => {
    if (used + BYTES_PER_ID > RANDOM_BYTES_AT_ONCE) {
      hex = randomFillSync(block).toString('hex')
      used = 0
    }
    const ms = nowMs()
    if (ms !== time.ms) time = { ms, text: writeTime(ms) }
    const at = 2 * used
    const variant = VARIANT[(block[used + 2] ?? 0) & 3]
    used += BYTES_PER_ID
    return `${time.text}-7${hex.slice(at, at + 3)}-${variant}${hex.slice(at + 5, at + 8)}-${hex.slice(at + 8, at + 20)}`
  }
}

/** 48 bits of milliseconds as the first two groups of a UUID. */
function writeTime(ms: number): string {
  const digits = Math.trunc(ms).toString(16).padStart(12, '0')
  return `${digits.slice(0, 8)}-${digits.slice(8)}`
}
