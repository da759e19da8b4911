import { type ChainedLine, type ChainEnd, splitLine } from './chain-line.js'
import type { LogFileName } from './file-names.js'
import { type Finding, type FindingKind, Findings, type Place } from './finding.js'
import { previousOf, type TornEnd } from './log-lines.js'
import { type LogLine, parseLogLine } from './parse-log-line.js'
import type { SignatureCheck } from './signature-check.js'
import type { StreamReport } from './stream-report.js'
import { TornRegion } from './torn-region.js'
import { type Gap, type Link, Links, type SavedLinks } from './verify-links.js'
import { Vouching } from './vouching.js'
import { type Witness, Witnesses } from './witnesses.js'

export type StreamOptions = {
  readonly stream: string
  readonly checkSignature: SignatureCheck
  /** A log without any signature is a finding. */
  readonly expectsSignatures: boolean
  /** What others know of this stream. */
  readonly witnesses: readonly Witness[]
  /** What is known of other streams, by a line of this one. */
  readonly onStreams?: (streams: ReadonlyMap<string, ChainEnd>, bySeq: number) => void
}

type LogLineOf<Type extends LogLine['type']> = Extract<LogLine, { readonly type: Type }>

/**
 * Verifies the lines of one stream, which are handed over in order, file by file. Memory does not depend on the log.
 * Never throws on what it reads.
 */
export class StreamVerifier {
  readonly #options: StreamOptions
  readonly #findings = new Findings()
  readonly #links = new Links(this.#findings)
  readonly #witnesses: Witnesses
  readonly #vouching: Vouching
  /** Since the last line that fits, and since the last one with a chain. */
  readonly #torn = new TornRegion()
  readonly #unreadable = new TornRegion()
  #files: string[] = []
  #file: LogFileName | undefined
  #lineNumber = 0
  /** The last one with a chain. */
  #chainedLine = 0
  #lines = 0
  #checkpoint: ChainEnd | undefined
  #previousCheckpoint: ChainEnd | undefined
  #removedTo = 0
  #uncleanStarts = 0
  #tornBytes = 0
  /** What the last line says of the file. */
  #ending: 'rotation' | 'close' | 'open' | 'flawed' = 'open'
  /** The line before closed the log. */
  #wasClosed = false
  /** The file before ends without its last checkpoint. */
  #unfinished: (Place & { readonly isTold: boolean }) | undefined

  constructor(options: StreamOptions) {
    this.#options = options
    this.#witnesses = new Witnesses(options.witnesses)
    this.#vouching = new Vouching(options.checkSignature)
  }

