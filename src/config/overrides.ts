import type { TSchema } from '@sinclair/typebox'
import type { Pointer } from '../schema/problem.js'
import { suggestion } from '../schema/shape-messages.js'
import { parseYamlDocuments } from '../schema/strict-yaml.js'
import { isSchema } from './fields.js'
import { WrittenConfigurationSchema } from './schema.js'

/** A value from outside the file. */
export type Override = {
  /** As people know it: `PORTCULLIS__STORE__TYPE` or `--set store.type`. */
  readonly name: string
  readonly segments: readonly string[]
  /** Text is read as the option's type asks; anything else is taken as it is. */
  readonly value: unknown
  /** Names of options match whatever their case, and without their `_`. */
  readonly foldCase: boolean
}

/** Which override set what. */
export type Origin = { readonly pointer: Pointer; readonly name: string }

export type Overridden = {
  readonly origins: readonly Origin[]
  readonly problems: readonly { readonly code: string; readonly message: string }[]
}

const PREFIX = 'PORTCULLIS__'

/** `PORTCULLIS__LISTENERS__0__ADDRESS` and the like. Other names, those of Kubernetes' service links too, are not ours. */
export function environmentOverrides(env: Readonly<Record<string, string | undefined>>): Override[] {
  return Object.entries(env).flatMap(([name, value]) =>
    name.startsWith(PREFIX) && value !== undefined
      ? [{ name, segments: name.slice(PREFIX.length).split('__'), value, foldCase: true }]
      : [],
  )
}

/** Flags by the option's way: `store.type`, `listeners[0].address`, `trustDomains["a.example"].bundle.file`. Undefined ones are not set. */
export function flagOverrides(flags: Readonly<Record<string, unknown>>): Override[] {
  return Object.entries(flags).flatMap(([way, value]) =>
    value === undefined ? [] : [{ name: `--set ${way}`, segments: segmentsOf(way), value, foldCase: false }],
  )
}

