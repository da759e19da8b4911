/** Longer words are not compared: nobody mistypes one thing into a text of that length. */
const MAX_LENGTH = 64

/**
 * The candidate that a person most likely meant by `word`, or undefined when none is near: at most a
 * third of the longer word's letters mistyped (one swap of neighbours counts once), case ignored.
 * Among equally near ones the first candidate wins.
 */
export function nearestName(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > MAX_LENGTH) return undefined
  const wanted = word.toLowerCase()
  let best: string | undefined
  let bestDistance = Infinity
  for (const candidate of candidates) {
    if (candidate.length > MAX_LENGTH) continue
    const longer = Math.max(wanted.length, candidate.length)
    const bound = Math.min(bestDistance - 1, Math.max(1, Math.floor(longer / 3)))
    if (bound < 0) break
    // A single letter is not a misspelling of another one.
    if (longer === 1 && wanted !== candidate.toLowerCase()) continue
    const distance = editDistance(wanted, candidate.toLowerCase(), bound)
    if (distance <= bound) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Optimal string alignment distance; anything above `bound` when it exceeds it. */
function editDistance(left: string, right: string, bound: number): number {
  if (Math.abs(left.length - right.length) > bound) return bound + 1
  let before: number[] = []
  let above = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let row = 1; row <= left.length; row++) {
    const current = [row]
    let smallest = row
    for (let column = 1; column <= right.length; column++) {
      const same = left[row - 1] === right[column - 1]
      let cost = Math.min(
        (above[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + (same ? 0 : 1),
      )
      if (
        row > 1 &&
        column > 1 &&
        left[row - 1] === right[column - 2] &&
        left[row - 2] === right[column - 1]
      ) {
        cost = Math.min(cost, (before[column - 2] ?? 0) + 1)
      }
      current.push(cost)
      if (cost < smallest) smallest = cost
    }
    if (smallest > bound) return bound + 1
    before = above
    above = current
  }
  return above[right.length] ?? 0
}
