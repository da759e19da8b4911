import { shapeOf } from './fold-segment.js'
import type { PathNode } from './path-node.js'
import { mergeAll } from './seen.js'

/**
 * Makes a parameter of more than `many` words of one place that have the same shape and are alike in all that is below:
 * the same paths, methods and callers. So nobody gets more than everyone of many words had, and only who used them all.
 * The first word of a path says what it is about and stays. `join` moves a node into another.
 */
export function foldWords(
  node: PathNode,
  many: number,
  join: (into: PathNode, from: PathNode) => void,
): void {
  for (const child of node.words.values()) foldWords(child, many, join)
  if (node.parameter) foldWords(node.parameter, many, join)
  if (!node.isBelowWord) return
  if (node.words.size <= many && node.folded.size === 0) return
  const alike = new Map<string, (readonly [string, PathNode])[]>()
  for (const [word, child] of node.words) {
    if (word === '') continue
    const key = JSON.stringify([shapeOf(word), likeness(child)])
    const group = alike.get(key)
    if (group) group.push([word, child])
    else alike.set(key, [[word, child]])
  }
  let isChanged = false
  for (const [key, group] of alike) {
    if (group.length <= many && !node.folded.has(key)) continue
    node.folded.add(key)
    for (const [word, child] of group) {
      node.words.delete(word)
      if (node.parameter) join(node.parameter, child)
      else {
        node.parameter = child
        node.kind = 'name'
      }
    }
    if (node.kind !== 'name') node.kind = 'id'
    isChanged = true
  }
  // Ids that were there may have words below which are many only together.
  if (isChanged && node.parameter) foldWords(node.parameter, many, join)
}

/** One text for everything that decides: the paths below, their methods, and their callers. */
function likeness({ methods, words, parameter }: PathNode): string {
  return JSON.stringify([
    [...methods].map(([method, callers]) => [method, ...[...callers.keys()].sort()].join(' ')).sort(),
    [...words].map(([word, child]) => `${word} ${likeness(child)}`).sort(),
    parameter ? likeness(parameter) : '',
  ])
}

/**
 * A word that came back after its like were folded takes the request from the parameter, so that it needs the
 * parameter's callers too. Only where a target had more paths than there is room for.
 */
export function graft(node: PathNode): void {
  for (const child of node.words.values()) graft(child)
  if (!node.parameter) return
  graft(node.parameter)
  if (node.folded.size > 0) for (const child of node.words.values()) take(child, node.parameter)
}

function take(child: PathNode, wider: PathNode): void {
  if (child.methods.size > 0) {
    for (const [method, callers] of wider.methods) {
      let own = child.methods.get(method)
      if (!own) child.methods.set(method, (own = new Map()))
      const lacking = [...callers].filter(([caller]) => !own.has(caller))
      mergeAll(own, new Map(lacking))
    }
  }
  for (const [word, below] of child.words) {
    for (const same of [wider.words.get(word), wider.parameter]) if (same) take(below, same)
  }
  if (child.parameter && wider.parameter) take(child.parameter, wider.parameter)
}
