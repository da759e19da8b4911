import { readFileBounded } from '../adapters/files.js'
import type { RevocationLists } from '../identity/revocation-lists.js'
import { MAX_CRL_BYTES, parseRevocationList } from '../identity/x509-crl.js'
import { type Log, StartFailure } from './log.js'
import { type Watched, watched } from './watched.js'

/** One watched file; `problem` says why its newest content isn't in force. */
export type RevocationFile = Watched & { readonly path: string; readonly problem: string | undefined }

/**
 * A revocation list out of a watched file. Throws StartFailure when it can't be used now. Later, one that can't be
 * used changes nothing: the old one holds until it expires, and then refuses everybody of its issuer.
 */
export async function openRevocationFile(
  path: string,
  lists: RevocationLists,
  log: Log,
  nowMs: () => number,
): Promise<RevocationFile> {
  let current: string | undefined
  let problem: string | undefined
  const read = async (): Promise<void> => {
    const content = await readFileBounded(path, MAX_CRL_BYTES)
    const parsed = content.ok ? parseRevocationList(content.bytes, nowMs()) : content
    if (parsed.ok) {
      problem = undefined
      const known = current
      current = parsed.list.sha256Hex
      if (current === known) return
      lists.set(path, [parsed.list])
      log('info', 'revocation list read', { path, entries: parsed.list.revokedSerials.size })
      return
    }
    if (current === undefined) throw new StartFailure([`revocation list ${path}: ${parsed.problem}`])
    problem = parsed.problem
    log('error', 'revocation list refused, the old one stays', { path, problem })
  }
  const file = await watched([path], read, `revocation list ${path}`, log)
  return {
    path,
    again: () => file.again(),
    close: () => file.close(),
    get problem() {
      return problem
    },
  }
}
