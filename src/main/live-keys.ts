import { readFileBounded } from '../adapters/files.js'
import { FileKeySource } from '../adapters/jwks/file-key-source.js'
import { type KeyHealth, UrlKeySource } from '../adapters/jwks/url-key-source.js'
import type { Config, KeyLocation } from '../config/config.js'
import type { KeySource } from '../identity/key-source.js'
import { type Log, messageOf, StartFailure } from './log.js'
import { type Watched, watched } from './watched.js'

const MAX_KEY_FILE_BYTES = 1024 * 1024

/** Key sources of issuers; the same location is opened once. */
export type LiveKeys = {
  readonly of: (location: KeyLocation) => KeySource
  /** Of key sets by URL. */
  readonly health: () => ReadonlyMap<string, KeyHealth>
  close(): void
}

/**
 * Opens the keys of every issuer and every transmitter of signals. A file that can't be read or a URL that may not be fetched is a StartFailure; a key
 * server that doesn't answer is not: calls with tokens of its issuers are refused until it does.
 */
export async function openKeys(config: Config, log: Log, nowMs: () => number): Promise<LiveKeys> {
  const locations = [
    ...config.serviceTokens.issuers.values(),
    ...config.userTokens.issuers,
    ...config.ssf.transmitters,
  ]
    .map(({ keys }) => keys)
    .filter((keys) => keys !== undefined)
  const sources = new Map<string, FileKeySource | UrlKeySource>()
  const opened: { close(): void }[] = []
  const close = (): void => {
    for (const each of opened) each.close()
  }
  const problems: string[] = []
  for (const location of locations) {
    const name = nameOf(location)
    if (sources.has(name)) continue
    try {
      if (location.kind === 'file') {
        const { source, file } = await openFile(location.path, log)
        sources.set(name, source)
        opened.push(file)
      } else {
        const source = openUrl(location, config, nowMs)
        sources.set(name, source)
        opened.push(source)
      }
    } catch (error) {
      problems.push(`keys of ${name}: ${messageOf(error)}`)
    }
  }
  if (problems.length > 0) {
    close()
    throw new StartFailure(problems)
  }
  const byUrl = [...sources].filter(
    (entry): entry is [string, UrlKeySource] => entry[1] instanceof UrlKeySource,
  )
  // Nobody waits here for a key server: the first call that needs its keys does, within its own deadline.
  for (const [url, source] of byUrl) {
    void source.start().then(() => {
      const { lastError } = source.health
      if (lastError !== undefined) log('warn', 'key set not fetched yet', { url, problem: lastError })
    })
  }
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
  if (location.kind === 'file') return location.path
  return location.kind === 'url' ? location.url : `issuer ${location.issuer}`
}

/** Keys of a watched file. Throws when they can't be read now; later, what can't be read changes nothing. */
async function openFile(path: string, log: Log): Promise<{ source: FileKeySource; file: Watched }> {
  let source: FileKeySource | undefined
  const read = async (): Promise<void> => {
    const content = await readFileBounded(path, MAX_KEY_FILE_BYTES)
    const problem = content.ok ? take(content.bytes.toString()) : content.problem
    if (problem === undefined) return
    if (!source) throw new Error(problem)
    log('error', 'keys refused, the old ones stay', { path, problem })
  }
  const take = (text: string): string | undefined => {
    if (source) return source.replace(text)?.problem
    const parsed = FileKeySource.parse(text)
    if (!parsed.ok) return parsed.problem
    source = parsed.source
    return undefined
  }
  const file = await watched([path], read, `keys of ${path}`, log)
  if (!source) throw new Error('keys were read and are not there')
  return { source, file }
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
