import { ProtobufReader, WIRE } from './protobuf-reader.js'
import { enterMapEntry, expects, readNumber, type Wires, wires } from './wire-kinds.js'

/** What became of one call that Portcullis was asked about, as its Envoy tells. */
export type AccessLogEntry = {
  readonly kind: 'http' | 'tcp'
  /** Of ext_authz' dynamic metadata, so the Envoy's word; at most `MAX_ID_BYTES` long. */
  readonly decisionId: string
  /** HTTP status that the caller got; 0 where it got none, and for TCP. */
  readonly responseCode: number
  /** To the caller: the response's body, or what a TCP connection sent. */
  readonly responseBytes: number
  /** From the caller: the request's body, or what a TCP connection received. */
  readonly requestBytes: number
  /** Envoy answered for ext_authz, which denied (response flag UAEX): the target never saw the call. */
  readonly deniedByAuthz: boolean
}

export type ReadAccessLogs =
  | {
      readonly ok: true
      readonly entries: readonly AccessLogEntry[]
      /** Entries that are not about a decision, or not about the end of a call. */
      readonly passedOver: number
    }
  | { readonly ok: false; readonly problem: string }

export const MAX_ID_BYTES = 64
/** Envoy sends what 16 KiB hold, by default. */
export const MAX_ENTRIES = 16_384

/** The kind of each field as Envoy's definition has it, by number; beyond it a field is unknown. */
const MESSAGE_WIRE = wires('- b b b')
const ENTRIES_WIRE = wires('- b')
const HTTP_ENTRY_WIRE = wires('- b v b b')
const TCP_ENTRY_WIRE = wires('- b b')
const COMMON_WIRE = wires('- d b b b b b b b b b b b b b b b b b b b b b b v b b v b v v v v v')
const CONNECTION_WIRE = wires('- v v')
const REQUEST_WIRE = wires('- v b b b b b b b b b v v b v v')
const RESPONSE_WIRE = wires('- b v v b b b v v')
const FLAGS_WIRE = wires('- v v v v v v v v v v v v b v v v v v v v v v v v v v v v')
const UNAUTHORIZED_WIRE = wires('- v')
const NUMBER_WIRE = wires('- v')
const METADATA_WIRE = wires('- b b')
const STRUCT_WIRE = wires('- b')
const VALUE_WIRE = wires('- v d b v b b')

const HTTP_FILTER = Buffer.from('envoy.filters.http.ext_authz')
const TCP_FILTER = Buffer.from('envoy.filters.network.ext_authz')
const DECISION_ID = Buffer.from('decision_id')

/** ResponseFlags.Unauthorized.Reason */
const EXTERNAL_SERVICE = 1
/** AccessLogType NotSet, TcpConnectionEnd, DownstreamEnd: one for each call. Others tell of a call under way. */
const AT_THE_END: ReadonlySet<number> = new Set([0, 3, 6])

type Draft = {
  kind: 'http' | 'tcp'
  decisionId: string
  responseCode: number
  responseBytes: number
  requestBytes: number
  deniedByAuthz: boolean
  atTheEnd: boolean
}

/**
 * Reads what is used of a StreamAccessLogsMessage of envoy.service.accesslog.v3 straight from its bytes; all of it or
 * nothing. What nobody asks for is stepped over unread. Refused is what decoders would read differently: an embedded
 * message given twice, a known field of another wire type, groups. Never throws.
 */
export function readAccessLogs(message: Buffer): ReadAccessLogs {
  const reader = new ProtobufReader(message)
  const entries: AccessLogEntry[] = []
  let count = 0
  let seen = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    const field = tag >>> 3
    if (!expects(reader, MESSAGE_WIRE, tag)) continue
    // One of http_logs and tcp_logs, once.
    seen = reader.once(seen, field === 3 ? 2 : field)
    if (field === 1) reader.skip(WIRE.bytes)
    else count += readEntries(reader, field === 2 ? 'http' : 'tcp', entries)
  }
  if (reader.problem !== undefined) return { ok: false, problem: reader.problem }
  return { ok: true, entries, passedOver: count - entries.length }
}

function readEntries(reader: ProtobufReader, kind: 'http' | 'tcp', entries: AccessLogEntry[]): number {
  const outer = reader.enter()
  let count = 0
  while (reader.pos < reader.end) {
    if (!expects(reader, ENTRIES_WIRE, reader.tag())) continue
    if (++count > MAX_ENTRIES) reader.fail('too many entries')
    const { atTheEnd, ...entry } = readEntry(reader, kind)
    if (atTheEnd && entry.decisionId !== '') entries.push(entry)
  }
  reader.leave(outer)
  return count
}

