import { readFileBounded } from '../adapters/files.js'
import { parseTrustBundle } from '../identity/trust-bundle.js'
import { type Log, StartFailure } from './log.js'
import type { TrustState } from './trust-state.js'
import { type Watched, watched } from './watched.js'

export const MAX_BUNDLE_BYTES = 4 * 1024 * 1024

/**
 * A trust domain's bundle out of a watched file. Throws StartFailure when it can't be read now. Later, one that can't
 * be read keeps its last good version: a file that is being replaced must not deny the whole mesh.
 */
export async function openBundleFile(
  trustDomain: string,
  path: string,
  state: TrustState,
  log: Log,
): Promise<Watched> {
  const named = `trust bundle of ${trustDomain} (${path})`
  let first = true
  const read = async (): Promise<void> => {
    const problem = await readInto(state, trustDomain, path)
    if (problem === undefined) first = false
    else if (first) throw new StartFailure([`${named}: ${problem}`])
    else state.fail(trustDomain, problem)
  }
  return watched([path], read, named, log)
}

async function readInto(state: TrustState, trustDomain: string, path: string): Promise<string | undefined> {
  const content = await readFileBounded(path, MAX_BUNDLE_BYTES)
  if (!content.ok) return content.problem
  const parsed = parseTrustBundle(content.bytes)
  if (!parsed.ok) return parsed.problem
  const text = content.bytes.toString()
  if (/^\s*\{/.test(text)) state.acceptJwtKeys(trustDomain, text)
  else state.withdrawJwtKeys(trustDomain)
  state.accept(trustDomain, parsed.bundle)
  return undefined
}
