import type { CelKind } from './variable.js'

const NUMBERS: readonly CelKind[] = ['int', 'double']
const TEXT: readonly CelKind[] = ['string']
const ORDERED: ReadonlySet<CelKind> = new Set(['int', 'double', 'string', 'dyn'])
const SIZED: readonly CelKind[] = ['string', 'list', 'strings', 'map']

/** What a function takes, its target first where it is a method; a value known only from the request always fits. */
export type Signature = { readonly takes: readonly (readonly CelKind[])[]; readonly gives: CelKind }

export const FUNCTIONS: ReadonlyMap<string, Signature> = new Map([
  ['size', { takes: [SIZED], gives: 'int' }],
  ['int', { takes: [['int', 'double', 'string']], gives: 'int' }],
  ['double', { takes: [['int', 'double', 'string']], gives: 'double' }],
  ['string', { takes: [['bool', 'int', 'double', 'string']], gives: 'string' }],
  ['bool', { takes: [['bool', 'string']], gives: 'bool' }],
  ['!_', { takes: [['bool']], gives: 'bool' }],
  ['@not_strictly_false', { takes: [['bool']], gives: 'bool' }],
])

export const METHODS: ReadonlyMap<string, Signature> = new Map([
  ['size', { takes: [SIZED], gives: 'int' }],
  ['contains', { takes: [TEXT, TEXT], gives: 'bool' }],
  ['startsWith', { takes: [TEXT, TEXT], gives: 'bool' }],
  ['endsWith', { takes: [TEXT, TEXT], gives: 'bool' }],
  ['matches', { takes: [TEXT, TEXT], gives: 'bool' }],
  ['lowerAscii', { takes: [TEXT], gives: 'string' }],
  ['upperAscii', { takes: [TEXT], gives: 'string' }],
])

export const MACROS: readonly string[] = ['has', 'exists', 'all', 'exists_one']

const WORDS: { readonly [kind in CelKind]: string } = {
  bool: 'true or false',
  int: 'a whole number',
  double: 'a number',
  string: 'text',
  null: 'null',
  list: 'a list',
  strings: 'a list of texts',
  map: 'an object',
  dyn: 'anything',
}

export const inWords = (kinds: readonly CelKind[]): string => kinds.map((kind) => WORDS[kind]).join(' or ')

/** Whether values of the two kinds can be equal at all. */
export function canBeSame(left: CelKind, right: CelKind): boolean {
  if (left === 'dyn' || right === 'dyn' || left === right) return true
  if (isList(left) && isList(right)) return true
  return NUMBERS.includes(left) && NUMBERS.includes(right)
}

export function canBeOrdered(left: CelKind, right: CelKind): boolean {
  return ORDERED.has(left) && ORDERED.has(right) && canBeSame(left, right)
}

export function isList(kind: CelKind): boolean {
  return kind === 'list' || kind === 'strings'
}

/** What arithmetic of the two gives; undefined where there is none. `+` joins texts, too. */
export function sumKind(operator: string, left: CelKind, right: CelKind): CelKind | undefined {
  const takes: readonly CelKind[] = operator === '_+_' ? ['int', 'double', 'string'] : NUMBERS
  if (left !== 'dyn' && !takes.includes(left)) return undefined
  if (right !== 'dyn' && !takes.includes(right)) return undefined
  if (operator === '_%_' && (left === 'double' || right === 'double')) return undefined
  if (left === 'dyn' || right === 'dyn') return left === right ? 'dyn' : left === 'dyn' ? right : left
  return left === right ? left : undefined
}
