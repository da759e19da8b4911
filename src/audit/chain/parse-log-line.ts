import { isJsonObject, type JsonObject, parseStrictJsonBytes } from '../../identity/strict-json.js'
import type { ChainEnd } from './chain-line.js'
import type { Checkpoint, Opened, Retention } from './log-lines.js'

/** A line that the log writes about itself. */
export type LogLine =
  | ({ readonly type: 'audit-opened' } & Opened)
  | ({ readonly type: 'audit-checkpoint' } & Checkpoint)
  | ({ readonly type: 'audit-retention' } & Retention)

export type ParsedLogLine =
  | { readonly kind: 'event' }
  | { readonly kind: 'log'; readonly line: LogLine }
  | { readonly kind: 'bad'; readonly problem: string }

const MARK = Buffer.from('"eventType":"audit-')
/** The mark stands behind a version and a timestamp. */
const MARK_WITHIN_BYTES = 128
const EVENT: ParsedLogLine = { kind: 'event' }
const HASH = /^[A-Za-z0-9_-]{43}$/

/** Reads the body of a line (the object without its closing brace). What begins as an event does is none of the log's. */
export function parseLogLine(body: Buffer): ParsedLogLine {
  if (!body.subarray(0, MARK_WITHIN_BYTES).includes(MARK)) return EVENT
  const parsed = parseStrictJsonBytes(Buffer.concat([body, CLOSE]))
  if (!parsed.ok || !isJsonObject(parsed.value)) return bad(parsed.ok ? 'no JSON object' : parsed.problem)
  const fields = parsed.value
  const type = fields['eventType']
  if (typeof type !== 'string' || !type.startsWith('audit-')) return EVENT
  const line = readFields(type, fields)
  return line ? { kind: 'log', line } : bad(`not what a line of type ${type} says`)
}

const CLOSE = Buffer.from('}')

function readFields(type: string, fields: JsonObject): LogLine | undefined {
  const { stream, reason } = fields
  const atMs = typeof fields['timestamp'] === 'string' ? Date.parse(fields['timestamp']) : NaN
  if (typeof stream !== 'string' || Number.isNaN(atMs)) return undefined
  const common = { atMs, stream }
  switch (type) {
    case 'audit-opened': {
      const previous = endOf(fields['previousSeq'], fields['previousHash'])
      const { tornBytes, tornHash } = fields
      const torn = tornBytes === undefined ? undefined : endOf(tornBytes, tornHash)
      if (!previous || (tornBytes !== undefined && !torn)) return undefined
      if (reason !== 'new' && reason !== 'rotation' && reason !== 'start') return undefined
      return { type, ...common, reason, previous, torn: torn && { bytes: torn.seq, hash: torn.hash } }
    }
    case 'audit-checkpoint': {
      const covered = countOf(fields['covered'])
      const streams = streamsOf(fields['streams'])
      if (covered === undefined || streams === false) return undefined
      if (reason !== 'interval' && reason !== 'rotation' && reason !== 'close') return undefined
      return { type, ...common, covered, reason, ...(streams && { streams }) }
    }
    case 'audit-retention': {
      const removed = removedOf(fields['removed'])
      return removed && { type, ...common, removed }
    }
    default:
      return undefined
  }
}

/** False: not in this form. */
function streamsOf(value: unknown): ReadonlyMap<string, ChainEnd> | undefined | false {
  if (value === undefined) return undefined
  if (!isJsonObject(value)) return false
  const streams = new Map<string, ChainEnd>()
  for (const [name, each] of Object.entries(value)) {
    const end = isJsonObject(each) ? endOf(each['seq'], each['hash']) : undefined
    if (!end) return false
    streams.set(name, end)
  }
  return streams
}

function removedOf(value: unknown): Retention['removed'] | undefined {
  if (!Array.isArray(value)) return undefined
  const removed: Retention['removed'][number][] = []
  for (const each of value) {
    if (!isJsonObject(each)) return undefined
    const firstSeq = countOf(each['firstSeq'])
    const last = endOf(each['lastSeq'], each['lastHash'])
    const { file } = each
    if (typeof file !== 'string' || firstSeq === undefined || !last) return undefined
    removed.push({ file, firstSeq, lastSeq: last.seq, lastHash: last.hash })
  }
  return removed
}

function endOf(seq: unknown, hash: unknown): ChainEnd | undefined {
  const count = countOf(seq)
  return count !== undefined && typeof hash === 'string' && HASH.test(hash) ? { seq: count, hash } : undefined
}

function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

function bad(problem: string): ParsedLogLine {
  return { kind: 'bad', problem }
}