  /** The lines that follow are of this file. */
  beginFile(file: LogFileName): void {
    this.#unfinished = undefined
    if (this.#file && this.#ending !== 'rotation') {
      const isTold = this.#ending === 'flawed'
      this.#unfinished = { file: this.#file.name, line: this.#lineNumber, isTold }
    }
    if (this.#file?.kind === 'active')
      this.#add('misplaced', 'the file has the name of the active one, and others are newer')
    this.#file = file
    this.#files.push(file.name)
    this.#lineNumber = this.#chainedLine = 0
  }

  /** `isEnded`: a line feed follows. */
  line(bytes: Buffer, isEnded: boolean): void {
    this.#lineNumber++
    this.#lines++
    const saved = this.#links.save()
    const found = this.#findings.count
    if (!isEnded) this.#add('incomplete', 'the file ends in the middle of this line')
    const chained = splitLine(bytes)
    if (chained) {
      this.#chained(chained, bytes, saved, found)
      return
    }
    if (isEnded) this.#add('unreadable', 'no line of an audit log')
    this.#links.skip()
    this.#ending = 'flawed'
    this.#torn.add(bytes, saved, found)
    this.#unreadable.add(bytes, saved, found)
  }

  end(): StreamReport {
    const gaps = this.#links.gaps.filter((gap) => !this.#isAccountedFor(gap))
    for (const gap of gaps) this.#missing(gap)
    const { top } = this.#links
    if (this.#file?.kind === 'closed' && this.#ending === 'open')
      this.#add('missing', 'the file does not end with its last checkpoint', top.seq)
    const end = { file: this.#file?.name ?? '', line: this.#lineNumber + 1 }
    if (this.#file && this.#lines === 0)
      this.#findings.add({ ...end, kind: 'truncated', message: 'the stream has no line' })
    for (const each of this.#witnesses.unmet(this.#links.first, this.#links.possibleLast)) {
      const { kind, seq, message, isAtEnd } = each
      this.#findings.add({ ...(isAtEnd ? end : this.#start), kind, seq, message })
    }
    if (this.#options.expectsSignatures && this.#vouching.figures().signedLines === 0 && this.#lines > 0) {
      this.#findings.add({ ...this.#start, kind: 'unsigned', message: 'no line of the stream is signed' })
    }
    return {
      stream: this.#options.stream,
      files: this.#files.length,
      lines: this.#lines,
      first: this.#links.first,
      last: top,
      checkpoint: this.#checkpoint,
      previousCheckpoint: this.#previousCheckpoint,
      ...this.#vouching.figures(),
      removedTo: this.#removedTo,
      uncleanStarts: this.#uncleanStarts,
      tornBytes: this.#tornBytes,
      isClosed: this.#ending === 'close',
      findings: this.#inOrder(),
      untold: this.#findings.untold,
    }
  }

  #chained(chained: ChainedLine, bytes: Buffer, saved: SavedLinks, found: number): void {
    const parsed = parseLogLine(chained.body)
    const log = parsed.kind === 'log' ? parsed.line : undefined
    if (log?.type === 'audit-opened' && log.torn) this.#settleTorn(log.torn)
    this.#unreadable.close()
    const link = this.#links.take(chained, this.#place, {
      claimed: () => previousOf(chained.body),
      gapPlace: this.#unfinished ? after(this.#unfinished) : { ...this.#place, line: this.#chainedLine + 1 },
    })
    this.#chainedLine = this.#lineNumber
    if (link.kind === 'fits') this.#torn.close()
    else this.#torn.add(bytes, saved, found)
    if (this.#lineNumber === 1) this.#firstOfFile(chained, link, log)
    this.#unfinished = undefined
    this.#wasClosed = this.#ending === 'close'
    const wasEnded = this.#wasClosed || (this.#ending === 'rotation' && this.#lineNumber > 1)
    this.#ending = link.kind === 'flawed' ? 'flawed' : 'open'
    if (link.kind === 'flawed') return
    if (wasEnded && log?.type !== 'audit-opened')
      this.#add('inserted', 'it stands behind a closing checkpoint, where only a start can be', link.seq)
    const mismatch = this.#witnesses.meet(chained)
    if (mismatch) this.#add(mismatch.kind, mismatch.message, mismatch.seq)
    if (parsed.kind === 'bad') this.#add('contradiction', parsed.problem, link.seq)
    if (log) this.#logLine(log, chained, link)
  }

  /** What doesn't fit before this line is no part of the stream, if it is what the line accounts for. */
  #settleTorn(torn: TornEnd): void {
    const before = this.#torn.settle(torn) ?? this.#unreadable.settle(torn)
    if (before) {
      this.#findings.takeBack(before.found)
      this.#links.restore(before.saved)
      this.#tornBytes += torn.bytes
    } else {
      this.#add(
        'torn',
        `the torn end of ${torn.bytes} bytes that this start accounts for is not what stands before it`,
      )
    }
  }

