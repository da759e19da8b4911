import { readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** One part of the report, measured by itself. */
export type Section = {
  readonly name: string
  /** Markdown that begins with a heading of the second level. */
  readonly measure: () => Promise<string>
}

const LINE = 120
const START = /^<!-- section: ([a-z-]+) -->$/

/** How often everything is measured; each section says what a round is. */
export const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5)

/** What a section was measured on. `node` is the version of the servers. */
export function machineLine(details: string, node = process.version): string {
  return `Measured on node ${node}, ${cpus()[0]?.model ?? 'an unknown CPU'}, ${cpus().length} cores; ${details}.`
}

/** Where a round takes long. */
export const FEW_ROUNDS = Math.min(ROUNDS, 3)

export function roundsText(rounds = ROUNDS): string {
  return rounds === 1 ? '1 round' : `${rounds} rounds`
}

/** Cells of numbers are aligned to the right: all but the first column. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): readonly string[] {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`
  return [line(head), `|${head.map((_, at) => (at === 0 ? '---' : '---:')).join('|')}|`, ...rows.map(line)]
}

/** Paragraphs in lines of 120 characters; tables and what has no spaces to break at stay as they are. */
export function lines(...paragraphs: readonly (string | readonly string[])[]): string {
  return `${paragraphs.map((part) => (typeof part === 'string' ? wrapped(part) : part.join('\n'))).join('\n\n')}\n`
}

function wrapped(paragraph: string): string {
  const done: string[] = []
  let line = ''
  for (const word of paragraph.split(' ')) {
    if (line && line.length + 1 + word.length > LINE) {
      done.push(line)
      line = word
    } else line = line ? `${line} ${word}` : word
  }
  return [...done, line].join('\n')
}

/** Throws what is wrong with it. `order` is that of the names of sections; a section that it lacks comes last. */
export function withSection(report: string, name: string, text: string, order: readonly string[]): string {
  const { preface, sections } = parsed(report)
  sections.set(name, text.trim())
  const place = (of: string): number => (order.includes(of) ? order.indexOf(of) : order.length)
  const sorted = [...sections].toSorted(([left], [right]) => place(left) - place(right))
  const parts = sorted.map(([of, body]) => `<!-- section: ${of} -->\n\n${body}`)
  return `${[preface.trim(), ...parts].join('\n\n')}\n`
}

function parsed(report: string): { readonly preface: string; readonly sections: Map<string, string> } {
  const sections = new Map<string, string>()
  const preface: string[] = []
  let name: string | undefined
  for (const line of report.split('\n')) {
    const started = START.exec(line)?.[1]
    if (started !== undefined) {
      if (sections.has(started)) throw new Error(`the report has the section ${started} twice`)
      name = started
      sections.set(name, '')
    } else if (name === undefined) preface.push(line)
    else sections.set(name, `${sections.get(name) ?? ''}${line}\n`)
  }
  return {
    preface: preface.join('\n'),
    sections: new Map([...sections].map(([of, body]) => [of, body.trim()])),
  }
}

const RESULTS = new URL('RESULTS.md', import.meta.url)

/** Puts a section into bench/RESULTS.md and leaves the others as they are. */
export function writeSection(name: string, text: string, order: readonly string[]): void {
  writeFileSync(RESULTS, withSection(readFileSync(RESULTS, 'utf8'), name, text, order))
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

export function least(values: readonly number[]): number {
  return Math.min(...values)
}

/** Median with the least and the greatest: `52.1 (50.3 to 58.8)`; of one value, that. */
export function spread(values: readonly number[], digits: number): string {
  if (values.length === 1) return median(values).toFixed(digits)
  const [low, high] = [Math.min(...values), Math.max(...values)]
  return `${median(values).toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`
}
