import { contains, parseRange, type AddressRange } from '../../segmentation/when/address.js'
import { ADDRESSES, canonicalKey, canonicalValue, isClaim, isOneText, NUMBERS, WORDS } from './known-keys.js'
import type { WrittenWhen } from './linted-mesh.js'
import { canBeOneText, someOutside } from './text-sets.js'
import { datesLeft, minutesLeft, weekdaysLeft } from './times-left.js'

type Condition = WrittenWhen[number]

/** Conditions of one key that no request meets together; `index` is that of the last of them. */
export type Contradiction = {
  readonly index: number
  readonly key: string
  readonly why: string
  /** It could be met once: the days it names are over. */
  readonly expired: boolean
}

/** What in a list of conditions can't hold together. Empty where nobody can tell. */
export function contradictionsOf(when: readonly Condition[], nowMs: number): Contradiction[] {
  if (when.length === 0) return []
  const groups = new Map<string, { key: string; index: number; conditions: Condition[] }>()
  for (const [index, condition] of when.entries()) {
    const written: string | undefined = condition.key
    if (written === undefined) continue
    const key = canonicalKey(written)
    const zone = key.startsWith('time.') ? (condition.zone ?? 'UTC') : ''
    const group = groups.get(`${key}\n${zone}`)
    if (!group) groups.set(`${key}\n${zone}`, { key, index, conditions: [condition] })
    else {
      group.conditions.push(condition)
      group.index = index
    }
  }
  return Array.from(groups.values()).flatMap(({ key, index, conditions }): Contradiction[] => {
    const found = whyNever(key, conditions)
    if (found !== undefined) return [{ index, key, why: found, expired: false }]
    const over = key === 'time.date' && datesLeft(conditions, nowMs).isOver
    return over ? [{ index, key, why: 'the days that it names are over', expired: true }] : []
  })
}

function whyNever(key: string, conditions: readonly Condition[]): string | undefined {
  return (
    absentAndCompared(conditions) ??
    trueAndFalse(conditions) ??
    twoTypes(key, conditions) ??
    noNumber(key, conditions) ??
    noText(key, conditions) ??
    noAddress(key, conditions) ??
    noTime(key, conditions)
  )
}

function absentAndCompared(conditions: readonly Condition[]): string | undefined {
  if (!conditions.some(({ present }) => present === false)) return undefined
  const compared = conditions.some(({ present, key: _key, zone: _zone, ...operators }) => {
    return present === true || Object.keys(operators).length > 0
  })
  return compared ? 'what is absent has no value to compare' : undefined
}

function trueAndFalse(conditions: readonly Condition[]): string | undefined {
  const asked = new Set(conditions.flatMap(({ is }) => is ?? []))
  return asked.size > 1 ? 'it is not true and false at once' : undefined
}

const ORDER = ['above', 'below', 'atLeast', 'atMost', 'between'] as const

function twoTypes(key: string, conditions: readonly Condition[]): string | undefined {
  if (!isClaim(key) || !conditions.some(({ is }) => is !== undefined)) return undefined
  const other = conditions.some((condition) =>
    [...ORDER, 'values' as const].some((operator) => condition[operator] !== undefined),
  )
  return other ? 'a claim is not true or false and something else' : undefined
}

function noNumber(key: string, conditions: readonly Condition[]): string | undefined {
  const range =
    NUMBERS.get(key) ?? (isClaim(key) ? { min: -Infinity, max: Infinity, whole: false } : undefined)
  if (!range) return undefined
  let [low, lowOpen, high, highOpen] = [range.min, false, range.max, false]
  const atLeast = (bound: number, open: boolean): void => {
    if (bound > low || (bound === low && open)) [low, lowOpen] = [bound, open]
  }
  const atMost = (bound: number, open: boolean): void => {
    if (bound < high || (bound === high && open)) [high, highOpen] = [bound, open]
  }
  for (const condition of conditions) {
    if (condition.above !== undefined) atLeast(condition.above, true)
    if (condition.atLeast !== undefined) atLeast(condition.atLeast, false)
    if (condition.below !== undefined) atMost(condition.below, true)
    if (condition.atMost !== undefined) atMost(condition.atMost, false)
    const [from = Number.NaN, to = Number.NaN] = (condition.between ?? []).map(Number)
    if (from <= to) {
      atLeast(from, false)
      atMost(to, false)
    }
  }
  if (range.whole) {
    ;[low, lowOpen] = [lowOpen ? Math.floor(low) + 1 : Math.ceil(low), false]
    ;[high, highOpen] = [highOpen ? Math.ceil(high) - 1 : Math.floor(high), false]
  }
  const within = (value: number): boolean =>
    (lowOpen ? value > low : value >= low) && (highOpen ? value < high : value <= high)
  if (low > high || (low === high && (lowOpen || highOpen))) return 'no number is within all of its bounds'
  if (isClaim(key)) return undefined
  const lists = conditions.flatMap(({ values }) => (values ? [values.map(Number)] : []))
  const refused = new Set(conditions.flatMap(({ notValues = [] }) => notValues.map(Number)))
  const [first, ...others] = lists
  const left = first?.filter(
    (value) => within(value) && !refused.has(value) && others.every((list) => list.includes(value)),
  )
  return left?.length === 0 ? 'none of its numbers is left' : undefined
}

function noText(key: string, conditions: readonly Condition[]): string | undefined {
  if (NUMBERS.has(key) || ADDRESSES.has(key) || key.startsWith('time.')) return undefined
  const spelt = (list: readonly string[]): string[] => list.map((value) => canonicalValue(key, value))
  const wanted = conditions.flatMap(({ values }) => (values ? [spelt(values)] : []))
  const unwanted = conditions.flatMap(({ notValues = [] }) => spelt(notValues))
  const words = WORDS.get(key)
  if (words) wanted.push([...words])
  if (wanted.some((list) => !someOutside(list, unwanted)))
    return 'every value that it asks for is refused too'
  return isOneText(key) && !canBeOneText(wanted, unwanted)
    ? 'it has one value, and none is in all of its lists'
    : undefined
}

function noAddress(key: string, conditions: readonly Condition[]): string | undefined {
  if (!ADDRESSES.has(key)) return undefined
  const rangesOf = (list: readonly string[]): AddressRange[] =>
    list.flatMap((text) => {
      const range = parseRange(text)
      return 'problem' in range ? [] : [range]
    })
  const lists = conditions.flatMap(({ values, cidr }) =>
    [values, cidr].flatMap((list) => (list ? [rangesOf(list)] : [])),
  )
  let left: readonly AddressRange[] | undefined
  for (const list of lists) {
    const before = left
    if (before && before.length * list.length > 100_000) return undefined
    left = before ? before.flatMap((one) => list.flatMap((other) => narrower(one, other) ?? [])) : list
  }
  const refused = rangesOf(conditions.flatMap(({ notValues = [] }) => notValues))
  const some = left?.some((range) => !refused.some((other) => narrower(range, other) === range))
  return some === false ? 'no address is in all of its ranges' : undefined
}

function narrower(left: AddressRange, right: AddressRange): AddressRange | undefined {
  if (left.family === right.family && left.prefixLength >= right.prefixLength) {
    return contains(right, left) ? left : undefined
  }
  return contains(left, right) ? right : undefined
}

function noTime(key: string, conditions: readonly Condition[]): string | undefined {
  const left =
    key === 'time.weekday'
      ? weekdaysLeft(conditions)
      : key === 'time.ofDay'
        ? minutesLeft(conditions)
        : key === 'time.date'
          ? datesLeft(conditions, -Infinity).some
          : true
  return left ? undefined : 'no time is in all of its windows'
}
