import { isIPv6 } from 'node:net'

const WINDOW_MS = 60_000
const MOST_FAILURES = 10
/** Addresses remembered; beyond that the oldest window is forgotten. */
const MOST_ADDRESSES = 10_000

type Window = { readonly endsMs: number; failures: number }

/**
 * Counts failed authentications by remote address: after 10 in a minute nobody from there is heard until that minute is
 * over. IPv6 counts by /64, which is what one host can have.
 */
export class FailedAttempts {
  readonly #windows = new Map<string, Window>()

  /** Seconds until the address is heard again; 0: now. */
  waitSeconds(address: string, nowMs: number): number {
    const window = this.#windows.get(prefixOf(address))
    if (!window || window.failures < MOST_FAILURES || nowMs >= window.endsMs) return 0
    return Math.ceil((window.endsMs - nowMs) / 1000)
  }

  /** True where it was the failure that closes the door. */
  note(address: string, nowMs: number): boolean {
    const prefix = prefixOf(address)
    const window = this.#windows.get(prefix)
    if (window && nowMs < window.endsMs) {
      window.failures++
      return window.failures === MOST_FAILURES
    }
    this.#windows.delete(prefix)
    const [oldest] = this.#windows.keys()
    if (this.#windows.size >= MOST_ADDRESSES && oldest !== undefined) this.#windows.delete(oldest)
    this.#windows.set(prefix, { endsMs: nowMs + WINDOW_MS, failures: 1 })
    return false
  }
}

function prefixOf(address: string): string {
  const [plain = ''] = address.split('%')
  if (!isIPv6(plain)) return plain
  const mapped = /^::ffff:([0-9.]+)$/i.exec(plain)?.[1]
  if (mapped !== undefined) return mapped
  const [head = '', tail] = plain.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length)
  return [...before, ...Array.from({ length: zeros }, () => '0'), ...after].slice(0, 4).join(':')
}
