import type { Pointer, Position } from '../../schema/problem.js'

/** What was read, and how a reader finds its parts again. */
export type Source = {
  /** A file as it was named, or the address of an admin endpoint. */
  readonly name: string
  /** Undefined where the text is Envoy's own: its lines are nobody's. */
  readonly positionOf?: (pointer: Pointer, what: 'key' | 'value') => Position
  /** As Envoy prints it, where a field that has its default is left out. */
  readonly printedByEnvoy: boolean
}

/** A value within a source; `value` is undefined where nothing was written, and `pointer` says where it would be. */
export type Part = { readonly source: Source; readonly pointer: Pointer; readonly value: unknown }

/** Goes down by field names. Envoy reads `snake_case` and `lowerCamelCase` alike. Source: protobuf's JSON mapping. */
export function member(part: Part, ...names: readonly string[]): Part {
  return names.reduce((at, name) => {
    const map = isRecord(at.value) ? at.value : NOTHING
    const written = Object.hasOwn(map, name) ? name : camel(name)
    const found = Object.hasOwn(map, written) ? (map[written] ?? undefined) : undefined
    return { source: at.source, pointer: [...at.pointer, found === undefined ? name : written], value: found }
  }, part)
}

/** Members of a list; of anything else there are none. */
export function items(part: Part): readonly Part[] {
  if (!Array.isArray(part.value)) return []
  return part.value.map((value: unknown, index) => ({
    source: part.source,
    pointer: [...part.pointer, index],
    value,
  }))
}

/** Members of a map, each with its name as it was written. */
export function entries(part: Part): readonly (readonly [name: string, part: Part])[] {
  return Object.entries(isRecord(part.value) ? part.value : NOTHING).map(([name, value]) => [
    name,
    { source: part.source, pointer: [...part.pointer, name], value },
  ])
}

export const isThere = ({ value }: Part): boolean => value !== undefined && value !== null

export const isMap = ({ value }: Part): boolean => isRecord(value)

/** '' where there is no text. */
export const textOf = ({ value }: Part): string => (typeof value === 'string' ? value : '')

/** Undefined where nothing was written, or no boolean. Envoy takes YAML 1.1's words, too. */
export function flagOf({ value }: Part): boolean | undefined {
  if (typeof value === 'boolean') return value
  if (typeof value !== 'string') return undefined
  return /^(?:true|yes|on|y)$/i.test(value) ? true : /^(?:false|no|off|n)$/i.test(value) ? false : undefined
}

/** 64-bit numbers are texts in JSON. Source: protobuf's JSON mapping. */
export function numberOf({ value }: Part): number | undefined {
  if (typeof value === 'number') return value
  return typeof value === 'string' && /^-?[0-9]{1,15}$/.test(value) ? Number(value) : undefined
}

/** Milliseconds of `0.250s`; undefined for everything else. Source: protobuf's JSON mapping of Duration. */
export function durationMsOf({ value }: Part): number | undefined {
  if (typeof value === 'string') {
    const [, seconds] = /^([0-9]{1,12}(?:\.[0-9]{1,9})?)s$/.exec(value) ?? []
    return seconds === undefined ? undefined : Number(seconds) * 1000
  }
  return undefined
}

/** The name of an enum's value: files may have its number instead. '' where nothing was written. */
export function wordOf({ value }: Part, names: readonly string[]): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? (names[value] ?? String(value)) : ''
}

/** For a fix: the fields of these that were written, taken away. */
export function takenAway(part: Part, ...names: readonly string[]): Record<string, null> {
  const written = names.map((name) => member(part, name)).filter(isThere)
  return Object.fromEntries(written.map(({ pointer }) => [String(pointer.at(-1)), null]))
}

/** Where it was written; for what wasn't, the message that lacks it. */
export function positionOf({ source, pointer }: Part): Position | undefined {
  return source.positionOf?.(pointer, 'key')
}

const NOTHING: Readonly<Record<string, unknown>> = Object.freeze(Object.create(null))

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const camel = (name: string): string =>
  name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
