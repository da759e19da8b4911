/** More than `above` gives `points`. */
export type Tier = { readonly above: number; readonly points: number }

/** Points of the highest tier passed; 0 for none. */
export function tierOf(tiers: readonly Tier[], count: number): number {
  let points = 0
  for (const tier of tiers) if (count > tier.above) points = Math.max(points, tier.points)
  return points
}
