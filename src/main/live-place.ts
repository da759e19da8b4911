import { readFileBounded } from '../adapters/files.js'
import { openPlaceDatabase } from '../adapters/geo/mmdb.js'
import type { GeoConfig } from '../config/signals.js'
import { type CidrEntry, type CidrTable, compileCidrTable } from '../request/cidr-table.js'
import type { Place } from '../request/place.js'
import { readPlaceTable } from '../request/place-table.js'
import type { ReadLines } from '../request/range-lines.js'
import { readThreatList } from '../request/threat-list.js'
import { inTurns } from './in-turns.js'
import { type Log, StartFailure } from './log.js'
import { type Watched, watched } from './watched.js'

const MAX_DATABASE_BYTES = 512 * 1024 * 1024
const MAX_TABLE_BYTES = 256 * 1024 * 1024
const MAX_LIST_BYTES = 64 * 1024 * 1024

/** Addresses whose facts are remembered between two readings; some 10 MB. */
const MAX_REMEMBERED = 50_000
/** The longest textual IP address. */
const MAX_IP_LENGTH = 45

/** What is known of clients' addresses, read again whenever its files change. */
export type LivePlaces = {
  /** By a textual IP address. Undefined: nobody knows, or no database or table is configured. */
  placeOf(ip: string): Place | undefined
  /** Whether a list names it. */
  isMalicious(ip: string): boolean
  /** Why the newest content of a file isn't in force. */
  problems(): readonly string[]
  /** Reads everything once more; resolves when that is over. */
  again(): Promise<void>
  close(): void
}

export type PlaceSources = {
  readonly geo: GeoConfig | undefined
  readonly threats: { readonly files: readonly string[] }
}

type AddressFacts = { readonly place: Place | undefined; readonly malicious: boolean }

/**
 * Opens what the configuration names. Throws StartFailure with all problems of a file that can't be used now. Later a
 * wrong one changes nothing: what was read from it before stays, and `problems` tells.
 */
export async function openPlaces({ geo, threats }: PlaceSources, log: Log): Promise<LivePlaces> {
  const remembered = new Map<string, AddressFacts>()
  const problems = new Map<string, readonly string[]>()
  const forget = (): void => remembered.clear()
  const opened: Watched[] = []
  const close = (): void => {
    for (const each of opened) each.close()
  }
  let findPlace: (ip: string) => Place | undefined = () => undefined
  let listed: CidrTable<string> | undefined

  const refused = (path: string, found: readonly string[], first: boolean): void => {
    if (first) throw new StartFailure(found)
    problems.set(path, found)
    log('error', 'a file about addresses is refused, what was read before stays', { path, problems: found })
  }

  /** Reads one file, and puts in force what it says. */
  const watchPlaces = async (source: Exclude<GeoConfig, { kind: 'header' }>): Promise<void> => {
    let first = true
    const read = async (): Promise<void> => {
      const result = source.kind === 'mmdb' ? await readDatabase(source.path) : await readTable(source.path)
      if (!result.ok) {
        refused(source.path, result.problems, first)
        return
      }
      first = false
      problems.delete(source.path)
      findPlace = result.find
      forget()
      log('info', 'places read', { path: source.path, ...result.about })
    }
    opened.push(await watched([source.path], read, `places of ${source.path}`, log))
  }

  const watchLists = async (files: readonly string[]): Promise<void> => {
    const good = new Map<string, readonly CidrEntry<string>[]>()
    const read = async (): Promise<void> => {
      const wrong: string[] = []
      for (const path of files) {
        const list = await readLinesOf(path, MAX_LIST_BYTES, readThreatList)
        if (list.ok) {
          problems.delete(path)
          good.set(path, list.values)
        } else if (good.has(path)) refused(path, list.problems, false)
        else wrong.push(...list.problems)
      }
      if (wrong.length > 0) throw new StartFailure(wrong)
      listed = await inTurns(compileCidrTable([...good.values()].flat()))
      forget()
      log('info', 'threat lists read', { files: files.length, entries: listed.size })
    }
    opened.push(await watched(files, read, 'threat lists', log))
  }

  const opening = [
    ...(geo && geo.kind !== 'header' ? [watchPlaces(geo)] : []),
    ...(threats.files.length > 0 ? [watchLists(threats.files)] : []),
  ]
  await everyProblem(opening, close)

  const factsOf = (ip: string): AddressFacts => {
    const known = remembered.get(ip)
    if (known) return known
    if (ip.length > MAX_IP_LENGTH) return { place: undefined, malicious: false }
    const facts = { place: findPlace(ip), malicious: listed?.find(ip) !== undefined }
    if (remembered.size >= MAX_REMEMBERED) {
      const [oldest] = remembered.keys()
      if (oldest !== undefined) remembered.delete(oldest)
    }
    remembered.set(ip, facts)
    return facts
  }
  return {
    placeOf: (ip) => factsOf(ip).place,
    isMalicious: (ip) => factsOf(ip).malicious,
    problems: () => [...problems.values()].flat(),
    again: async () => {
      await Promise.all(opened.map((each) => each.again()))
    },
    close,
  }
}

type ReadPlaces =
  | {
      readonly ok: true
      readonly find: (ip: string) => Place | undefined
      readonly about: Readonly<Record<string, string | number>>
    }
  | { readonly ok: false; readonly problems: readonly string[] }

async function readDatabase(path: string): Promise<ReadPlaces> {
  const content = await readFileBounded(path, MAX_DATABASE_BYTES)
  if (!content.ok) return { ok: false, problems: [content.problem] }
  const opened = openPlaceDatabase(content.bytes)
  if (!opened.ok) return { ok: false, problems: [`${path} ${opened.problem}`] }
  const { placeOf, kind, builtAtMs } = opened.database
  return { ok: true, find: placeOf, about: { kind, builtAtMs } }
}

async function readTable(path: string): Promise<ReadPlaces> {
  const rows = await readLinesOf(path, MAX_TABLE_BYTES, readPlaceTable)
  if (!rows.ok) return rows
  const table = await inTurns(compileCidrTable(rows.values))
  return { ok: true, find: (ip) => table.find(ip), about: { entries: table.size } }
}

async function readLinesOf<Value>(
  path: string,
  maxBytes: number,
  read: (file: string, bytes: Buffer) => Generator<void, ReadLines<Value>>,
): Promise<ReadLines<Value>> {
  const content = await readFileBounded(path, maxBytes)
  return content.ok ? inTurns(read(path, content.bytes)) : { ok: false, problems: [content.problem] }
}

/** Waits for all. With one that failed, closes what was opened and throws the problems of all; a bug stays a bug. */
async function everyProblem(opening: readonly Promise<void>[], close: () => void): Promise<void> {
  const settled = await Promise.allSettled(opening)
  const failures = settled.flatMap((each): unknown[] => (each.status === 'rejected' ? [each.reason] : []))
  if (failures.length === 0) return
  close()
  const bug = failures.find((failure) => !(failure instanceof StartFailure))
  if (bug !== undefined) throw bug
  throw new StartFailure(
    failures.flatMap((failure) => (failure instanceof StartFailure ? failure.problems : [])),
  )
}
