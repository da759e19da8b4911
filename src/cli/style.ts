import type { CliIo } from './io.js'

/** Marks text for a reader at a terminal; leaves it alone anywhere else. */
export type Style = {
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  readonly faint: (text: string) => string
}

/** Colours only on a terminal, and never where NO_COLOR is set to anything. Source: no-color.org. */
export function styleOf(io: CliIo): Style {
  const coloured = io.isTerminal && !io.env['NO_COLOR']
  const paint = (code: number) => (text: string) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text)
  return { good: paint(32), bad: paint(31), faint: paint(2) }
}
