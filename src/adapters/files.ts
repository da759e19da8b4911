import { constants, readdirSync, statSync, watch } from 'node:fs'
import type { BigIntStats, FSWatcher } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

export type BoundedFile =
  { readonly ok: true; readonly bytes: Buffer } | { readonly ok: false; readonly problem: string }

/** Reads a regular file of at most `maxBytes`. What can't be read is a result, because operators name the path. */
export async function readFileBounded(path: string, maxBytes: number): Promise<BoundedFile> {
  try {
    // Non-blocking, so that a FIFO without a writer can't hang the start.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const { size } = await file.stat().then((found) => (found.isFile() ? found : { size: -1 }))
      if (size < 0) return { ok: false, problem: `${path} is not a regular file` }
      if (size > maxBytes)
        return { ok: false, problem: `${path} has ${size} bytes; at most ${maxBytes} are read` }
      const bytes = Buffer.alloc(maxBytes < size + 4096 ? maxBytes + 1 : size + 4096)
      let length = 0
      for (;;) {
        const { bytesRead } = await file.read(bytes, length, bytes.length - length)
        length += bytesRead
        if (bytesRead === 0) return { ok: true, bytes: bytes.subarray(0, length) }
        if (length === bytes.length) return { ok: false, problem: `${path} grows while it is read` }
      }
    } finally {
      await file.close()
    }
  } catch (error) {
    return { ok: false, problem: `${path} can't be read: ${reasonOf(error)}` }
  }
}

function reasonOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
  switch (code) {
    case 'ENOENT':
      return 'no such file or folder'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    case 'ENOTDIR':
      return 'a part of its path is not a folder'
    case 'ELOOP':
      return 'its symbolic links lead in a circle'
    default:
      return error instanceof Error ? error.message : String(error)
  }
}

/** How many bytes they have together, as far as they can be looked at. */
export async function sizeOfFiles(paths: readonly string[]): Promise<number> {
  let bytes = 0
  for (const path of paths) {
    bytes += await stat(path)
      .then(({ size }) => size)
      .catch(() => 0)
  }
  return bytes
}

export type ListedFiles =
  { readonly ok: true; readonly files: readonly string[] } | { readonly ok: false; readonly problem: string }

const MAX_DEPTH = 32
const MAX_ENTRIES = 200_000
const POLICY_FILE = /\.ya?ml$/
const NOT_POLICY = /^kustomization\.ya?ml$/i

/**
 * The policy documents below a folder, sorted: `*.yaml` and `*.yml` but kustomization files. Entries
 * that begin with a dot are passed over, links are followed, and no folder is read twice; so of a
 * mounted ConfigMap each document is read once, by its visible name.
 */
export async function listPolicyFiles(directory: string): Promise<ListedFiles> {
  const files: string[] = []
  const seen = new Set<string>()
  let entries = 0
  const walk = async (folder: string, depth: number): Promise<string | undefined> => {
    const found = await stat(folder)
    const identity = `${found.dev}:${found.ino}`
    if (seen.has(identity)) return undefined
    seen.add(identity)
    if (depth > MAX_DEPTH) return `${folder} lies deeper than ${MAX_DEPTH} folders`
    for (const entry of (await readdir(folder, { withFileTypes: true })).toSorted(byName)) {
      if (entry.name.startsWith('.')) continue
      if (++entries > MAX_ENTRIES) return `${directory} has more than ${MAX_ENTRIES} entries`
      const path = join(folder, entry.name)
      const isFolder = entry.isSymbolicLink()
        ? await stat(path)
            .then((target) => target.isDirectory())
            .catch(() => false)
        : entry.isDirectory()
      if (isFolder) {
        const problem = await walk(path, depth + 1)
        if (problem !== undefined) return problem
      } else if (POLICY_FILE.test(entry.name) && !NOT_POLICY.test(entry.name)) files.push(path)
    }
    return undefined
  }
  try {
    const problem = await walk(directory, 0)
    return problem === undefined ? { ok: true, files: files.toSorted() } : { ok: false, problem }
  } catch (error) {
    return { ok: false, problem: `${directory} can't be read: ${reasonOf(error)}` }
  }
}

function byName(left: { readonly name: string }, right: { readonly name: string }): number {
  return left.name < right.name ? -1 : left.name > right.name ? 1 : 0
}

export type WatchOptions = {
  /** Two looks this far apart must agree before a change is told; milliseconds, default 100. */
  readonly settleMs?: number
  /** Between two looks without any notice from the system; milliseconds, default 750. */
  readonly pollMs?: number
}

/** Looks that may disagree before a change is told anyway, so that a file written to for ever is not waited for. */
const MAX_UNSETTLED = 10
const MAX_WATCHERS = 256
/** Entries looked at before others get a turn. */
const ENTRIES_A_TURN = 50

