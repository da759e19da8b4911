import {
  celEnv,
  celFunc,
  celMethod,
  CelScalar,
  type CelValue,
  isCelList,
  isCelMap,
  listType,
} from '@bufbuild/cel'
import { compilePattern } from './pattern.js'
import { spend } from './steps.js'

const { BOOL, DOUBLE, DYN, INT, STRING } = CelScalar
const LIST = listType(DYN)
/** Of a text that `+` makes, in UTF-16 units. */
const MAX_TEXT = 64 * 1024
const INTEGER = /^-?[0-9]{1,19}$/
const DECIMAL = /^-?[0-9]{1,32}(?:\.[0-9]{1,32})?(?:[eE][+-]?[0-9]{1,3})?$/

/** Called before each round of a macro with the number of its parts. */
export const TICK = '@tick'

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
    celFunc('_==_', [DYN, DYN], BOOL, isSame),
    celFunc('_!=_', [DYN, DYN], BOOL, (left, right) => !isSame(left, right)),
    celFunc('@in', [DYN, LIST], BOOL, (value, list) => {
      for (const item of list) if (isSame(item, value)) return true
      return false
    }),
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

/** CEL's equality of what conditions can hold: numbers across their types, lists and maps by what is in them. */
function isSame(left: CelValue, right: CelValue): boolean {
  spend(1)
  if (typeof left === 'string' && typeof right === 'string') {
    spend(Math.min(left.length, right.length) / 256)
    return left === right
  }
  if (isNumeric(left) && isNumeric(right)) return Number(left) === Number(right) && exactly(left, right)
  if (isCelList(left)) {
    if (!isCelList(right) || left.size !== right.size) return false
    for (let at = 0; at < left.size; at += 1) if (!isSameAt(left.get(at), right.get(at))) return false
    return true
  }
  if (isCelMap(left)) {
    if (!isCelMap(right) || left.size !== right.size) return false
    for (const [name, value] of left) if (!isSameAt(value, right.get(name))) return false
    return true
  }
  return left === right
}

function isSameAt(left: CelValue | undefined, right: CelValue | undefined): boolean {
  return left !== undefined && right !== undefined && isSame(left, right)
}

function isNumeric(value: CelValue): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}

/** Beyond 2^53 a double equals one integer alone. */
function exactly(left: number | bigint, right: number | bigint): boolean {
  return typeof left === typeof right ? left === right : BigInt(left) === BigInt(right)
}
