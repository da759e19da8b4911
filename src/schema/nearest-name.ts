/** Longer words are not compared: nobody mistypes one thing into a text of that length. */
const MAX_LENGTH = 64
/** More slips than this in one word are another word. */
const MAX_DISTANCE = 4

/**
 * The candidate that a person most likely meant by `word`, or undefined when none is near: at most a
 * third of the longer word's letters mistyped and never more than four (one swap of neighbours counts
 * once), case ignored. Among equally near ones the first candidate wins.
 */
export function nearestName(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > MAX_LENGTH) return undefined
  const wanted = word.toLowerCase()
  let best: string | undefined
  let bestDistance = MAX_DISTANCE + 1
  for (const candidate of candidates) {
    const longer = Math.max(wanted.length, candidate.length)
    const bound = Math.min(bestDistance - 1, Math.max(1, Math.floor(longer / 3)))
    if (bound < 0) break
    if (longer > MAX_LENGTH || Math.abs(wanted.length - candidate.length) > bound) continue
    const compared = candidate.toLowerCase()
    // A single letter is not a misspelling of another one.
    if (longer === 1 && wanted !== compared) continue
    const distance = editDistance(wanted, compared, bound)
    if (distance <= bound) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Rows of the comparison under way, used again for each; a swap looks two rows back. */
const ROWS = {
  before: new Uint8Array(MAX_LENGTH + 2),
  above: new Uint8Array(MAX_LENGTH + 2),
  current: new Uint8Array(MAX_LENGTH + 2),
}

/** Optimal string alignment distance; more than `bound` when it exceeds it. Looks only at the diagonal band that could stay within. */
function editDistance(left: string, right: string, bound: number): number {
  const over = bound + 1
  let before = ROWS.before
  let above = ROWS.above
  let current = ROWS.current
  for (let column = 0; column <= right.length; column++) above[column] = Math.min(column, over)
  for (let row = 1; row <= left.length; row++) {
    const from = Math.max(1, row - bound)
    const to = Math.min(right.length, row + bound)
    current[from - 1] = from === 1 ? Math.min(row, over) : over
    if (to < right.length) current[to + 1] = over
    let smallest = from === 1 ? Math.min(row, over) : over
    for (let column = from; column <= to; column++) {
      const same = left.charCodeAt(row - 1) === right.charCodeAt(column - 1)
      let cost = Math.min(
        at(above, column) + 1,
        at(current, column - 1) + 1,
        at(above, column - 1) + (same ? 0 : 1),
        over,
      )
      const swapped =
        row > 1 &&
        column > 1 &&
        left.charCodeAt(row - 1) === right.charCodeAt(column - 2) &&
        left.charCodeAt(row - 2) === right.charCodeAt(column - 1)
      if (swapped) cost = Math.min(cost, at(before, column - 2) + 1)
      current[column] = cost
      if (cost < smallest) smallest = cost
    }
    if (smallest >= over) return over
    const oldest = before
    before = above
    above = current
    current = oldest
  }
  return at(above, right.length)
}

function at(row: Uint8Array, column: number): number {
  return row[column] ?? 0
}
