import { isJsonObject, parseStrictJsonBytes } from '../../identity/strict-json.js'
import { splitLine } from './chain-line.js'
import type { OpenJwe } from './open-jwe.js'
import { parseLogLine } from './parse-log-line.js'

export type OpenedLine =
  /** An event; `plain` never was encrypted. Without its chain. */
  | { readonly kind: 'decrypted' | 'plain'; readonly text: string }
  /** Of the log about itself, or blank. */
  | { readonly kind: 'left-out' }
  | { readonly kind: 'bad'; readonly problem: string }

const CLOSE = Buffer.from('}')
const ENCRYPTED = /^\{(?:"classification":"(?:[^"\\]|\\.){0,512}",)?"jwe":"/
const BEGINNING_BYTES = 1024

/** The event of a line of an audit log, or of a log without a chain. */
export function openLine(line: Buffer, open: OpenJwe): OpenedLine {
  if (line.length === 0) return { kind: 'left-out' }
  const chained = splitLine(line)
  const object = chained ? Buffer.concat([chained.body, CLOSE]) : line
  if (parseLogLine(object.subarray(0, -1)).kind === 'log') return { kind: 'left-out' }
  const isEncrypted = isEncryptedLine(line.toString('latin1', 0, BEGINNING_BYTES))
  if (!isEncrypted && chained) return { kind: 'plain', text: object.toString() }
  const parsed = parseStrictJsonBytes(object)
  if (!parsed.ok || !isJsonObject(parsed.value)) return { kind: 'bad', problem: 'no JSON object' }
  const { jwe } = parsed.value
  if (!isEncrypted || typeof jwe !== 'string') return { kind: 'plain', text: object.toString() }
  const opened = open(jwe)
  if (opened.ok) return { kind: 'decrypted', text: opened.text }
  const problem =
    opened.reason === 'bad' ? opened.problem : `encrypted for the key ${opened.keyId}, which was not given`
  return { kind: 'bad', problem }
}

/** By how the line begins. */
export function isEncryptedLine(line: string): boolean {
  return ENCRYPTED.test(line)
}
