import type { CelInput } from '@bufbuild/cel'
import { canonicalIp, formatIp } from '../../../request/ip-text.js'
import type { Facts } from '../../facts.js'
import { WEEKDAYS, zoneClock, type LocalTime } from '../clock.js'
import { type Key, presenceOf, type Spelling } from '../key.js'
import { parseDate, parseOfDay, parseWeekday } from '../time.js'
import { celValue } from './value.js'

/** What the check of types knows of a value; `dyn` is known only from the request. */
export type CelKind = 'bool' | 'int' | 'double' | 'string' | 'null' | 'list' | 'strings' | 'map' | 'dyn'

/** A key of `when` as an expression sees it. */
export type Variable = {
  /** What the evaluator calls it. */
  readonly name: string
  /** As `when` writes the key. */
  readonly key: string
  readonly kind: CelKind
  /** Brings texts that it is compared with to its own form. */
  readonly spelling?: Spelling | undefined
  readonly read: (facts: Facts) => CelInput | undefined
}

const utc: (nowMs: number) => LocalTime | undefined = zoneClock('UTC') ?? (() => undefined)

export function variableOf(key: Key): Variable {
  const named = { name: key.name, key: key.name }
  switch (key.kind) {
    case 'text':
      return { ...named, kind: 'string', spelling: key.spelling, read: key.read }
    case 'list':
      return { ...named, kind: 'strings', read: (facts) => celValue(key.read(facts)) }
    case 'number':
      return { ...named, kind: 'double', read: key.read }
    case 'boolean':
      return { ...named, kind: 'bool', read: key.read }
    case 'address':
      return { ...named, kind: 'string', spelling: address, read: (facts) => textOf(key.read(facts)) }
    case 'claim':
      return { ...named, kind: 'dyn', read: (facts) => celValue(key.read(facts)) }
    case 'time':
    default:
      return { ...named, ...TIME[key.part] }
  }
}

/** Whether the key has a value, readable or not; the time always has. */
export function presenceVariable(key: Key): Variable {
  const name = `has ${key.name}`
  return { name, key: key.name, kind: 'bool', read: key.kind === 'time' ? () => true : presenceOf(key) }
}

function textOf(address: Parameters<typeof formatIp>[0] | undefined): string | undefined {
  return address && formatIp(address)
}

const address: Spelling = (written) => {
  const value = canonicalIp(written)
  return value === undefined ? { problem: `\`${written}\` is not an IP address` } : { value }
}

const TIME: { readonly [part in Extract<Key, { kind: 'time' }>['part']]: Omit<Variable, 'name' | 'key'> } = {
  hour: { kind: 'int', read: ({ nowMs }) => toInt(utc(nowMs)?.hour) },
  weekday: {
    kind: 'string',
    spelling: (written) => {
      const value = WEEKDAYS[parseWeekday(written) ?? -1]
      return value === undefined ? { problem: `\`${written}\` is no day; write Mon or Monday` } : { value }
    },
    read: ({ nowMs }) => WEEKDAYS[utc(nowMs)?.weekday ?? -1],
  },
  date: {
    kind: 'string',
    spelling: (written) =>
      parseDate(written) === undefined
        ? { problem: `\`${written}\` is no date such as 2026-12-24` }
        : { value: written },
    read: ({ nowMs }) => utc(nowMs)?.date,
  },
  ofDay: {
    kind: 'string',
    spelling: (written) =>
      parseOfDay(written) === undefined
        ? { problem: `\`${written}\` is no time such as 22:00` }
        : { value: written },
    read: ({ nowMs }) => clockText(utc(nowMs)?.minuteOfDay),
  },
}

function toInt(value: number | undefined): bigint | undefined {
  return value === undefined ? undefined : BigInt(value)
}

function clockText(minutes: number | undefined): string | undefined {
  if (minutes === undefined) return undefined
  const two = (value: number) => String(value).padStart(2, '0')
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}
