import { celList, celMap, type CelInput } from '@bufbuild/cel'
import { MAX_ELEMENTS } from './syntax.js'

/** What was converted before: bodies and claims are read by several conditions, or several times by one. */
const converted = new WeakMap<object, { readonly value: CelInput | undefined }>()

/**
 * A JSON value as CEL takes it: numbers are doubles, objects maps. Undefined for a list or object of more than
 * 1,000 elements anywhere in it, and for what is no JSON.
 */
export function celValue(value: unknown): CelInput | undefined {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  if (value === null) return null
  if (typeof value !== 'object') return undefined
  let known = converted.get(value)
  if (known === undefined) {
    known = { value: container(value) }
    converted.set(value, known)
  }
  return known.value
}

function container(value: object): CelInput | undefined {
  if (Array.isArray(value)) {
    const items = all(value)
    return items && celList(items)
  }
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  const values = all(entries.map(([, member]): unknown => member))
  return values && celMap(new Map(entries.map(([name], index) => [String(name), values[index] ?? null])))
}

function all(values: readonly unknown[]): CelInput[] | undefined {
  if (values.length > MAX_ELEMENTS) return undefined
  const items: CelInput[] = []
  for (const value of values) {
    const item = celValue(value)
    if (item === undefined) return undefined
    items.push(item)
  }
  return items
}
