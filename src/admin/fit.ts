import type { Static, TObject, TSchema } from '@sinclair/typebox'
import type { Pointer } from '../schema/problem.js'
import { matchesShape, shapeFindings } from '../schema/shape.js'
import type { PortProblem } from './ports.js'

export type Fit<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problems: readonly PortProblem[] }

/** Problems of one request are cut here. */
const MAX_PROBLEMS = 200
/** No object of this API has as many members: checking them all would make an error of each. */
const MAX_MEMBERS = 128
/** No list is as long. */
const MAX_ELEMENTS = 10_000

/**
 * Whether a part of a request fits its schema. `list` names a long list in it, which is checked element by element
 * until there are problems enough, so that a bad body costs no more than a good one.
 */
export function fit<Schema extends TObject>(
  schema: Schema,
  value: unknown,
  list?: string,
): Fit<Static<Schema>> {
  const overgrown = tooManyMembers(value, [])
  if (overgrown) return { ok: false, problems: [overgrown] }
  const elements = list === undefined ? undefined : elementsOf(schema, list)
  const problems =
    elements && list !== undefined
      ? problemsOfList(elements.shell, elements.item, value, list)
      : problemsOf(schema, value, [])
  if (problems.length > 0) return { ok: false, problems }
  // What was checked in parts is narrowed as a whole.
  return matchesShape(schema, value)
    ? { ok: true, value }
    : { ok: false, problems: problemsOf(schema, value, []) }
}

/** As `fit`, for a query: texts of digits are numbers where the schema wants some. */
export function fitQuery<Schema extends TObject>(
  schema: Schema,
  query: Readonly<Record<string, unknown>>,
): Fit<Static<Schema>> {
  const read: Record<string, unknown> = Object.create(null)
  for (const [name, value] of Object.entries(query)) {
    const field = Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined
    const isNumber = field?.['type'] === 'integer' && typeof value === 'string' && /^-?\d{1,15}$/.test(value)
    read[name] = isNumber ? Number(value) : value
  }
  return fit(schema, read)
}

function problemsOf(schema: TSchema, root: unknown, at: Pointer): PortProblem[] {
  return shapeFindings(schema, root, { at })
    .slice(0, MAX_PROBLEMS)
    .map(({ pointer, code, message, what }) =>
      // A missing field is where it should stand.
      code === 'missing-field' && what === 'value'
        ? { pointer: [...pointer, missingField(message)], code, message }
        : { pointer, code, message },
    )
}

function problemsOfList(shell: TObject, item: TSchema, root: unknown, list: string): PortProblem[] {
  const problems = problemsOf(shell, root, [])
  if (problems.length > 0) return problems
  const elements: unknown = Reflect.get(Object(root), list)
  if (!Array.isArray(elements)) return problems
  for (const [index, element] of elements.entries()) {
    if (matchesShape(item, element)) continue
    problems.push(...problemsOf(item, root, [list, index]))
    if (problems.length >= MAX_PROBLEMS) break
  }
  return problems.slice(0, MAX_PROBLEMS)
}

type Parts = { readonly shell: TObject; readonly item: TSchema }
const known = new WeakMap<TObject, Parts>()

/** The schema without the shape of the list's elements, and that shape. */
function elementsOf(schema: TObject, list: string): Parts {
  const before = known.get(schema)
  if (before) return before
  const field = schema.properties[list]
  const item: unknown = field?.['items']
  if (!field || !isSchema(item)) throw new Error(`${list} is no list of the schema`)
  const { items: _, ...bare } = field
  const parts = { shell: { ...schema, properties: { ...schema.properties, [list]: bare } }, item }
  known.set(schema, parts)
  return parts
}

/** Lists that are too long are left for the schema to refuse. */
function tooManyMembers(value: unknown, at: Pointer): PortProblem | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (Array.isArray(value)) {
    if (value.length > MAX_ELEMENTS) return undefined
    for (let index = 0; index < value.length; index++) {
      const problem = tooManyMembers(value[index], [...at, index])
      if (problem) return problem
    }
    return undefined
  }
  const names = Object.keys(value)
  if (names.length > MAX_MEMBERS) {
    const message = `an object of ${names.length} members; none here has more than ${MAX_MEMBERS}`
    return { pointer: at, code: 'too-many-members', message }
  }
  for (const name of names) {
    const inner: unknown = Reflect.get(value, name)
    if (typeof inner !== 'object' || inner === null) continue
    const problem = tooManyMembers(inner, [...at, name])
    if (problem) return problem
  }
  return undefined
}

function missingField(message: string): string {
  return /`([^`]+)`/.exec(message)?.[1] ?? ''
}

function isSchema(value: unknown): value is TSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
