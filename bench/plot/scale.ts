export type ScaleKind = 'linear' | 'log'

/** From values to pixels, with the values that an axis names. */
export type Scale = {
  readonly at: (value: number) => number
  readonly ticks: readonly number[]
  readonly text: (value: number) => string
}

/** The ends of an axis in values, and where they lie in pixels. */
export type Span = {
  readonly low: number
  readonly high: number
  readonly from: number
  readonly to: number
  /** About how many ticks fit. */
  readonly count: number
}

export function scaleOf(kind: ScaleKind, span: Span): Scale {
  return kind === 'log' ? logScale(span) : linearScale(span)
}

/** 1, 2 or 5 times a power of ten, so that about `count` steps fill the range. */
export function niceStep(range: number, count: number): number {
  const raw = range / Math.max(1, count)
  const power = 10 ** Math.floor(Math.log10(raw))
  const factor = [1, 2, 5].find((each) => each * power >= raw * 0.999) ?? 10
  return factor * power
}

const FACTORS = [1, 2, 5, 10]
const powerBelow = (value: number): number => 10 ** Math.floor(Math.log10(value) + 1e-9)
const roundUp = (value: number): number => {
  const power = powerBelow(value)
  return power * (FACTORS.find((each) => each * power >= value * 0.999) ?? 10)
}
const roundDown = (value: number): number => {
  const power = powerBelow(value)
  return power * (FACTORS.findLast((each) => each * power <= value * 1.001) ?? 1)
}

function linearScale({ low, high, from, to, count }: Span): Scale {
  const range = high - low || 1
  const step = niceStep(range, count)
  const first = Math.ceil(low / step - 1e-9)
  const last = Math.floor(high / step + 1e-9)
  return {
    at: (value) => from + ((value - low) / range) * (to - from),
    ticks: Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) * step),
    text: numberText(Math.max(0, -Math.floor(Math.log10(step) + 1e-9))),
  }
}

/** Powers of ten; with 2 and 5 times them where less than two decades are shown. */
function logScale({ low, high, from, to }: Span): Scale {
  const [bottom, top] = [Math.log10(low), Math.log10(high)]
  const range = top - bottom || 1
  const factors = range < 2 ? [1, 2, 5] : [1]
  const ticks: number[] = []
  for (let power = Math.floor(bottom); power <= Math.ceil(top); power++) {
    for (const factor of factors) {
      const tick = factor * 10 ** power
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick)
    }
  }
  return {
    at: (value) => (value > 0 ? from + ((Math.log10(value) - bottom) / range) * (to - from) : Number.NaN),
    ticks,
    text: (value) => numberText(Math.max(0, -Math.floor(Math.log10(value) + 1e-9)))(value),
  }
}

const numberText = (digits: number) => (value: number) =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })

/** What the axis covers: given ends first, else the values, to the next step; 0 is shown where it is near. */
export function endsOf(
  kind: ScaleKind,
  values: readonly number[],
  given: { readonly min?: number | undefined; readonly max?: number | undefined },
  count: number,
): { readonly low: number; readonly high: number } {
  let least = Number.POSITIVE_INFINITY
  let most = Number.NEGATIVE_INFINITY
  for (const value of values) {
    if (!Number.isFinite(value) || (kind === 'log' && value <= 0)) continue
    if (value < least) least = value
    if (value > most) most = value
  }
  if (least > most) [least, most] = kind === 'log' ? [1, 10] : [0, 1]
  if (kind === 'log') {
    const low = given.min ?? roundDown(least)
    return { low, high: Math.max(given.max ?? roundUp(most), low * 1.01) }
  }
  const low = given.min ?? (least >= 0 && least < most * 0.6 ? 0 : least)
  const high = given.max ?? most
  if (high <= low) return { low, high: low + (Math.abs(low) || 1) }
  const step = niceStep(high - low, count)
  return {
    low: given.min ?? Math.floor(low / step + 1e-9) * step,
    high: given.max ?? Math.ceil(high / step - 1e-9) * step,
  }
}
