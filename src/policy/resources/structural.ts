import type { TSchema } from '@sinclair/typebox'
import { fieldsOf } from './resource.js'

/** A schema as CustomResourceDefinitions take it. Source: Kubernetes API, JSONSchemaProps and "structural schemas". */
export type Structural = { readonly [keyword: string]: unknown }

/** Copied as they are. `format` is not: API servers know other formats than we do, and the patterns say the same. */
const COPIED = [
  'type',
  'description',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'minProperties',
] as const
/** Say nothing that a structural schema needs: it drops fields that it does not know by itself. */
const LEFT_OUT: ReadonlySet<string> = new Set(['format', 'expected', 'default'])
const READ: ReadonlySet<string> = new Set([
  ...COPIED,
  ...LEFT_OUT,
  'properties',
  'required',
  'items',
  'additionalProperties',
  'patternProperties',
])

/**
 * The structural form of a schema of ours. Throws on a keyword that it has no form of, so that nothing of a schema is
 * lost unseen. Lists of named things are maps by that name: the API server then refuses two of a name and merges by it.
 */
export function structural(schema: TSchema, validations: Validations = {}, way = 'spec'): Structural {
  const unknown = Object.keys(schema).filter((keyword) => !READ.has(keyword))
  if (unknown.length > 0) throw new Error(`${way}: no structural form of ${unknown.join(', ')}`)
  const copied = Object.fromEntries(
    COPIED.flatMap((keyword) => (schema[keyword] === undefined ? [] : [[keyword, schema[keyword]]])),
  )
  const rules = validations[way]
  return {
    ...copied,
    ...members(schema, validations, way),
    ...(isListOfNamed(schema) && { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
    ...(rules && { 'x-kubernetes-validations': rules }),
  }
}

/** CEL rules by the way of the schema that they stand at: `spec.endpoints[]`. */
export type Validations = Readonly<Record<string, readonly Validation[]>>
export type Validation = { readonly rule: string; readonly message: string; readonly fieldPath?: string }

function members(schema: TSchema, validations: Validations, way: string): Structural {
  const properties = fieldsOf(schema['properties'])
  const items: unknown = schema['items']
  const values = valuesOf(schema)
  return {
    ...(properties &&
      properties.size > 0 && {
        properties: Object.fromEntries(
          [...properties].map(([name, field]) => [
            name,
            structural(asSchema(field), validations, `${way}.${name}`),
          ]),
        ),
      }),
    ...(schema['required'] !== undefined && { required: schema['required'] }),
    ...(items !== undefined && { items: structural(asSchema(items), validations, `${way}[]`) }),
    ...(values !== undefined && {
      additionalProperties: structural(asSchema(values), validations, `${way}{}`),
    }),
  }
}

/** The schema of values whose names the user chooses. */
function valuesOf(schema: TSchema): unknown {
  const patterns = fieldsOf(schema['patternProperties'])
  if (patterns) return [...patterns.values()][0]
  const more: unknown = schema['additionalProperties']
  return typeof more === 'object' ? more : undefined
}

function isListOfNamed(schema: TSchema): boolean {
  const item = fieldsOf(schema['items'])
  const required = item?.get('required')
  return (
    fieldsOf(item?.get('properties'))?.has('name') === true &&
    Array.isArray(required) &&
    required.includes('name')
  )
}

function asSchema(value: unknown): TSchema {
  if (!isSchema(value)) throw new Error('a schema is an object')
  return value
}

function isSchema(value: unknown): value is TSchema {
  return fieldsOf(value) !== undefined
}
