import { PARAMETER, type PathTemplate } from './path-template.js'

/** A node keeps its literal children as two parallel lists, sorted, without slack: there are tens of thousands. */
class Node<T> {
  keys: readonly string[] | undefined = undefined
  children: readonly Node<T>[] | undefined = undefined
  parameter: Node<T> | undefined = undefined
  here: T | undefined = undefined
  rest: T | undefined = undefined

  child(segment: string): Node<T> | undefined {
    if (!this.keys || !this.children) return undefined
    const at = position(this.keys, segment)
    return this.keys[at] === segment ? this.children[at] : undefined
  }

  grow(segment: string): Node<T> {
    if (segment === PARAMETER) return (this.parameter ??= new Node<T>())
    const known = this.child(segment)
    if (known) return known
    const node = new Node<T>()
    const at = this.keys ? position(this.keys, segment) : 0
    this.keys = this.keys ? this.keys.toSpliced(at, 0, segment) : [segment]
    this.children = this.children ? this.children.toSpliced(at, 0, node) : [node]
    return node
  }
}

/** Where a text stands, or would stand, in a sorted list. */
function position(sorted: readonly string[], text: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? '') < text) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * Values by path template. Of all templates that match a path, the one found prefers, from the left, a
 * literal to a parameter and that to the rest. Where the templates are closed under `meet`, that is the one
 * which every other matching template covers. Nothing is allocated but the segments looked up.
 */
export class TemplateTrie<T> {
  readonly #root = new Node<T>()

  get(template: PathTemplate): T | undefined {
    let node: Node<T> | undefined = this.#root
    for (const segment of template.segments) {
      node = segment === PARAMETER ? node?.parameter : node?.child(segment)
    }
    return template.rest ? node?.rest : node?.here
  }

  set(template: PathTemplate, value: T): void {
    let node = this.#root
    for (const segment of template.segments) node = node.grow(segment)
    if (template.rest) node.rest = value
    else node.here = value
  }

  /** The value for a canonical path, which begins with `/`. */
  find(path: string): T | undefined {
    return walk(this.#root, path, 1)
  }
}

/** `from` is where the next segment begins; past the end of the path when there is none. */
function walk<T>(node: Node<T>, path: string, from: number): T | undefined {
  if (from > path.length) return node.here ?? node.rest
  const slash = path.indexOf('/', from)
  const end = slash < 0 ? path.length : slash
  if (node.keys) {
    const literal = node.child(path.slice(from, end))
    const found = literal && walk(literal, path, end + 1)
    if (found !== undefined) return found
  }
  if (node.parameter && end > from) {
    const found = walk(node.parameter, path, end + 1)
    if (found !== undefined) return found
  }
  return node.rest
}
