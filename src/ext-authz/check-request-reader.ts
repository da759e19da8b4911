import { ProtobufReader, WIRE } from './protobuf-reader.js'
import {
  checkMessage,
  INTERNAL_ADDRESS,
  METADATA,
  PIPE,
  TEXT_MAP_ENTRY,
  TIMESTAMP,
} from './wire-definitions.js'
import { WireHeaders } from './wire-headers.js'

/** The used part of Envoy's CheckRequest, as sent; '' and 0 for what is absent. */
export type WireRequest = {
  readonly source: WirePeer
  readonly destination: WirePeer
  /** Absent for a TCP check. */
  http: WireHttp | undefined
  readonly contextExtensions: Map<string, string>
  sni: string
  /** Where `metadata_context` lies, checked and not yet read. */
  metadata: WirePlace | undefined
}
export type WirePeer = { ip: string; port: number; principal: string; certificate: string }
export type WireHttp = {
  id: string
  method: string
  path: string
  host: string
  scheme: string
  query: string
  fragment: string
  protocol: string
  readonly headers: WireHeaders
  /** Where a body lies that is not empty; undefined without one. */
  body: WirePlace | undefined
  rawBody: WirePlace | undefined
}
/** Bytes of the message from `start` to before `end`, not yet read. */
export type WirePlace = { readonly bytes: Buffer; readonly start: number; readonly end: number }

export type ReadCheckRequest =
  { readonly ok: true; readonly request: WireRequest } | { readonly ok: false; readonly problem: string }

/** Headers of one request; Envoy's own default is 100. */
export const MAX_HEADERS = 200
/** Names and values of all headers together; Envoy's own default is 60 KiB. */
export const MAX_HEADER_BYTES = 128 * 1024
export const MAX_CONTEXT_EXTENSIONS = 100

/**
 * Reads what is used of a CheckRequest straight from its bytes. What it accepts, a full decoder reads with the same
 * result; what decoders read differently (an embedded message given twice, a known field with another wire type,
 * groups, both kinds of headers) is refused. Source: SPECS 1.2, Appendix A.
 */
export function readCheckRequest(message: Buffer): ReadCheckRequest {
  const reader = new ProtobufReader(message)
  const request: WireRequest = {
    source: { ip: '', port: 0, principal: '', certificate: '' },
    destination: { ip: '', port: 0, principal: '', certificate: '' },
    http: undefined,
    contextExtensions: new Map(),
    sni: '',
    metadata: undefined,
  }
  let seen = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (tag === delimited(1)) {
      seen = reader.once(seen, 1)
      readAttributes(reader, request)
    } else skipUnknown(reader, tag, 1 << 1)
  }
  if (reader.problem === undefined && seen === 0) reader.fail('no attributes')
  return reader.problem === undefined ? { ok: true, request } : { ok: false, problem: reader.problem }
}

const delimited = (field: number): number => (field << 3) | WIRE.bytes

/** `known` has a bit for each field number of the message. */
function skipUnknown(reader: ProtobufReader, tag: number, known: number): void {
  const field = tag >>> 3
  if (field < 32 && ((known >>> field) & 1) === 1) reader.fail('wrong wire type')
  else reader.skip(tag & 7)
}

const ATTRIBUTES_KNOWN = 0b11_1100_0001_0110
function readAttributes(reader: ProtobufReader, request: WireRequest): void {
  const outer = reader.enter()
  let seen = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    const field = tag >>> 3
    if ((tag & 7) === WIRE.bytes && field !== 10) seen = field < 14 ? reader.once(seen, field) : seen
    switch (tag) {
      case delimited(1):
        readPeer(reader, request.source)
        break
      case delimited(2):
        readPeer(reader, request.destination)
        break
      case delimited(4):
        readRequest(reader, request)
        break
      case delimited(10):
        readContextExtension(reader, request.contextExtensions)
        break
      case delimited(11): {
        const start = reader.pos
        checkMessage(reader, METADATA)
        request.metadata = { bytes: reader.bytes, start, end: reader.pos }
        break
      }
      case delimited(13):
        checkMessage(reader, METADATA)
        break
      case delimited(12):
        readTlsSession(reader, request)
        break
      default:
        skipUnknown(reader, tag, ATTRIBUTES_KNOWN)
    }
  }
  reader.leave(outer)
}

