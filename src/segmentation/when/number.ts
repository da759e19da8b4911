import type { Condition, Fault } from './schema.js'

type NumberTest = (value: number) => boolean

type Comparisons = {
  readonly key: string
  readonly above?: number | undefined
  readonly below?: number | undefined
  readonly atLeast?: number | undefined
  readonly atMost?: number | undefined
  readonly values?: readonly string[] | undefined
  readonly notValues?: readonly string[] | undefined
  readonly between?: readonly string[] | undefined
}

const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$/

/** Reports numbers out of `range`, in which every value of the key lies: such a comparison is always or never true. */
export function numberTests(
  condition: Comparisons,
  fault: Fault,
  range: { readonly min: number; readonly max: number },
): NumberTest[] {
  const tests: NumberTest[] = []
  const check = (field: keyof Condition, value: number): number => {
    if (!(value >= range.min && value <= range.max && Number.isFinite(value))) {
      const limits = Number.isFinite(range.max) ? `between ${range.min} and ${range.max}` : 'a finite number'
      fault(field, `\`${condition.key}\` is ${limits}, so ${value} can't be meant`, 'condition-value')
    }
    return value
  }
  const read = (field: 'values' | 'notValues' | 'between', written: string): number => {
    if (NUMBER.test(written)) return check(field, Number(written))
    fault(field, `\`${written}\` is not a number`, 'condition-value')
    return Number.NaN
  }
  const { above, below, atLeast, atMost, between, values, notValues } = condition
  if (above !== undefined) tests.push(greaterThan(check('above', above)))
  if (atMost !== undefined) tests.push(not(greaterThan(check('atMost', atMost))))
  if (atLeast !== undefined) tests.push(not(lessThan(check('atLeast', atLeast))))
  if (below !== undefined) tests.push(lessThan(check('below', below)))
  if (values) tests.push(among(values.map((written) => read('values', written))))
  if (notValues) tests.push(not(among(notValues.map((written) => read('notValues', written)))))
  if (between) {
    const [from = Number.NaN, to = Number.NaN] = between.map((written) => read('between', written))
    if (from > to) fault('between', `${from} is greater than ${to}`, 'condition-value')
    tests.push((value) => value >= from && value <= to)
  }
  return tests
}

const greaterThan = (bound: number) => (value: number) => value > bound
const lessThan = (bound: number) => (value: number) => value < bound
const not = (test: NumberTest) => (value: number) => !test(value)
const among = (numbers: readonly number[]) => (value: number) => numbers.includes(value)
