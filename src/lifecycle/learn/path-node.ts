import { type Callers, mergeAll } from './seen.js'

/** One place in the paths of a target. */
export type PathNode = {
  readonly words: Map<string, PathNode>
  /** Any one segment, where ids were seen or many words that are alike. */
  parameter: PathNode | undefined
  /** The parameter's name. */
  kind: string
  /** What the words were like that are in the parameter: shape and everything below. */
  readonly folded: Set<string>
  /** By method. */
  readonly methods: Map<string, Callers>
  /** A word other than a prefix such as `/api/v1` stands in front: words here can be names of things. */
  readonly isBelowWord: boolean
}

export function aNode(isBelowWord: boolean): PathNode {
  return {
    words: new Map(),
    parameter: undefined,
    kind: '',
    folded: new Set(),
    methods: new Map(),
    isBelowWord,
  }
}

/** Moves what is below `from` below `into`. Gives how many nodes and callers are no longer kept. */
export function join(into: PathNode, from: PathNode): { readonly nodes: number; readonly entries: number } {
  let [nodes, entries] = [1, 0]
  const joinOrMove = (known: PathNode | undefined, child: PathNode, move: () => void): void => {
    if (!known) return move()
    const less = join(known, child)
    nodes += less.nodes
    entries += less.entries
  }
  for (const [method, callers] of from.methods) {
    const known = into.methods.get(method)
    if (!known) {
      into.methods.set(method, callers)
      continue
    }
    const before = known.size
    mergeAll(known, callers)
    entries += before + callers.size - known.size
  }
  for (const [word, child] of from.words) {
    joinOrMove(into.words.get(word), child, () => into.words.set(word, child))
  }
  if (from.parameter) {
    const { parameter, kind } = from
    if (into.parameter && into.kind !== kind) into.kind = 'id'
    joinOrMove(into.parameter, parameter, () => {
      into.parameter = parameter
      into.kind = kind
    })
  }
  for (const key of from.folded) into.folded.add(key)
  return { nodes, entries }
}
