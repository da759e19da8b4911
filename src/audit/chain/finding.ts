/** What can be wrong with a log. */
export type FindingKind =
  /** Its bytes are not those that were written. */
  | 'changed'
  /** It ends in no chain. */
  | 'unreadable'
  /** The log ends in the middle of it. */
  | 'incomplete'
  | 'missing'
  | 'duplicate'
  | 'inserted'
  | 'reordered'
  /** A file has another's name, or lines are in another file than they were written to. */
  | 'misplaced'
  | 'bad-signature'
  | 'unknown-key'
  | 'unsigned'
  /** A line of the log itself says what is not so. */
  | 'contradiction'
  /** The torn end that a start accounted for is not there, or another one. */
  | 'torn'
  /** The end of the log is missing. */
  | 'truncated'
  /** Another line than the one that a witness knows. */
  | 'forked'
  /** The head file is missing, unreadable or too old. */
  | 'head'
  | 'stream-missing'

export type Place = {
  readonly file: string
  /** From 1; 0: the file as a whole. */
  readonly line: number
}

export type Finding = Place & {
  readonly kind: FindingKind
  /** Number in the stream of what is found, where it has one. */
  readonly seq?: number | undefined
  /** Last line, where several in a row are found. */
  readonly toLine?: number | undefined
  readonly toSeq?: number | undefined
  /** For people, without the place. */
  readonly message: string
}

type Kept = { -readonly [Name in keyof Finding]: Finding[Name] }

/** A finding that was reported, to say it better once more is known. */
export type Reported = { readonly restate: (kind: FindingKind, message: string) => void }

/** Of one stream. */
const MAX_KEPT = 1000

/** Findings in the order in which they came; lines in a row of which the same is found are one. Bounded. */
export class Findings {
  #kept: Kept[] = []
  #untold = 0

  add(finding: Finding): Reported {
    const last = this.#kept.at(-1)
    if (last && continues(last, finding)) {
      last.toLine = finding.toLine ?? finding.line
      if (last.seq !== undefined) last.toSeq = finding.toSeq ?? finding.seq
      return NOTHING_REPORTED
    }
    if (this.#kept.length >= MAX_KEPT) {
      this.#untold++
      return NOTHING_REPORTED
    }
    const kept = { ...finding }
    this.#kept.push(kept)
    return {
      restate: (kind, message) => {
        kept.kind = kind
        kept.message = message
      },
    }
  }

  /** For `takeBack`. */
  get count(): number {
    return this.#kept.length
  }

  /** Whatever was added since there were `count` was none. */
  takeBack(count: number): void {
    this.#kept = this.#kept.slice(0, count)
  }

  get list(): readonly Finding[] {
    return this.#kept
  }

  /** Found and not kept. */
  get untold(): number {
    return this.#untold
  }
}

const NOTHING_REPORTED: Reported = { restate: () => undefined }

/** Only what needs no words of its own is put together. */
function continues(last: Kept, next: Finding): boolean {
  return (
    last.kind === next.kind &&
    last.file === next.file &&
    last.message === next.message &&
    next.line === (last.toLine ?? last.line) + 1
  )
}
