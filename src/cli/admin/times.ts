const STEPS: readonly { readonly belowMs: number; readonly unitMs: number; readonly unit: string }[] = [
  { belowMs: 90_000, unitMs: 1000, unit: 's' },
  { belowMs: 90 * 60_000, unitMs: 60_000, unit: 'min' },
  { belowMs: 48 * 3_600_000, unitMs: 3_600_000, unit: 'h' },
  { belowMs: Infinity, unitMs: 86_400_000, unit: 'd' },
]

/** `in 42 min`, `3 h ago`, `now`; the text itself where it is no time. `time` is RFC 3339. */
export function relativeTime(time: string, nowMs: number): string {
  const awayMs = Date.parse(time) - nowMs
  if (Number.isNaN(awayMs)) return time
  const sizeMs = Math.abs(awayMs)
  const step = STEPS.find(({ belowMs }) => sizeMs < belowMs)
  const amount = step ? Math.round(sizeMs / step.unitMs) : 0
  if (!step || amount === 0) return 'now'
  return awayMs > 0 ? `in ${amount} ${step.unit}` : `${amount} ${step.unit} ago`
}

/** `2026-05-04 09:30:00 UTC (in 42 min)`; the text itself where it is no time. */
export function fullTime(time: string, nowMs: number): string {
  const atMs = Date.parse(time)
  if (Number.isNaN(atMs)) return time
  const absolute = new Date(atMs)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC')
  return `${absolute} (${relativeTime(time, nowMs)})`
}
