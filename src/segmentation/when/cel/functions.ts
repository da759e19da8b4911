import {
  celEnv,
  celFunc,
  celMethod,
  CelScalar,
  type CelValue,
  isCelList,
  isCelMap,
  listType,
  mapType,
} from '@bufbuild/cel'
import { compilePattern } from './pattern.js'
import { spend } from './steps.js'
import { hasMember } from './value.js'

const { BOOL, DOUBLE, DYN, INT, STRING } = CelScalar
const LIST = listType(DYN)
const MAP = mapType(DYN, DYN)
/** Of a text that `+` makes, in UTF-16 units. */
const MAX_TEXT = 64 * 1024
const INTEGER = /^-?[0-9]{1,19}$/
const DECIMAL = /^-?[0-9]{1,32}(?:\.[0-9]{1,32})?(?:[eE][+-]?[0-9]{1,3})?$/

/** Called before each round of a macro with the number of its parts. */
export const TICK = '@tick'
/** What a macro goes through where that is known only from the request: of an object CEL would take the names. */
export const LIST_ALONE = '@list'
/** `has()` of a value's member. */
export const HAS = '@has'

/** Made once: an error is a stack. */
const INCOMPARABLE = new Error('values of different kinds')
const NOT_A_LIST = new Error('not a list')
const NO_MEMBERS = new Error('not an object')
const OTHER_SPELLING = new Error('only another spelling of the name is there')

/** Of texts; the library's don't count their steps. */
const COMPARISONS: readonly (readonly [string, (left: string, right: string) => boolean])[] = [
  ['_<_', (left, right) => left < right],
  ['_<=_', (left, right) => left <= right],
  ['_>_', (left, right) => left > right],
  ['_>=_', (left, right) => left >= right],
]

/**
 * The language as conditions have it. What can take long counts its steps, and texts become numbers only where they
 * are written as one: the library reads '' as 0. Which functions there are at all, the check of types says.
 */
export const ENVIRONMENT: ReturnType<typeof celEnv> = celEnv({
  funcs: [
    celFunc(TICK, [BOOL, INT], BOOL, (goesOn, parts) => {
      spend(Number(parts))
      return goesOn
    }),
    celFunc(LIST_ALONE, [DYN], LIST, (value) => {
      if (!isCelList(value)) throw NOT_A_LIST
      return value
    }),
    celFunc(HAS, [DYN, STRING], BOOL, (value, name) => {
      if (!isCelMap(value)) throw NO_MEMBERS
      return known(hasMember(value, name), OTHER_SPELLING)
    }),
    celFunc('_==_', [DYN, DYN], BOOL, (left, right) => known(isSame(left, right), INCOMPARABLE)),
    celFunc('_!=_', [DYN, DYN], BOOL, (left, right) => !known(isSame(left, right), INCOMPARABLE)),
    ...COMPARISONS.map(([name, holds]) =>
      celFunc(name, [STRING, STRING], BOOL, (left, right) => {
        spend(Math.min(left.length, right.length) / 256)
        return holds(left, right)
      }),
    ),
    celFunc('@in', [DYN, LIST], BOOL, (value, list) => {
      let isIn: boolean | undefined = false
      for (const item of list) {
        const same = isSame(item, value)
        if (same) return true
        if (same === undefined) isIn = undefined
      }
      return known(isIn, INCOMPARABLE)
    }),
    celFunc('@in', [STRING, MAP], BOOL, (name, map) => known(hasMember(map, name), OTHER_SPELLING)),
    ...[BOOL, INT, DOUBLE].map((kind) =>
      celFunc('@in', [kind, MAP], BOOL, () => {
        throw INCOMPARABLE
      }),
    ),
    celFunc('_+_', [STRING, STRING], STRING, (left, right) => {
      const length = left.length + right.length
      if (length > MAX_TEXT) throw new Error('a text that is too long')
      spend(length / 64)
      return left + right
    }),
    celFunc('_+_', [LIST, LIST], LIST, () => {
      throw new Error('lists can not be joined')
    }),
    celFunc('size', [STRING], INT, codePoints),
    celMethod('size', STRING, [], INT, function () {
      return codePoints(this)
    }),
    celMethod('contains', STRING, [STRING], BOOL, function (part) {
      spend((this.length * part.length) / 256)
      return this.includes(part)
    }),
    celMethod('startsWith', STRING, [STRING], BOOL, function (part) {
      spend(part.length / 256)
      return this.startsWith(part)
    }),
    celMethod('endsWith', STRING, [STRING], BOOL, function (part) {
      spend(part.length / 256)
      return this.endsWith(part)
    }),
    celMethod('matches', STRING, [STRING], BOOL, function (text) {
      const pattern = compilePattern(text)
      if ('problem' in pattern) throw new Error(pattern.problem)
      spend(this.length * pattern.stepsPerCharacter)
      return pattern.test(this)
    }),
    celMethod('lowerAscii', STRING, [], STRING, function () {
      spend(this.length / 16)
      return this.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
    }),
    celMethod('upperAscii', STRING, [], STRING, function () {
      spend(this.length / 16)
      return this.replace(/[a-z]+/g, (letters) => letters.toUpperCase())
    }),
    celFunc('int', [STRING], INT, (text) => {
      const value = INTEGER.test(text) ? BigInt(text) : undefined
      if (value === undefined || BigInt.asIntN(64, value) !== value) throw new Error('not an integer')
      return value
    }),
    celFunc('double', [STRING], DOUBLE, (text) => {
      if (!DECIMAL.test(text)) throw new Error('not a number')
      return Number(text)
    }),
  ],
})

function codePoints(text: string): bigint {
  spend(text.length / 16)
  let count = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code < 0xd8_00 || code > 0xdb_ff) count += 1
  }
  return BigInt(count)
}

/**
 * Equality of what conditions can hold: numbers across their types, lists and maps by what is in them. Undefined for
 * values of different kinds, where CEL says false: `role != 'admin'` must not hold of `["admin"]`. Null has no kind.
 */
function isSame(left: CelValue, right: CelValue): boolean | undefined {
  spend(1)
  if (typeof left === 'string' && typeof right === 'string') {
    spend(Math.min(left.length, right.length) / 256)
    return left === right
  }
  if (isNumeric(left) && isNumeric(right)) return Number(left) === Number(right) && exactly(left, right)
  if (left === null || right === null) return left === right
  if (isCelList(left) && isCelList(right)) {
    if (left.size !== right.size) return false
    let same: boolean | undefined = true
    for (let at = 0; at < left.size && same !== false; at += 1)
      same = both(same, isSameAt(left.get(at), right.get(at)))
    return same
  }
  if (isCelMap(left) && isCelMap(right)) {
    if (left.size !== right.size) return false
    let same: boolean | undefined = true
    for (const [name, value] of left) {
      same = both(same, isSameAt(value, right.get(name)))
      if (same === false) return false
    }
    return same
  }
  return typeof left === 'boolean' && typeof right === 'boolean' ? left === right : undefined
}

function isSameAt(left: CelValue | undefined, right: CelValue | undefined): boolean | undefined {
  return left !== undefined && right !== undefined && isSame(left, right)
}

function both(all: boolean | undefined, one: boolean | undefined): boolean | undefined {
  return one === true ? all : one
}

function known(value: boolean | undefined, otherwise: Error): boolean {
  if (value === undefined) throw otherwise
  return value
}

function isNumeric(value: CelValue): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

/** Beyond 2^53 a double equals one integer alone. */
function exactly(left: number | bigint, right: number | bigint): boolean {
  return typeof left === typeof right ? left === right : BigInt(left) === BigInt(right)
}
