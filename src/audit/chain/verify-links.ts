import { CHAIN_START, type ChainedLine, type ChainEnd, chainHash } from './chain-line.js'
import type { FindingKind, Findings, Place, Reported } from './finding.js'

/** How a line hangs on what was before it. */
export type Link = {
  /** `fits`: as it was written, after this hash. `unproven`: what was before it is unknown. `flawed`: told already. */
  readonly kind: 'fits' | 'unproven' | 'flawed'
  readonly seq: number
  readonly previousHash: string | undefined
}

/** Lines that are not where they belong. */
export type Gap = {
  readonly from: number
  readonly to: number
  /** Of its last line, where the line after it says so. */
  readonly lastHash: string | undefined
  /** Where they should stand. */
  readonly place: Place
  /** How many of them turned up elsewhere, and where the last of them did. */
  filled: number
  foundAt?: Place
}

type About = {
  /** What the line itself says it hangs on. */
  readonly claimed: () => ChainEnd | undefined
  /** Where lines should stand that are missing before it. */
  readonly gapPlace: Place
}

export type SavedLinks = {
  readonly ends: readonly ChainEnd[]
  readonly top: ChainEnd
  readonly gaps: readonly Gap[]
}

/** Lines whose hashes are remembered, to tell a duplicate. */
const RECENT = 4096
const MAX_GAPS = 1000
/** Ways to go on that are kept in mind after a finding. */
const MAX_ENDS = 4
const NONE: readonly ChainEnd[] = []

type Suspicion = {
  readonly end: ChainEnd
  readonly gap: Gap | undefined
  readonly reported: Reported
}

/**
 * Follows the chain of one stream from line to line, and over whatever was done to it. After a finding it keeps every
 * way in mind in which the log may go on (the line was changed, its hash was, it was put in), and takes the one that
 * the next line proves. Memory does not depend on the log.
 */
export class Links {
  readonly #findings: Findings
  readonly #recent: (string | undefined)[] = []
  /** What a next line may hang on; the likeliest first. */
  #ends: readonly ChainEnd[] = [CHAIN_START]
  /** Highest number that was seen in its place. */
  #top: ChainEnd = CHAIN_START
  #first = 0
  #gaps: readonly Gap[] = []
  #unreadable = 0
  #suspicion: Suspicion | undefined

  constructor(findings: Findings) {
    this.#findings = findings
  }

  get top(): ChainEnd {
    return this.#top
  }

  /** Number of the first line that was seen; 0: none. */
  get first(): number {
    return this.#first
  }

  /** As `top`, when each line that could not be read behind it was one of the stream. */
  get possibleLast(): number {
    return this.#top.seq + this.#unreadable
  }

  get gaps(): readonly Gap[] {
    return this.#gaps
  }

  /** A line that ends in no chain; it may stand for a line that was there. */
  skip(): void {
    this.#unreadable++
  }

  /** What `restore` goes back to. */
  save(): SavedLinks {
    return { ends: this.#ends, top: this.#top, gaps: this.#gaps }
  }

  /** Whatever was taken or skipped since was no part of the stream. */
  restore({ ends, top, gaps }: SavedLinks): void {
    this.#ends = ends
    this.#top = top
    this.#gaps = gaps
    this.#unreadable = 0
    this.#suspicion = undefined
    if (top.seq === 0) this.#first = 0
  }

  take(line: ChainedLine, place: Place, about: About): Link {
    const suspicion = this.#suspicion
    const skipped = this.#unreadable
    this.#suspicion = undefined
    this.#unreadable = 0
    const end = this.#ends.find((each) => each.seq + 1 === line.seq && hangsOn(each, line))
    if (end) return this.#fits(line, end, place, suspicion)
    const expected = this.#top.seq + 1
    const renumbered = this.#ends.find((each) => hangsOn(each, { ...line, seq: each.seq + 1 }))
    if (renumbered) {
      const seq = renumbered.seq + 1
      this.#report('changed', seq, place, `line ${seq} has the number ${line.seq}`)
      this.#goOn({ seq, hash: line.hash }, [])
      return { kind: 'flawed', seq, previousHash: renumbered.hash }
    }
    if (line.seq > expected) return this.#afterGap(line, place, skipped, about)
    if (line.seq === expected) return this.#changed(line, place)
    return this.#late(line, place)
  }

  #fits(line: ChainedLine, end: ChainEnd, place: Place, suspicion: Suspicion | undefined): Link {
    if (suspicion?.end === end) {
      suspicion.reported.restate('inserted', 'not written here by Portcullis')
      if (suspicion.gap) this.#gaps = this.#gaps.filter((gap) => gap !== suspicion.gap)
      this.#top = end
    }
    const { seq, hash } = line
    const others = this.#ends.length === 1 ? NONE : this.#ends.filter((each) => each !== end)
    if (seq <= this.#top.seq) {
      this.#reportLate(line, place)
      this.#ends = [{ seq, hash }, ...others]
      return { kind: 'flawed', seq, previousHash: end.hash }
    }
    this.#goOn(line, others)
    return { kind: 'fits', seq, previousHash: end.hash }
  }

