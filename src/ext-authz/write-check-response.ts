import { ProtobufWriter } from './protobuf-writer.js'

/** A header to set; whatever the request or the response had under that name is replaced. */
export type HeaderSetting = { readonly name: string; readonly value: string }

/** What Envoy keeps as dynamic metadata of the request, for access logs and later filters. Source: FORMATS 4. */
export type Metadata = {
  readonly decision: string
  readonly decisionId: string
  readonly reason: string
  readonly mode: string
  readonly rule?: string | undefined
  readonly caller?: string | undefined
  readonly target?: string | undefined
  readonly endpoint?: string | undefined
  readonly user?: string | undefined
  readonly riskScore?: number | undefined
  readonly revision?: string | undefined
  readonly obligations?: readonly string[] | undefined
}

export type Allowed = {
  /** Request headers for the upstream. */
  readonly set: readonly HeaderSetting[]
  /** Request headers to remove. Envoy removes after it sets, so a name in both is a bug and throws. */
  readonly remove: readonly string[]
  /** Response headers for the caller. */
  readonly respond: readonly HeaderSetting[]
  readonly removeQueryParameters: readonly string[]
  readonly metadata: Metadata
}

export type Denied = {
  /** 400 to 599. */
  readonly httpStatus: number
  /** google.rpc.Code, 1 to 16: never 0, which Envoy takes for allow. */
  readonly rpcCode: number
  /** For Envoy's log. */
  readonly message: string
  readonly headers: readonly HeaderSetting[]
  readonly body: string
  readonly metadata: Metadata
}

const writer = new ProtobufWriter()

const TAG = {
  field1: 0x0a,
  field2: 0x12,
  field3: 0x1a,
  field4: 0x22,
  field5: 0x2a,
  field6: 0x32,
  field8: 0x42,
}
/** `status` present with code 0, which is Envoy's allow. Absent it would mean the same, but nobody's decision. */
const STATUS_OK = Buffer.from([TAG.field1, 0])
/** HeaderValueOption.append_action = OVERWRITE_IF_EXISTS_OR_ADD; the default appends to what the caller sent. */
const OVERWRITE = Buffer.from([0x18, 2])

/** A CheckResponse that lets an HTTP call pass. Source: SPECS 1.3. */
export function writeAllow(allowed: Allowed): Buffer {
  writer.clear()
  writeMetadata(allowed.metadata)
  const start = writer.size()
  for (const name of allowed.removeQueryParameters) writer.text(TAG.field8, name)
  for (const setting of allowed.respond) writeHeader(TAG.field6, setting)
  for (const name of allowed.remove) {
    for (const setting of allowed.set) {
      if (setting.name === name) throw new Error(`header ${name} is both set and removed`)
    }
    writer.text(TAG.field5, name)
  }
  for (const setting of allowed.set) writeHeader(TAG.field2, setting)
  writer.close(TAG.field3, start)
  writer.raw(STATUS_OK)
  return writer.take()
}

/** A CheckResponse that lets a TCP connection pass; the network filter takes nothing but the status and metadata. */
export function writeAllowTcp(metadata: Metadata): Buffer {
  writer.clear()
  writeMetadata(metadata)
  writer.raw(STATUS_OK)
  return writer.take()
}

/** A CheckResponse that refuses. For a TCP connection Envoy looks at the status alone and closes. */
export function writeDenied(denied: Denied): Buffer {
  const { httpStatus, rpcCode } = denied
  if (!Number.isInteger(rpcCode) || rpcCode < 1 || rpcCode > 16)
    throw new Error(`rpc code ${rpcCode} is no refusal`)
  if (!Number.isInteger(httpStatus) || httpStatus < 400 || httpStatus > 599) {
    throw new Error(`status ${httpStatus} is no refusal`)
  }
  writer.clear()
  writeMetadata(denied.metadata)
  const start = writer.size()
  if (denied.body !== '') writer.text(TAG.field3, denied.body)
  for (const setting of denied.headers) writeHeader(TAG.field2, setting)
  const status = writer.size()
  writer.varint(httpStatus)
  writer.varint(0x08)
  writer.close(TAG.field1, status)
  writer.close(TAG.field2, start)
  const rpc = writer.size()
  writer.text(TAG.field2, denied.message)
  writer.varint(rpcCode)
  writer.varint(0x08)
  writer.close(TAG.field1, rpc)
  return writer.take()
}

function writeHeader(tag: number, { name, value }: HeaderSetting): void {
  const option = writer.size()
  writer.raw(OVERWRITE)
  const header = writer.size()
  writer.line(TAG.field2, value)
  writer.text(TAG.field1, name)
  writer.close(TAG.field1, header)
  writer.close(tag, option)
}

/** CheckResponse.dynamic_metadata, a google.protobuf.Struct; what is undefined is absent. */
function writeMetadata(metadata: Metadata): void {
  const start = writer.size()
  if (metadata.obligations !== undefined) writeListEntry('obligations', metadata.obligations)
  writeEntry('revision', metadata.revision)
  if (metadata.riskScore !== undefined) writeNumberEntry('risk_score', metadata.riskScore)
  writeEntry('user', metadata.user)
  writeEntry('endpoint', metadata.endpoint)
  writeEntry('target', metadata.target)
  writeEntry('caller', metadata.caller)
  writeEntry('mode', metadata.mode)
  writeEntry('rule', metadata.rule)
  writeEntry('reason', metadata.reason)
  writeEntry('decision_id', metadata.decisionId)
  writeEntry('decision', metadata.decision)
  writer.close(TAG.field4, start)
}

/** One entry of the Struct: {key=1, value=2}, where the Value's own fields are number=2, string=3, list=6. */
function writeEntry(name: string, value: string | undefined): void {
  if (value === undefined) return
  const entry = writer.size()
  writer.text(TAG.field3, value)
  closeEntry(name, entry)
}

function writeNumberEntry(name: string, value: number): void {
  const entry = writer.size()
  writer.double(value)
  writer.varint(0x11)
  closeEntry(name, entry)
}

function writeListEntry(name: string, values: readonly string[]): void {
  const entry = writer.size()
  for (let at = values.length - 1; at >= 0; at--) {
    const element = writer.size()
    writer.text(TAG.field3, values[at]!)
    writer.close(TAG.field1, element)
  }
  writer.close(TAG.field6, entry)
  closeEntry(name, entry)
}

function closeEntry(name: string, entry: number): void {
  writer.close(TAG.field2, entry)
  writer.text(TAG.field1, name)
  writer.close(TAG.field1, entry)
}
