import { WEEKDAYS, zoneClock, type LocalTime } from './clock.js'
import type { Fault, KeyCondition } from './schema.js'
import type { Predicate } from './conjunction.js'
import { numberTests } from './number.js'

type Part = 'hour' | 'weekday' | 'date' | 'ofDay'

/** One part of the time as a number that can be compared, and how a written value becomes one. */
type Scale = {
  readonly of: (local: LocalTime) => number
  readonly parse: (written: string) => number | undefined
  readonly example: string
  /** The day and the week begin anew, so a range may run over their end; the calendar doesn't. */
  readonly wraps: boolean
  /** A range of minutes ends before its second time, a range of hours, days and dates with it. */
  readonly endsBefore: boolean
}

const SCALES: { readonly [part in Part]: Scale } = {
  hour: { of: ({ hour }) => hour, parse: parseHour, example: '"22"', wraps: true, endsBefore: false },
  weekday: {
    of: ({ weekday }) => weekday,
    parse: parseWeekday,
    example: 'Mon or Monday',
    wraps: true,
    endsBefore: false,
  },
  date: {
    of: ({ date }) => dateNumber(date),
    parse: parseDate,
    example: '"2026-12-24"',
    wraps: false,
    endsBefore: false,
  },
  ofDay: {
    of: ({ minuteOfDay }) => minuteOfDay,
    parse: parseOfDay,
    example: '"22:00"',
    wraps: true,
    endsBefore: true,
  },
}

/** Compiles a condition on time.*; the zone's clock is made here, once. */
export function compileTime(condition: KeyCondition, part: Part, fault: Fault): Predicate[] {
  const zone = condition.zone ?? 'UTC'
  const clock = zoneClock(zone)
  if (!clock) {
    fault('zone', `\`${zone}\` is not a known time zone; write one such as Europe/Berlin`, 'condition-value')
    return [() => undefined]
  }
  return testsOf(condition, part, fault).map((test) => (facts) => test(SCALES[part].of(clock(facts.nowMs))))
}

function testsOf(condition: KeyCondition, part: Part, fault: Fault): ((value: number) => boolean)[] {
  const scale = SCALES[part]
  const read = (field: 'values' | 'notValues' | 'between', written: string): number => {
    const value = scale.parse(written)
    if (value === undefined) {
      fault(
        field,
        `\`${written}\` doesn't fit \`${condition.key}\`; write ${scale.example}`,
        'condition-value',
      )
    }
    return value ?? Number.NaN
  }
  const { above, below, atLeast, atMost, values, notValues, between } = condition
  const bounds = { key: condition.key, above, below, atLeast, atMost }
  const tests = numberTests(bounds, fault, { min: 0, max: 23 })
  if (values) {
    const wanted = new Set(values.map((written) => read('values', written)))
    tests.push((value) => wanted.has(value))
  }
  if (notValues) {
    const unwanted = new Set(notValues.map((written) => read('notValues', written)))
    tests.push((value) => !unwanted.has(value))
  }
  if (between) {
    const [from = Number.NaN, to = Number.NaN] = between.map((written) => read('between', written))
    if (scale.wraps ? scale.endsBefore && from === to : from > to) {
      fault('between', `from ${between[0]} to ${between[1]} is no time at all`, 'condition-value')
    }
    const untilEnd = (value: number) => (scale.endsBefore ? value < to : value <= to)
    tests.push(
      from <= to ? (value) => value >= from && untilEnd(value) : (value) => value >= from || untilEnd(value),
    )
  }
  return tests
}

function parseHour(written: string): number | undefined {
  return /^(?:[01]?[0-9]|2[0-3])$/.test(written) ? Number(written) : undefined
}

/** Whole names or their first three letters, in any case. */
export function parseWeekday(written: string): number | undefined {
  const name = written.toLowerCase()
  const index = WEEKDAYS.findIndex(
    (day) => day.toLowerCase() === name || day.slice(0, 3).toLowerCase() === name,
  )
  return index < 0 ? undefined : index
}

export function parseDate(written: string): number | undefined {
  if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(written)) return undefined
  const time = Date.parse(`${written}T00:00:00Z`)
  const exists = Number.isFinite(time) && new Date(time).toISOString().startsWith(written)
  return exists ? dateNumber(written) : undefined
}

function dateNumber(date: string): number {
  return Number(date.replaceAll('-', ''))
}

/** Minutes since midnight; 24:00 ends a day. */
export function parseOfDay(written: string): number | undefined {
  const [, hour, minute] = /^([01][0-9]|2[0-4]):([0-5][0-9])$/.exec(written) ?? []
  const minutes = Number(hour) * 60 + Number(minute)
  return minutes <= 24 * 60 ? minutes : undefined
}
