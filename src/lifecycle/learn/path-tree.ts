import { idKind, isPrefix } from './fold-segment.js'
import { foldWords, graft } from './fold-words.js'
import { aNode, join, type PathNode } from './path-node.js'
import type { Room } from './room.js'
import { type Callers, note, type Sighting } from './seen.js'

/** More different words than this at one place, alike in shape and in all that is below, are names of things. */
export const MANY_WORDS = 20
/** Places that one target's paths may have; what comes beyond is told and not learned. */
const MAX_NODES = 20_000
const MAX_SEGMENTS = 64

/** One template with who called it by which method. */
export type Leaf = { readonly template: string; readonly methods: Map<string, Callers> }

/**
 * The paths that were seen of one target. Ids become parameters while they come, words at the end: whether they are
 * alike is known only then. Only where there is no room for more words are they folded before.
 */
export class PathTree {
  readonly #room: Room
  readonly #many: number
  readonly #root = aNode(false)
  #nodes = 1
  #isFull = false
  #isFoldedEarly = false

  constructor(room: Room, many = MANY_WORDS) {
    this.#room = room
    this.#many = many
  }

  /** False where there is no room for it. */
  add(path: string, method: string, sighting: Sighting): boolean {
    const segments = path.slice(1).split('/')
    if (segments.length > MAX_SEGMENTS) return false
    let node = this.#walk(segments)
    if (!node && this.#makeRoom()) node = this.#walk(segments)
    if (!node) return false
    let callers = node.methods.get(method)
    if (!callers?.has(sighting.caller) && !this.#room.take()) return false
    if (!callers) node.methods.set(method, (callers = new Map()))
    note(callers, sighting)
    return true
  }

  /** After the last path. */
  fold(): void {
    this.#foldNow()
    if (this.#isFoldedEarly) graft(this.#root)
  }

  *leaves(): Generator<Leaf> {
    yield* leavesOf(this.#root, '', new Set())
  }

  /** Whether the way that a path has in the folded tree was left out for a caller. */
  isLeftOut(path: string, method: string, caller: string): boolean {
    const leaf = find(this.#root, path.slice(1).split('/'), 0)
    return leaf !== undefined && leaf.methods.get(method)?.get(caller)?.isLeftOut === true
  }

  #walk(segments: readonly string[]): PathNode | undefined {
    let node = this.#root
    for (const segment of segments) {
      const next = this.#step(node, segment)
      if (!next) return undefined
      node = next
    }
    return node
  }

  #step(node: PathNode, segment: string): PathNode | undefined {
    const known = node.words.get(segment)
    if (known) return known
    const kind = segment === '' ? undefined : idKind(segment)
    if (kind !== undefined && node.parameter) {
      if (node.kind !== kind) node.kind = 'id'
      return node.parameter
    }
    if (this.#nodes >= MAX_NODES || !this.#room.take()) return undefined
    this.#nodes++
    const made = aNode(node.isBelowWord || (kind === undefined && segment !== '' && !isPrefix(segment)))
    if (kind === undefined) node.words.set(segment, made)
    else {
      node.parameter = made
      node.kind = kind
    }
    return made
  }

  /** False where folding does not help any more. */
  #makeRoom(): boolean {
    if (this.#isFull || this.#nodes < MAX_NODES) return false
    this.#foldNow()
    this.#isFoldedEarly = true
    this.#isFull = this.#nodes > 0.75 * MAX_NODES
    return this.#nodes < MAX_NODES
  }

  #foldNow(): void {
    foldWords(this.#root, this.#many, (into, from) => {
      const { nodes, entries } = join(into, from)
      this.#nodes -= nodes
      for (let count = nodes + entries; count > 0; count--) this.#room.giveBack()
    })
  }
}

/** The most specific: a word before the parameter. */
function find(node: PathNode, segments: readonly string[], at: number): PathNode | undefined {
  const segment = segments[at]
  if (segment === undefined) return node.methods.size > 0 ? node : undefined
  const word = node.words.get(segment)
  return (
    (word && find(word, segments, at + 1)) ??
    (node.parameter && segment !== '' ? find(node.parameter, segments, at + 1) : undefined)
  )
}

function* leavesOf(node: PathNode, path: string, names: ReadonlySet<string>): Generator<Leaf> {
  if (node.methods.size > 0) yield { template: path === '' ? '/' : path, methods: node.methods }
  for (const [word, child] of node.words) yield* leavesOf(child, `${path}/${word}`, names)
  if (!node.parameter) return
  let name = node.kind
  for (let number = 2; names.has(name); number++) name = `${node.kind}${number}`
  yield* leavesOf(node.parameter, `${path}/{${name}}`, new Set([...names, name]))
}
