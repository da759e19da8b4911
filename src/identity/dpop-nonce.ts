import { createHmac, timingSafeEqual } from 'node:crypto'

/**
 * Nonces of this server that nobody has to remember: each says in which stretch of time it was made. One is taken
 * for one to two lifetimes. Only processes with the same key take them. Source: RFC 9449 8, 9.
 */
export class DpopNonces {
  readonly #key: Buffer
  readonly #lifetimeMs: number

  /** 32 random bytes. */
  constructor(key: Buffer, lifetimeMs: number) {
    this.#key = key
    this.#lifetimeMs = lifetimeMs
  }

  issue(nowMs: number): string {
    return this.#of(Math.floor(nowMs / this.#lifetimeMs))
  }

  accepts(nonce: string, nowMs: number): boolean {
    const now = Math.floor(nowMs / this.#lifetimeMs)
    return equal(nonce, this.#of(now)) || equal(nonce, this.#of(now - 1))
  }

  #of(stretch: number): string {
    return createHmac('sha256', this.#key)
      .update(`dpop-nonce ${stretch}`)
      .digest()
      .toString('base64url', 0, 18)
  }
}

function equal(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
