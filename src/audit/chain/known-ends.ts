import type { ChainEnd } from './chain-line.js'
import { DEFAULT_STREAM } from './file-names.js'
import type { Witness } from './witnesses.js'

type Known = ChainEnd & { readonly bySeq: number }

/** Of one stream. */
const MAX_KNOWN = 200_000

/** What checkpoints of one stream say of the ends of others. Bounded: beyond that every second one is kept. */
export class KnownEnds {
  readonly #known = new Map<
    string,
    { list: Known[]; newest: Known; last: ChainEnd; step: number; passed: number }
  >()

  note(streams: ReadonlyMap<string, ChainEnd>, bySeq: number): void {
    for (const [stream, end] of streams) {
      const newest = { ...end, bySeq }
      const known = this.#known.get(stream)
      if (!known) this.#known.set(stream, { list: [newest], newest, last: end, step: 1, passed: 0 })
      else if (known.newest.seq !== end.seq || known.newest.hash !== end.hash) {
        known.newest = newest
        if (end.seq > known.last.seq) known.last = end
        if (++known.passed % known.step !== 0) continue
        known.list.push(newest)
        if (known.list.length < MAX_KNOWN) continue
        known.list = known.list.filter((_, index) => index % 2 === 0)
        known.step *= 2
      }
    }
  }

  /** The line with the highest number that is named. */
  lastOf(stream: string): ChainEnd | undefined {
    return this.#known.get(stream)?.last
  }

  has(stream: string): boolean {
    return this.#known.has(stream)
  }

  streams(): readonly string[] {
    return [...this.#known.keys()]
  }

  witnessesOf(stream: string): readonly Witness[] {
    const known = this.#known.get(stream)
    if (!known) return []
    return [...known.list, known.newest].map(({ seq, hash, bySeq }) => ({
      seq,
      hash,
      by: 'checkpoint',
      told: `line ${bySeq} of the stream ${DEFAULT_STREAM}`,
    }))
  }
}