function readEntry(reader: ProtobufReader, kind: 'http' | 'tcp'): Draft {
  const draft: Draft = {
    kind,
    decisionId: '',
    responseCode: 0,
    responseBytes: 0,
    requestBytes: 0,
    deniedByAuthz: false,
    atTheEnd: true,
  }
  const wire = kind === 'http' ? HTTP_ENTRY_WIRE : TCP_ENTRY_WIRE
  const outer = reader.enter()
  let seen = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (!expects(reader, wire, tag)) continue
    const field = tag >>> 3
    if ((tag & 7) === WIRE.bytes) seen = reader.once(seen, field)
    if (field === 1) readCommon(reader, draft)
    else if (kind === 'tcp') readConnection(reader, draft)
    else if (field === 3) readRequest(reader, draft)
    else if (field === 4) readResponse(reader, draft)
    else reader.skipVarint()
  }
  reader.leave(outer)
  return draft
}

function readCommon(reader: ProtobufReader, draft: Draft): void {
  const outer = reader.enter()
  let seen = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (!expects(reader, COMMON_WIRE, tag)) continue
    switch (tag >>> 3) {
      case 16:
        seen = reader.once(seen, 16)
        readFlags(reader, draft)
        break
      case 17:
        seen = reader.once(seen, 17)
        readMetadata(reader, draft)
        break
      case 27:
        if (readNumber(reader) !== 0) draft.atTheEnd = false
        break
      case 33:
        if (!AT_THE_END.has(readNumber(reader))) draft.atTheEnd = false
        break
      default:
        reader.skip(tag & 7)
    }
  }
  reader.leave(outer)
}

function readFlags(reader: ProtobufReader, draft: Draft): void {
  const outer = reader.enter()
  let seen = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (!expects(reader, FLAGS_WIRE, tag)) continue
    if (tag >>> 3 === 13) {
      seen = reader.once(seen, 13)
      draft.deniedByAuthz = readSole(reader, UNAUTHORIZED_WIRE) === EXTERNAL_SERVICE
    } else reader.skipVarint()
  }
  reader.leave(outer)
}

function readConnection(reader: ProtobufReader, draft: Draft): void {
  const outer = reader.enter()
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (!expects(reader, CONNECTION_WIRE, tag)) continue
    if (tag >>> 3 === 1) draft.requestBytes = readNumber(reader)
    else draft.responseBytes = readNumber(reader)
  }
  reader.leave(outer)
}

function readRequest(reader: ProtobufReader, draft: Draft): void {
  const outer = reader.enter()
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (!expects(reader, REQUEST_WIRE, tag)) continue
    if (tag >>> 3 === 12) draft.requestBytes = readNumber(reader)
    else reader.skip(tag & 7)
  }
  reader.leave(outer)
}

function readResponse(reader: ProtobufReader, draft: Draft): void {
  const outer = reader.enter()
  let seen = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (!expects(reader, RESPONSE_WIRE, tag)) continue
    const field = tag >>> 3
    if (field === 1) {
      seen = reader.once(seen, 1)
      draft.responseCode = readSole(reader, NUMBER_WIRE)
      if (draft.responseCode > 999) reader.fail('a response code out of range')
    } else if (field === 3) draft.responseBytes = readNumber(reader)
    else reader.skip(tag & 7)
  }
  reader.leave(outer)
}

/** The number in field 1 of a message that has no other, such as a UInt32Value. */
function readSole(reader: ProtobufReader, wire: Wires): number {
  const outer = reader.enter()
  let value = 0
  while (reader.pos < reader.end) {
    if (expects(reader, wire, reader.tag())) value = readNumber(reader)
  }
  reader.leave(outer)
  return value
}

function readMetadata(reader: ProtobufReader, draft: Draft): void {
  const filter = draft.kind === 'http' ? HTTP_FILTER : TCP_FILTER
  const outer = reader.enter()
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (!expects(reader, METADATA_WIRE, tag)) continue
    if (tag >>> 3 === 1) enterMapEntry(reader, filter, () => readFilterMetadata(reader, draft))
    else reader.skip(WIRE.bytes)
  }
  reader.leave(outer)
}

function readFilterMetadata(reader: ProtobufReader, draft: Draft): void {
  draft.decisionId = ''
  while (reader.pos < reader.end) {
    if (!expects(reader, STRUCT_WIRE, reader.tag())) continue
    enterMapEntry(reader, DECISION_ID, () => {
      draft.decisionId = readTextValue(reader)
    })
  }
}

/** A google.protobuf.Value that is a text of at most `MAX_ID_BYTES`; '' for any other. */
function readTextValue(reader: ProtobufReader): string {
  let text = ''
  let members = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (!expects(reader, VALUE_WIRE, tag)) continue
    if (++members > 1) reader.fail('a value that is several')
    if (tag >>> 3 !== 3) {
      reader.skip(tag & 7)
      continue
    }
    const start = reader.pos
    const length = reader.skipText()
    if (length > MAX_ID_BYTES || reader.problem !== undefined) continue
    reader.pos = start
    text = reader.text()
  }
  return text
}
