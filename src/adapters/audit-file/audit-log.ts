import { mkdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Recipient } from '../../audit/chain/audit-keys.js'
import { bodyOf, type ChainEnd } from '../../audit/chain/chain-line.js'
import { classificationOf, DEFAULT_STREAM, headName, stemOf, streamOf } from '../../audit/chain/file-names.js'
import { encryptedBody, type LogSigner, retentionBody } from '../../audit/chain/log-lines.js'
import type { AuditEvent } from '../../audit/event-sink.js'
import { readHead } from './head-file.js'
import { acquireLock, type Lock } from './lock.js'
import { listLog } from './recover-stream.js'
import { Retention } from './retention.js'
import { Sealing } from './sealing.js'
import { SpareBuffers } from './spare-buffers.js'
import { StreamFile } from './stream-file.js'

export type AuditLogOptions = {
  /** Of the default stream, NAME.jsonl. */
  readonly file: string
  /** The line of an event, without its line feed. */
  readonly render: (event: AuditEvent) => string
  readonly maxBytes: number
  readonly maxAgeMs: number
  /** False: the operating system decides when anything is on the disk. */
  readonly isSynced: boolean
  /** Undefined: nothing is signed. */
  readonly signer: () => LogSigner | undefined
  /** By classification; undefined: its events are written in plain text. */
  readonly recipient: (classification: string | undefined) => Recipient | undefined
  /** How long one content key serves. */
  readonly keyRotationMs: (classification: string | undefined) => number
  /** Undefined: for ever. */
  readonly retentionMs: (classification: string | undefined) => number | undefined
  readonly nowMs: () => number
  /** Of what an operator must know. */
  readonly warn: (message: string) => void
}

type Stream = { readonly file: StreamFile; readonly sealing: Sealing }

/** What a chain adds to a line at most, with its line feed. */
const CHAIN_BYTES = 91
/** Written and not yet durable: more waits for the disk. */
const MOST_HELD_BYTES = 32 * 1024 * 1024

/**
 * A log on disk: one stream for each classification, all of them held by this process alone. Every promise may reject
 * with what the file system said; asked again, it goes on where it stopped. One call at a time, but `sync` beside others.
 */
export class AuditLog {
  readonly #options: AuditLogOptions
  readonly #folder: string
  readonly #stem: string
  #lock: Lock
  readonly #retention: Retention
  readonly #spares = new SpareBuffers()
  readonly #streams = new Map<string, Stream>()
  /** Last lines of streams by the newest checkpoint of the last process. */
  readonly #known: ReadonlyMap<string, ChainEnd>
  /** What must not run beside each other runs in turns. */
  #last: Promise<void> = Promise.resolve()
  #toldStreams = ''

  private constructor(options: AuditLogOptions, lock: Lock, known: ReadonlyMap<string, ChainEnd>) {
    this.#options = options
    this.#folder = dirname(options.file)
    this.#stem = stemOf(basename(options.file))
    this.#lock = lock
    this.#known = known
    this.#retention = new Retention(this.#folder, this.#stem)
  }

