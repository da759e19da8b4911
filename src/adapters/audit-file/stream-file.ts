import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { appendLine, appendLines, CHAIN_START, type ChainEnd } from '../../audit/chain/chain-line.js'
import { activeName, closedName, headName } from '../../audit/chain/file-names.js'
import {
  checkpointBody,
  type LogSigner,
  openedBody,
  type Opened,
  signedBody,
} from '../../audit/chain/log-lines.js'
import { FileBytes } from './file-bytes.js'
import { syncFolder, writeHead } from './head-file.js'
import { codeOf } from './io-error.js'
import type { SpareBuffers } from './spare-buffers.js'
import { type Recovered, recoverStream } from './recover-stream.js'

export type StreamOptions = {
  readonly folder: string
  readonly stem: string
  readonly stream: string
  readonly maxBytes: number
  readonly maxAgeMs: number
  /** False: the operating system decides when anything is on the disk. */
  readonly isSynced: boolean
  /** Undefined: nothing is signed. */
  readonly signer: () => LogSigner | undefined
  /** Last lines of other streams: of all, or of the default one. */
  readonly otherStreams: () => ReadonlyMap<string, ChainEnd>
  readonly spares: SpareBuffers
  readonly nowMs: () => number
  /** Of what an operator must know: lines are missing, a file was changed by somebody else. */
  readonly warn: (message: string) => void
}

/** The file that is written. */
type Current = {
  readonly handle: FileHandle
  readonly stats: Stats
  readonly bytes: FileBytes
  /** Number of its first line. */
  readonly firstSeq: number
  readonly openedAtMs: number
  lines: number
}

const NEW_FILE = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
const COPY_BYTES = 1024 * 1024

/**
 * One stream of an audit log: the file that is written, and its chain over files and restarts. What is appended is
 * chained at once and stays in memory until it is on the disk. All that is asynchronous may reject with what the file system
 * said; calling again goes on where that stopped. One call at a time, except `sync` beside `flush`.
 */
export class StreamFile {
  readonly #options: StreamOptions
  #current: Current | undefined
  /** The chain with everything that was appended. */
  #end: ChainEnd
  /** Of files before the one that is written. */
  #durableEnd: ChainEnd
  #uncovered = 0
  /** The newest that is not told in the head, and where in the file it ends. */
  #checkpoint: { readonly line: string; readonly endsAt: number } | undefined
  #step: 'write' | 'closing' | 'begin' = 'begin'
  #openReason: Opened['reason']
  #isClosing = false
  #isClosed = false

  private constructor(options: StreamOptions, { end, isNew }: Pick<Recovered, 'end' | 'isNew'>) {
    this.#options = options
    this.#end = end
    this.#durableEnd = end
    this.#openReason = isNew ? 'new' : 'start'
  }

  /**
   * Finds where the stream ended, accounts for what was torn, and goes on. `known`: the last line that something else
   * knows of; lines that are missing up to it stay visible as a gap.
   */
  static async open(options: StreamOptions, known: ChainEnd = CHAIN_START): Promise<StreamFile> {
    const recovered = await recoverStream(options, known)
    const file = new StreamFile(options, recovered)
    if (recovered.missing !== undefined) options.warn(recovered.missing)
    const { active } = recovered
    if (active) {
      const { handle, stats, firstSeq = recovered.end.seq + 1, openedAtMs = options.nowMs() } = active
      const bytes = new FileBytes(handle, stats.size, recovered.end, options.isSynced)
      file.#current = { handle, stats, bytes, firstSeq, openedAtMs, lines: 1 }
      file.#step = 'write'
      file.#appendOpened(active.needsLineFeed ? '\n' : '', active.torn)
    }
    try {
      await file.flush()
      await file.sync()
    } catch (error) {
      await file.abandon()
      throw error
    }
    return file
  }

  /** The last line that is as durable as this stream makes any. */
  get durableEnd(): ChainEnd {
    return this.#current?.bytes.durableEnd ?? this.#durableEnd
  }

  /** Number of the first line of the file that is written. */
  get firstSeq(): number {
    return this.#current?.firstSeq ?? this.#end.seq + 1
  }

