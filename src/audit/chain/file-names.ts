/** Of events without a classification, and of everything that is no decision. */
export const DEFAULT_STREAM = 'default'

const EXTENSION = '.jsonl'
const SEQ_DIGITS = 12
/** Names of classifications that would be taken for something else in a file's name. */
const AMBIGUOUS = /^(?:default|\d{12,})$/
const STREAM = '_?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const AFTER_STEM = new RegExp(`^(?:\\.(?!\\d{12,}(?:\\.|$))(${STREAM}))?(?:\\.(\\d{12,}))?\\.(jsonl|head)$`)

/** A file of a log, by its name. */
export type LogFileName = {
  readonly name: string
  readonly stream: string
  /** `active`: lines are written to it. `closed`: no longer. `head`: the copy of the newest checkpoint. */
  readonly kind: 'active' | 'closed' | 'head'
  /** Number of its first line; of closed files. */
  readonly firstSeq?: number
}

/** `events` of `events.jsonl`. The name, without a folder, ends in .jsonl and has no other dot. */
export function stemOf(file: string): string {
  if (!file.endsWith(EXTENSION)) throw new Error(`${file} does not end in ${EXTENSION}`)
  return file.slice(0, -EXTENSION.length)
}

/** Name of the stream that events of a classification go to. */
export function streamOf(classification: string | undefined): string {
  if (classification === undefined) return DEFAULT_STREAM
  return AMBIGUOUS.test(classification) ? `_${classification}` : classification
}

/** The classification of a stream's events; undefined: none. */
export function classificationOf(stream: string): string | undefined {
  if (stream === DEFAULT_STREAM) return undefined
  return stream.startsWith('_') ? stream.slice(1) : stream
}

export function activeName(stem: string, stream: string): string {
  return `${streamStem(stem, stream)}${EXTENSION}`
}

export function closedName(stem: string, stream: string, firstSeq: number): string {
  return `${streamStem(stem, stream)}.${String(firstSeq).padStart(SEQ_DIGITS, '0')}${EXTENSION}`
}

export function headName(stem: string, stream: string): string {
  return `${streamStem(stem, stream)}.head`
}

/** Undefined: not a file of this log. */
export function parseLogFileName(stem: string, name: string): LogFileName | undefined {
  if (!name.startsWith(`${stem}.`)) return undefined
  const found = AFTER_STEM.exec(name.slice(stem.length))
  if (!found) return undefined
  const [, stream = DEFAULT_STREAM, digits, ending] = found
  if (stream === DEFAULT_STREAM && found[1] !== undefined) return undefined
  if (ending === 'head') return digits === undefined ? { name, stream, kind: 'head' } : undefined
  if (digits === undefined) return { name, stream, kind: 'active' }
  const firstSeq = Number(digits)
  if (!Number.isSafeInteger(firstSeq) || closedName(stem, stream, firstSeq) !== name) return undefined
  return { name, stream, kind: 'closed', firstSeq }
}

/** Of any file's name: the stem of the log that it can belong to. Undefined: of none. */
export function stemOfAny(name: string): string | undefined {
  const stem = name.slice(0, Math.max(0, name.indexOf('.')))
  return stem !== '' && parseLogFileName(stem, name) ? stem : undefined
}

function streamStem(stem: string, stream: string): string {
  return stream === DEFAULT_STREAM ? stem : `${stem}.${stream}`
}
