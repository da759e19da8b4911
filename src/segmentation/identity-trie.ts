import type { SpiffeId } from '../identity/spiffe-id.js'

const ANY = '*'

type Node<T> = { children: Map<string, Node<T>> | undefined; any: Node<T> | undefined; value: T | undefined }

/** A SPIFFE ID, or a pattern in which `*` stands for one whole path segment. Always valid. */
export type IdentityPattern = Pick<SpiffeId, 'text' | 'trustDomain' | 'path'>

/** Values by SPIFFE ID pattern, by whole segments. */
export class IdentityTrie<T> {
  readonly #root: Node<T> = node()

  /** A value that is `wanted`, of a pattern that shares an identity with this one, whichever has the `*`. */
  overlapping(pattern: IdentityPattern, wanted: (value: T) => boolean): T | undefined {
    return overlap(this.#root.children?.get(pattern.trustDomain), pattern.path, 1, wanted)
  }

  set(pattern: IdentityPattern, value: T): void {
    let at = child(this.#root, pattern.trustDomain)
    if (pattern.path !== '') {
      for (const segment of pattern.path.slice(1).split('/')) {
        at = segment === ANY ? (at.any ??= node()) : child(at, segment)
      }
    }
    at.value = value
  }

  find(id: SpiffeId): T | undefined {
    const domain = this.#root.children?.get(id.trustDomain)
    return domain && walk(domain, id.path, 1)
  }
}

function node<T>(): Node<T> {
  return { children: undefined, any: undefined, value: undefined }
}

function child<T>(parent: Node<T>, segment: string): Node<T> {
  parent.children ??= new Map()
  let next = parent.children.get(segment)
  if (!next) parent.children.set(segment, (next = node()))
  return next
}

function walk<T>(at: Node<T>, path: string, from: number): T | undefined {
  if (from > path.length) return at.value
  const slash = path.indexOf('/', from)
  const end = slash < 0 ? path.length : slash
  const literal = at.children?.get(path.slice(from, end))
  const found = literal && walk(literal, path, end + 1)
  return found ?? (at.any && walk(at.any, path, end + 1))
}

function overlap<T>(
  at: Node<T> | undefined,
  path: string,
  from: number,
  wanted: (value: T) => boolean,
): T | undefined {
  if (!at) return undefined
  if (from > path.length) return at.value !== undefined && wanted(at.value) ? at.value : undefined
  const slash = path.indexOf('/', from)
  const end = slash < 0 ? path.length : slash
  const segment = path.slice(from, end)
  const wild = overlap(at.any, path, end + 1, wanted)
  if (wild !== undefined) return wild
  if (segment !== ANY) return overlap(at.children?.get(segment), path, end + 1, wanted)
  for (const next of at.children?.values() ?? []) {
    const found = overlap(next, path, end + 1, wanted)
    if (found !== undefined) return found
  }
  return undefined
}
