import type { Claim, ClaimAnswer, ReplayGuard } from '../../identity/replay.js'
import { redisKey } from './buckets.js'
import { type Client, run, runReplicated, within } from './connection.js'
import type { Place } from './epochs.js'
import { CLAIM } from './scripts.js'

/** A claim is remembered for longer than its credential lasts, because clocks differ and are set back. */
const CLAIM_GRACE_MS = 60_000
const MAX_CLAIM_KEY = 128
/** For what nobody waits for. */
const LOOK_MS = 200

export type RedisClaimsOptions = {
  readonly client: Client
  readonly prefix: string
  readonly places: readonly Place[]
  readonly placeOf: (key: string) => Place
  readonly commandTimeoutMs: number
  readonly replicasToWait: number
  readonly isCurrent: () => boolean
  readonly onOtherEpoch: () => 'unavailable'
  readonly onFailure: (error: unknown) => void
}

/** One-time use, each a key that lasts a minute longer than what was used. */
export class RedisClaims implements ReplayGuard {
  readonly #options: RedisClaimsOptions

  constructor(options: RedisClaimsOptions) {
    this.#options = options
  }

  async claim({ key, issuedAtMs, expiresAtMs }: Claim, nowMs: number): Promise<ClaimAnswer> {
    const { client, prefix, placeOf, commandTimeoutMs, replicasToWait, isCurrent } = this.#options
    const place = placeOf(key)
    if (!isCurrent() || !place.epoch || key.length > MAX_CLAIM_KEY) return 'unavailable'
    if (!Number.isFinite(issuedAtMs) || !Number.isFinite(expiresAtMs)) return 'unavailable'
    if (Math.ceil(expiresAtMs / 1000) <= Math.floor(nowMs / 1000)) return 'replayed'
    const endMs = Math.ceil(expiresAtMs / 1000) * 1000
    try {
      const answer = await within(
        runReplicated(
          client,
          CLAIM,
          [place.epochKey, place.claimsKey, redisKey(prefix, place, 'c', key)],
          [place.epoch.text, Math.floor(issuedAtMs / 1000), endMs, endMs + CLAIM_GRACE_MS],
          { replicas: replicasToWait, waitMs: commandTimeoutMs },
        ),
        commandTimeoutMs,
      )
      const text = String(answer)
      if (text === 'first' || text === 'replayed' || text === 'before-start') return text
      return text === 'epoch' ? this.#options.onOtherEpoch() : 'unavailable'
    } catch (error) {
      this.#options.onFailure(error)
      return 'unavailable'
    }
  }

  /** The first second from which on every claim is known, as far as that can be told now. */
  async firstKnownSecond(): Promise<number> {
    const { client, places, onFailure } = this.#options
    const looks = places.map(async ({ epochKey, claimsKey, epoch }) =>
      Number(await run(client, CLAIM, [epochKey, claimsKey], [epoch?.text ?? ''])),
    )
    const seconds = await within(Promise.all(looks), LOOK_MS).catch((error: unknown) => {
      onFailure(error)
      return 'late' as const
    })
    return seconds === 'late' ? 0 : Math.max(...seconds.filter(Number.isFinite), 0)
  }
}
