import { Ajv } from 'ajv'
import type { ErrorObject, ValidateFunction } from 'ajv'
import type { Static, TSchema } from '@sinclair/typebox'
import type { Pointer, Problem } from './problem.js'
import type { SourcedValue } from './strict-yaml.js'
import { explainError } from './shape-messages.js'
import type { ShapeFinding } from './shape-messages.js'
import { FORMATS } from './units.js'

export type ShapeOptions = {
  /** The part of the document that the schema describes; default its root. */
  readonly at?: Pointer
}

/** One document's findings are cut here. */
const MAX_FINDINGS = 500

const ajv = new Ajv({
  allErrors: true,
  verbose: true,
  ownProperties: true,
  strict: false,
  messages: false,
  formats: Object.fromEntries(FORMATS),
})
const compiled = new WeakMap<TSchema, ValidateFunction>()

/**
 * Checks a document against a schema and tells every misfit with its position, in words for a person:
 * unknown and missing fields, wrong types, words outside a closed list, values outside their pattern
 * or bounds. A schema's keyword `expected` says what a value must be ("a duration such as 30s").
 * Validators are compiled once for each schema object.
 */
export function checkShape(schema: TSchema, document: SourcedValue, options: ShapeOptions = {}): Problem[] {
  return shapeFindings(schema, document.value, options)
    .filter((finding) => !document.isReported?.(finding.pointer))
    .map(({ pointer, what, code, message }) => ({
      severity: 'error',
      code,
      message,
      position: document.positionOf(pointer, what),
    }))
}

/** Whether a value fits: for the step from checked data to its type. */
export function matchesShape<Schema extends TSchema>(
  schema: Schema,
  value: unknown,
): value is Static<Schema> {
  return validatorOf(schema)(value)
}

/** As checkShape, for values that were not read from one file. `root` is the whole document. */
export function shapeFindings(schema: TSchema, root: unknown, options: ShapeOptions = {}): ShapeFinding[] {
  const base = options.at ?? []
  const value = valueAt(root, base)
  const validate = validatorOf(schema)
  if (validate(value)) return []
  const findings: ShapeFinding[] = []
  const errors = mostTelling(validate.errors ?? [])
  for (const error of errors.slice(0, MAX_FINDINGS)) findings.push(explainError(error, root, base))
  return findings
}

/** The value at a pointer, by own properties only; undefined when there is none. */
export function valueAt(root: unknown, pointer: Pointer): unknown {
  let value = root
  for (const step of pointer) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = Reflect.get(value, step)
  }
  return value
}

function validatorOf(schema: TSchema): ValidateFunction {
  let validate = compiled.get(schema)
  if (!validate) {
    validate = ajv.compile(schema)
    compiled.set(schema, validate)
  }
  return validate
}

/** A value of the wrong type fails more rules than that; only the type is worth telling. One wrong value, one finding. */
function mostTelling(errors: readonly ErrorObject[]): ErrorObject[] {
  const first = new Map<string, ErrorObject>()
  for (const error of errors) {
    const key = keyOf(error)
    const earlier = first.get(key)
    if (!earlier || rank(error) < rank(earlier)) first.set(key, error)
  }
  return [...first.values()]
}

function keyOf(error: ErrorObject): string {
  switch (error.keyword) {
    case 'additionalProperties':
      return `${error.instancePath}\n+${String(error.params['additionalProperty'])}`
    case 'required':
      return `${error.instancePath}\n-${String(error.params['missingProperty'])}`
    default:
      return error.instancePath
  }
}

const RANKS = ['type', 'enum', 'anyOf', 'pattern', 'format']

function rank(error: ErrorObject): number {
  // `enum` of a value that is no text at all: the type says more.
  if (error.keyword === 'enum' && typeof error.data !== 'string') return RANKS.length
  const index = RANKS.indexOf(error.keyword)
  return index === -1 ? RANKS.length : index
}
