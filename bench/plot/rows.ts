import { textWidth } from './ink.js'

/** Where an entry of a legend stands. */
export type Row = { readonly text: string; readonly left: number; readonly row: number }

/** Entries side by side, in as many rows as they need. */
export function rowsOf(
  texts: readonly string[],
  left: number,
  right: number,
): { readonly entries: readonly Row[]; readonly height: number } {
  let [at, row] = [left, 0]
  const entries = texts.map((text): Row => {
    const width = textWidth(text) + 44
    if (at > left && at + width > right) [at, row] = [left, row + 1]
    const entry = { text, left: at, row }
    at += width
    return entry
  })
  return { entries, height: texts.length === 0 ? 0 : row + 1 }
}

const MOST_TAG_ROWS = 4

/** A row for each tag, so that neighbours don't lie on each other; where all rows are full, the last. */
export function tagRows(
  positions: readonly number[],
  width: number,
): { readonly rows: readonly number[]; readonly height: number } {
  const ends: number[] = []
  const order = positions.map((at, index) => ({ at, index })).toSorted((a, b) => a.at - b.at)
  const rows = positions.map(() => 0)
  for (const { at, index } of order) {
    const free = ends.findIndex((end) => at - width / 2 >= end)
    const row = free >= 0 ? free : Math.min(ends.length, MOST_TAG_ROWS - 1)
    ends[row] = at + width / 2
    rows[index] = row
  }
  return { rows, height: Math.max(ends.length, 0) }
}
