import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Claim, ClaimAnswer, ReplayGuard } from '../../identity/replay.js'

export type EmbeddedReplayGuardOptions = {
  /** `store.directory`: where a clean shutdown leaves what is still live. Created when absent. */
  readonly directory: string
  /** When this process started, in milliseconds since the epoch. */
  readonly startedAtMs: number
  readonly now: () => number
  /** Live claims held at once, about 100 bytes each. Beyond it every claim is `unavailable`. */
  readonly maxEntries?: number
  /** Told when the file of the last shutdown is there and can't be used. */
  readonly warn: (message: string) => void
}

const FILE = 'used-tokens.json'
const DEFAULT_MAX_ENTRIES = 1_000_000
const KEY = /^[A-Za-z0-9_-]{22}$/

/** What one process leaves for the next; times are whole seconds since the epoch. */
type Snapshot = {
  readonly watermarkSecond: number
  readonly sweptSecond: number
  /** Key and the second its credential ends in. */
  readonly used: readonly (readonly [string, number])[]
}

/**
 * Opens the guard of a single process.
 *
 * The rule over restarts: a clean shutdown writes the live claims to `used-tokens.json`; the next start reads and
 * deletes it. Without it (crash, first start, damage) nothing is known of what was used before, so a credential
 * whose `iat` lies in a second that had begun when the process started is `before-start`. Opening then lasts until
 * that second is over, so that everything issued to a ready server is taken. Not covered: after a crash, a
 * credential of an issuer whose clock runs ahead may be used twice, within that lead.
 * Throws when the directory can't be made or the file can't be deleted.
 */
export async function openEmbeddedReplayGuard(
  options: EmbeddedReplayGuardOptions,
): Promise<EmbeddedReplayGuard> {
  const { directory, startedAtMs, now, warn, maxEntries = DEFAULT_MAX_ENTRIES } = options
  await mkdir(directory, { recursive: true })
  const path = join(directory, FILE)
  const left = await takeSnapshot(path, maxEntries, warn)
  const snapshot = left ?? { watermarkSecond: Math.ceil(startedAtMs / 1000), sweptSecond: 0, used: [] }
  if (!left) {
    const waitMs = snapshot.watermarkSecond * 1000 - now()
    if (waitMs > 0 && waitMs <= 1000) await sleep(waitMs)
  }
  return new EmbeddedReplayGuard(path, snapshot, maxEntries)
}

/** Exact: every claim is held until its credential has ended, whatever the clock does. */
export class EmbeddedReplayGuard implements ReplayGuard {
  readonly #path: string
  readonly #watermarkSecond: number
  readonly #maxEntries: number
  readonly #used = new Set<string>()
  /** Keys by the second their credential ends in. */
  readonly #ending = new Map<number, string[]>()
  /** What ended up to here is forgotten, so a clock that is set back must not bring it to life again. */
  #sweptSecond: number
  #closed = false

  constructor(path: string, snapshot: Snapshot, maxEntries: number) {
    this.#path = path
    this.#watermarkSecond = snapshot.watermarkSecond
    this.#sweptSecond = snapshot.sweptSecond
    this.#maxEntries = maxEntries
    for (const [key, second] of snapshot.used) this.#add(key, second)
  }

  /** Live claims, for metrics. */
  get size(): number {
    return this.#used.size
  }

  claim({ key, issuedAtMs, expiresAtMs }: Claim, nowMs: number): ClaimAnswer {
    if (this.#closed) return 'unavailable'
    this.#sweep(nowMs)
    const second = Math.ceil(expiresAtMs / 1000)
    if (second <= this.#sweptSecond || this.#used.has(key)) return 'replayed'
    if (Math.floor(issuedAtMs / 1000) < this.#watermarkSecond) return 'before-start'
    if (this.#used.size >= this.#maxEntries) return 'unavailable'
    this.#add(key, second)
    return 'first'
  }

  /**
   * Refuses every claim from now on, then writes the live ones for the next start. Throws when they can't be
   * written; the next start then goes by its own time.
   */
  async close(nowMs: number): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#sweep(nowMs)
    const snapshot: Snapshot = {
      watermarkSecond: this.#watermarkSecond,
      sweptSecond: this.#sweptSecond,
      used: [...this.#ending].flatMap(([second, keys]) => keys.map((key) => [key, second] as const)),
    }
    await writeDurably(this.#path, JSON.stringify(snapshot))
  }

  #add(key: string, second: number): void {
    this.#used.add(key)
    const keys = this.#ending.get(second)
    if (keys) keys.push(key)
    else this.#ending.set(second, [key])
  }

  #sweep(nowMs: number): void {
    const nowSecond = Math.floor(nowMs / 1000)
    if (nowSecond <= this.#sweptSecond) return
    this.#sweptSecond = nowSecond
    for (const [second, keys] of this.#ending) {
      if (second > nowSecond) continue
      for (const key of keys) this.#used.delete(key)
      this.#ending.delete(second)
    }
  }
}

/** Reads what the last shutdown left and deletes it durably: after a crash it must not be taken for news. */
async function takeSnapshot(
  path: string,
  maxEntries: number,
  warn: (message: string) => void,
): Promise<Snapshot | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    text = ''
  }
  await rm(path, { force: true })
  await syncDirectory(dirname(path))
  const snapshot = parseSnapshot(text)
  if (snapshot && snapshot.used.length <= maxEntries) return snapshot
  warn(`${path} can't be used; service tokens issued before this start are refused as possible replays`)
  return undefined
}

function parseSnapshot(text: string): Snapshot | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { watermarkSecond, sweptSecond, used } = value as Partial<Record<keyof Snapshot, unknown>>
  return isSecond(watermarkSecond) && isSecond(sweptSecond) && Array.isArray(used) && used.every(isUse)
    ? { watermarkSecond, sweptSecond, used }
    : undefined
}

function isUse(entry: unknown): entry is readonly [string, number] {
  if (!Array.isArray(entry) || entry.length !== 2) return false
  const [key, second] = entry as readonly unknown[]
  return typeof key === 'string' && KEY.test(key) && isSecond(second)
}

function isSecond(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

async function writeDurably(path: string, text: string): Promise<void> {
  const draft = `${path}.draft`
  const file = await open(draft, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, path)
  await syncDirectory(dirname(path))
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function isMissing(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT'
}
