import type { ChainEnd } from './chain-line.js'
import type { FindingKind, Place } from './finding.js'
import { signatureOf } from './log-lines.js'
import type { LogLine } from './parse-log-line.js'
import type { SignatureCheck } from './signature-check.js'
import type { Sealed, StreamReport } from './stream-report.js'

/** Told in the report. */
const MAX_KEYS = 100

type Looked = {
  /** What the line says counts. */
  readonly isTrusted: boolean
  readonly problem?: { readonly kind: FindingKind; readonly message: string }
}

type Surroundings = {
  readonly body: Buffer
  readonly place: Place
  /** Undefined: lines before it are missing. */
  readonly previousHash: string | undefined
}

/** Who signed the lines of the log itself, and how far a signature vouches for what was before. */
export class Vouching {
  readonly #check: SignatureCheck
  readonly #keyIds = new Set<string>()
  #sealed: Sealed | undefined
  #signedLines = 0
  #unsignedLogLines = 0
  #toldUnsigned = false

  constructor(check: SignatureCheck) {
    this.#check = check
  }

  figures(): Pick<StreamReport, 'sealed' | 'signedLines' | 'unsignedLogLines' | 'keyIds'> {
    return {
      sealed: this.#sealed,
      signedLines: this.#signedLines,
      unsignedLogLines: this.#unsignedLogLines,
      keyIds: [...this.#keyIds],
    }
  }

  /** Shown each line of the log itself, in order. */
  look(log: LogLine, end: ChainEnd, { body, place, previousHash }: Surroundings): Looked {
    const signature = signatureOf(body)
    if (!signature) return this.#unsigned()
    this.#signedLines++
    const { keyId } = signature
    const isNewKey = !this.#keyIds.has(keyId)
    if (isNewKey && this.#keyIds.size < MAX_KEYS) this.#keyIds.add(keyId)
    // After lines that are missing nothing can be said of it.
    if (previousHash === undefined) return { isTrusted: false }
    const verdict = this.#check(previousHash, signature)
    if (verdict === 'good') this.#sealed = { ...end, atMs: log.atMs, place }
    if (verdict === 'good' || verdict === 'unchecked') return { isTrusted: true }
    if (verdict === 'bad') return problem('bad-signature', this.#forgery(end.seq))
    return isNewKey ? problem('unknown-key', `signed with the key ${keyId}, which was not given`) : UNTRUSTED
  }

  #unsigned(): Looked {
    this.#unsignedLogLines++
    // Before signing began; the first signature vouches for it.
    if (this.#signedLines === 0) return { isTrusted: true }
    if (this.#toldUnsigned) return UNTRUSTED
    this.#toldUnsigned = true
    return problem('unsigned', 'not signed, as lines of the log before it are')
  }

  #forgery(seq: number): string {
    const from = this.#sealed ? `after line ${this.#sealed.seq}` : 'from the beginning'
    return `its signature does not hold: something ${from} up to line ${seq} was changed and chained anew`
  }
}

const UNTRUSTED: Looked = { isTrusted: false }

function problem(kind: FindingKind, message: string): Looked {
  return { isTrusted: false, problem: { kind, message } }
}
