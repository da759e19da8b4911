import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Eventually } from '../../identity/eventually.js'
import type { Claim, ClaimAnswer, ReplayGuard } from '../../identity/replay.js'
import { LocalCopies, type Loaded } from '../../state/local-copies.js'
import {
  EMPTY_RECORD,
  latestOf,
  type StateDelta,
  type StateOp,
  type StateRecord,
} from '../../state/record.js'
import type { ReadAnswer, Standing, StateStore, StoreHealth } from '../../state/store.js'
import {
  afterLoss,
  type Bucket,
  bucketIndex,
  bucketsOf,
  type Epoch,
  parseEpoch,
  redisKey,
} from './buckets.js'
import { Changes } from './changes.js'
import {
  type Client,
  connect,
  connectSubscriber,
  masters,
  reconnect,
  run,
  runReplicated,
  within,
} from './connection.js'
import { type Batch, Lane, type Written } from './lane.js'
import type { RedisStoreOptions } from './options.js'
import { CLAIM, ENTER_EPOCH, MARK_EPOCH, READ, WRITE } from './scripts.js'
import { effective, readRecord, writeOp } from './wire.js'

const FIRST_CONNECTION_MS = 5000
const BEAT_EVERY_MS = 250
/** A beat may take longer than a read: nobody waits for it. */
const BEAT_MS = 200
/** Without a beat for longer, changes by others may have been missed. Source: REQUIREMENTS R6, 1 s at worst. */
const CURRENT_MS = 1000
const RECONNECT_AFTER_MS = 2000
const WRITE_MS = 500
const DRAIN_MS = 2000
/** Commits so young are made again after an outage: the server that took over may not have had them. */
const RECENT_MS = 10_000
/** A claim is remembered for longer than its credential lasts, because clocks differ and are set back. */
const CLAIM_GRACE_MS = 60_000
/** A store whose parts are all younger is being made just now. */
const NEW_STORE_MS = 10_000
const MAX_CLAIM_KEY = 128

type Part = Bucket & { readonly lane: Lane; epoch: Epoch | undefined }
type Beat = { readonly number: number; readonly awaited: Set<string>; readonly heard: () => void }

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
 * stays, of texts the later.
 */
export async function openRedisStore(options: RedisStoreOptions): Promise<StateStore> {
  const store = new RedisStore(options)
  await store.opened(FIRST_CONNECTION_MS)
  return store
}