  /** Goes on with what is there. Rejects where another process writes it, or it can't be read or written. */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    const folder = dirname(options.file)
    const stem = stemOf(basename(options.file))
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const locked = await acquireLock(join(folder, `${stem}.lock`))
    if (!locked.ok) throw new Error(`${options.file} is written by another process, which holds ${stem}.lock`)
    let log: AuditLog | undefined
    try {
      const head = await readHead(join(folder, headName(stem, DEFAULT_STREAM)), ignore)
      log = new AuditLog(options, locked.lock, head?.streams ?? new Map())
      const found = new Set((await listLog(folder, stem)).map(({ stream }) => stream))
      found.delete(DEFAULT_STREAM)
      for (const stream of [...found, DEFAULT_STREAM]) await log.#open(stream)
      return log
    } catch (error) {
      if (log) await log.abandon()
      else await locked.lock.release()
      throw error
    }
  }

  /** Appends events in memory, all or none; `flush` writes them. */
  async append(events: readonly AuditEvent[]): Promise<void> {
    const byStream = new Map<string, AuditEvent[]>()
    for (const event of events) {
      const stream = streamOf(event.classification)
      const others = byStream.get(stream)
      if (others) others.push(event)
      else byStream.set(stream, [event])
    }
    const parts: { file: StreamFile; bodies: readonly string[] }[] = []
    for (const [stream, ofStream] of byStream) {
      const { file, sealing } = this.#streams.get(stream) ?? (await this.#open(stream))
      const bytes = ofStream.reduce((sum, { line }) => sum + line.length + CHAIN_BYTES, 0)
      if (file.isFull(bytes)) await this.#rotate(file)
      if (file.heldBytes > MOST_HELD_BYTES) await this.sync()
      parts.push({ file, bodies: this.#bodies(ofStream, stream, file, sealing) })
    }
    for (const { file, bodies } of parts) file.append(bodies)
  }

  async flush(): Promise<void> {
    for (const { file } of this.#streams.values()) {
      await file.flush()
    }
  }

  /** Makes durable what is written. After a failure, `flush` comes first. */
  async sync(): Promise<void> {
    await this.#inTurn(async () => {
      for (const { file } of this.#streams.values()) await file.sync()
    })
  }

  /** `flush` has something to do. */
  get isUnwritten(): boolean {
    for (const { file } of this.#streams.values()) if (file.isUnwritten) return true
    return false
  }

  get isDurable(): boolean {
    for (const { file } of this.#streams.values()) if (!file.isDurable) return false
    return true
  }

  /**
   * Appends a checkpoint to every stream that has new lines; to the default one also where another has. What is durable
   * of the others by then is told in it.
   */
  async checkpoint(): Promise<void> {
    for (const { file } of this.#others()) if (file.uncovered > 0) await this.#checkpoint(file)
    const { file } = await this.#default()
    const streams = JSON.stringify([...this.#ends()])
    if (file.uncovered === 0 && streams === this.#toldStreams) return
    await this.#checkpoint(file)
    this.#toldStreams = streams
  }

  /** Looks whether everything is where it was, and still this process's. */
  async checkPlaces(): Promise<void> {
    if (!(await this.#lock.isHeld())) {
      const path = join(this.#folder, `${this.#stem}.lock`)
      const locked = await acquireLock(path)
      if (!locked.ok) throw new Error(`${path} is held by another process: it may write the log`)
      this.#options.warn(`${path} was taken away and is there again`)
      await this.#lock.release()
      this.#lock = locked.lock
    }
    for (const { file } of this.#streams.values()) await this.#inTurn(async () => file.checkPlace())
  }

  /** Closes files that have been open long enough, and deletes those that were kept long enough. */
  async tidy(): Promise<void> {
    for (const { file } of this.#streams.values()) if (file.isFull(0)) await this.#rotate(file)
    const { retentionMs, nowMs } = this.#options
    const expired = await this.#retention.expired((stream) => retentionMs(classificationOf(stream)), nowMs())
    for (const [stream, removed] of expired) {
      const { file } = this.#streams.get(stream) ?? (await this.#open(stream))
      file.appendSigned(retentionBody({ atMs: nowMs(), stream, removed }))
      await this.#inTurn(async () => {
        await file.checkpoint('interval')
        await file.settle()
      })
      await this.#retention.remove(removed)
    }
  }

  /** Last checkpoints, the default stream's at the end, since it tells of the others. */
  async close(): Promise<void> {
    for (const { file } of this.#others()) await this.#inTurn(async () => file.close())
    const { file } = await this.#default()
    await this.#inTurn(async () => file.close())
    await this.#lock.release()
  }

  /** Leaves the files as they are. */
  async abandon(): Promise<void> {
    for (const { file } of this.#streams.values()) await file.abandon().catch(ignore)
    await this.#lock.release()
  }

  async #open(stream: string): Promise<Stream> {
    const { maxBytes, maxAgeMs, isSynced, signer, nowMs, warn } = this.#options
    const otherStreams = () => (stream === DEFAULT_STREAM ? this.#ends() : this.#endOfDefault())
    const file = await StreamFile.open(
      {
        folder: this.#folder,
        stem: this.#stem,
        stream,
        maxBytes,
        maxAgeMs,
        isSynced,
        signer,
        otherStreams,
        spares: this.#spares,
        nowMs,
        warn,
      },
      this.#known.get(stream),
    )
    const opened = { file, sealing: new Sealing() }
    this.#streams.set(stream, opened)
    return opened
  }

  async #default(): Promise<Stream> {
    return this.#streams.get(DEFAULT_STREAM) ?? this.#open(DEFAULT_STREAM)
  }

  #others(): Stream[] {
    return [...this.#streams].flatMap(([name, stream]) => (name === DEFAULT_STREAM ? [] : [stream]))
  }

  /** So that cutting the default stream's end off shows as well. */
  #endOfDefault(): ReadonlyMap<string, ChainEnd> {
    const file = this.#streams.get(DEFAULT_STREAM)?.file
    return new Map(file && file.durableEnd.seq > 0 ? [[DEFAULT_STREAM, file.durableEnd]] : [])
  }

  /** The last durable line of every stream but the default one. */
  #ends(): ReadonlyMap<string, ChainEnd> {
    const ends = new Map(this.#known)
    for (const [name, { file }] of this.#streams) if (name !== DEFAULT_STREAM) ends.set(name, file.durableEnd)
    return ends
  }

  #bodies(
    events: readonly AuditEvent[],
    stream: string,
    { firstSeq }: StreamFile,
    sealing: Sealing,
  ): readonly string[] {
    const { render, recipient: recipientOf, keyRotationMs, nowMs } = this.#options
    const classification = classificationOf(stream)
    const recipient = recipientOf(classification)
    if (!recipient) return events.map((event) => bodyOf(render(event)))
    const place = { recipient, firstSeq, rotationMs: keyRotationMs(classification), nowMs: nowMs() }
    return events.map((event) => encryptedBody(classification, sealing.seal(render(event), place)))
  }

  async #checkpoint(file: StreamFile): Promise<void> {
    if (file.isFull(0)) await this.#rotate(file)
    else await this.#inTurn(async () => file.checkpoint('interval'))
  }

  async #rotate(file: StreamFile): Promise<void> {
    await this.#inTurn(async () => file.rotate())
  }

  /** So that a file is not closed under a `sync`, and nothing counts as durable before that knows of a failure. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const own = this.#last.then(work)
    this.#last = own.catch(ignore)
    return own
  }
}

function ignore(): void {
  // Told elsewhere.
}