function readPeer(reader: ProtobufReader, peer: WirePeer): void {
  const outer = reader.enter()
  let seen = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    switch (tag) {
      case delimited(1):
        seen = reader.once(seen, 1)
        readAddress(reader, peer)
        break
      case delimited(2):
        reader.skipText()
        break
      case delimited(3):
        checkMessage(reader, TEXT_MAP_ENTRY)
        break
      case delimited(4):
        peer.principal = reader.text()
        break
      case delimited(5):
        peer.certificate = reader.text()
        break
      default:
        skipUnknown(reader, tag, 0b11_1110)
    }
  }
  reader.leave(outer)
}

/** One of three kinds; two at once are refused, since the last one would win for some and the first for others. */
function readAddress(reader: ProtobufReader, peer: WirePeer): void {
  const outer = reader.enter()
  let seen = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (tag === delimited(1)) {
      seen = reader.once(seen, 1)
      readSocketAddress(reader, peer)
    } else if (tag === delimited(2)) {
      seen = reader.once(seen, 1)
      checkMessage(reader, PIPE)
    } else if (tag === delimited(3)) {
      seen = reader.once(seen, 1)
      checkMessage(reader, INTERNAL_ADDRESS)
    } else skipUnknown(reader, tag, 0b1110)
  }
  reader.leave(outer)
}

function readSocketAddress(reader: ProtobufReader, peer: WirePeer): void {
  const outer = reader.enter()
  let seen = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    switch (tag) {
      case (1 << 3) | WIRE.varint:
      case (6 << 3) | WIRE.varint:
        reader.skipInt32()
        break
      case delimited(2):
        peer.ip = reader.text()
        break
      case (3 << 3) | WIRE.varint:
        seen = reader.once(seen, 3)
        peer.port = reader.uint32()
        if (peer.port > 65_535) reader.fail('port out of range')
        break
      case delimited(4):
        seen = reader.once(seen, 3)
        reader.skipText()
        break
      case delimited(5):
      case delimited(7):
        reader.skipText()
        break
      default:
        skipUnknown(reader, tag, 0b111_1110)
    }
  }
  reader.leave(outer)
}

function readTlsSession(reader: ProtobufReader, request: WireRequest): void {
  const outer = reader.enter()
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (tag === delimited(1)) request.sni = reader.text()
    else skipUnknown(reader, tag, 0b10)
  }
  reader.leave(outer)
}

function readContextExtension(reader: ProtobufReader, extensions: Map<string, string>): void {
  const outer = reader.enter()
  let key = ''
  let value = ''
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (tag === delimited(1)) key = reader.text()
    else if (tag === delimited(2)) value = reader.text()
    else skipUnknown(reader, tag, 0b110)
  }
  reader.leave(outer)
  extensions.set(key, value)
  if (extensions.size > MAX_CONTEXT_EXTENSIONS) reader.fail('too many context extensions')
}

function readRequest(reader: ProtobufReader, request: WireRequest): void {
  const outer = reader.enter()
  let seen = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (tag === delimited(1)) {
      checkMessage(reader, TIMESTAMP)
    } else if (tag === delimited(2)) {
      seen = reader.once(seen, 2)
      request.http = readHttp(reader)
    } else skipUnknown(reader, tag, 0b110)
  }
  reader.leave(outer)
}