  #firstOfFile({ seq }: ChainedLine, link: Link, log: LogLine | undefined): void {
    const file = this.#file
    if (file?.kind === 'closed' && file.firstSeq !== seq && link.kind !== 'flawed')
      this.#add('misplaced', `the file is named for line ${file.firstSeq} and begins with line ${seq}`, seq)
    if (link.kind !== 'fits') return
    if (this.#unfinished && !this.#unfinished.isTold) {
      const { file: name, line } = this.#unfinished
      const message = 'the file does not end with its last checkpoint, which is elsewhere'
      this.#findings.add({ file: name, line, kind: 'misplaced', seq: seq - 1, message })
    }
    if (log?.type !== 'audit-opened')
      this.#add('misplaced', 'the file does not begin with the line that opens it', seq)
  }

  #logLine(log: LogLine, { body, seq, hash }: ChainedLine, link: Link): void {
    if (log.stream !== this.#options.stream) {
      this.#add('misplaced', `a line of the stream ${log.stream}`, seq)
      return
    }
    const found = this.#vouching.look(log, { seq, hash }, { body, place: this.#place, ...link })
    if (found.problem) this.#add(found.problem.kind, found.problem.message, seq)
    if (log.type === 'audit-opened') this.#opened(log, seq, link)
    else if (log.type === 'audit-retention') {
      if (found.isTrusted) this.#retention(log)
    } else {
      this.#previousCheckpoint = this.#checkpoint
      this.#checkpoint = { seq, hash }
      this.#ending = log.reason === 'interval' ? 'open' : log.reason
      if (log.covered !== seq - 1)
        this.#add('contradiction', `it says that it covers line ${log.covered}`, seq)
      if (found.isTrusted && log.streams) this.#options.onStreams?.(log.streams, seq)
    }
  }

  #opened({ reason, previous }: LogLineOf<'audit-opened'>, seq: number, { previousHash }: Link): void {
    const isBefore = previous.seq === seq - 1 && (previousHash ?? previous.hash) === previous.hash
    if (!isBefore) this.#add('contradiction', `it says that line ${previous.seq} is before it`, seq)
    if ((reason === 'new' && seq > 1) || (reason === 'rotation' && this.#lineNumber > 1))
      this.#add('contradiction', `it opens the file for the reason "${reason}"`, seq)
    if (reason === 'start' && !this.#wasClosed) this.#uncleanStarts++
  }

  #retention({ removed }: LogLineOf<'audit-retention'>): void {
    const [gap] = this.#links.gaps
    if (!gap || gap.from !== 1) return
    if (removed.some(({ lastSeq, lastHash }) => lastSeq === gap.to && lastHash === gap.lastHash))
      this.#removedTo = gap.to
  }

  #isAccountedFor({ from, to }: Gap): boolean {
    return from === 1 && to === this.#removedTo
  }

  #missing({ from, to, filled, foundAt, place }: Gap): void {
    const lines = from === to ? `line ${from}` : `lines ${from} to ${to}`
    const isThere = foundAt !== undefined && filled >= to - from + 1
    const elsewhere = foundAt ? `; it stands at ${foundAt.file}:${foundAt.line}` : ''
    const message = isThere
      ? `${lines} should stand here${elsewhere}`
      : `${lines} should stand here${filled > 0 ? `, of which ${filled} are elsewhere or can't be read` : ''}`
    this.#findings.add({ ...place, kind: isThere ? 'reordered' : 'missing', seq: from, toSeq: to, message })
  }

  get #place(): Place {
    return { file: this.#file?.name ?? '', line: this.#lineNumber }
  }

  get #start(): Place {
    return { file: this.#files[0] ?? '', line: 1 }
  }

  #add(kind: FindingKind, message: string, seq?: number): void {
    this.#findings.add({ ...this.#place, kind, seq, message })
  }

  /** By file, then by line. */
  #inOrder(): readonly Finding[] {
    const order = new Map(this.#files.map((file, index) => [file, index]))
    const of = (finding: Finding): number => order.get(finding.file) ?? 0
    return this.#findings.list.toSorted((left, right) => of(left) - of(right) || left.line - right.line || 0)
  }
}

function after({ file, line }: Place): Place {
  return { file, line: line + 1 }
}
