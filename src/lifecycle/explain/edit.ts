import type { Pointer } from '../../schema/problem.js'
import { flowText } from './flow-text.js'

/** One change of one policy document; every other byte of its file stays. */
export type Edit = {
  /** Index among the documents of the load. */
  readonly document: number
  readonly at: Pointer
  /** In words, for people. */
  readonly say: string
} &
  /** To the end of the list at `at`, which is made where it is missing. */
  (
    | { readonly op: 'append'; readonly values: readonly unknown[] }
    /** The value at `at`, which may be missing yet. */
    | { readonly op: 'set'; readonly value: unknown }
    /** The item or field at `at`. */
    | { readonly op: 'remove' }
  )

/** The same change made to a document's plain value; undefined where it does not fit there. */
export function editValue(root: unknown, edit: Edit): unknown {
  const copy: unknown = JSON.parse(JSON.stringify(root))
  const name = edit.at.at(-1)
  const parent = edit.at.slice(0, -1).reduce(child, copy)
  if (name === undefined || typeof parent !== 'object' || parent === null) return undefined
  const here = child(parent, name)
  if (edit.op === 'append') {
    if (Array.isArray(here)) here.push(...edit.values)
    else if (here === undefined && !Array.isArray(parent)) put(parent, name, [...edit.values])
    else return undefined
  } else if (edit.op === 'set') put(parent, name, edit.value)
  else if (here === undefined) return undefined
  else if (Array.isArray(parent) && typeof name === 'number') parent.splice(name, 1)
  else Reflect.deleteProperty(parent, name)
  return copy
}

function child(parent: unknown, name: string | number): unknown {
  if (typeof parent !== 'object' || parent === null || !Object.hasOwn(parent, name)) return undefined
  const found: unknown = Reflect.get(parent, name)
  return found
}

function put(parent: object, name: string | number, value: unknown): void {
  Object.defineProperty(parent, name, { value, enumerable: true, writable: true, configurable: true })
}

/** What an edit puts in, as YAML on one line; undefined for a removal. */
export function addedText(edit: Edit): string | undefined {
  if (edit.op === 'remove') return undefined
  return edit.op === 'set' ? flowText(edit.value) : edit.values.map(flowText).join(', ')
}
