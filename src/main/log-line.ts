export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export type LogFields = Readonly<Record<string, string | number | readonly string[] | undefined>>

export type LogLine = {
  /** Milliseconds since the epoch. */
  readonly atMs: number
  readonly level: LogLevel
  readonly component: string
  readonly message: string
  readonly fields: LogFields
}

/** Longest text of one field, in UTF-16 units; stacks have about 2000. */
const TEXT_LIMIT = 8192
const LIST_LIMIT = 100

/** What JSON leaves as it is and terminals obey: C1 controls, line separators, marks of direction, invisible ones. */
const UNSAFE = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g

/** One JSON object on one line, with its line feed. Whatever a field holds, it is one line of printable text. */
export function lineOf({ atMs, level, component, message, fields }: LogLine): string {
  const line = { time: new Date(atMs).toISOString(), level, component, message: cut(message), ...fields }
  const text = JSON.stringify(line, (_name, value: unknown) => {
    if (typeof value === 'string') return cut(value)
    return Array.isArray(value) && value.length > LIST_LIMIT
      ? [...value.slice(0, LIST_LIMIT), `… ${value.length - LIST_LIMIT} more`]
      : value
  })
  return `${text.replaceAll(UNSAFE, escaped)}\n`
}

/** A lone surrogate becomes U+FFFD, since strict parsers refuse its escape. */
function cut(whole: string): string {
  const text = whole.replaceAll(/\p{Surrogate}/gu, '\u{fffd}')
  return text.length <= TEXT_LIMIT ? text : `${text.slice(0, TEXT_LIMIT)}… [cut, ${text.length} in all]`
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}
