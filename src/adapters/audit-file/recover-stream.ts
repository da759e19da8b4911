import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CHAIN_START, type ChainEnd } from '../../audit/chain/chain-line.js'
import { activeName, headName, type LogFileName, parseLogFileName } from '../../audit/chain/file-names.js'
import type { TornEnd } from '../../audit/chain/log-lines.js'
import { readHead } from './head-file.js'
import { codeOf, messageOf } from './io-error.js'
import { readFirst, readTail } from './tail.js'

export type StreamPlace = { readonly folder: string; readonly stem: string; readonly stream: string }

export type Recovered = {
  /** What the next line follows. */
  readonly end: ChainEnd
  /** Nothing is known of an earlier line. */
  readonly isNew: boolean
  /** For people; undefined: no line is known to be missing. */
  readonly missing: string | undefined
  readonly active:
    | {
        readonly handle: FileHandle
        readonly stats: Stats
        /** Undefined: its first line is not whole. */
        readonly firstSeq: number | undefined
        readonly openedAtMs: number | undefined
        readonly torn: TornEnd | undefined
        readonly needsLineFeed: boolean
      }
    | undefined
}

const APPEND = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * Where a stream ended, by its files, its head and `known`. Where the head or `known` is of a later line than the files
 * hold, the chain goes on from there: lines that were cut off stay missing for everybody to see.
 */
export async function recoverStream(
  place: StreamPlace & { readonly warn: (message: string) => void },
  known: ChainEnd,
): Promise<Recovered> {
  const { folder, stem, stream } = place
  const path = join(folder, activeName(stem, stream))
  const handle = await openFound(path, APPEND)
  try {
    const found = handle && (await readActive(handle, path))
    const inFiles = found?.end ?? (await endOfLastClosed(place)) ?? CHAIN_START
    const head = (await readHead(join(folder, headName(stem, stream)), place.warn)) ?? CHAIN_START
    const end = [inFiles, head, known].reduce((last, each) => (each.seq > last.seq ? each : last))
    return {
      end,
      isNew: end.seq === 0,
      missing:
        end.seq === inFiles.seq
          ? undefined
          : `${path}: lines ${inFiles.seq + 1} to ${end.seq} of the stream were written and are missing`,
      active: handle && found && { handle, ...found },
    }
  } catch (error) {
    await handle?.close()
    throw error
  }
}

/** Files of the log `stem` in a folder, without any order. */
export async function listLog(folder: string, stem: string): Promise<readonly LogFileName[]> {
  const names = await readdir(folder)
  return names.flatMap((name) => parseLogFileName(stem, name) ?? [])
}

/** The last line of a file that is no longer written, and its time where it is in plain text. */
export async function readClosed(
  path: string,
): Promise<{ readonly end: ChainEnd; readonly atMs: number } | undefined> {
  const handle = await openFound(path, READ)
  if (!handle) return undefined
  try {
    const stats = await regular(handle, path)
    const { end, lastTimestampMs } = await readTail(handle, stats.size)
    return end && { end, atMs: lastTimestampMs ?? stats.mtimeMs }
  } finally {
    await handle.close()
  }
}

type Found = Omit<NonNullable<Recovered['active']>, 'handle'> & { readonly end: ChainEnd | undefined }

async function readActive(handle: FileHandle, path: string): Promise<Found> {
  const stats = await regular(handle, path)
  await handle.chmod(0o600)
  const { end, torn, tornIsEnded, lacksLineFeed } = await readTail(handle, stats.size).catch(
    (error: unknown) => {
      throw new Error(`${path}: ${messageOf(error)}`)
    },
  )
  const first = await readFirst(handle, stats.size)
  return {
    end,
    stats,
    firstSeq: first?.seq,
    openedAtMs: first?.atMs,
    torn,
    needsLineFeed: lacksLineFeed || (torn !== undefined && !tornIsEnded),
  }
}

async function endOfLastClosed({ folder, stem, stream }: StreamPlace): Promise<ChainEnd | undefined> {
  const closed = (await listLog(folder, stem))
    .filter((file) => file.stream === stream && file.kind === 'closed')
    .toSorted((a, b) => (b.firstSeq ?? 0) - (a.firstSeq ?? 0))
  const [last] = closed
  return last && (await readClosed(join(folder, last.name)))?.end
}

async function regular(handle: FileHandle, path: string): Promise<Stats> {
  const stats = await handle.stat()
  if (!stats.isFile()) throw new Error(`${path} is no regular file`)
  return stats
}

/** Undefined: there is none. */
async function openFound(path: string, flags: number): Promise<FileHandle | undefined> {
  try {
    return await open(path, flags)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    if (codeOf(error) === 'ELOOP') throw new Error(`${path} is a symbolic link`, { cause: error })
    throw error
  }
}
