import type { Outcome } from './scenario.js'

type Column = { readonly title: string; readonly width: number; readonly right?: true }

/** 159 columns of text in all. */
const COLUMNS: readonly Column[] = [
  { title: 'caller', width: 13 },
  { title: 'target', width: 9 },
  { title: 'request', width: 52 },
  { title: 'status', width: 7 },
  { title: 'decision', width: 9 },
  { title: 'reason', width: 23 },
  { title: 'rule', width: 22 },
  { title: 'ms', width: 7, right: true },
  { title: '', width: 1 },
]

const GREEN = 32
const RED = 31
const YELLOW = 33
const BOLD = 1
const DIM = 2

/** What the table is written with: colours, or nothing but text. */
export type Paint = (text: string, colour: number) => string

export function painter(stream: { readonly isTTY?: boolean }, environment: NodeJS.ProcessEnv): Paint {
  const colours = stream.isTTY === true && !environment['NO_COLOR']
  return (text, colour) => (colours ? `\u001b[${colour}m${text}\u001b[0m` : text)
}

export function heading(paint: Paint): string {
  return paint(row(COLUMNS.map(({ title }) => title)), DIM)
}

export function chapterLine(title: string, paint: Paint): string {
  return `\n${paint(title, BOLD)}`
}

/** One line, and another that says what differs from what was expected. */
export function outcomeLine(outcome: Outcome, paint: Paint): string {
  const { scenario, status, decision, reason, rule, durationMs, difference } = outcome
  const alert = status.startsWith('tls: ') ? status.slice('tls: '.length) : undefined
  const cells = [
    shortName(scenario.caller),
    shortName(scenario.target),
    scenario.request,
    alert === undefined ? status : 'tls',
    decision === 'none' ? 'by Envoy' : decision,
    alert ?? reason,
    rule,
    durationMs.toFixed(1),
    difference === undefined ? '✓' : '✗',
  ]
  const mark = difference === undefined ? GREEN : RED
  const line = row(cells, (text, column) =>
    column === 'decision' ? paint(text, colourOf(decision)) : column === '' ? paint(text, mark) : text,
  )
  return difference === undefined ? line : `${line}\n${paint(`  ✗ ${difference}`, RED)}`
}

function colourOf(decision: string): number {
  if (decision === 'allow') return GREEN
  return decision === 'challenge' ? YELLOW : RED
}

function row(cells: readonly string[], paintCell = (text: string, _column: string): string => text): string {
  return COLUMNS.map(({ title, width, right }, index) => {
    const text = cells[index] ?? ''
    const cut = text.length > width ? `${text.slice(0, width - 1)}…` : text
    return paintCell(right ? cut.padStart(width) : cut.padEnd(width), title)
  })
    .join('  ')
    .trimEnd()
}

function shortName(service: string): string {
  return service.replace(/-service$/, '')
}
