import { WEEKDAYS } from '../../segmentation/when/clock.js'
import type { WrittenWhen } from './linted-mesh.js'

type Window = Pick<WrittenWhen[number], 'values' | 'notValues' | 'between'>

const DAY_MS = 86_400_000
const MINUTES = 24 * 60

/** Whether a day of the week is in all windows. */
export function weekdaysLeft(windows: readonly Window[]): boolean {
  return WEEKDAYS.some((_, day) =>
    windows.every(({ values, notValues, between }) => {
      const [from, to] = (between ?? []).map(dayOf)
      return (
        (!values || values.some((name) => dayOf(name) === day)) &&
        !notValues?.some((name) => dayOf(name) === day) &&
        (from === undefined || to === undefined || isWithin(day, from, to))
      )
    }),
  )
}

function dayOf(name: string): number {
  const short = name.slice(0, 3).toLowerCase()
  return WEEKDAYS.findIndex((day) => day.slice(0, 3).toLowerCase() === short)
}

/** Whether a minute of the day is in all windows. */
export function minutesLeft(windows: readonly Window[]): boolean {
  const spans = windows.flatMap(({ between }) => {
    const [from, to] = (between ?? []).map(minuteOf)
    return from === undefined || to === undefined ? [] : [{ from, to }]
  })
  if (spans.length < 2) return true
  for (let minute = 0; minute < MINUTES; minute++) {
    if (spans.every(({ from, to }) => isWithin(minute, from, to - 1))) return true
  }
  return false
}

function minuteOf(text: string): number {
  const [hour = '', minute = ''] = text.split(':')
  return Number(hour) * 60 + Number(minute)
}

/** Both ends included; from a later end to an earlier one it wraps. */
function isWithin(value: number, from: number, to: number): boolean {
  return from <= to ? value >= from && value <= to : value >= from || value <= to
}

/** Whether a date is in all windows, and whether all such dates are over wherever on earth one is. */
export function datesLeft(
  windows: readonly Window[],
  nowMs: number,
): { readonly some: boolean; readonly isOver: boolean } {
  const spans = windows.flatMap(({ between }) => {
    const [from, to] = between ?? []
    return from === undefined || to === undefined ? [] : [{ from, to }]
  })
  const lists = windows.flatMap(({ values }) => (values ? [values] : []))
  const refused = new Set(windows.flatMap(({ notValues = [] }) => notValues))
  const [first, ...others] = lists
  const dates = first?.filter(
    (date) =>
      !refused.has(date) &&
      others.every((list) => list.includes(date)) &&
      spans.every(({ from, to }) => from <= date && date <= to),
  )
  const from = spans.reduce((latest, span) => (span.from > latest ? span.from : latest), '')
  const to = spans.reduce((earliest, span) => (span.to < earliest ? span.to : earliest), '9999-12-31')
  const yesterday = Number.isFinite(nowMs) ? new Date(nowMs - DAY_MS).toISOString().slice(0, 10) : ''
  return dates
    ? { some: dates.length > 0, isOver: dates.every((date) => date < yesterday) }
    : { some: from <= to, isOver: to < yesterday }
}
