/** Sorted by `Array.prototype.sort` at once; a millisecond or two. */
const CHUNK = 2048

/** A stable sort that yields often, so that sorting much holds up nobody. Leaves `items` as they are. */
export function* sortInTurns<Item>(
  items: readonly Item[],
  compare: (a: Item, b: Item) => number,
): Generator<void, Item[]> {
  let runs: Item[][] = []
  for (let from = 0; from < items.length; from += CHUNK) {
    runs.push(items.slice(from, from + CHUNK).sort(compare))
    yield
  }
  while (runs.length > 1) {
    const merged: Item[][] = []
    for (let index = 0; index < runs.length; index += 2) {
      merged.push(yield* merge(runs[index] ?? [], runs[index + 1] ?? [], compare))
    }
    runs = merged
  }
  return runs[0] ?? []
}

function* merge<Item>(
  left: readonly Item[],
  right: readonly Item[],
  compare: (a: Item, b: Item) => number,
): Generator<void, Item[]> {
  const merged: Item[] = []
  let [l, r] = [left[0], right[0]]
  for (let i = 0, j = 0; l !== undefined || r !== undefined;) {
    if (merged.length % CHUNK === 0) yield
    if (r === undefined || (l !== undefined && compare(l, r) <= 0)) {
      if (l !== undefined) merged.push(l)
      l = left[(i += 1)]
    } else {
      merged.push(r)
      r = right[(j += 1)]
    }
  }
  return merged
}
