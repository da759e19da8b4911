import type { ChainedLine, ChainEnd } from './chain-line.js'
import type { FindingKind } from './finding.js'

/** Somebody who knows a line of a stream. */
export type Witness = ChainEnd & {
  readonly by: 'head-file' | 'given' | 'checkpoint'
  /** For people, for example `events.head`. */
  readonly told: string
  /** The line itself, without its chain. */
  readonly body?: Buffer
}

export type Mismatch = {
  readonly kind: FindingKind
  readonly seq: number
  readonly message: string
  /** It is about the end of the stream, else about its beginning. */
  readonly isAtEnd: boolean
}

/** Compares what witnesses know with the lines that are there. */
export class Witnesses {
  readonly #all: readonly Witness[]
  readonly #passed: Witness[] = []
  #next = 0
  #nextSeq: number

  constructor(witnesses: readonly Witness[]) {
    this.#all = witnesses.toSorted((left, right) => left.seq - right.seq)
    this.#nextSeq = this.#all[0]?.seq ?? Infinity
  }

  /** Shown each line in order. Undefined: nobody knows it otherwise. */
  meet(line: ChainedLine): Mismatch | undefined {
    if (line.seq < this.#nextSeq) return undefined
    let mismatch: Mismatch | undefined
    for (let each = this.#all[this.#next]; each && each.seq <= line.seq; each = this.#all[++this.#next]) {
      if (each.seq < line.seq) {
        if (each.by !== 'checkpoint') this.#passed.push(each)
      } else mismatch ??= compare(each, line)
    }
    this.#nextSeq = this.#all[this.#next]?.seq ?? Infinity
    return mismatch
  }

  /** What witnesses know and nobody was shown, when lines `first` to `last` are there. */
  unmet(first: number, last: number): readonly Mismatch[] {
    const removed = this.#passed
      .filter(({ seq }) => seq < first)
      .map(({ seq, told }) => ({
        kind: 'head' as const,
        seq,
        message: `${told} names line ${seq}, which is older than the first that is there`,
        isAtEnd: false,
      }))
    const newest = this.#all.slice(this.#next).findLast(({ seq }) => seq > last)
    if (!newest) return removed
    const { seq, told } = newest
    const message =
      last === 0
        ? `the lines up to ${seq} are missing, which ${told} names`
        : `the log ends with line ${last}, and ${told} names line ${seq}`
    return [...removed, { kind: 'truncated', seq: last + 1, message, isAtEnd: true }]
  }
}

function compare({ hash, body, by, told }: Witness, line: ChainedLine): Mismatch | undefined {
  const kind = by === 'head-file' ? 'head' : 'forked'
  if (hash !== line.hash) {
    const message = `another line ${line.seq} than ${told} knows: the log was put back or replaced`
    return { kind, seq: line.seq, message, isAtEnd: true }
  }
  if (!body || body.equals(line.body)) return undefined
  return { kind, seq: line.seq, message: `${told} is not a copy of it`, isAtEnd: true }
}
