import { constants } from 'node:fs'
import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type ChainedLine, splitLine } from '../audit/chain/chain-line.js'
import { signatureOf } from '../audit/chain/log-lines.js'
import {
  activeName,
  DEFAULT_STREAM,
  headName,
  type LogFileName,
  parseLogFileName,
  stemOfAny,
} from '../audit/chain/file-names.js'

/** A log: the files of all its streams, which lie in one folder. */
export type Log = {
  readonly folder: string
  /** What the names of its files begin with. */
  readonly stem: string
}

export type FoundLogs =
  | { readonly ok: true; readonly logs: readonly Log[]; readonly others: readonly string[] }
  | { readonly ok: false; readonly problem: string }

/** The logs that paths name: a folder all that lie in it, a file the one that it belongs to. */
export async function findLogs(paths: readonly string[]): Promise<FoundLogs> {
  const logs = new Map<string, Log>()
  const others: string[] = []
  const add = (folder: string, stem: string): void => void logs.set(join(folder, stem), { folder, stem })
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined)
    const isFolder = found?.isDirectory() === true
    const folder = isFolder ? path : dirname(path)
    const stem = isFolder ? undefined : stemOfAny(basename(path))
    if (!isFolder && (stem === undefined || (!found && !(await isThere(folder, stem)))))
      return {
        ok: false,
        problem: `${path} can't be read: ${found ? 'no name of an audit log' : 'no such file'}`,
      }
    if (stem !== undefined) {
      add(folder, stem)
      continue
    }
    const before = logs.size
    for (const [name, files] of await stemsIn(folder)) {
      if (await looksLikeLog(folder, files)) add(folder, name)
      else others.push(...files.map((file) => join(folder, file)))
    }
    if (logs.size === before) return { ok: false, problem: `there is no audit log in ${path}` }
  }
  return { ok: true, logs: [...logs.values()], others }
}

async function isThere(folder: string, stem: string): Promise<boolean> {
  const names = await readdir(folder).catch(() => [])
  return names.some((name) => stemOfAny(name) === stem)
}

async function stemsIn(folder: string): Promise<Map<string, string[]>> {
  const stems = new Map<string, string[]>()
  for (const name of (await readdir(folder)).toSorted()) {
    const stem = stemOfAny(name)
    if (stem !== undefined) stems.set(stem, [...(stems.get(stem) ?? []), name])
  }
  return stems
}

/** With a head, a closed file or a chain; other JSON lines may lie beside. */
async function looksLikeLog(folder: string, names: readonly string[]): Promise<boolean> {
  for (const name of names) {
    const kind = parseLogFileName(stemOfAny(name) ?? '', name)?.kind
    if (kind !== 'active' || (await firstLineOf(join(folder, name)))) return true
  }
  return false
}

export type OpenableFile = LogFileName & {
  /** Of the file that lines are written to: open before others are listed, so that a rotation loses none. */
  readonly handle?: FileHandle
}

/** The streams of a log by its files' names, the default one first. */
export async function streamNamesOf({ folder, stem }: Log): Promise<readonly string[]> {
  const names = new Set((await namesOf(folder, stem)).map(({ stream }) => stream))
  const others = [...names].filter((name) => name !== DEFAULT_STREAM)
  return names.has(DEFAULT_STREAM) ? [DEFAULT_STREAM, ...others] : others
}

/** The files of a stream in the order of their lines. The caller closes the handle. */
export async function streamFilesOf(log: Log, stream: string): Promise<readonly OpenableFile[]> {
  const active = parseLogFileName(log.stem, activeName(log.stem, stream))
  const handle = active && (await openRegular(join(log.folder, active.name)).catch(absent))
  try {
    const ordered: Ordered[] = []
    if (active && handle) ordered.push({ file: { ...active, handle }, first: await firstLine(handle) })
    const own = handle && identity(await handle.stat())
    for (const file of await namesOf(log.folder, log.stem)) {
      if (file.stream !== stream || file.kind !== 'closed') continue
      const closed = await openRegular(join(log.folder, file.name))
      try {
        // What was active a moment ago and has its number now is read once.
        if (identity(await closed.stat()) !== own) ordered.push({ file, first: await firstLine(closed) })
      } finally {
        await closed.close()
      }
    }
    return ordered.toSorted(byOrder).map(({ file }) => file)
  } catch (error) {
    await handle?.close()
    throw error
  }
}

