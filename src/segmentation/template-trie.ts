import { PARAMETER, type PathTemplate } from './path-template.js'

/**
 * Values by path template; each node is the trie of what follows it. Of all templates that match a path, the
 * one found prefers, from the left, a literal to a parameter and that to the rest. Where the templates are
 * closed under `meet`, that is the one which every other matching template covers. There are tens of thousands
 * of nodes and most have one literal child: only further ones cost a Map.
 */
export class TemplateTrie<T> {
  private key: string | undefined = undefined
  private only: TemplateTrie<T> | undefined = undefined
  private others: Map<string, TemplateTrie<T>> | undefined = undefined
  private parameter: TemplateTrie<T> | undefined = undefined
  private here: T | undefined = undefined
  private rest: T | undefined = undefined

  set(template: PathTemplate, value: T): void {
    const end = template.segments.reduce<TemplateTrie<T>>((node, segment) => node.grow(segment), this)
    if (template.rest) end.rest = value
    else end.here = value
  }

  /** The value for a canonical path, which begins with `/`. Nothing is allocated but the segments looked up. */
  find(path: string): T | undefined {
    return this.walk(path, 1)
  }

  /** `from` is where the next segment begins; past the end of the path when there is none. */
  private walk(path: string, from: number): T | undefined {
    if (from > path.length) return this.here ?? this.rest
    const slash = path.indexOf('/', from)
    const end = slash < 0 ? path.length : slash
    if (this.only) {
      const found = this.child(path.slice(from, end))?.walk(path, end + 1)
      if (found !== undefined) return found
    }
    if (this.parameter && end > from) {
      const found = this.parameter.walk(path, end + 1)
      if (found !== undefined) return found
    }
    return this.rest
  }

  private child(segment: string): TemplateTrie<T> | undefined {
    return segment === this.key ? this.only : this.others?.get(segment)
  }

  private grow(segment: string): TemplateTrie<T> {
    if (segment === PARAMETER) return (this.parameter ??= new TemplateTrie<T>())
    const known = this.child(segment)
    if (known) return known
    const node = new TemplateTrie<T>()
    if (this.only) {
      this.others ??= new Map()
      this.others.set(segment, node)
    } else {
      this.key = segment
      this.only = node
    }
    return node
  }
}
