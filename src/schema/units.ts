import { Type } from '@sinclair/typebox'

const DURATION = /^([0-9]+)(ms|s|m|h|d|y)$/
const SIZE = /^([0-9]+)(B|KiB|MiB|GiB)$/

const MS_OF_UNIT: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  y: 365 * 86_400_000,
}
const BYTES_OF_UNIT: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** Milliseconds of `30s`, `15m`, `8h` (d = 24 h, y = 365 d); undefined when it is no duration or too long to count exactly. */
export function parseDurationMs(text: string): number | undefined {
  return parse(text, DURATION, MS_OF_UNIT)
}

/** Bytes of `64KiB`, `4MiB`, `512B`; undefined when it is no size or too large to count exactly. */
export function parseSizeBytes(text: string): number | undefined {
  return parse(text, SIZE, BYTES_OF_UNIT)
}

function parse(text: string, pattern: RegExp, units: Readonly<Record<string, number>>): number | undefined {
  const match = pattern.exec(text)
  if (!match) return undefined
  const amount = Number(match[1]) * (units[match[2] ?? ''] ?? NaN)
  return Number.isSafeInteger(amount) ? amount : undefined
}

/** Formats that the shape check knows beside JSON Schema's keywords; readers that don't know them ignore them. */
export const FORMATS: ReadonlyMap<string, (text: string) => boolean> = new Map([
  ['portcullis-duration', (text: string) => parseDurationMs(text) !== undefined],
  ['portcullis-size', (text: string) => parseSizeBytes(text) !== undefined],
])

/** A duration as users write it. */
export const DurationSchema = Type.String({
  pattern: '^[0-9]+(ms|s|m|h|d|y)$',
  format: 'portcullis-duration',
  description: 'A whole number with its unit: ms, s, m, h, d (24 h) or y (365 d), for example 30s.',
  expected: 'a duration such as 30s, 15m or 8h (units: ms, s, m, h, d, y)',
})

/** A size as users write it. */
export const SizeSchema = Type.String({
  pattern: '^[0-9]+(B|KiB|MiB|GiB)$',
  format: 'portcullis-size',
  description: 'A whole number with its unit: B, KiB, MiB or GiB, for example 64KiB.',
  expected: 'a size such as 64KiB or 4MiB (units: B, KiB, MiB, GiB)',
})
