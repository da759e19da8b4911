/**
 * What `values` and `notValues` list, as sets of texts: exact text, `prefix*`, `*suffix`, or `*` for anything
 * but ''. Where two sets can't be compared exactly, the larger is assumed, so that nothing sound is doubted.
 */

/** More comparisons than this are not made for one key. */
const MAX_PAIRS = 100_000

/** Whether each text of `inner` is one of `outer`. */
export function coversText(outer: string, inner: string): boolean {
  if (outer === inner) return true
  if (inner === '') return false
  if (outer === '*') return true
  if (outer.endsWith('*')) {
    return !inner.startsWith('*') && bare(inner).startsWith(outer.slice(0, -1))
  }
  return outer.startsWith('*') && !inner.endsWith('*') && bare(inner).endsWith(outer.slice(1))
}

/** The narrower of two patterns, or one that holds what both hold; undefined where no text is in both. */
function meetText(left: string, right: string): string | undefined {
  if (coversText(left, right)) return right
  if (coversText(right, left)) return left
  const [leftStar, rightStar] = [starOf(left), starOf(right)]
  return leftStar !== undefined && rightStar !== undefined && leftStar !== rightStar ? left : undefined
}

/** False where no one text is in every list of `wanted` and in none of the unwanted ones. */
export function canBeOneText(wanted: readonly (readonly string[])[], unwanted: readonly string[]): boolean {
  let left: readonly string[] | undefined
  for (const list of wanted) {
    const before = left
    if (!before) left = list
    else if (before.length * list.length > MAX_PAIRS) return true
    else left = before.flatMap((one) => list.flatMap((other) => meetText(one, other) ?? []))
    if (left.length > MAX_PAIRS) return true
  }
  return !left || left.length * unwanted.length > MAX_PAIRS || someOutside(left, unwanted)
}

/** False where every text that `wanted` holds is unwanted. */
export function someOutside(wanted: readonly string[], unwanted: readonly string[]): boolean {
  if (wanted.length * unwanted.length > MAX_PAIRS) return true
  return wanted.some((one) => !unwanted.some((other) => coversText(other, one)))
}

const bare = (pattern: string): string =>
  pattern.endsWith('*') ? pattern.slice(0, -1) : pattern.replace(/^\*/, '')

const starOf = (pattern: string): 'first' | 'last' | undefined =>
  pattern.endsWith('*') ? 'last' : pattern.startsWith('*') ? 'first' : undefined
