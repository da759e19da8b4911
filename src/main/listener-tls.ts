import { readFileBounded, watchPaths } from '../adapters/files.js'
import type { ListenerConfig } from '../config/config.js'
import { compileSpiffePattern, parseSpiffeId } from '../identity/spiffe-id.js'
import { type Log, messageOf, StartFailure } from './log.js'

const MAX_PEM_BYTES = 1024 * 1024
const SETTLE_MS = 100

/** What a listener presents and whom it takes, as PEM texts. */
export type TlsMaterial = {
  readonly certificate: string
  readonly key: string
  readonly clientCa: string | undefined
}

/** By listener name. Throws StartFailure naming every listener and file that can't be read. */
export async function readAllTls(
  listeners: readonly ListenerConfig[],
): Promise<ReadonlyMap<string, TlsMaterial>> {
  const materials = new Map<string, TlsMaterial>()
  const problems: string[] = []
  for (const { name, tls } of listeners) {
    if (!tls) continue
    try {
      materials.set(name, await readTls(name, tls))
    } catch (error) {
      if (!(error instanceof StartFailure)) throw error
      problems.push(...error.problems)
    }
  }
  if (problems.length > 0) throw new StartFailure(problems)
  return materials
}

async function readTls(name: string, tls: NonNullable<ListenerConfig['tls']>): Promise<TlsMaterial> {
  const problems: string[] = []
  const read = async (option: string, path: string): Promise<string> => {
    const file = await readFileBounded(path, MAX_PEM_BYTES)
    if (file.ok) return file.bytes.toString()
    problems.push(`listener ${name}, tls.${option}: ${file.problem}`)
    return ''
  }
  const material = {
    certificate: await read('certificate', tls.certificate),
    key: await read('key', tls.key),
    clientCa: tls.clientCa === undefined ? undefined : await read('clientCa', tls.clientCa),
  }
  if (problems.length > 0) throw new StartFailure(problems)
  return material
}

/** Who may ask: SPIFFE ID patterns of the configuration. Undefined: every client whose certificate is trusted. */
export function compileAllowedClients(
  patterns: readonly string[] | undefined,
): ((spiffeId: string) => boolean) | undefined {
  if (patterns === undefined) return undefined
  const compiled = patterns.map((text) => {
    const pattern = compileSpiffePattern(text)
    if (!pattern.ok) throw new Error(`allowedClients ${text} passed the checks`)
    return pattern
  })
  return (text) => {
    const parsed = parseSpiffeId(text)
    return parsed.ok && compiled.some((pattern) => pattern.matches(parsed.id))
  }
}

/** Reads the files again when one changes; certificate and key that don't fit each other change nothing. */
export function watchTls(
  name: string,
  tls: NonNullable<ListenerConfig['tls']>,
  update: (material: TlsMaterial) => void,
  log: Log,
): { close(): void } {
  const reread = async (): Promise<void> => {
    try {
      update(await readTls(name, tls))
      log('info', 'listener certificate changed', { listener: name })
    } catch (error) {
      log('error', 'listener certificate refused, the old one stays', {
        listener: name,
        problem: messageOf(error),
      })
    }
  }
  const paths = [tls.certificate, tls.key, ...(tls.clientCa === undefined ? [] : [tls.clientCa])]
  return watchPaths(paths, () => void reread(), { settleMs: SETTLE_MS })
}
