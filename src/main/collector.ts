import { readFileSync } from 'node:fs'
import { otlpPost, type Post } from '../adapters/telemetry/otlp/post.js'
import type { CollectorConfig } from '../config/telemetry.js'
import { messageOf, StartFailure } from './log.js'

type Headers = Readonly<Record<string, string>>

const MAX_HEADERS = 32
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/
const VALUE = /^[ -~]{0,8192}$/
/** What the request itself says. */
const RESERVED = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'host',
  'te',
  'transfer-encoding',
  'upgrade',
  'user-agent',
])

/** A collector of OTLP. Throws StartFailure, with the option's name, where its files can't be used. */
export function openCollector(config: CollectorConfig, option: string): { post: Post; close(): void } {
  const { endpoint, headersFile, caFile, timeoutMs } = config
  const headers = headersFile === undefined ? () => ({}) : liveHeaders(headersFile, `${option}.headersFile`)
  const ca = caFile === undefined ? undefined : textOf(caFile, `${option}.caFile`)
  return otlpPost({ url: endpoint, headers, ca, timeoutMs })
}

/** Reads the file anew each time, so that a renewed token counts; while it can't be used, the last one serves. */
function liveHeaders(path: string, option: string): () => Headers {
  const first = parseHeaders(textOf(path, option))
  if (typeof first === 'string') throw new StartFailure([`${option} ${path}: ${first}`])
  let last: Headers = first
  return () => {
    try {
      const read = parseHeaders(readFileSync(path, 'utf8'))
      if (typeof read !== 'string') last = read
    } catch {
      // The last ones serve until the file is back.
    }
    return last
  }
}

/** One `name: value` a line; empty lines and `#` lines are nothing. A text says what is wrong, and no value. */
export function parseHeaders(text: string): Headers | string {
  const headers = new Map<string, string>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue
    const colon = line.indexOf(':')
    const lower = line.slice(0, Math.max(0, colon)).toLowerCase()
    const value = line.slice(colon + 1).trim()
    if (!NAME.test(lower) || !VALUE.test(value)) return `line ${index + 1} is no \`name: value\``
    if (RESERVED.has(lower)) return `line ${index + 1}: \`${lower}\` is not to be set`
    if (headers.has(lower)) return `line ${index + 1}: \`${lower}\` is given twice`
    headers.set(lower, value)
  }
  if (headers.size > MAX_HEADERS) return `it has more than ${MAX_HEADERS} headers`
  return Object.fromEntries(headers)
}

function textOf(path: string, option: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new StartFailure([`${option}: ${messageOf(error)}`])
  }
}