function segmentsOf(way: string): string[] {
  const parts = way.matchAll(/\[(?:"([^"]*)"|([0-9]+))\]|[^.[\]]+/g)
  return Array.from(parts, (match) => match[1] ?? match[2] ?? match[0])
}

/**
 * Sets every override in `root`, each list over those before it. Within a list shorter ways come first, so that
 * one option can be set within a section given as a whole.
 */
export function applyOverrides(
  root: Record<string, unknown>,
  ...lists: readonly (readonly Override[])[]
): Overridden {
  let origins: Origin[] = []
  const problems: { code: string; message: string }[] = []
  for (const list of lists) {
    const setBy = new Map<string, string>()
    for (const override of list.toSorted(byWay)) {
      const applied = apply(root, override, setBy)
      if ('problem' in applied) {
        problems.push({ code: applied.code, message: `${override.name}: ${applied.problem}` })
        continue
      }
      const { pointer } = applied
      origins = origins.filter((earlier) => !pointer.every((name, index) => name === earlier.pointer[index]))
      origins.push({ pointer, name: override.name })
    }
  }
  return { origins, problems }
}

function apply(
  root: Record<string, unknown>,
  override: Override,
  setBy: Map<string, string>,
): { readonly pointer: Pointer } | { readonly code: string; readonly problem: string } {
  const found = locate(root, override)
  if ('problem' in found) return found
  const way = JSON.stringify(found.pointer)
  const earlier = setBy.get(way)
  if (earlier !== undefined) return { code: 'set-twice', problem: `${earlier} sets the same option` }
  setBy.set(way, override.name)
  const read = readValue(override.value, found.schema)
  if ('problem' in read) return { code: 'wrong-value', problem: read.problem }
  put(root, found.pointer, read.value)
  return { pointer: found.pointer }
}

function byWay(left: Override, right: Override): number {
  if (left.segments.length !== right.segments.length) return left.segments.length - right.segments.length
  for (const [index, segment] of left.segments.entries()) {
    const other = right.segments[index] ?? ''
    if (segment === other) continue
    const numeric = Number(segment) - Number(other)
    return Number.isNaN(numeric) ? (segment < other ? -1 : 1) : numeric
  }
  return 0
}

type Located =
  | { readonly pointer: Pointer; readonly schema: TSchema }
  | { readonly code: string; readonly problem: string }

function locate(root: unknown, { segments, foldCase }: Override): Located {
  let schema: TSchema = WrittenConfigurationSchema
  let value = root
  const pointer: (string | number)[] = []
  if (segments.length === 0) return { code: 'unknown-field', problem: 'names no option' }
  for (const segment of segments) {
    const next = step(schema, value, pointer, segment, foldCase)
    if ('problem' in next) return next
    pointer.push(next.name)
    schema = next.schema
    value = typeof value === 'object' && value !== null ? Reflect.get(value, next.name) : undefined
  }
  return { pointer, schema }
}

type Stepped =
  | { readonly name: string | number; readonly schema: TSchema }
  | { readonly code: string; readonly problem: string }

function step(schema: TSchema, value: unknown, way: Pointer, segment: string, foldCase: boolean): Stepped {
  const same = (name: string): boolean => (foldCase ? fold(name) === fold(segment) : name === segment)
  if (schema['type'] === 'array' && isSchema(schema['items'])) {
    const length = Array.isArray(value) ? value.length : 0
    const index = /^[0-9]{1,6}$/.test(segment) ? Number(segment) : -1
    if (index >= 0 && index <= length) return { name: index, schema: schema['items'] }
    return { code: 'unknown-field', problem: `\`${segment}\` is no index of this list (0 to ${length})` }
  }
  const fields: unknown = schema['properties']
  if (isSchema(fields)) {
    const names = Object.keys(fields)
    const name = names.find(same)
    const field: unknown = name === undefined ? undefined : fields[name]
    if (name !== undefined && isSchema(field)) return { name, schema: field }
    return { code: 'unknown-field', problem: `unknown option \`${segment}\`${suggestion(segment, names)}` }
  }
  const named: unknown = schema['additionalProperties']
  if (isSchema(named) && segment !== '') {
    const present = typeof value === 'object' && value !== null ? Object.keys(value) : []
    return { name: present.includes(segment) ? segment : (present.find(same) ?? segment), schema: named }
  }
  return { code: 'unknown-field', problem: `\`${way.join('.')}\` has no options within it` }
}

function fold(name: string): string {
  return name.replaceAll('_', '').toLowerCase()
}

function readValue(
  value: unknown,
  schema: TSchema,
): { readonly value: unknown } | { readonly problem: string } {
  if (typeof value !== 'string') return { value }
  switch (schema['type']) {
    case 'array':
    case 'object': {
      const { documents, problems } = parseYamlDocuments('', value)
      const [document, ...others] = documents
      if (problems.length === 0 && document && others.length === 0) return { value: document.value }
      return { problem: `must be ${schema['type'] === 'array' ? 'a list' : 'a map'} as JSON` }
    }
    case 'boolean':
      return value === 'true' || value === 'false'
        ? { value: value === 'true' }
        : { problem: 'must be true or false' }
    case 'integer':
      return /^-?[0-9]{1,15}$/.test(value) ? { value: Number(value) } : { problem: 'must be a whole number' }
    case 'number':
      return /^-?[0-9]{1,15}(?:\.[0-9]{1,15})?$/.test(value)
        ? { value: Number(value) }
        : { problem: 'must be a number such as 0.25' }
    default:
      return { value }
  }
}

function put(root: Record<string, unknown>, pointer: Pointer, value: unknown): void {
  let parent: object = root
  pointer.forEach((name, depth) => {
    if (depth === pointer.length - 1) {
      Reflect.set(parent, name, value)
      return
    }
    const wanted = typeof pointer[depth + 1] === 'number' ? 'list' : 'map'
    const present: unknown = Object.hasOwn(parent, name) ? Reflect.get(parent, name) : undefined
    const fits =
      typeof present === 'object' && present !== null && Array.isArray(present) === (wanted === 'list')
    const child: object = fits ? present : wanted === 'list' ? [] : Object.create(null)
    if (!fits) Reflect.set(parent, name, child)
    parent = child
  })
}
