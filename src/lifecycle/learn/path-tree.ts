import { idKind, shapeOf } from './fold-segment.js'
import type { Room } from './room.js'
import { type Callers, mergeAll, note, type Sighting } from './seen.js'

/** More different words than this at one place, of one shape, are names of things and become a parameter. */
export const MANY_WORDS = 20
/** Places that one target's paths may have; what comes beyond is told and not learned. */
const MAX_NODES = 20_000
const MAX_SEGMENTS = 64

type Node = {
  readonly words: Map<string, Node>
  /** Any one segment, where ids were seen or too many words of one shape. */
  parameter: Node | undefined
  /** The parameter's name. */
  kind: string
  /** Shapes whose words are in the parameter. */
  readonly folded: Set<string>
  /** How many words there are of each shape. */
  readonly shapes: Map<string, number>
  /** By method. */
  readonly methods: Map<string, Callers>
}

/** One template with who called it by which method. */
export type Leaf = { readonly template: string; readonly methods: ReadonlyMap<string, Callers> }

/** The paths that were seen of one target, folded to templates while they come. */
export class PathTree {
  readonly #room: Room
  readonly #many: number
  readonly #root = aNode()
  #nodes = 1

  constructor(room: Room, many = MANY_WORDS) {
    this.#room = room
    this.#many = many
  }

  /** False where there is no room for it. */
  add(path: string, method: string, sighting: Sighting): boolean {
    const segments = path.slice(1).split('/')
    if (segments.length > MAX_SEGMENTS) return false
    let node = this.#root
    for (const segment of segments) {
      const next = this.#step(node, segment)
      if (!next) return false
      node = next
    }
    let callers = node.methods.get(method)
    if (!callers?.has(sighting.caller) && !this.#room.take()) return false
    if (!callers) node.methods.set(method, (callers = new Map()))
    note(callers, sighting)
    return true
  }

  *leaves(): Generator<Leaf> {
    yield* leavesOf(this.#root, '', new Set())
  }

  #step(node: Node, segment: string): Node | undefined {
    const known = node.words.get(segment)
    if (known) return known
    const kind = segment === '' ? undefined : idKind(segment)
    const shape = kind === undefined ? shapeOf(segment) : ''
    if (kind !== undefined || node.folded.has(shape)) return this.#parameter(node, kind ?? 'name')
    if (this.#nodes >= MAX_NODES || !this.#room.take()) return undefined
    const count = (node.shapes.get(shape) ?? 0) + 1
    node.shapes.set(shape, count)
    if (count > this.#many && segment !== '') return this.#fold(node, shape)
    const made = aNode()
    this.#nodes++
    node.words.set(segment, made)
    return made
  }

  #parameter(node: Node, kind: string): Node {
    if (!node.parameter) {
      node.parameter = aNode()
      node.kind = kind
      this.#nodes++
    } else if (node.kind !== kind) {
      node.kind = 'id'
    }
    return node.parameter
  }

  #fold(node: Node, shape: string): Node {
    node.folded.add(shape)
    const parameter = this.#parameter(node, 'name')
    for (const [word, child] of node.words) {
      if (word === '' || shapeOf(word) !== shape) continue
      node.words.delete(word)
      this.#join(parameter, child)
    }
    return parameter
  }

  /** Moves what is below `from` below `into`. */
  #join(into: Node, from: Node): void {
    this.#nodes--
    this.#room.giveBack()
    for (const [method, callers] of from.methods) {
      const known = into.methods.get(method)
      if (known) mergeAll(known, callers)
      else into.methods.set(method, callers)
    }
    for (const [word, child] of from.words) {
      const same = this.#step(into, word)
      // There is always room: joining takes away more than it makes.
      if (same) this.#join(same, child)
    }
    if (from.parameter) {
      this.#join(this.#parameter(into, from.kind), from.parameter)
      for (const shape of from.folded) if (!into.folded.has(shape)) this.#fold(into, shape)
    }
  }
}

function aNode(): Node {
  return {
    words: new Map(),
    parameter: undefined,
    kind: '',
    folded: new Set(),
    shapes: new Map(),
    methods: new Map(),
  }
}

function* leavesOf(node: Node, path: string, names: ReadonlySet<string>): Generator<Leaf> {
  if (node.methods.size > 0) yield { template: path === '' ? '/' : path, methods: node.methods }
  for (const [word, child] of node.words) yield* leavesOf(child, `${path}/${word}`, names)
  if (!node.parameter) return
  let name = node.kind
  for (let number = 2; names.has(name); number++) name = `${node.kind}${number}`
  yield* leavesOf(node.parameter, `${path}/{${name}}`, new Set([...names, name]))
}