type Ordered = { readonly file: OpenableFile; readonly first: ChainedLine | undefined }

/** By what is in them; of two files that begin with one line the one with that number in its name comes first. */
function byOrder(left: Ordered, right: Ordered): number {
  const order = ({ file, first }: Ordered): number => first?.seq ?? file.firstSeq ?? Infinity
  const misnamed = ({ file, first }: Ordered): number =>
    file.kind === 'closed' && file.firstSeq !== first?.seq ? 1 : 0
  const [before, after] = [order(left), order(right)]
  return before === after ? misnamed(left) - misnamed(right) : before < after ? -1 : 1
}

function absent(error: unknown): undefined {
  if (systemProblem(error)?.code !== 'ENOENT') throw error
}

function identity({ dev, ino }: { readonly dev: number; readonly ino: number }): string {
  return `${dev}:${ino}`
}

async function namesOf(folder: string, stem: string): Promise<readonly LogFileName[]> {
  const names = await readdir(folder)
  return names.toSorted().flatMap((name) => parseLogFileName(stem, name) ?? [])
}

/** Throws for what is no regular file. */
export async function openRegular(path: string): Promise<FileHandle> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  if ((await handle.stat()).isFile()) return handle
  await handle.close()
  throw Object.assign(new Error(`${path} is not a regular file`), { code: 'EINVAL' })
}

const FIRST_LINE_BYTES = 64 * 1024

async function firstLineOf(path: string): Promise<ChainedLine | undefined> {
  const handle = await openRegular(path)
  try {
    return await firstLine(handle)
  } finally {
    await handle.close()
  }
}

/** Undefined: the file does not begin with a line of a log. */
async function firstLine(handle: FileHandle): Promise<ChainedLine | undefined> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(FIRST_LINE_BYTES), 0, FIRST_LINE_BYTES, 0)
  const end = buffer.subarray(0, bytesRead).indexOf(10)
  return splitLine(buffer.subarray(0, end === -1 ? bytesRead : end))
}

export type HeadFile =
  | { readonly kind: 'line'; readonly line: ChainedLine }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unreadable' }

const MAX_HEAD_BYTES = 1024 * 1024

export async function readHeadFile({ folder, stem }: Log, stream: string): Promise<HeadFile> {
  let handle: FileHandle
  try {
    handle = await openRegular(join(folder, headName(stem, stream)))
  } catch (error) {
    if (systemProblem(error)?.code === 'ENOENT') return { kind: 'absent' }
    throw error
  }
  try {
    const { size } = await handle.stat()
    const text = size > MAX_HEAD_BYTES ? Buffer.alloc(0) : await handle.readFile()
    const line = splitLine(text.at(-1) === 10 ? text.subarray(0, -1) : text)
    return line ? { kind: 'line', line } : { kind: 'unreadable' }
  } finally {
    await handle.close()
  }
}

/** Whether one of its files begins with a signed line. */
export async function isSigned({ folder, stem }: Log): Promise<boolean> {
  for (const { kind, name } of await namesOf(folder, stem)) {
    const line = kind === 'head' ? undefined : await firstLineOf(join(folder, name))
    if (line && signatureOf(line.body)) return true
  }
  return false
}

/** What the file system said; undefined: another error. */
export function systemProblem(
  error: unknown,
): { readonly code: string; readonly message: string } | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error) || !('message' in error))
    return undefined
  return { code: String(error.code), message: String(error.message) }
}
