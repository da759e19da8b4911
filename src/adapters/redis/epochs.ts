import { randomUUID } from 'node:crypto'
import { afterLoss, type Bucket, type Epoch, parseEpoch } from './buckets.js'
import { type Client, run } from './connection.js'
import { ENTER_EPOCH, MARK_EPOCH } from './scripts.js'

/** A store whose parts are all younger is being made just now. */
const NEW_STORE_MS = 10_000

/** A bucket, with the epoch that it was last seen in. */
export type Place = Bucket & { epoch: Epoch | undefined }

export type EpochsOptions<P extends Place> = {
  readonly client: Client
  readonly places: readonly P[]
  readonly now: () => number
  /** What this process knew to be there is gone. The place has its new epoch. */
  readonly onLoss: (place: P) => void
}

/** Notices that buckets were lost, by their epochs. */
export class Epochs<P extends Place> {
  readonly #options: EpochsOptions<P>
  #lostBeforeMs: number | undefined

  constructor(options: EpochsOptions<P>) {
    this.#options = options
  }

  /** Milliseconds since the epoch; undefined: nothing was lost. */
  get lostBeforeMs(): number | undefined {
    return this.#lostBeforeMs
  }

  /** Looks which epochs there are, and makes those that are not. Rejects like any command. */
  async enterAll(): Promise<void> {
    const { client, places, now } = this.#options
    const stored = await Promise.all(places.map(({ epochKey }) => client.get(epochKey)))
    const nowMs = now()
    const isOld = stored.some((text) => text !== null && nowMs - parseEpoch(text).createdAtMs > NEW_STORE_MS)
    const entering = places.map(async (place, n) => {
      const text = stored[n] ?? (await this.#make(place, isOld || place.epoch !== undefined, nowMs))
      if (text !== place.epoch?.text) await this.#enter(place, parseEpoch(text))
    })
    await Promise.all(entering)
  }

  async #make({ epochKey }: P, isLost: boolean, nowMs: number): Promise<string> {
    const args = [randomUUID(), isLost ? 'lost' : 'new', `${nowMs}`]
    return String(await run(this.#options.client, ENTER_EPOCH, [epochKey], args))
  }

  async #enter(place: P, found: Epoch): Promise<void> {
    let epoch = found
    const isLoss = place.epoch !== undefined && place.epoch.id !== found.id
    if (isLoss && !found.isLost) {
      // Made by a replica that had never seen the one before.
      epoch = afterLoss(found)
      const marked = await run(this.#options.client, MARK_EPOCH, [place.epochKey], [found.text, epoch.text])
      if (String(marked) !== 'ok') throw new Error('the store was lost again')
    }
    place.epoch = epoch
    if (epoch.isLost) this.#lostBeforeMs = Math.max(this.#lostBeforeMs ?? 0, epoch.createdAtMs)
    if (isLoss) this.#options.onLoss(place)
  }
}
