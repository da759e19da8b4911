import type { ErrorObject } from 'ajv'
import { nearestName } from './nearest-name.js'
import type { Pointer } from './problem.js'

/** Something that does not fit its schema: where, and what a person is told about it. */
export type ShapeFinding = {
  /** From the document's root; of an unknown field it includes the field, of a missing one it is the object. */
  readonly pointer: Pointer
  /** Which of the two a position should show. */
  readonly what: 'key' | 'value'
  readonly code: 'unknown-field' | 'missing-field' | 'wrong-type' | 'wrong-word' | 'wrong-value'
  readonly message: string
}

/** Says one of ajv's errors in words for the person who wrote the value. `base` leads from the root to the value checked. */
export function explainError(error: ErrorObject, root: unknown, base: Pointer): ShapeFinding {
  const pointer = [...base, ...steps(error.instancePath, root, base)]
  const name = label(pointer)
  switch (error.keyword) {
    case 'additionalProperties': {
      const field = String(error.params['additionalProperty'])
      const known = Object.keys(Object(error.parentSchema?.['properties']))
      const message = `unknown field \`${shown(label([...pointer, field]))}\`${suggestion(field, unused(known, error.data))}`
      return { pointer: [...pointer, field], what: 'key', code: 'unknown-field', message }
    }
    case 'required': {
      const field = String(error.params['missingProperty'])
      const message = `missing field \`${field}\` in ${pointer.length === 0 ? 'the document' : `\`${name}\``}`
      return { pointer, what: 'value', code: 'missing-field', message }
    }
    case 'type': {
      const wanted = String(error.params['type'])
      const hint = wanted === 'string' && isScalar(error.data) ? ': quote it' : ''
      const message = `\`${name}\` is ${nounOf(error.data)}, must be ${NOUNS[wanted] ?? wanted}${hint}`
      return { pointer, what: 'value', code: 'wrong-type', message }
    }
    case 'enum':
      return wrongWord(pointer, error.data, listOf(error.params['allowedValues']))
    case 'anyOf': {
      const words = constants(error.schema)
      if (words) return wrongWord(pointer, error.data, words)
      return { pointer, what: 'value', code: 'wrong-value', message: `\`${name}\` ${misfit(error)}` }
    }
    default:
      return { pointer, what: 'value', code: 'wrong-value', message: `\`${name}\` ${misfit(error)}` }
  }
}

function wrongWord(pointer: Pointer, data: unknown, allowed: readonly unknown[]): ShapeFinding {
  const words = allowed.map(String)
  const word = String(data)
  const choice = words.length === 1 ? `not ${words.join()}` : `none of ${words.join(', ')}`
  const message = `\`${label(pointer)}\`: \`${shown(word)}\` is ${choice}${suggestion(word, words)}`
  return { pointer, what: 'value', code: 'wrong-word', message }
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** The words of a union of literals; undefined for any other union. */
function constants(branches: unknown): unknown[] | undefined {
  const words = listOf(branches).map((branch): unknown => Reflect.get(Object(branch), 'const'))
  return words.includes(undefined) ? undefined : words
}

function misfit(error: ErrorObject): string {
  const expected: unknown = error.parentSchema?.['expected']
  const limit = Number(error.params['limit'])
  switch (error.keyword) {
    case 'minItems':
      return limit === 1
        ? 'is an empty list, must have at least one element'
        : `must have at least ${limit} elements`
    case 'maxItems':
      return `must have at most ${limit} elements`
    case 'uniqueItems':
      return `names the same thing twice (elements ${Number(error.params['i']) + 1} and ${Number(error.params['j']) + 1})`
    case 'minProperties':
      return limit === 1 ? 'is empty, must have at least one field' : `must have at least ${limit} fields`
    case 'maxProperties':
      return `must have at most ${limit} fields`
    case 'minLength':
      if (error.data === '')
        return typeof expected === 'string' ? `is empty, must be ${expected}` : 'must not be empty'
      return `is shorter than ${limit} characters`
    case 'maxLength':
      return `is longer than ${limit} characters`
    case 'minimum':
      return `is ${String(error.data)}, must be at least ${limit}`
    case 'maximum':
      return `is ${String(error.data)}, must be at most ${limit}`
    case 'exclusiveMinimum':
      return `is ${String(error.data)}, must be above ${limit}`
    case 'exclusiveMaximum':
      return `is ${String(error.data)}, must be below ${limit}`
    default: {
      const value =
        isScalar(error.data) || typeof error.data === 'string'
          ? `is \`${shown(String(error.data))}\``
          : 'does not fit'
      if (typeof expected === 'string') return `${value}, must be ${expected}`
      const description: unknown = error.parentSchema?.['description']
      if (typeof description === 'string') return `${value}, which is not valid here: ${description}`
      return error.keyword === 'pattern'
        ? `${value}, must match ${String(error.params['pattern'])}`
        : `${value}, which is not valid here`
    }
  }
}

const NOUNS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of fields',
  null: 'empty',
}

function nounOf(value: unknown): string {
  if (value === null || value === undefined) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'boolean') return `\`${value}\``
  if (typeof value === 'number') return `the number \`${value}\``
  return typeof value === 'string' ? 'a string' : 'a map of fields'
}

function isScalar(value: unknown): value is number | boolean {
  return typeof value === 'number' || typeof value === 'boolean'
}

/** `, did you mean …?` where something is near enough, else nothing. */
export function suggestion(word: string, candidates: Iterable<string>): string {
  if (/^[0-9]*$/.test(word)) return ''
  const nearest = nearestName(word, candidates)
  return nearest === undefined ? '' : `; did you mean \`${nearest}\`?`
}

function unused(known: readonly string[], data: unknown): string[] {
  return known.filter((field) => typeof data !== 'object' || data === null || !Object.hasOwn(data, field))
}

/** A pointer as people write it: `spec.calls[0].service`, `labels["a.b"]`. */
export function label(pointer: Pointer): string {
  let text = ''
  for (const step of pointer) {
    if (typeof step === 'number') text += `[${step}]`
    else if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(step)) text += `[${JSON.stringify(step)}]`
    else text += text === '' ? step : `.${step}`
  }
  return text === '' ? 'the document' : text
}

/** Text of a user within a message: one line of bounded length. */
function shown(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}]/gu, '?')
  return line.length > 80 ? `${line.slice(0, 77)}...` : line
}

/** ajv's JSON pointer as steps; a step into a list is a number. */
function steps(instancePath: string, root: unknown, base: Pointer): Pointer {
  if (instancePath === '') return []
  let value = root
  const enter = (step: string | number): void => {
    value = typeof value === 'object' && value !== null ? Reflect.get(value, step) : undefined
  }
  base.forEach(enter)
  return instancePath
    .slice(1)
    .split('/')
    .map((part) => {
      const key = part.replaceAll('~1', '/').replaceAll('~0', '~')
      const step = Array.isArray(value) ? Number(key) : key
      enter(step)
      return step
    })
}
