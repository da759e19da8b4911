import { contains, parseAddress, parseRange, type Address, type AddressRange } from './address.js'
import { claimTexts } from './claim-path.js'
import type { Fault, KeyCondition } from './schema.js'
import { conjunction, type Predicate } from './conjunction.js'
import { type Key, presenceOf, type Spelling } from './key.js'
import { numberTests } from './number.js'
import { compilePatterns, patternProblem } from './pattern.js'
import { compileTime } from './time.js'

export type Operator = Exclude<keyof KeyCondition, 'key' | 'cel' | 'zone'>

const TEXT: readonly Operator[] = ['values', 'notValues', 'present']
const ORDER: readonly Operator[] = ['above', 'below', 'atLeast', 'atMost', 'between']
export const ALL: readonly Operator[] = [...TEXT, 'is', ...ORDER, 'cidr']

const OPERATORS: { readonly [kind in Exclude<Key['kind'], 'time'>]: readonly Operator[] } = {
  text: TEXT,
  list: TEXT,
  number: [...TEXT, ...ORDER],
  boolean: ['is', 'present'],
  claim: [...TEXT, 'is', ...ORDER],
  address: [...TEXT, 'cidr'],
}

const OPERATORS_OF_TIME: { readonly [part in Extract<Key, { kind: 'time' }>['part']]: readonly Operator[] } =
  {
    hour: ['values', 'notValues', ...ORDER],
    weekday: ['values', 'notValues', 'between'],
    date: ['values', 'notValues', 'between'],
    ofDay: ['between'],
  }

/** Every operator of the condition must hold. Reports each that the key's kind doesn't take and each wrong value. */
export function compileOperators(condition: KeyCondition, key: Key, fault: Fault): Predicate {
  const allowed = key.kind === 'time' ? OPERATORS_OF_TIME[key.part] : OPERATORS[key.kind]
  const used = ALL.filter((operator) => condition[operator] !== undefined)
  if (used.length === 0) {
    fault(
      'key',
      `\`${key.name}\` is compared with nothing: add one of ${allowed.join(', ')}`,
      'condition-operator',
    )
  }
  const wrong = used.filter((operator) => !allowed.includes(operator))
  for (const operator of wrong) {
    fault(
      operator,
      `\`${operator}\` doesn't fit \`${key.name}\`, which takes ${allowed.join(', ')}`,
      'condition-operator',
    )
  }
  if (condition.zone !== undefined && key.kind !== 'time') {
    fault('zone', '`zone` belongs to time.* keys alone', 'condition-operator')
  }
  return wrong.length > 0 ? () => undefined : conjunction(predicatesOf(condition, key, fault))
}

function predicatesOf(condition: KeyCondition, key: Key, fault: Fault): Predicate[] {
  if (key.kind === 'time') return compileTime(condition, key.part, fault)
  return [...presence(condition, presenceOf(key)), ...comparisons(condition, key, fault)]
}

function comparisons(
  condition: KeyCondition,
  key: Exclude<Key, { kind: 'time' }>,
  fault: Fault,
): Predicate[] {
  switch (key.kind) {
    case 'text':
      return textTests(condition, fault, key.spelling).map((test) => on(key.read, test))
    case 'list':
      return listTests(condition, fault).map((test) => on(key.read, test))
    case 'number':
      return numberTests(condition, fault, key.range).map((test) => on(key.read, test))
    case 'boolean':
      return condition.is === undefined ? [] : [on(key.read, (value: boolean) => value === condition.is)]
    case 'address':
      return addressTests(condition, fault).map((test) => on(key.read, test))
    case 'claim':
    default:
      return claimPredicates(condition, key.read, fault)
  }
}

/** A claim's type is known only from the token: where it is not what the operator compares, it can't be evaluated. */
function claimPredicates(
  condition: KeyCondition,
  read: Extract<Key, { kind: 'claim' }>['read'],
  fault: Fault,
): Predicate[] {
  const ordered = { ...condition, values: undefined, notValues: undefined }
  return [
    ...listTests(condition, fault).map((test) => on((facts) => claimTexts(read(facts)), test)),
    ...numberTests(ordered, fault, { min: -Infinity, max: Infinity }).map((test) =>
      on((facts) => {
        const value = read(facts)
        return typeof value === 'number' ? value : undefined
      }, test),
    ),
    ...(condition.is === undefined
      ? []
      : [
          on(
            (facts) => {
              const value = read(facts)
              return typeof value === 'boolean' ? value : undefined
            },
            (value: boolean) => value === condition.is,
          ),
        ]),
  ]
}

function on<T>(
  read: (facts: Parameters<Predicate>[0]) => T | undefined,
  test: (value: T) => boolean,
): Predicate {
  return (facts) => {
    const value = read(facts)
    return value === undefined ? undefined : test(value)
  }
}

function presence({ present }: KeyCondition, isPresent: Predicate): Predicate[] {
  if (present === undefined) return []
  return [
    (facts) => {
      const there = isPresent(facts)
      return there === undefined ? undefined : there === present
    },
  ]
}

type Test<T> = (value: T) => boolean

function textTests(condition: KeyCondition, fault: Fault, spelling?: Spelling): Test<string>[] {
  const tests: Test<string>[] = []
  const matches = patternsOf(condition, 'values', fault, spelling)
  const refuses = patternsOf(condition, 'notValues', fault, spelling)
  if (matches) tests.push(matches)
  if (refuses) tests.push((value) => !refuses(value))
  return tests
}

function listTests(condition: KeyCondition, fault: Fault): Test<readonly string[]>[] {
  const tests: Test<readonly string[]>[] = []
  const matches = patternsOf(condition, 'values', fault)
  const refuses = patternsOf(condition, 'notValues', fault)
  if (matches) tests.push((items) => items.some(matches))
  if (refuses) tests.push((items) => !items.some(refuses))
  return tests
}

function patternsOf(
  condition: KeyCondition,
  field: 'values' | 'notValues',
  fault: Fault,
  spelling: Spelling = (value) => ({ value }),
): Test<string> | undefined {
  const written = condition[field]
  if (!written) return undefined
  return compilePatterns(
    written.map((pattern) => {
      const problem = patternProblem(pattern)
      const spelt = problem === undefined ? spelling(pattern) : { problem }
      if ('value' in spelt) return spelt.value
      fault(field, spelt.problem, 'condition-value')
      return pattern
    }),
  )
}

function addressTests(condition: KeyCondition, fault: Fault): Test<Address>[] {
  const rangesOf = (field: 'values' | 'notValues' | 'cidr'): AddressRange[] | undefined =>
    condition[field]?.flatMap((written) => {
      if (field !== 'cidr' && !parseAddress(written)) {
        fault(field, `\`${written}\` is not one IP address; ranges belong in \`cidr\``, 'condition-value')
        return []
      }
      const range = parseRange(written)
      if (!('problem' in range)) return [range]
      fault(field, range.problem, 'condition-value')
      return []
    })
  const within = (ranges: readonly AddressRange[]) => (address: Address) =>
    ranges.some((range) => contains(range, address))
  const refused = rangesOf('notValues')
  return [
    ...[rangesOf('cidr'), rangesOf('values')].flatMap((ranges) => (ranges ? [within(ranges)] : [])),
    ...(refused ? [(address: Address) => !within(refused)(address)] : []),
  ]
}
