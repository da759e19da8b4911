import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Eventually } from '../../identity/eventually.js'
import { LocalCopies, type Loaded } from '../../state/local-copies.js'
import {
  effective,
  EMPTY_RECORD,
  latestOf,
  MAX_NAME,
  type StateDelta,
  type StateOp,
  type StateRecord,
} from '../../state/record.js'
import type {
  DocumentStore,
  LimitedUse,
  ReadAnswer,
  Standing,
  StateStore,
  StoreHealth,
} from '../../state/store.js'
import { bucketIndex, bucketsOf, redisKey } from './buckets.js'
import { Changes } from './changes.js'
import { RedisClaims } from './claims.js'
import { type Client, connect, connectSubscriber, run, runReplicated, within } from './connection.js'
import { RedisDocuments } from './documents.js'
import { Epochs, type Place } from './epochs.js'
import { Heartbeat } from './heartbeat.js'
import { type Batch, Lane, type Written } from './lane.js'
import type { RedisStoreOptions } from './options.js'
import { RecentCommits } from './recent.js'
import { CONSUME, READ, WRITE } from './scripts.js'
import { readRecord, toBytes, writeOp } from './wire.js'

const FIRST_CONNECTION_MS = 5000
const WRITE_MS = 500
const DRAIN_MS = 2000
type Part = Place & { readonly lane: Lane }

/** Records of grants: who may see and revoke them is lost with their documents, so they must not count on. */
const GRANTS = 'g:'

/**
 * Opens the state store that all replicas share in Redis: one server, a master behind Sentinels, or a Cluster.
 * Waits 5 s at most for the first connection; without one it is `unavailable` and goes on trying. Never rejects.
 *
 * What can be lost: with `replicasToWait` 0, a master that dies takes with it what its replica hadn't got yet. For
 * claims that is noticed: whatever was issued before the change of server is `before-start`. Commits of the last
 * 10 s are made again by the replica that made them. A server that is cut off and goes on answering must be kept
 * from it by `min-replicas-to-write`.
 *
 * After a flush, what any replica still has a copy of is written again, field by field: of numbers the larger one
 * stays, of texts the later. A count of uses that none has a copy of begins anew; documents and records of grants are gone.
 */
export async function openRedisStore(options: RedisStoreOptions): Promise<StateStore> {
  const store = new RedisStore(options)
  await store.opened(FIRST_CONNECTION_MS)
  return store
}

class RedisStore implements StateStore {
  readonly claims: RedisClaims
  readonly documents: DocumentStore
  readonly #options: RedisStoreOptions
  readonly #prefix: string
  readonly #commandTimeoutMs: number
  readonly #client: Client
  readonly #changes: Changes
  readonly #changesChannel: string
  readonly #heartbeat: Heartbeat
  readonly #epochs: Epochs<Part>
  readonly #parts: readonly Part[]
  readonly #copies: LocalCopies
  /** Of this process, from now until it closes. */
  readonly #instance: string
  readonly #recent = new RecentCommits()
  #problem: string | undefined = 'not connected yet'
  #warned: string | undefined
  #lost = 0
  #closed = false

