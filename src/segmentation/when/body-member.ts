import type { RequestBody } from '../../request/access-request.js'
import { readClaim } from './claim-path.js'

/** A member of members of the body; the whole of it for no names. Undefined where the body doesn't say it in one way. */
export function readBodyMember(body: RequestBody | undefined, path: readonly string[]): unknown {
  const read = body?.read()
  if (!read?.ok) return undefined
  // A form without its repeated fields is not the form.
  return path.length === 0 && read.repeated.size > 0 ? undefined : readClaim(read.value, path)
}

/** Undefined where nobody can tell: no body, one that can't be read, or a step through a repeated field. */
export function isBodyMember(body: RequestBody | undefined, path: readonly string[]): boolean | undefined {
  const read = body?.read()
  if (!read?.ok) return undefined
  if (read.repeated.has(path[0] ?? '')) return path.length === 1 ? true : undefined
  return readClaim(read.value, path) !== undefined
}