  /** Lines that no checkpoint covers. */
  get uncovered(): number {
    return this.#uncovered
  }

  /** Everything that was appended is on the disk, and told in the head where it is a checkpoint. */
  get isDurable(): boolean {
    return this.#checkpoint === undefined && (this.#current?.bytes.isDurable ?? true)
  }

  /** `flush` has something to do. */
  get isUnwritten(): boolean {
    return this.#current?.bytes.isUnwritten ?? false
  }

  /** Held until they are on the disk. */
  get heldBytes(): number {
    return this.#current?.bytes.heldBytes ?? 0
  }

  /** Bodies of lines, see `bodyOf`. Nothing is written before `flush`. */
  append(bodies: readonly string[]): void {
    const { spares } = this.#options
    let buffer: Buffer | undefined
    const { bytes, end } = appendLines(this.#end, bodies, (length) => (buffer = spares.take(length)))
    this.#push(bytes, end, bodies.length, () => buffer && spares.give(buffer))
    this.#uncovered += bodies.length
  }

  /** Appends a checkpoint of everything before it, once the one before is told in the head: that is never two behind. */
  async checkpoint(reason: 'interval' | 'rotation' | 'close'): Promise<void> {
    if (this.#checkpoint) await this.settle()
    const { stream, nowMs, otherStreams } = this.#options
    const covered = this.#end.seq
    const body = checkpointBody({ atMs: nowMs(), stream, covered, reason, streams: otherStreams() })
    const line = this.appendSigned(body)
    this.#checkpoint = { line, endsAt: this.#open().bytes.size }
    this.#uncovered = 0
  }

  /** Appends a line of the log itself, signed where there is a key, and gives it. `before` ends torn bytes. */
  appendSigned(body: string, before: '' | '\n' = ''): string {
    const signer = this.#options.signer()
    const { line, seq, hash } = appendLine(
      this.#end,
      signer ? signedBody(body, this.#end.hash, signer) : body,
    )
    this.#push(Buffer.from(`${before}${line}\n`), { seq, hash }, 1)
    return line
  }

  /** Whether the file is to be closed before `bytes` more are appended. */
  isFull(bytes: number): boolean {
    const current = this.#current
    if (this.#step !== 'write' || !current) return true
    if (current.lines <= 1) return false
    const { maxBytes, maxAgeMs, nowMs } = this.#options
    return current.bytes.size + bytes > maxBytes || nowMs() - current.openedAtMs >= maxAgeMs
  }

  /** Writes everything that was appended. */
  async flush(): Promise<void> {
    if (this.#step === 'begin') await this.#begin()
    await this.#open().bytes.flush()
  }

  /**
   * Makes what was written durable, then tells the newest checkpoint among it in the head. After a failure `flush` writes
   * again what the disk may have dropped.
   */
  async sync(): Promise<void> {
    if (!this.#current) return
    const upTo = await this.#current.bytes.sync()
    const checkpoint = this.#checkpoint
    if (!checkpoint || checkpoint.endsAt > upTo) return
    const { folder, stem, stream, isSynced } = this.#options
    await writeHead(join(folder, headName(stem, stream)), checkpoint.line, isSynced)
    if (this.#checkpoint === checkpoint) this.#checkpoint = undefined
  }

  async settle(): Promise<void> {
    await this.flush()
    await this.sync()
  }

  /** Closes the file that is written and begins the next. */
  async rotate(): Promise<void> {
    if (this.#step === 'write') {
      await this.checkpoint('rotation')
      this.#step = 'closing'
    }
    if (this.#step === 'closing') {
      await this.settle()
      await this.#putAside()
    }
    await this.settle()
  }

  /** Looks whether the file is still the one at its place, and as it was written; else goes on in a new one. */
  async checkPlace(): Promise<void> {
    if (this.#step !== 'write') return
    const { handle, bytes } = this.#open()
    const { size } = await handle.stat()
    if (size !== bytes.writtenTo && !bytes.isUneven) {
      this.#options.warn(
        `${this.#path} was changed by somebody else: it has ${size} bytes, not ${bytes.writtenTo}`,
      )
      this.#checkpoint = undefined
      await this.#putAside()
      return this.settle()
    }
    if (await this.#isInPlace()) return
    this.#options.warn(`${this.#path} was moved or deleted: what it held is written again`)
    await this.rotate()
  }

  /** Ends the stream for this process: a last checkpoint, everything durable. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    if (this.#step !== 'write') await this.rotate()
    if (!this.#isClosing) await this.checkpoint('close')
    this.#isClosing = true
    await this.settle()
    this.#isClosed = true
    await this.abandon()
  }

  /** Leaves everything as it is. */
  async abandon(): Promise<void> {
    const current = this.#current
    this.#durableEnd = this.durableEnd
    this.#current = undefined
    await current?.handle.close()
  }

  get #path(): string {
    const { folder, stem, stream } = this.#options
    return join(folder, activeName(stem, stream))
  }

  #open(): Current {
    if (!this.#current) throw new Error(`${this.#path} is not open`)
    return this.#current
  }

  async #begin(): Promise<void> {
    const handle = await open(this.#path, NEW_FILE, 0o600).catch((error: unknown) => {
      throw codeOf(error) === 'EEXIST'
        ? new Error(`${this.#path} is there and is not the file that was written`)
        : error
    })
    const { folder, isSynced, nowMs } = this.#options
    try {
      const stats = await handle.stat()
      if (isSynced) await syncFolder(folder)
      const bytes = new FileBytes(handle, 0, this.#end, isSynced)
      this.#current = { handle, stats, bytes, firstSeq: this.#end.seq + 1, openedAtMs: nowMs(), lines: 0 }
    } catch (error) {
      await handle.close()
      await rm(this.#path, { force: true })
      throw error
    }
    this.#step = 'write'
    this.#appendOpened('', undefined)
  }

  #appendOpened(before: '' | '\n', torn: Opened['torn']): void {
    const { stream, nowMs } = this.#options
    const reason = this.#openReason
    this.#openReason = 'rotation'
    this.appendSigned(openedBody({ atMs: nowMs(), stream, reason, previous: this.#end, torn }), before)
  }

  #push(bytes: Buffer, end: ChainEnd, lines: number, release?: () => void): void {
    const current = this.#open()
    current.bytes.append(bytes, end, release)
    current.lines += lines
    this.#end = end
  }

  async #isInPlace(): Promise<boolean> {
    try {
      const { dev, ino } = await lstat(this.#path)
      const { stats } = this.#open()
      return dev === stats.dev && ino === stats.ino
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false
      throw error
    }
  }

  /** Gives the file its last name; where it was taken away, a copy of it. */
  async #putAside(): Promise<void> {
    const { folder, stem, stream, isSynced } = this.#options
    const { handle, stats, firstSeq } = this.#open()
    const closed = join(folder, closedName(stem, stream, firstSeq))
    const there = await lstat(closed).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
    const isDone = there?.dev === stats.dev && there.ino === stats.ino
    if (there && !isDone) throw new Error(`${closed} is there already`)
    if (!isDone) {
      if (await this.#isInPlace()) await rename(this.#path, closed)
      else await copyTo(handle, closed, isSynced)
    }
    if (isSynced) await syncFolder(folder)
    this.#step = 'begin'
    await this.abandon()
    // With lines that somebody else took away: they were there.
    this.#durableEnd = this.#end
  }
}

async function copyTo(from: FileHandle, path: string, isSynced: boolean): Promise<void> {
  const temporary = `${path}.tmp`
  await rm(temporary, { force: true })
  const to = await open(temporary, NEW_FILE, 0o600)
  try {
    const bytes = Buffer.alloc(COPY_BYTES)
    for (let at = 0; ;) {
      const { bytesRead } = await from.read(bytes, 0, bytes.length, at)
      if (bytesRead === 0) break
      await to.writeFile(bytes.subarray(0, bytesRead))
      at += bytesRead
    }
    if (isSynced) await to.datasync()
  } finally {
    await to.close()
  }
  await rename(temporary, path)
}