  #changed(line: ChainedLine, place: Place): Link {
    const before = this.#top
    const reported = this.#report('changed', line.seq, place, 'not as it was written')
    const computed = { seq: line.seq, hash: chainHash(before.hash, line.body, line.seq) }
    this.#goOn(line, [computed, before])
    this.#suspicion = { end: before, gap: undefined, reported }
    return { kind: 'flawed', seq: line.seq, previousHash: before.hash }
  }

  #afterGap(line: ChainedLine, place: Place, skipped: number, about: About): Link {
    const before = this.#top
    const claimed = about.claimed()
    const [from, to] = [before.seq + 1, line.seq - 1]
    const proven = claimed && claimed.seq === to && hangsOn(claimed, line) ? claimed.hash : undefined
    const isContradicted = claimed !== undefined && proven === undefined
    let reported: Reported | undefined
    let gap: Gap | undefined
    if (isContradicted) reported = this.#report('changed', line.seq, place, 'not as it was written')
    // Each line that can't be read stands for one that was there.
    if (to - from + 1 > skipped) {
      gap = { from, to, lastHash: proven, place: about.gapPlace, filled: skipped }
      if (this.#gaps.length < MAX_GAPS) this.#gaps = [...this.#gaps, gap]
      else this.#report('missing', to, place, 'lines before it are missing')
    }
    this.#goOn(line, [before])
    this.#suspicion = { end: before, gap, reported: reported ?? this.#unreported(line, place) }
    return { kind: isContradicted ? 'flawed' : 'unproven', seq: line.seq, previousHash: proven }
  }

  /** Tells it only when the next line shows that this one does not belong here. */
  #unreported(line: ChainedLine, place: Place): Reported {
    return {
      restate: (kind, message) => void this.#findings.add({ ...place, kind, seq: line.seq, message }),
    }
  }

  /** A number that should have been before. */
  #late(line: ChainedLine, place: Place): Link {
    const { seq, hash } = line
    this.#reportLate(line, place)
    this.#ends = [...this.#ends.slice(0, MAX_ENDS - 1), { seq, hash }]
    return { kind: 'flawed', seq, previousHash: undefined }
  }

  #reportLate(line: ChainedLine, place: Place): void {
    if (this.#fill(line, place)) return
    const isRecent = line.seq > this.#top.seq - RECENT + 1
    const before = line.seq === 1 ? CHAIN_START.hash : this.#recent[(line.seq - 1) % RECENT]
    if (!isRecent || this.#recent[line.seq % RECENT] !== line.hash || before === undefined)
      this.#report('inserted', line.seq, place, 'a line with this number was there before')
    else if (hangsOn({ seq: line.seq - 1, hash: before }, line))
      this.#report('duplicate', line.seq, place, 'it was there before')
    else this.#report('duplicate', line.seq, place, 'it was there before, and differs')
  }

  /** False: it is missing nowhere. */
  #fill(line: ChainedLine, place: Place): boolean {
    const gap = this.#gaps.find(({ from, to }) => from <= line.seq && line.seq <= to)
    if (!gap) return false
    gap.filled++
    gap.foundAt = place
    this.#report('reordered', line.seq, place, 'stands behind later lines')
    return true
  }

  #goOn({ seq, hash }: ChainEnd, others: readonly ChainEnd[]): void {
    this.#top = { seq, hash }
    this.#first ||= seq
    this.#recent[seq % RECENT] = hash
    this.#ends = others.length === 0 ? [this.#top] : [this.#top, ...others].slice(0, MAX_ENDS)
  }

  #report(kind: FindingKind, seq: number, place: Place, message: string): Reported {
    return this.#findings.add({ ...place, kind, seq, message })
  }
}

function hangsOn({ hash }: ChainEnd, { body, seq, hash: stated }: ChainedLine): boolean {
  return chainHash(hash, body, seq) === stated
}
