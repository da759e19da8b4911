import { constants } from 'node:fs'
import { type FileHandle, open, readdir, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { HEAD_BYTES, howWritten, sealed, type SpoolKey, unsealed } from './spool-file.js'

export type SpoolOptions = {
  /** Is there, and is used by this process alone. */
  readonly directory: string
  /** Of all files, those that were set aside included. */
  readonly maxBytes: number
  /** Undefined: batches lie in plain, readable by the owner alone. */
  readonly key: SpoolKey | undefined
}

/** A batch on disk. Numbers grow with time. */
export type SpoolEntry = { readonly number: number; readonly count: number; readonly bytes: number }

export type SpoolRead =
  | { readonly ok: true; readonly body: Buffer }
  /** It will never be readable; a file that is gone has nothing to be set aside. */
  | { readonly ok: false; readonly problem: string; readonly isGone: boolean }

export type Spool = {
  /** What was there at the start, oldest first. */
  readonly found: readonly SpoolEntry[]
  /** The highest of any file that was there, set aside or not; 0 where there was none. */
  readonly lastNumber: number
  /** On disk for good once it resolves; `no-room`: maxBytes would be exceeded. Rejects where the disk refuses. */
  readonly write: (number: number, count: number, body: Buffer) => Promise<SpoolEntry | 'no-room'>
  /** Rejects where the disk refuses now. */
  readonly read: (entry: SpoolEntry) => Promise<SpoolRead>
  /** Rejects where the disk refuses; then the file is found again at the next start. */
  readonly remove: (entry: SpoolEntry) => Promise<void>
  /** Keeps a file under another name for people, out of the way. Its name. */
  readonly setAside: (entry: SpoolEntry) => Promise<string>
}

export type OpenedSpool =
  | { readonly ok: true; readonly spool: Spool; readonly leftOver: number }
  | { readonly ok: false; readonly problem: string }

const NAME = /^([0-9]{16})-([1-9][0-9]{0,5})\.batch$/
const BAD = /^([0-9]{16})-[1-9][0-9]{0,5}\.batch\.bad$/
/** Written and not finished: an end in between left it behind. */
const UNFINISHED = /\.batch\.tmp$/
const NO_FOLLOW = constants.O_NOFOLLOW

/**
 * Opens a folder of batches. Nothing of it is lost by what is refused here: the folder can't be used, or holds
 * batches that this key can't open. Unfinished files are removed; `leftOver` says how many.
 */
export async function openSpool({ directory, maxBytes, key }: SpoolOptions): Promise<OpenedSpool> {
  const found: SpoolEntry[] = []
  let bytes = 0
  let leftOver = 0
  let locked = 0
  let lastNumber = 0
  try {
    for (const name of (await readdir(directory)).toSorted()) {
      if (UNFINISHED.test(name)) {
        await unlink(join(directory, name))
        leftOver++
        continue
      }
      const [, number, count] = NAME.exec(name) ?? BAD.exec(name) ?? []
      if (number === undefined) continue
      const { size, head } = await lookAt(join(directory, name))
      bytes += size
      lastNumber = Number(number)
      if (count !== undefined) {
        found.push({ number: Number(number), count: Number(count), bytes: size })
        if (howWritten(head, key) === 'other-key') locked++
      }
    }
    await syncFolder(directory)
  } catch (error) {
    return { ok: false, problem: `${directory} can't be used: ${codeOf(error)}` }
  }
  if (locked > 0) {
    const what = key ? 'another key' : 'a key, and no `keyFile` is given'
    return { ok: false, problem: `${directory} holds ${locked} batches that are encrypted with ${what}` }
  }
  return { ok: true, spool: spoolIn({ directory, maxBytes, key }, { found, lastNumber }, bytes), leftOver }
}

function spoolIn(
  { directory, maxBytes, key }: SpoolOptions,
  atStart: Pick<Spool, 'found' | 'lastNumber'>,
  startBytes: number,
): Spool {
  let bytes = startBytes
  const pathOf = (entry: SpoolEntry): string => join(directory, nameOf(entry.number, entry.count))

  async function write(number: number, count: number, body: Buffer): Promise<SpoolEntry | 'no-room'> {
    const name = nameOf(number, count)
    const content = sealed(name, body, key)
    if (bytes + content.length > maxBytes) return 'no-room'
    const unfinished = join(directory, `${name}.tmp`)
    try {
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | NO_FOLLOW
      const file = await open(unfinished, flags, 0o600)
      try {
        await file.writeFile(content)
        await file.datasync()
      } finally {
        await file.close()
      }
      await rename(unfinished, join(directory, name))
    } catch (error) {
      await unlink(unfinished).catch(ignore)
      throw error
    }
    bytes += content.length
    // The file is complete; without this alone a loss of power could undo its name.
    await syncFolder(directory).catch(ignore)
    return { number, count, bytes: content.length }
  }

  async function read(entry: SpoolEntry): Promise<SpoolRead> {
    const name = nameOf(entry.number, entry.count)
    try {
      const body = unsealed(name, await readAll(pathOf(entry)), key)
      return body ? { ok: true, body } : { ok: false, problem: `${name} is damaged`, isGone: false }
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      bytes -= entry.bytes
      return { ok: false, problem: `${name} is gone`, isGone: true }
    }
  }

  return {
    ...atStart,
    write,
    read,
    remove: async (entry) => {
      await unlink(pathOf(entry)).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw error
      })
      bytes -= entry.bytes
    },
    setAside: async (entry) => {
      const name = `${nameOf(entry.number, entry.count)}.bad`
      await rename(pathOf(entry), join(directory, name))
      return name
    },
  }
}

/** The count is in the name, so that a start knows how many events wait without reading them. */
function nameOf(number: number, count: number): string {
  return `${String(number).padStart(16, '0')}-${count}.batch`
}

async function lookAt(path: string): Promise<{ size: number; head: Buffer }> {
  return withFile(path, async (file) => {
    const { size } = await file.stat()
    const head = Buffer.alloc(Math.min(size, HEAD_BYTES))
    await file.read(head, 0, head.length, 0)
    return { size, head }
  })
}

async function readAll(path: string): Promise<Buffer> {
  return withFile(path, (file) => file.readFile())
}

async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | NO_FOLLOW)
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}

async function syncFolder(directory: string): Promise<void> {
  await withFile(directory, (folder) => folder.sync())
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : String(error)
}

function ignore(): void {
  // It stays where it is, and the next start removes it.
}