/**
 * Calls `onChange` (which must not throw) after something at or below `paths` changed since this call:
 * written in place, replaced by a rename, created, removed, or reached through a link that was swapped.
 * A path may be absent, now or for a while. Once about a second at worst; many changes at once are one call.
 *
 * The system's notices only make a look happen sooner; what counts is device, inode, size and times of
 * everything found, so file systems without notices work too. Keeps no process alive.
 */
export function watchPaths(
  paths: readonly string[],
  onChange: () => void,
  options: WatchOptions = {},
): { close(): void } {
  const { settleMs = 100, pollMs = 750 } = options
  const roots = paths.map((path) => resolve(path))
  const watchers = new Map<string, FSWatcher>()
  let told = finish(look(roots))
  let last = told.print
  let unsettled = 0
  let closed = false
  let timer: NodeJS.Timeout | undefined
  let dueAtMs = Infinity
  /** Looking costs at most a tenth of the time, however often the system has a notice. */
  let restMs = settleMs

  /** Only ever makes the next look sooner, so that a busy folder can't put it off. */
  const lookIn = (delayMs: number): void => {
    const atMs = performance.now() + Math.max(delayMs, restMs)
    if (closed || atMs >= dueAtMs) return
    dueAtMs = atMs
    clearTimeout(timer)
    timer = setTimeout(() => void lookNow(), Math.max(delayMs, restMs)).unref()
  }

  const lookNow = async (): Promise<void> => {
    // While this look is under way no other one begins.
    dueAtMs = -Infinity
    const startedAt = performance.now()
    const seen = await inTurns(look(roots))
    if (closed) return
    dueAtMs = Infinity
    listen(seen.folders)
    restMs = Math.max(settleMs, (performance.now() - startedAt) * 10)
    const settled = seen.print === last || unsettled >= MAX_UNSETTLED
    last = seen.print
    if (seen.print === told.print) {
      unsettled = 0
      lookIn(pollMs)
    } else if (settled) {
      unsettled = 0
      told = seen
      lookIn(pollMs)
      onChange()
    } else {
      unsettled++
      lookIn(settleMs)
    }
  }

  const listen = (folders: ReadonlySet<string>): void => {
    for (const [folder, watcher] of watchers) {
      if (folders.has(folder)) continue
      watcher.close()
      watchers.delete(folder)
    }
    for (const folder of folders) {
      if (watchers.has(folder) || watchers.size >= MAX_WATCHERS) continue
      try {
        const watcher = watch(folder, { persistent: false }, () => lookIn(settleMs))
        watcher.on('error', () => {
          watcher.close()
          watchers.delete(folder)
        })
        watchers.set(folder, watcher)
      } catch {
        // No notices from here (gone, or the system's limit is reached): the polling looks find its changes.
      }
    }
  }

  listen(told.folders)
  lookIn(pollMs)
  return {
    close(): void {
      closed = true
      clearTimeout(timer)
      for (const watcher of watchers.values()) watcher.close()
      watchers.clear()
    },
  }
}

type Seen = { readonly print: string; readonly folders: ReadonlySet<string> }

/** What is there, as one text that differs when anything does. Yields now and then, so that it can be done in turns. */
function* look(roots: readonly string[]): Generator<void, Seen> {
  const lines: string[] = []
  const folders = new Set<string>()
  const visited = new Set<string>()
  const pending = roots.map((path) => ({ path, depth: 0 }))
  for (const root of roots) folders.add(dirname(root))
  for (let next = pending.pop(); next && lines.length < MAX_ENTRIES; next = pending.pop()) {
    const { path, depth } = next
    if (lines.length % ENTRIES_A_TURN === 0) yield
    const found = whatIsAt(path)
    if (typeof found === 'string') {
      lines.push(`${path}\0${found}`)
      continue
    }
    const identity = `${found.dev}:${found.ino}`
    lines.push(`${path}\0${identity}:${found.size}:${found.mtimeNs}:${found.ctimeNs}`)
    if (!found.isDirectory() || depth > MAX_DEPTH || visited.has(identity)) continue
    visited.add(identity)
    folders.add(path)
    for (const name of namesIn(path)) {
      if (!name.startsWith('.')) pending.push({ path: join(path, name), depth: depth + 1 })
    }
  }
  return { print: lines.join('\n'), folders }
}

/** Its metadata, or why there is none: paths come and go while they are looked at. */
function whatIsAt(path: string): BigIntStats | string {
  try {
    return statSync(path, { throwIfNoEntry: false, bigint: true }) ?? 'absent'
  } catch (error) {
    return reasonOf(error)
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    // Gone or closed to us since its metadata was read; the next look sees that.
    return []
  }
}

function finish(looking: Generator<void, Seen>): Seen {
  for (;;) {
    const step = looking.next()
    if (step.done) return step.value
  }
}

async function inTurns(looking: Generator<void, Seen>): Promise<Seen> {
  for (;;) {
    const step = looking.next()
    if (step.done) return step.value
    await new Promise((done) => setImmediate(done))
  }
}
