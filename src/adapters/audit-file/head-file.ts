import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type ChainEnd, splitLine } from '../../audit/chain/chain-line.js'
import { codeOf } from './io-error.js'

/** What the newest checkpoint says. */
export type Head = ChainEnd & { readonly streams: ReadonlyMap<string, ChainEnd> }

const MAX_BYTES = 1024 * 1024
/** No log gets there; a chain must be able to go on behind it. */
const MAX_SEQ = 2 ** 50
const HASH = /^[A-Za-z0-9_-]{43}$/

/** Undefined: there is none, or, which is warned of, one that is no line of a log. */
export async function readHead(path: string, warn: (message: string) => void): Promise<Head | undefined> {
  let text: Buffer | undefined
  try {
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      if ((await handle.stat()).size <= MAX_BYTES) text = await handle.readFile()
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  const line = text && splitLine(text.at(-1) === 10 ? text.subarray(0, -1) : text)
  if (!line || line.seq > MAX_SEQ) {
    warn(`${path} is no head of an audit log: lines that were cut off the end can't be noticed`)
    return undefined
  }
  return { seq: line.seq, hash: line.hash, streams: streamsOf(line.body) }
}

/** Replaces the head as a whole. `isDurable`: it is on the disk when this resolves. */
export async function writeHead(path: string, line: string, isDurable: boolean): Promise<void> {
  const temporary = `${path}.tmp`
  await rm(temporary, { force: true })
  const handle = await open(
    temporary,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o600,
  )
  try {
    await handle.writeFile(`${line}\n`)
    if (isDurable) await handle.datasync()
  } finally {
    await handle.close()
  }
  await rename(temporary, path)
  if (isDurable) await syncFolder(dirname(path))
}

/** Makes names that were made, changed or removed in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function streamsOf(body: Buffer): ReadonlyMap<string, ChainEnd> {
  const known = new Map<string, ChainEnd>()
  let checkpoint: unknown
  try {
    checkpoint = JSON.parse(`${body.toString()}}`)
  } catch {
    return known
  }
  if (!isRecord(checkpoint) || !isRecord(checkpoint['streams'])) return known
  for (const [stream, end] of Object.entries(checkpoint['streams'])) {
    if (!isRecord(end)) continue
    const { seq, hash } = end
    if (typeof seq === 'number' && Number.isSafeInteger(seq) && typeof hash === 'string' && HASH.test(hash)) {
      known.set(stream, { seq, hash })
    }
  }
  return known
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
