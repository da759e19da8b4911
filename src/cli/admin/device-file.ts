import { BulkDevicesSchema } from '../../admin/schemas/devices.js'
import { readFileBounded } from '../../adapters/files.js'
import { DeviceReportSchema, type DeviceReport } from '../../device/device-report.js'
import { parseStrictJson } from '../../identity/strict-json.js'
import { matchesShape, shapeFindings } from '../../schema/shape.js'
import { fieldOf, type NameField } from './answer.js'
import { printable } from './printable.js'

const DeviceSchema = BulkDevicesSchema.properties.devices.items

/** A device to import and where the file has it, for example `fleet.jsonl:3`. */
export type FiledDevice = { readonly where: string; readonly value: object }
export type Read<Value> =
  | { readonly ok: true; readonly value: Value }
  /** One line a problem. */
  | { readonly ok: false; readonly problems: readonly string[] }

const MAX_REPORT_BYTES = 64 * 1024
const MAX_FLEET_BYTES = 256 * 1024 * 1024
const MAX_PROBLEMS = 20
const BATCH_DEVICES = 1000
/** Half of what the API takes at once. */
const BATCH_BYTES = 4 * 1024 * 1024

/** Reads one report, a JSON object with the fields of the API. */
export async function readReport(file: string): Promise<Read<DeviceReport>> {
  const text = await readText(file, MAX_REPORT_BYTES)
  if (!text.ok) return text
  const value = parse(text.value)
  if ('problem' in value) return { ok: false, problems: [`${file}: ${value.problem}`] }
  if (matchesShape(DeviceReportSchema, value.parsed)) return { ok: true, value: value.parsed }
  return { ok: false, problems: misfits(file, DeviceReportSchema, value.parsed) }
}

/** Reads a JSON array or JSON lines of devices and checks every one, so that a bad file is refused as a whole. */
export async function readFleet(file: string): Promise<Read<readonly FiledDevice[]>> {
  const text = await readText(file, MAX_FLEET_BYTES)
  if (!text.ok) return text
  const listed = /^\s*\[/.test(text.value) ? fromArray(file, text.value) : fromLines(file, text.value)
  const devices: FiledDevice[] = []
  const places = new Map<string, string>()
  const problems: string[] = []
  for (const { where, found } of listed) {
    if ('problem' in found) problems.push(`${where}: ${found.problem}`)
    else if (matchesShape(DeviceSchema, found.parsed)) {
      const { id, issuer } = found.parsed
      const name = JSON.stringify([id, issuer])
      const earlier = places.get(name)
      if (earlier !== undefined) problems.push(`${where}: the same device as ${earlier}`)
      places.set(name, where)
      devices.push({ where, value: found.parsed })
    } else problems.push(...misfits(where, DeviceSchema, found.parsed))
    if (problems.length > MAX_PROBLEMS)
      return { ok: false, problems: [...problems.slice(0, MAX_PROBLEMS), `${file} has more problems`] }
  }
  if (problems.length > 0) return { ok: false, problems }
  if (devices.length === 0) return { ok: false, problems: [`${file} holds no device`] }
  return { ok: true, value: devices }
}

type Found = { readonly parsed: unknown } | { readonly problem: string }
type Listed = { readonly where: string; readonly found: Found }

function fromArray(file: string, text: string): readonly Listed[] {
  const found = parse(text)
  if ('problem' in found || !Array.isArray(found.parsed)) return [{ where: file, found }]
  return found.parsed.map((parsed: unknown, at) => ({
    where: `${file}: element ${at + 1}`,
    found: { parsed },
  }))
}

function* fromLines(file: string, text: string): Iterable<Listed> {
  for (const [at, line] of text.split('\n').entries()) {
    if (line.trim() !== '') yield { where: `${file}:${at + 1}`, found: parse(line) }
  }
}

/** Strict, as the API reads it: what is named twice has no meaning. */
function parse(text: string): Found {
  const strict = parseStrictJson(text)
  if (strict.ok) return { parsed: strict.value }
  try {
    JSON.parse(text)
    return { problem: `no JSON: ${strict.problem}` }
  } catch (error) {
    // It says where.
    return { problem: printable(`no JSON: ${error instanceof Error ? error.message : String(error)}`) }
  }
}

/** Reads a file of UTF-8 text, with or without a byte order mark. */
async function readText(file: string, maxBytes: number): Promise<Read<string>> {
  const read = await readFileBounded(file, maxBytes)
  if (!read.ok) return { ok: false, problems: [read.problem] }
  try {
    return { ok: true, value: new TextDecoder('utf-8', { fatal: true }).decode(read.bytes) }
  } catch {
    return { ok: false, problems: [`${file} is not UTF-8`] }
  }
}

function misfits(
  where: string,
  schema: typeof DeviceSchema | typeof DeviceReportSchema,
  value: unknown,
): string[] {
  return shapeFindings(schema, value).map(({ message }) => printable(`${where}: ${message}`))
}

/** Cuts a fleet into what one request takes. */
export function* batches(devices: readonly FiledDevice[]): Iterable<readonly FiledDevice[]> {
  let batch: FiledDevice[] = []
  let bytes = 0
  for (const device of devices) {
    const size = Buffer.byteLength(JSON.stringify(device.value))
    if (batch.length === BATCH_DEVICES || (batch.length > 0 && bytes + size > BATCH_BYTES)) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(device)
    bytes += size
  }
  if (batch.length > 0) yield batch
}

/** Names what a refusal points at by its place in the file. */
export function namedByPlace(batch: readonly FiledDevice[]): NameField {
  return (pointer) => {
    const [, index, field = ''] = /^\/devices\/([0-9]+)(.*)$/.exec(pointer) ?? []
    const device = index === undefined ? undefined : batch[Number(index)]
    return device ? { place: device.where, ...fieldOf(field) } : fieldOf(pointer)
  }
}
