import { foldCase } from '../../identity/fold-case.js'
import type { RequestBody } from '../../request/access-request.js'
import { formName, isForm } from '../../request/form.js'
import { hasClaim, readClaim } from './claim-path.js'

/** A member of members of the body; the whole of it for no names. Undefined where the body doesn't say it in one way. */
export function readBodyMember(body: RequestBody | undefined, path: readonly string[]): unknown {
  const read = body?.read()
  if (!read?.ok) return undefined
  // A form without its repeated fields is not the form.
  return path.length === 0 && read.repeated.size > 0 ? undefined : readClaim(read.value, path)
}

/**
 * Undefined where nobody can tell: no body, one that can't be read, a step through a repeated field or into what is no
 * object, or a name of which only another spelling is there.
 */
export function isBodyMember(body: RequestBody | undefined, path: readonly string[]): boolean | undefined {
  const read = body?.read()
  if (!read?.ok) return undefined
  const [first] = path
  if (first !== undefined && read.repeated.size > 0) {
    if (read.repeated.has(first)) return path.length === 1 ? true : undefined
    const shared = formName(first)
    for (const name of read.repeated) if (formName(name) === shared) return undefined
  }
  return hasClaim(read.value, path, isSpeltOtherwise)
}

/** Names of objects as their spellings share them, once looked for. */
const shared = new WeakMap<object, ReadonlySet<string>>()

/** Whether an object without the member has one that some upstreams would take for it. */
export function isSpeltOtherwise(object: object, name: string): boolean {
  const form = isForm(object)
  let names = shared.get(object)
  if (!names) {
    const own = object instanceof Map ? [...object.keys()].map(String) : Object.keys(object)
    names = new Set(own.map(form ? formName : foldCase))
    shared.set(object, names)
  }
  return names.has(form ? formName(name) : foldCase(name))
}
