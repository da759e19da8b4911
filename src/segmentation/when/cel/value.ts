import { celList, celMap, type CelInput, type CelMap } from '@bufbuild/cel'
import { isSpeltOtherwise } from '../body-member.js'
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

/** The objects that maps were made of. */
const objects = new WeakMap<object, object>()

/** Whether the map has a member of this name; undefined where it has but another spelling of it. */
export function hasMember(map: CelMap, name: string): boolean | undefined {
  if (map.has(name)) return true
  const object = objects.get(map)
  return object && !isSpeltOtherwise(object, name) ? false : undefined
}

function container(value: object): CelInput | undefined {
  if (Array.isArray(value)) {
    const items = all(value)
    return items && celList(items)
  }
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  const values = all(entries.map(([, member]): unknown => member))
  if (!values) return undefined
  const map = celMap(new Map(entries.map(([name], index) => [String(name), values[index] ?? null])))
  objects.set(map, value)
  return map
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
