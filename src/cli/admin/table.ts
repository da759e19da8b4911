import { printable } from './printable.js'

export type Column<Row> = {
  readonly title: string
  readonly of: (row: Row) => string
  /** Texts for people that may end in `…`. What a next command needs (IDs, names) is never cut. */
  readonly mayBeCut?: boolean
  /** Colours the cell, which is already as wide as it will be. */
  readonly paint?: (row: Row, cell: string) => string
}

const MAX_COLUMNS = 100
const LEAST_COLUMNS = 12
const GAP = '  '

/** Rows below their titles, aligned; columns that may be cut give way until everything fits 100 columns. */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const texts = rows.map((row) => columns.map((column) => printable(column.of(row))))
  const widths = columns.map((column, at) =>
    texts.reduce((widest, cells) => Math.max(widest, widthOf(cells[at] ?? '')), column.title.length),
  )
  shrink(widths, columns)
  const line = (cells: readonly string[], row?: Row): string =>
    columns
      .map((column, at) => {
        const fitted = fit(cells[at] ?? '', widths[at] ?? 0)
        const painted = row !== undefined && column.paint ? column.paint(row, fitted) : fitted
        return at === columns.length - 1
          ? painted.trimEnd()
          : painted + ' '.repeat((widths[at] ?? 0) - widthOf(fitted))
      })
      .join(GAP)
      .trimEnd()
  const titles = line(columns.map(({ title }) => title))
  return [titles, ...rows.map((row, at) => line(texts[at] ?? [], row))].map((text) => `${text}\n`).join('')
}

/** One thing as `name  value` lines; what is undefined has none. */
export function sheet(entries: readonly (readonly [name: string, value: string | undefined])[]): string {
  const told = entries.filter((entry): entry is readonly [string, string] => entry[1] !== undefined)
  const width = told.reduce((widest, [name]) => Math.max(widest, name.length), 0)
  return told.map(([name, value]) => `${name.padEnd(width)}${GAP}${printable(value)}\n`).join('')
}

/** The issuer is worth a column where there is more than one. */
export function issuerColumn<Row extends { readonly issuer: string }>(rows: readonly Row[]): Column<Row>[] {
  const several = rows.some(({ issuer }) => issuer !== rows[0]?.issuer)
  return several ? [{ title: 'ISSUER', of: ({ issuer }) => issuer }] : []
}

function shrink(widths: number[], columns: readonly { readonly mayBeCut?: boolean }[]): void {
  const overflow = (): number =>
    widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1)) - MAX_COLUMNS
  for (let over = overflow(); over > 0; over = overflow()) {
    let widest = -1
    for (const [at, column] of columns.entries()) {
      if (column.mayBeCut && (widths[at] ?? 0) > Math.max(LEAST_COLUMNS, widths[widest] ?? 0)) widest = at
    }
    if (widest < 0) return
    widths[widest] = (widths[widest] ?? 0) - 1
  }
}

function fit(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  let kept = ''
  for (const character of text) {
    if (widthOf(kept + character) > width - 1) break
    kept += character
  }
  return `${kept.trimEnd()}…`
}

const MARK = /[\p{Mn}\p{Me}]/u
/** East Asian wide and full-width characters and pictures, by blocks. Source: Unicode Standard Annex 11. */
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u

/** Columns that a terminal gives a text. */
function widthOf(text: string): number {
  let width = 0
  for (const character of text) width += MARK.test(character) ? 0 : WIDE.test(character) ? 2 : 1
  return width
}
