import type { Position } from '../../schema/problem.js'
import { formatProblem } from '../../schema/problem.js'
import { parseYamlDocuments, type SourcedDocument } from '../../schema/strict-yaml.js'
import { entries, isMap, isThere, items, member, textOf, type Part } from './part.js'
import { typed } from './typed.js'

/** What a text turned out to be. */
export type EnvoyText = {
  readonly kind: 'bootstrap' | 'resources' | 'config dump'
  readonly root: Part
}

export type ReadText =
  | { readonly ok: true; readonly read: EnvoyText }
  /** One line a problem. */
  | { readonly ok: false; readonly problems: readonly string[] }

/** Envoy's own print of a large mesh has tens of MiB. */
export const MAX_DUMP_BYTES = 128 * 1024 * 1024
/** What people write; reading it with its lines takes seconds at this size. */
export const MAX_WRITTEN_BYTES = 4 * 1024 * 1024
const MAX_DEPTH = 200
/** Problems of one file that are told. */
const MAX_PROBLEMS = 20

/** Fields that only a bootstrap has at its top. Source: envoy.config.bootstrap.v3.Bootstrap. */
const BOOTSTRAP_FIELDS = [
  'static_resources',
  'dynamic_resources',
  'node',
  'admin',
  'cluster_manager',
  'layered_runtime',
]

/** Words that Envoy reads otherwise than this reader, but never as something else than they are taken for here. */
const HARMLESS = new Set(['ambiguous-word', 'ambiguous-number', 'number-too-large'])

/**
 * Reads a bootstrap (YAML or JSON), a file of resources as Envoy's file-based discovery has them, or a config_dump
 * (JSON). What can't be read, or is none of these, is told with its place.
 */
export function readEnvoyText(name: string, bytes: Uint8Array): ReadText {
  const first = bytes.find((byte) => byte > 0x20)
  if (first === undefined) return refused(`${name} is empty`)
  const isJson = first === 0x7b
  if (isJson) {
    const json = parseJson(bytes)
    if ('value' in json) {
      const root: Part = { source: { name, printedByEnvoy: true }, pointer: [], value: json.value }
      if (isThere(member(root, 'configs'))) return readDump(name, root)
    } else if (bytes.byteLength > MAX_WRITTEN_BYTES) return refused(`${name}: ${json.problem}`)
  }
  return readWritten(name, bytes)
}

function readDump(name: string, root: Part): ReadText {
  const dumps = items(member(root, 'configs')).filter((config) => typed(config).type.endsWith('Dump'))
  if (dumps.length > 0) return { ok: true, read: { kind: 'config dump', root } }
  return refused(
    `${name} has \`configs\` but nothing in it that Envoy's config_dump has; ask for /config_dump?include_eds`,
  )
}

function readWritten(name: string, bytes: Uint8Array): ReadText {
  const parsed = parseYamlDocuments(name, bytes, { maxBytes: MAX_WRITTEN_BYTES })
  const problems = parsed.problems.filter(({ code }) => !HARMLESS.has(code))
  if (problems.length > 0) {
    const told = problems.slice(0, MAX_PROBLEMS).map(formatProblem)
    return { ok: false, problems: more(told, problems.length) }
  }
  const [document, second] = parsed.documents
  if (!document) return refused(`${name} is empty`)
  if (second) return refused(`${at(second.positionOf([]))}: a second document; Envoy reads one a file`)
  return kindOf(name, partOf(name, document))
}

function kindOf(name: string, root: Part): ReadText {
  if (!isMap(root)) return refused(`${name} holds no map; an Envoy bootstrap or a config_dump is one`)
  if (BOOTSTRAP_FIELDS.some((field) => isThere(member(root, field))))
    return { ok: true, read: { kind: 'bootstrap', root } }
  const resources = items(member(root, 'resources'))
  if (resources.some((resource) => typed(resource).type.startsWith('envoy.')))
    return { ok: true, read: { kind: 'resources', root } }
  const kind = textOf(member(root, 'kind'))
  const fields = entries(root)
    .slice(0, 5)
    .map(([field]) => field)
    .join(', ')
  const what = kind === '' ? `its fields are ${fields || 'none'}` : `it is a ${kind}`
  return refused(
    `${name} is no Envoy bootstrap, file of resources or config_dump: ${what.replaceAll(/\p{C}/gu, '?')}`,
  )
}

function partOf(name: string, document: SourcedDocument): Part {
  const source = {
    name,
    printedByEnvoy: false,
    positionOf: (pointer: Part['pointer'], what: 'key' | 'value') => document.positionOf(pointer, what),
  }
  return { source, pointer: [], value: document.value }
}

function parseJson(bytes: Uint8Array): { readonly value: unknown } | { readonly problem: string } {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return { problem: 'not UTF-8' }
  }
  if (isDeep(text)) return { problem: `nested deeper than ${MAX_DEPTH} levels` }
  try {
    const value: unknown = JSON.parse(text)
    return { value }
  } catch (error) {
    return { problem: `not JSON: ${error instanceof Error ? error.message : String(error)}` }
  }
}

/** Whether brackets outside of texts are nested too deeply to be walked. */
function isDeep(text: string): boolean {
  let depth = 0
  let inText = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (inText) {
      if (code === BACKSLASH) at++
      else if (code === QUOTE) inText = false
    } else if (code === QUOTE) inText = true
    else if (code === OPEN_MAP || code === OPEN_LIST) {
      if (++depth > MAX_DEPTH) return true
    } else if (code === CLOSE_MAP || code === CLOSE_LIST) depth--
  }
  return false
}

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_MAP, CLOSE_MAP] = [34, 92, 91, 93, 123, 125]

const refused = (problem: string): ReadText => ({ ok: false, problems: [problem] })

const at = ({ file, line, column }: Position): string => `${file}:${line}:${column}`

function more(told: readonly string[], count: number): readonly string[] {
  return count > told.length ? [...told, `and ${count - told.length} more`] : told
}