  constructor(options: RedisStoreOptions) {
    const { deployment, keyPrefix = 'portcullis', commandTimeoutMs = 50, maxCopies = 200_000 } = options
    this.#options = options
    this.#prefix = keyPrefix
    this.#commandTimeoutMs = commandTimeoutMs
    this.#instance = `${options.replicaId}:${randomUUID()}`
    // Channels are those of a server, keys those of a database.
    const db = deployment.kind === 'standalone' ? (deployment.db ?? 0) : 0
    this.#changesChannel = `${keyPrefix}:${db}:changes`
    const beatsChannel = `${keyPrefix}:${db}:beats:${this.#instance}`
    this.#copies = new LocalCopies({
      maxCopies,
      load: (key) => this.#load(key),
      unwritten: (key) => this.#part(key).lane.unwritten(key),
    })
    this.#parts = bucketsOf(keyPrefix, deployment).map((bucket) => {
      const part: Part = Object.assign(bucket, {
        epoch: undefined,
        lane: new Lane({
          write: (batch) => this.#write(part, batch),
          onWritten: (keys) => {
            for (const key of keys) this.#copies.written(key)
          },
          flushEveryMs: options.flushEveryMs ?? 20,
        }),
      })
      return part
    })
    this.#client = connect(options)
    this.#client.on('error', (error: Error) => this.#fail(error))
    const asking = {
      client: this.#client,
      prefix: keyPrefix,
      commandTimeoutMs,
      replicasToWait: options.replicasToWait ?? 0,
      onFailure: (error: unknown) => this.#fail(error),
    }
    this.documents = new RedisDocuments({
      ...asking,
      buckets: this.#parts,
      isOpen: () => !this.#closed,
    })
    this.claims = new RedisClaims({
      ...asking,
      places: this.#parts,
      placeOf: (key) => this.#part(key),
      isCurrent: () => this.#mayAsk(),
      onOtherEpoch: () => this.#onOtherEpoch(),
    })
    this.#epochs = new Epochs({
      client: this.#client,
      places: this.#parts,
      now: options.now,
      onLoss: (part) => this.#onLoss(part),
    })
    this.#heartbeat = new Heartbeat({
      client: this.#client,
      channel: beatsChannel,
      commandTimeoutMs,
      isListening: () => this.#changes.isListening,
      listenAnew: () => this.#changes.restart(),
      check: () => this.#epochs.enterAll(),
      onBeat: (isReturn, at) => this.#onBeat(isReturn, at),
      onFailure: (error) => this.#fail(error),
      problem: () => this.#problem,
    })
    this.#changes = new Changes({
      connect: () => connectSubscriber(options, this.#client),
      changesChannel: this.#changesChannel,
      beatsChannel,
      onChange: (message) => this.#onChange(message),
      onBeat: (message) => this.#heartbeat.hear(message),
      onGap: () => this.#copies.doubtAll(),
    })
  }

  /** Until it is current and would take a claim for a token issued now, or `withinMs` have passed. */
  async opened(withinMs: number): Promise<void> {
    await this.#heartbeat.begin(withinMs)
    if (this.#standing() !== 'current') {
      this.#warnOf(this.#problem ?? 'not reachable')
      return
    }
    const waitMs = (await this.claims.firstKnownSecond()) * 1000 - this.#options.now()
    if (waitMs > 0 && waitMs <= 1000) await sleep(waitMs)
  }

  read(key: string, nowMs: number): Eventually<ReadAnswer> {
    const standing = this.#standing()
    if (standing === 'unavailable') return standing
    if (standing === 'last-known') {
      const copy = this.#copies.lastKnown(key, nowMs)
      if (copy) return copy
      return this.#mayAsk() ? this.#ask(key, nowMs) : 'unavailable'
    }
    // While nothing is heard of changes, only the store itself can tell.
    const valid = this.#changes.isListening ? this.#copies.valid(key, nowMs) : undefined
    return valid ?? this.#ask(key, nowMs)
  }

  note(deltas: readonly StateDelta[]): void {
    const { maxPending = 100_000 } = this.#options
    let room = maxPending - this.#pending()
    for (const delta of this.#begin(deltas)) {
      const { lane } = this.#part(delta.key)
      const isTaken = (room > 0 || lane.has(delta.key)) && lane.note(delta)
      if (isTaken) room--
      else this.#lost++
    }
  }

  async commit(deltas: readonly StateDelta[]): Promise<'committed' | 'unavailable'> {
    if (this.#closed) return 'unavailable'
    const at = performance.now()
    const written = this.#begin(deltas).map((delta) => {
      this.#recent.add(delta, at)
      return this.#part(delta.key).lane.commit(delta)
    })
    const all = await within(Promise.all(written), this.#commandTimeoutMs)
    return all !== 'late' && all.every(Boolean) ? 'committed' : 'unavailable'
  }

  /** A use that the store may have counted without an answer in time is used up, and `unavailable`. */
  async consume(use: LimitedUse): Promise<'consumed' | 'exhausted' | 'unavailable'> {
    const { field, expiresAtMs } = use
    if (!this.#mayAsk() || field.length > MAX_NAME || !Number.isFinite(expiresAtMs)) {
      return 'unavailable'
    }
    const answer = await within(this.#consume(use), this.#commandTimeoutMs)
    return answer === 'late' ? 'unavailable' : answer
  }

  readonly health = (): StoreHealth => ({
    standing: this.#standing(),
    problem: this.#problem,
    copies: this.#copies.size,
    pending: this.#pending(),
    lost: this.#lost,
    lostBeforeMs: this.#epochs.lostBeforeMs,
  })

  async close(_nowMs: number): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#heartbeat.stop()
    await within(Promise.all(this.#parts.map(({ lane }) => drain(lane))), DRAIN_MS)
    this.#lost += this.#pending()
    for (const { lane } of this.#parts) lane.stop()
    this.#changes.stop()
    this.#client.disconnect()
  }

  #part(key: string): Part {
    const part = this.#parts[bucketIndex(key, this.#parts.length)]
    if (!part) throw new Error('a store without parts')
    return part
  }

  #pending(): number {
    let pending = 0
    for (const { lane } of this.#parts) pending += lane.pending
    return pending
  }

  #standing(): Standing {
    if (this.#closed) return 'unavailable'
    const { onUnavailable } = this.#options
    const { isCurrent, isBeating, agoMs } = this.#heartbeat
    if (onUnavailable.mode === 'Deny') return isCurrent ? 'current' : 'unavailable'
    if (isCurrent && isBeating && this.#client.status === 'ready') return 'current'
    return agoMs <= onUnavailable.forMs ? 'last-known' : 'unavailable'
  }

  /** One beat that was late is no store that is away: no change can have been missed yet, and it may answer. */
  #mayAsk(): boolean {
    if (this.#closed || !this.#heartbeat.isCurrent) return false
    return this.#options.onUnavailable.mode === 'Deny' || this.#client.status === 'ready'
  }

  /** What there is to change at all, applied to the copies. */
  #begin(deltas: readonly StateDelta[]): readonly StateDelta[] {
    if (this.#closed) {
      this.#lost += deltas.length
      return []
    }
    const nowMs = this.#options.now()
    const begun = deltas
      .map((delta) => ({ ...delta, ops: effective(delta.ops) }))
      .filter(({ ops, expiresAtMs }) => ops.length > 0 && Number.isFinite(expiresAtMs))
    for (const delta of begun) this.#copies.apply(delta, nowMs)
    return begun
  }

  async #ask(key: string, nowMs: number): Promise<ReadAnswer> {
    const answer = await within(this.#copies.load(key, nowMs), this.#commandTimeoutMs)
    return answer === 'late' ? 'unavailable' : answer
  }

  async #load(key: string): Promise<Loaded | 'unavailable'> {
    const part = this.#part(key)
    if (!part.epoch) return 'unavailable'
    try {
      const keys = [part.epochKey, redisKey(this.#prefix, part, 'r', key)]
      const answer = await within(run(this.#client, READ, keys, [part.epoch.text]), this.#commandTimeoutMs)
      if (!Array.isArray(answer)) return 'unavailable'
      if (String(answer[0]) !== 'ok') return this.#onOtherEpoch()
      const leftMs = Number(answer[1])
      if (leftMs === -2) return { record: EMPTY_RECORD, expiresAtMs: Infinity }
      return {
        record: readRecord(answer, 2),
        expiresAtMs: leftMs < 0 ? Infinity : this.#options.now() + leftMs,
      }
    } catch (error) {
      this.#fail(error)
      return 'unavailable'
    }
  }

  async #write(part: Part, { number, entries }: Batch): Promise<Written> {
    if (!part.epoch) return 'failed'
    const keys = [part.epochKey, redisKey(this.#prefix, part, 'w', this.#instance)]
    const args: (string | Buffer)[] = [part.epoch.text, `${number}`, this.#changesChannel]
    args.push(this.#messageOf([...entries.keys()]))
    for (const [key, { ops, expiresAtMs }] of entries) {
      keys.push(redisKey(this.#prefix, part, 'r', key))
      args.push(`${Math.ceil(expiresAtMs)}`, `${ops.length}`)
      for (const op of ops) writeOp(op, args)
    }
    const { replicasToWait: replicas = 0 } = this.#options
    try {
      const answer = await within(
        runReplicated(this.#client, WRITE, keys, args, { replicas, waitMs: this.#commandTimeoutMs }),
        WRITE_MS,
      )
      if (answer === 'late') throw new Error('no answer to a write')
      if (String(answer) === 'ok') return 'ok'
      this.#onOtherEpoch()
      return 'epoch'
    } catch (error) {
      this.#fail(error)
      return 'failed'
    }
  }

  async #consume({
    key,
    field,
    limit,
    expiresAtMs,
  }: LimitedUse): Promise<'consumed' | 'exhausted' | 'unavailable'> {
    const part = this.#part(key)
    const began = performance.now()
    const { sending, waiting } = part.lane.unwritten(key)
    // After a loss they are what had been used before.
    if ((sending ?? waiting) && !(await part.lane.commit({ key, ops: [], expiresAtMs }))) return 'unavailable'
    // Nobody waits for it any more.
    if (!part.epoch || performance.now() - began >= this.#commandTimeoutMs) return 'unavailable'
    const { replicasToWait: replicas = 0 } = this.#options
    try {
      const answer = await runReplicated(
        this.#client,
        CONSUME,
        [part.epochKey, redisKey(this.#prefix, part, 'r', key)],
        [
          part.epoch.text,
          toBytes(field),
          `${limit}`,
          `${Math.ceil(expiresAtMs)}`,
          this.#changesChannel,
          this.#messageOf([key]),
        ],
        { replicas, waitMs: this.#commandTimeoutMs },
      )
      const text = String(answer)
      if (text === 'exhausted') return text
      if (text === 'epoch') return this.#onOtherEpoch()
      if (text === 'full' || text === 'ended') return 'unavailable'
      // Not 1 more: a copy that is read just now may have it.
      const counted: StateDelta = { key, ops: [['max', field, Number(text)]], expiresAtMs }
      this.#copies.apply(counted, this.#options.now())
      this.#copies.written(key)
      this.#recent.add(counted, performance.now())
      return 'consumed'
    } catch (error) {
      this.#copies.invalidate(key)
      this.#fail(error)
      return 'unavailable'
    }
  }

  #messageOf(keys: readonly string[]): string {
    return JSON.stringify({ from: this.#instance, keys })
  }

  #onChange(message: Buffer): void {
    let change: unknown
    try {
      change = JSON.parse(message.toString())
    } catch {
      return
    }
    if (typeof change !== 'object' || change === null || !('from' in change) || !('keys' in change)) return
    if (change.from === this.#instance || !Array.isArray(change.keys)) return
    for (const key of change.keys as readonly unknown[]) {
      if (typeof key !== 'string' || !this.#copies.invalidate(key)) continue
      // It will be read again: whoever reads it finds it here then.
      void this.#copies.load(key, this.#options.now())
    }
  }

  /** Another beat than the one in half a second: the store is not the one it was. */
  #onOtherEpoch(): 'unavailable' {
    this.#heartbeat.beat().catch((error: unknown) => this.#fail(error))
    return 'unavailable'
  }

  async #onBeat(isReturn: boolean, at: number): Promise<void> {
    if (isReturn) this.#copies.doubtAll()
    this.#problem = undefined
    if (isReturn) await this.#recover(at)
  }

  #onLoss(part: Part): void {
    this.#options.warn(
      'the Redis store: what it knew is lost (flushed, or restarted without its file); what is known here is written again, but grants, which are void',
    )
    this.#copies.doubtAll()
    const known: StateDelta[] = []
    for (const [key, { record, expiresAtMs }] of this.#copies.known(this.#options.now())) {
      if (this.#part(key) === part && !key.startsWith(GRANTS))
        known.push({ key, ops: restoring(record), expiresAtMs })
    }
    part.lane.restore(known)
  }

  /** After an outage: another server may have taken over, which may not have had the last changes. */
  async #recover(at: number): Promise<void> {
    if (this.#warned !== undefined) this.#options.warn('the Redis store: reachable again')
    this.#warned = undefined
    for (const delta of this.#recent.repeatable(at)) this.#part(delta.key).lane.note(delta)
    for (const { lane } of this.#parts) if (lane.pending > 0) void lane.flush()
    await this.claims.firstKnownSecond()
  }

  #fail(error: unknown): void {
    this.#problem = error instanceof Error ? error.message : String(error)
    if (this.#standing() !== 'current' && this.#heartbeat.agoMs < Infinity) this.#warnOf(this.#problem)
  }

  #warnOf(problem: string): void {
    if (this.#closed || this.#warned !== undefined) return
    this.#warned = problem
    this.#options.warn(`the Redis store is not reachable: ${problem}`)
  }
}

/** Writes everything that waits, or gives up at the first failure. */
async function drain(lane: Lane): Promise<void> {
  while (lane.pending > 0 && (await lane.flush())) continue
}

/** Brings a record back where it is gone, and changes little where somebody else has brought it back already. */
function restoring(record: StateRecord): readonly StateOp[] {
  return [...record].map(([field, value]): StateOp => {
    if (typeof value === 'number') return ['max', field, value]
    const latest = latestOf(record, field)
    return ['latest', field, latest?.atMs ?? 0, latest?.text ?? '']
  })
}