class RedisStore implements StateStore {
  readonly claims: ReplayGuard = { claim: (claim, nowMs) => this.#claim(claim, nowMs) }
  readonly #options: RedisStoreOptions
  readonly #prefix: string
  readonly #commandTimeoutMs: number
  readonly #client: Client
  readonly #changes: Changes
  readonly #changesChannel: string
  readonly #beatsChannel: string
  readonly #parts: readonly Part[]
  readonly #copies: LocalCopies
  /** Of this process, from now until it closes. */
  readonly #instance: string
  readonly #recent = new Map<string, { readonly delta: StateDelta; readonly at: number }>()
  #beat: Beat | undefined
  #beats = 0
  /** Times of this process, in milliseconds: of the last good beat, and of the last try to connect anew. */
  #lastGood = -Infinity
  #lastReconnect = -Infinity
  #isBeating = true
  #timer: NodeJS.Timeout | undefined
  #problem: string | undefined = 'not connected yet'
  #warned: string | undefined
  #lost = 0
  #lostBeforeMs: number | undefined
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
    this.#beatsChannel = `${keyPrefix}:${db}:beats:${this.#instance}`
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
    this.#changes = new Changes({
      connect: () => connectSubscriber(options, this.#client),
      changesChannel: this.#changesChannel,
      beatsChannel: this.#beatsChannel,
      onChange: (message) => this.#onChange(message),
      onBeat: (message) => this.#onBeat(message),
      onGap: () => this.#copies.doubtAll(),
    })
  }

  /** Until it is current and would take a claim for a token issued now, or `withinMs` have passed. */
  async opened(withinMs: number): Promise<void> {
    const end = performance.now() + withinMs
    while (!(await this.#tryBeat()) && performance.now() < end) await sleep(BEAT_EVERY_MS / 10)
    this.#again()
    if (this.#standing() !== 'current') {
      this.#warnOf(this.#problem ?? 'not reachable')
      return
    }
    const waitMs = (await this.#lookAtClaims()) * 1000 - this.#options.now()
    if (waitMs > 0 && waitMs <= 1000) await sleep(waitMs)
  }

  read(key: string, nowMs: number): Eventually<ReadAnswer> {
    const standing = this.#standing()
    if (standing === 'unavailable') return standing
    if (standing === 'last-known') return this.#copies.lastKnown(key, nowMs) ?? 'unavailable'
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
      this.#recent.delete(delta.key)
      this.#recent.set(delta.key, { delta, at })
      return this.#part(delta.key).lane.commit(delta)
    })
    for (const [key, recent] of this.#recent) {
      if (at - recent.at <= RECENT_MS) break
      this.#recent.delete(key)
    }
    const all = await within(Promise.all(written), this.#commandTimeoutMs)
    return all !== 'late' && all.every(Boolean) ? 'committed' : 'unavailable'
  }

  readonly health = (): StoreHealth => ({
    standing: this.#standing(),
    problem: this.#problem,
    copies: this.#copies.size,
    pending: this.#pending(),
    lost: this.#lost,
    lostBeforeMs: this.#lostBeforeMs,
  })

  async close(_nowMs: number): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
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
    const ago = performance.now() - this.#lastGood
    if (onUnavailable.mode === 'Deny') return ago <= CURRENT_MS ? 'current' : 'unavailable'
    if (ago <= CURRENT_MS && this.#isBeating && this.#client.status === 'ready') return 'current'
    return ago <= onUnavailable.forMs ? 'last-known' : 'unavailable'
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
    const message = JSON.stringify({ from: this.#instance, keys: [...entries.keys()] })
    const args: (string | Buffer)[] = [part.epoch.text, `${number}`, this.#changesChannel, message]
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

  async #claim({ key, issuedAtMs, expiresAtMs }: Claim, nowMs: number): Promise<ClaimAnswer> {
    const part = this.#part(key)
    if (this.#standing() !== 'current' || !part.epoch || key.length > MAX_CLAIM_KEY) return 'unavailable'
    if (!Number.isFinite(issuedAtMs) || !Number.isFinite(expiresAtMs)) return 'unavailable'
    if (Math.ceil(expiresAtMs / 1000) <= Math.floor(nowMs / 1000)) return 'replayed'
    const { replicasToWait: replicas = 0 } = this.#options
    const endMs = Math.ceil(expiresAtMs / 1000) * 1000
    try {
      const answer = await within(
        runReplicated(
          this.#client,
          CLAIM,
          [part.epochKey, part.claimsKey, redisKey(this.#prefix, part, 'c', key)],
          [part.epoch.text, Math.floor(issuedAtMs / 1000), endMs, endMs + CLAIM_GRACE_MS],
          { replicas, waitMs: this.#commandTimeoutMs },
        ),
        this.#commandTimeoutMs,
      )
      const text = String(answer)
      if (text === 'first' || text === 'replayed' || text === 'before-start') return text
      return text === 'epoch' ? this.#onOtherEpoch() : 'unavailable'
    } catch (error) {
      this.#fail(error)
      return 'unavailable'
    }
  }

  /** The first second from which on every claim is known, as far as that can be told now. */
  async #lookAtClaims(): Promise<number> {
    const looks = this.#parts.map(async ({ epochKey, claimsKey, epoch }) =>
      Number(await run(this.#client, CLAIM, [epochKey, claimsKey], [epoch?.text ?? ''])),
    )
    const seconds = await within(Promise.all(looks), BEAT_MS).catch((error: unknown) => {
      this.#fail(error)
      return 'late' as const
    })
    return seconds === 'late' ? 0 : Math.max(...seconds.filter(Number.isFinite), 0)
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

  #onBeat(message: string): void {
    const beat = this.#beat
    if (beat && beat.awaited.delete(message) && beat.awaited.size === 0) beat.heard()
  }

  #again(): void {
    if (this.#closed) return
    this.#timer = setTimeout(() => {
      void this.#tryBeat()
        .catch((error: unknown) => this.#fail(error))
        .then(() => this.#again())
    }, BEAT_EVERY_MS).unref()
  }

  /** Another beat than the one in half a second: the store is not the one it was. */
  #onOtherEpoch(): 'unavailable' {
    this.#tryBeat().catch((error: unknown) => this.#fail(error))
    return 'unavailable'
  }

  /** Whether the store answers, is the one it was, and is heard. */
  async #tryBeat(): Promise<boolean> {
    if (this.#closed || this.#beat) return false
    const began = performance.now()
    try {
      const came = await within(this.#goOnce(), Math.max(BEAT_MS, this.#commandTimeoutMs))
      if (came === 'late') throw new Error('no answer in time')
    } catch (error) {
      this.#fail(error)
      this.#isBeating = false
      this.#reconnect()
      return false
    } finally {
      this.#beat = undefined
    }
    const isRecovery = !this.#isBeating || began - this.#lastGood > CURRENT_MS
    if (isRecovery) this.#copies.doubtAll()
    this.#isBeating = true
    this.#lastGood = began
    this.#problem = undefined
    if (isRecovery) await this.#recover(began)
    return true
  }

  async #goOnce(): Promise<void> {
    const servers = this.#client.status === 'ready' ? masters(this.#client) : []
    if (servers.length === 0) throw new Error(this.#problem ?? 'not connected')
    if (!this.#changes.isListening) throw new Error('changes by other replicas are not heard')
    const number = ++this.#beats
    const names = servers.map((_, server) => `${number}.${server}`)
    const isHeard = new Promise<void>((resolve) => {
      this.#beat = { number, awaited: new Set(names), heard: resolve }
    })
    await Promise.all([
      ...servers.map((server, n) => server.publish(this.#beatsChannel, names[n] ?? '')),
      this.#enterEpochs(),
      isHeard,
    ])
  }

  async #enterEpochs(): Promise<void> {
    const stored = await Promise.all(this.#parts.map(({ epochKey }) => this.#client.get(epochKey)))
    const nowMs = this.#options.now()
    const isOld = stored.some((text) => text !== null && nowMs - parseEpoch(text).createdAtMs > NEW_STORE_MS)
    const entering = this.#parts.map(async (part, n) => {
      const text = stored[n] ?? (await this.#makeEpoch(part, isOld || part.epoch !== undefined, nowMs))
      if (text !== part.epoch?.text) await this.#enter(part, parseEpoch(text))
    })
    await Promise.all(entering)
  }

  async #makeEpoch({ epochKey }: Part, isLost: boolean, nowMs: number): Promise<string> {
    return String(
      await run(this.#client, ENTER_EPOCH, [epochKey], [randomUUID(), isLost ? 'lost' : 'new', `${nowMs}`]),
    )
  }

  async #enter(part: Part, found: Epoch): Promise<void> {
    let epoch = found
    const isLoss = part.epoch !== undefined && part.epoch.id !== found.id
    if (isLoss && !found.isLost) {
      // Made by a replica that had never seen the one before.
      epoch = afterLoss(found)
      const marked = await run(this.#client, MARK_EPOCH, [part.epochKey], [found.text, epoch.text])
      if (String(marked) !== 'ok') throw new Error('the store was lost again')
    }
    part.epoch = epoch
    if (epoch.isLost) this.#lostBeforeMs = Math.max(this.#lostBeforeMs ?? 0, epoch.createdAtMs)
    if (!isLoss) return
    this.#options.warn(
      'the Redis store: what it knew is lost (flushed, or restarted without its file); what is known here is written again',
    )
    this.#copies.doubtAll()
    const known: StateDelta[] = []
    for (const [key, { record, expiresAtMs }] of this.#copies.known(this.#options.now())) {
      if (this.#part(key) === part) known.push({ key, ops: restoring(record), expiresAtMs })
    }
    part.lane.restore(known)
  }

  /** After an outage: another server may have taken over, which may not have had the last changes. */
  async #recover(at: number): Promise<void> {
    if (this.#warned !== undefined) this.#options.warn('the Redis store: reachable again')
    this.#warned = undefined
    for (const { delta, at: committedAt } of this.#recent.values()) {
      const ops = delta.ops.filter(([kind]) => kind === 'max' || kind === 'min' || kind === 'latest')
      if (at - committedAt <= RECENT_MS && ops.length > 0) this.#part(delta.key).lane.note({ ...delta, ops })
    }
    for (const { lane } of this.#parts) if (lane.pending > 0) void lane.flush()
    await this.#lookAtClaims()
  }

  /** A server that is gone without a word, or hung: another connection may find the one that took over. */
  #reconnect(): void {
    const now = performance.now()
    const since = Math.max(this.#lastGood, this.#lastReconnect)
    if (since === -Infinity) this.#lastReconnect = now
    if (now - since <= RECONNECT_AFTER_MS || since === -Infinity) return
    this.#lastReconnect = now
    this.#changes.restart()
    reconnect(this.#client)
  }

  #fail(error: unknown): void {
    this.#problem = error instanceof Error ? error.message : String(error)
    if (this.#standing() !== 'current' && this.#lastGood !== -Infinity) this.#warnOf(this.#problem)
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