const HTTP_KNOWN = 0b11_1111_1111_1110
function readHttp(reader: ProtobufReader): WireHttp {
  const http: WireHttp = {
    id: '',
    method: '',
    path: '',
    host: '',
    scheme: '',
    query: '',
    fragment: '',
    protocol: '',
    headers: new WireHeaders(reader.bytes),
    body: undefined,
    rawBody: undefined,
  }
  const outer = reader.enter()
  const budget = { bytes: MAX_HEADER_BYTES }
  let seen = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    switch (tag) {
      case delimited(1):
        http.id = reader.text()
        break
      case delimited(2):
        http.method = reader.text()
        break
      case delimited(3):
        seen |= 1
        readHeader(reader, http.headers, budget, TEXT_VALUE)
        break
      case delimited(4):
        http.path = reader.text()
        break
      case delimited(5):
        http.host = reader.text()
        break
      case delimited(6):
        http.scheme = reader.text()
        break
      case delimited(7):
        http.query = reader.text()
        break
      case delimited(8):
        http.fragment = reader.text()
        break
      case (9 << 3) | WIRE.varint:
        reader.skipVarint()
        break
      case delimited(10):
        http.protocol = reader.text()
        break
      case delimited(11):
        http.body = placeBefore(reader, reader.skipText())
        break
      case delimited(12): {
        const length = reader.length()
        reader.pos += length
        http.rawBody = placeBefore(reader, length)
        break
      }
      case delimited(13):
        seen = reader.once(seen, 13)
        readHeaderMap(reader, http.headers, budget)
        break
      default:
        skipUnknown(reader, tag, HTTP_KNOWN)
    }
  }
  reader.leave(outer)
  if (seen === (1 | (1 << 13))) reader.fail('both headers and header_map')
  return http
}

/** What the cursor has just stepped over; of a field given twice the last counts, as for every decoder. */
function placeBefore({ bytes, pos }: ProtobufReader, length: number): WirePlace | undefined {
  return length === 0 ? undefined : { bytes, start: pos - length, end: pos }
}

const TEXT_VALUE = 1
const RAW_VALUE = 2

function readHeaderMap(reader: ProtobufReader, headers: WireHeaders, budget: { bytes: number }): void {
  headers.raw = true
  const outer = reader.enter()
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (tag === delimited(1)) readHeader(reader, headers, budget, TEXT_VALUE | RAW_VALUE)
    else skipUnknown(reader, tag, 0b10)
  }
  reader.leave(outer)
}

/** A map entry {key=1, value=2} or, where `kinds` has RAW_VALUE, a HeaderValue {key=1, value=2, raw_value=3}. */
function readHeader(
  reader: ProtobufReader,
  headers: WireHeaders,
  budget: { bytes: number },
  kinds: number,
): void {
  const outer = reader.enter()
  let nameStart = 0
  let nameLength = 0
  let valueStart = 0
  let valueLength = 0
  let seen = 0
  while (reader.pos < reader.end) {
    const tag = reader.tag()
    if (tag === delimited(1)) {
      nameLength = reader.length()
      nameStart = reader.pos
      reader.pos += nameLength
    } else if (tag === delimited(2)) {
      seen |= TEXT_VALUE
      valueLength = reader.skipText()
      valueStart = reader.pos - valueLength
    } else if (tag === delimited(3) && (kinds & RAW_VALUE) !== 0) {
      seen |= RAW_VALUE
      valueLength = reader.length()
      valueStart = reader.pos
      reader.pos += valueLength
    } else skipUnknown(reader, tag, 0b110 | ((kinds & RAW_VALUE) << 2))
  }
  reader.leave(outer)
  if (reader.problem !== undefined) return
  if (seen === (TEXT_VALUE | RAW_VALUE)) return reader.fail('a header has both value and raw_value')
  budget.bytes -= nameLength + valueLength
  if (headers.size >= MAX_HEADERS) return reader.fail(`more than ${MAX_HEADERS} headers`)
  if (budget.bytes < 0) return reader.fail(`more than ${MAX_HEADER_BYTES} bytes of headers`)
  if (!headers.add(nameStart, nameStart + nameLength, valueStart, valueStart + valueLength)) {
    reader.fail('a header name is not a lower-case token')
  }
}
