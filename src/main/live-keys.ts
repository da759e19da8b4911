import { readFileBounded, watchPaths } from '../adapters/files.js'
import { FileKeySource } from '../adapters/jwks/file-key-source.js'
import { type KeyHealth, UrlKeySource } from '../adapters/jwks/url-key-source.js'
import type { Config, KeyLocation } from '../config/config.js'
import type { KeySource } from '../identity/key-source.js'
import { type Log, messageOf, StartFailure } from './log.js'

const MAX_KEY_FILE_BYTES = 1024 * 1024
const SETTLE_MS = 100

/** Key sources of issuers; the same location is opened once. */
export type LiveKeys = {
  readonly of: (location: KeyLocation) => KeySource
  /** Of key sets by URL. */
  readonly health: () => ReadonlyMap<string, KeyHealth>
  close(): void
}

/**
 * Opens every issuer's keys. A file that can't be read or a URL that may not be fetched is a StartFailure; a key
 * server that doesn't answer is not: calls with tokens of its issuers are refused until it does.
 */
export async function openKeys(config: Config, log: Log, nowMs: () => number): Promise<LiveKeys> {
  const locations = [...config.serviceTokens.issuers.values(), ...config.userTokens.issuers]
    .map(({ keys }) => keys)
    .filter((keys) => keys !== undefined)
  const sources = new Map<string, FileKeySource | UrlKeySource>()
  const watchers: { close(): void }[] = []
  const problems: string[] = []
  for (const location of locations) {
    const name = nameOf(location)
    if (sources.has(name)) continue
    try {
      const source =
        location.kind === 'file' ? await openFile(location.path) : openUrl(location, config, nowMs)
      sources.set(name, source)
      if (location.kind === 'file' && source instanceof FileKeySource) {
        watchers.push(watchKeys(location.path, source, log))
      }
    } catch (error) {
      problems.push(`keys of ${name}: ${messageOf(error)}`)
    }
  }
  const byUrl = [...sources].filter(
    (entry): entry is [string, UrlKeySource] => entry[1] instanceof UrlKeySource,
  )
  const close = (): void => {
    for (const watcher of watchers) watcher.close()
    for (const [, source] of byUrl) source.close()
  }
  if (problems.length > 0) {
    close()
    throw new StartFailure(problems)
  }
  await Promise.all(
    byUrl.map(async ([url, source]) => {
      await source.start()
      const { lastError } = source.health
      if (lastError !== undefined) log('warn', 'key set not fetched yet', { url, problem: lastError })
    }),
  )
  return {
    of: (location) => {
      const source = sources.get(nameOf(location))
      if (!source) throw new Error(`keys of ${nameOf(location)} were not opened`)
      return source
    },
    health: () => new Map(byUrl.map(([url, source]) => [url, source.health])),
    close,
  }
}

function nameOf(location: KeyLocation): string {
  switch (location.kind) {
    case 'file':
      return location.path
    case 'url':
      return location.url
    case 'discovery':
      return `issuer ${location.issuer}`
  }
}

async function readText(path: string): Promise<string> {
  const read = await readFileBounded(path, MAX_KEY_FILE_BYTES)
  if (!read.ok) throw new Error(read.problem)
  return read.bytes.toString()
}

async function openFile(path: string): Promise<FileKeySource> {
  const parsed = FileKeySource.parse(await readText(path))
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.source
}

function openUrl(
  from: Exclude<KeyLocation, { kind: 'file' }>,
  { jwks }: Config,
  now: () => number,
): UrlKeySource {
  const created = UrlKeySource.create({
    from,
    allowedHosts: jwks.allowedHosts,
    now,
    refreshMs: jwks.refreshIntervalMs,
    cooldownMs: jwks.cooldownMs,
    maxStaleMs: jwks.maxStaleMs,
    timeoutMs: jwks.timeoutMs,
  })
  if (!created.ok) throw new Error(created.problem)
  return created.source
}

function watchKeys(path: string, source: FileKeySource, log: Log): { close(): void } {
  const refused = (problem: string): void =>
    log('error', 'keys refused, the old ones stay', { path, problem })
  const reread = async (): Promise<void> => {
    try {
      const problem = source.replace(await readText(path))
      if (problem) refused(problem.problem)
    } catch (error) {
      refused(messageOf(error))
    }
  }
  return watchPaths([path], () => void reread(), { settleMs: SETTLE_MS })
}
