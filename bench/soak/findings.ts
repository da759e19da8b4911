import type { Summary } from './recorder.js'
import { type Bound, trend } from './trend.js'

const MIB = 1024 * 1024
/** Shorter runs end before caches are full and code is compiled. */
export const TRENDS_FROM_MS = 240_000

type Watched = {
  readonly name: string
  /** Undefined where it was not looked at. */
  readonly of: (usage: NonNullable<Summary['usage']>) => number | undefined
  readonly bound: Bound
  readonly unit: 'MiB' | ''
}

/** What must stay level. A trend fails only beyond both bounds. */
const WATCHED: readonly Watched[] = [
  { name: 'resident', of: ({ rss }) => rss / MIB, bound: { absolute: 24, share: 0.12 }, unit: 'MiB' },
  {
    name: 'live memory',
    of: ({ live }) => live && live / MIB,
    bound: { absolute: 6, share: 0.1 },
    unit: 'MiB',
  },
  { name: 'open files', of: ({ fds }) => fds, bound: { absolute: 10, share: 0.1 }, unit: '' },
  // Calls under way have some, and a slow machine has more of those.
  { name: 'active handles', of: ({ handles }) => handles, bound: { absolute: 40, share: 0.5 }, unit: '' },
]

export type TrendRow = {
  readonly name: string
  readonly unit: string
  readonly before: number
  readonly after: number
  readonly bound: Bound
  readonly isFlat: boolean
  /** Short runs tell the figures and are not judged by them. */
  readonly isJudged: boolean
}

export function trendRows(summaries: readonly Summary[], durationMs: number): readonly TrendRow[] {
  const usages = summaries.flatMap(({ usage }) => usage ?? [])
  const isJudged = durationMs >= TRENDS_FROM_MS
  return WATCHED.flatMap(({ name, of, bound, unit }) => {
    const samples = usages.flatMap((usage) => of(usage) ?? [])
    if (samples.length < 4) return []
    const { before, after, isFlat } = trend(samples, bound)
    return [{ name, unit, bound, before, after, isFlat, isJudged }]
  })
}
