const CONTEXT = 3

/** More edited lines than this become one block that replaces another. */
const MAX_EDITS = 400

/** Two texts' lines as a unified diff (as `git apply` and `patch -p1` read it); '' for equal texts. */
export function unifiedDiff(file: string, before: string, after: string): string {
  if (before === after) return ''
  const [left, right] = [linesOf(before), linesOf(after)]
  const lines = [`--- ${before === '' ? '/dev/null' : `a/${file}`}`, `+++ b/${file}`]
  for (const hunk of hunksOf(changesOf(left, right))) {
    const first = hunk[0]
    const last = hunk.at(-1)
    if (!first || !last) continue
    const from = Math.max(0, first.from - CONTEXT)
    const to = Math.min(left.length, last.to + CONTEXT)
    const body: string[] = []
    let at = from
    for (const change of hunk) {
      for (; at < change.from; at++) body.push(` ${left[at]}`)
      for (; at < change.to; at++) body.push(`-${left[at]}`)
      for (let each = change.rightFrom; each < change.rightTo; each++) body.push(`+${right[each]}`)
    }
    for (; at < to; at++) body.push(` ${left[at]}`)
    const rightFrom = first.rightFrom - (first.from - from)
    const rightTo = last.rightTo + (to - last.to)
    lines.push(`@@ -${range(from, to)} +${range(rightFrom, rightTo)} @@`, ...body)
  }
  return `${lines.join('\n')}\n`
}

/** Lines from..to of the left (`to` left out) become those of the right. */
type Change = {
  readonly from: number
  readonly to: number
  readonly rightFrom: number
  readonly rightTo: number
}

function linesOf(text: string): string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

function range(from: number, to: number): string {
  return `${to === from ? from : from + 1},${to - from}`
}

function hunksOf(changes: readonly Change[]): Change[][] {
  const hunks: Change[][] = []
  for (const change of changes) {
    const hunk = hunks.at(-1)
    if (hunk && change.from - (hunk.at(-1)?.to ?? 0) <= 2 * CONTEXT) hunk.push(change)
    else hunks.push([change])
  }
  return hunks
}

/** The shortest way from one list of lines to the other. Source: E. W. Myers, An O(ND) difference algorithm. */
function changesOf(left: readonly string[], right: readonly string[]): Change[] {
  let head = 0
  while (head < left.length && head < right.length && left[head] === right[head]) head++
  let tail = 0
  while (
    tail < left.length - head &&
    tail < right.length - head &&
    left[left.length - 1 - tail] === right[right.length - 1 - tail]
  )
    tail++
  const [rows, columns] = [left.length - tail, right.length - tail]
  const reached = new Map<number, number>([[1, head]])
  const rounds: Map<number, number>[] = []
  for (let edits = 0; edits <= MAX_EDITS; edits++) {
    rounds.push(new Map(reached))
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      let row = startOn(reached, diagonal, edits, head)
      while (row < rows && row - diagonal < columns && left[row] === right[row - diagonal]) row++
      reached.set(diagonal, row)
      if (row >= rows && row - diagonal >= columns) return walkBack(rounds, rows, columns, head)
    }
  }
  return [{ from: head, to: rows, rightFrom: head, rightTo: columns }]
}

function startOn(
  reached: ReadonlyMap<number, number>,
  diagonal: number,
  edits: number,
  head: number,
): number {
  if (edits === 0) return head
  const [below, above] = [reached.get(diagonal - 1) ?? -1, reached.get(diagonal + 1) ?? -1]
  return diagonal === -edits || (diagonal !== edits && below < above) ? above : below + 1
}

function walkBack(
  rounds: readonly ReadonlyMap<number, number>[],
  rows: number,
  columns: number,
  head: number,
): Change[] {
  const changes: Change[] = []
  let [row, column] = [rows, columns]
  for (let edits = rounds.length - 1; edits > 0; edits--) {
    const reached = rounds[edits]
    if (!reached) break
    const diagonal = row - column
    const isInsert =
      diagonal === -edits ||
      (diagonal !== edits && (reached.get(diagonal - 1) ?? -1) < (reached.get(diagonal + 1) ?? -1))
    const from = reached.get(isInsert ? diagonal + 1 : diagonal - 1) ?? head
    const fromColumn = from - (isInsert ? diagonal + 1 : diagonal - 1)
    const step = isInsert
      ? { from, to: from, rightFrom: fromColumn, rightTo: fromColumn + 1 }
      : { from, to: from + 1, rightFrom: fromColumn, rightTo: fromColumn }
    const next = changes[0]
    if (next && next.from === step.to && next.rightFrom === step.rightTo)
      changes[0] = { ...next, from: step.from, rightFrom: step.rightFrom }
    else changes.unshift(step)
    ;[row, column] = [from, fromColumn]
  }
  return changes
}
