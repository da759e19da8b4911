import { generator } from '../../test/support/naive-mesh.js'

export const CHANGE_KINDS = [
  'policy changed',
  'broken policy',
  'listener certificate',
  'trust bundle rotated',
  'certificate revoked',
  'user keys rolled',
  'Redis killed',
  'Redis hung',
  'session ended',
  'session ended by signal',
  'quarantine',
  'grant',
  'connections replaced',
  'idle connections',
  'RST flood',
  'half-open connections',
  'garbage',
] as const
export type ChangeKind = (typeof CHANGE_KINDS)[number]

/** What happens when, milliseconds from the start; `draw` is a random number from 0 to 1 for what it leaves open. */
export type Change = { readonly atMs: number; readonly kind: ChangeKind; readonly draw: number }

/** Most of the decisions that can go wrong hang on these. */
const TWICE: ReadonlySet<ChangeKind> = new Set(['policy changed', 'broken policy', 'grant'])
/** Between two changes, where there is time enough for that. */
const USUAL_GAP_MS = 4500
/** At both ends nothing changes. */
const CALM_MS = 1500

/**
 * Rounds of every kind, each in its own order, until the time is over; a short run has its rounds in haste. The same
 * for the same seed.
 */
export function schedule(seed: number, durationMs: number): readonly Change[] {
  const random = generator(seed)
  const round = CHANGE_KINDS.flatMap((kind) => (TWICE.has(kind) ? [kind, kind] : [kind]))
  const gapMs = Math.min(USUAL_GAP_MS, Math.max(0, durationMs - 2 * CALM_MS) / (round.length + 1))
  const changes: Change[] = []
  if (gapMs <= 0) return changes
  let atMs = CALM_MS
  let left: ChangeKind[] = []
  while (atMs < durationMs - CALM_MS) {
    if (left.length === 0) left = [...round]
    const [kind] = left.splice(random.below(left.length), 1)
    if (kind === undefined) break
    changes.push({ atMs: Math.round(atMs), kind, draw: random.below(1_000_000) / 1_000_000 })
    atMs += gapMs * (0.7 + random.below(600) / 1000)
  }
  return changes
}
