import type { AccessRequest, HttpCall, RequestBody } from '../request/access-request.js'
import { requestBody, TWO_BODIES } from '../request/body.js'
import { canonicalHost } from './canonical-host.js'
import { canonicalPath } from './canonical-path.js'
import type { WireHttp, WireRequest } from './check-request-reader.js'
import { WATCHED_HEADERS, type WatchedHeader } from './header-name.js'
import type { WireHeaders } from './wire-headers.js'
import { WireJwtMetadata } from './wire-jwt-metadata.js'

export type Canonical =
  { readonly ok: true; readonly request: AccessRequest } | { readonly ok: false; readonly problem: string }

/**
 * Brings a request to the one form that everything behind works on, or says what is ambiguous in it.
 * Nothing is repaired: what an upstream could read differently is refused. Source: S7, SPECS 1.2.
 */
export function canonicalRequest(wire: WireRequest, serviceTokenHeader: string): Canonical {
  let http: HttpCall | undefined
  if (wire.http !== undefined) {
    const call = canonicalCall(wire.http, serviceTokenHeader)
    if (typeof call === 'string') return { ok: false, problem: call }
    http = call
  }
  const { source, destination } = wire
  return {
    ok: true,
    request: {
      requestId: wire.http === undefined ? '' : requestId(wire.http),
      source,
      destination,
      http,
      contextExtensions: wire.contextExtensions,
      sni: wire.sni,
      jwtMetadata: wire.metadata && new WireJwtMetadata(wire.metadata),
    },
  }
}

/** The id that the caller's and the upstream's logs show, else Envoy's own for this stream. */
export function requestId(http: WireHttp): string {
  return http.headers.get('x-request-id') ?? http.id
}

const METHOD = /^[A-Z][A-Z0-9_-]{0,31}$/
const COMMON_METHODS: ReadonlySet<string> = new Set([
  'GET',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'HEAD',
  'OPTIONS',
])
const PRINTABLE = /^[\x20-\x7e]*$/
/** Where each watched header stands, -1 when absent; filled anew for every request. */
const places = new Int32Array(WATCHED_HEADERS.length)
const watched = (name: WatchedHeader): number => WATCHED_HEADERS.indexOf(name)
const METHOD_HEADER = watched(':method')
const PATH_HEADER = watched(':path')
const AUTHORITY_HEADER = watched(':authority')
const SCHEME_HEADER = watched(':scheme')
const PROTOCOL_HEADER = watched(':protocol')
const HOST_HEADER = watched('host')
const CONTENT_TYPE_HEADER = watched('content-type')
const UPGRADE_HEADER = watched('upgrade')
const CONNECTION_HEADER = watched('connection')
const XFCC_HEADER = watched('x-forwarded-client-cert')
const FIRST_OVERRIDE = watched('x-http-method-override')

/** The call, or what is wrong with it. */
function canonicalCall(http: WireHttp, serviceTokenHeader: string): HttpCall | string {
  const { headers, method } = http
  if (!COMMON_METHODS.has(method) && !METHOD.test(method)) return 'the method is not an upper-case token'
  if (http.query !== '' || http.fragment !== '') return 'a query or fragment outside of the path'
  const path = canonicalPath(http.path)
  if (!path.ok) return `path: ${path.problem}`
  const host = http.host === '' ? '' : canonicalHost(http.host)
  if (host === undefined) return 'the host is not a host name'

  places.fill(-1)
  for (let index = 0; index < headers.size; index++) {
    const name = headers.record(index)
    if (name.pseudo && name.watch === -1) return 'an unknown pseudo-header'
    if (name.watch === -1) continue
    if (name.watch >= FIRST_OVERRIDE) return 'a header that overrides the method'
    if (name.underscored) return `header ${WATCHED_HEADERS[name.watch]} is spelt with an underscore`
    if (places[name.watch] !== -1) return `header ${name.text} is repeated`
    places[name.watch] = index
  }

  const problem =
    disagrees(headers, places[METHOD_HEADER]!, method) ??
    disagrees(headers, places[PATH_HEADER]!, http.path) ??
    disagrees(headers, places[AUTHORITY_HEADER]!, http.host) ??
    disagrees(headers, places[HOST_HEADER]!, http.host) ??
    (http.scheme === '' ? undefined : disagrees(headers, places[SCHEME_HEADER]!, http.scheme)) ??
    singleValues(headers) ??
    serviceTokenProblem(headers, serviceTokenHeader)
  if (problem !== undefined) return problem

  const contentType = places[CONTENT_TYPE_HEADER]!
  const connection = places[CONNECTION_HEADER]!
  return {
    method,
    path: path.path,
    query: path.query,
    host,
    protocol: http.protocol,
    upgrade:
      method === 'CONNECT' ||
      places[UPGRADE_HEADER] !== -1 ||
      places[PROTOCOL_HEADER] !== -1 ||
      (connection !== -1 && /(?:^|[,\s])upgrade(?:$|[,\s])/i.test(headers.value(connection) ?? 'upgrade')),
    grpc: contentType !== -1 && isGrpcContentType(headers.value(contentType)),
    headers,
    body: bodyOf(http),
  }
}

function bodyOf({ body, rawBody, headers }: WireHttp): RequestBody | undefined {
  const place = rawBody ?? body
  if (place === undefined) return undefined
  if (body !== undefined && rawBody !== undefined) return TWO_BODIES
  return requestBody(() => place.bytes.subarray(place.start, place.end), headers)
}

function disagrees(headers: WireHeaders, place: number, attribute: string): string | undefined {
  if (place === -1 || headers.holds(place, attribute)) return undefined
  return `header ${headers.record(place).text} and the request's attribute disagree`
}

/** Each of these holds one printable value; a comma shows that Envoy joined several into one. */
function singleValues(headers: WireHeaders): string | undefined {
  for (let watch = PROTOCOL_HEADER; watch < FIRST_OVERRIDE; watch++) {
    const place = places[watch]!
    if (place === -1) continue
    const value = headers.value(place)
    const list = watch === CONNECTION_HEADER || watch === XFCC_HEADER
    if (value === undefined || !PRINTABLE.test(value))
      return `header ${WATCHED_HEADERS[watch]} is not printable`
    if (!list && value.includes(',')) return `header ${WATCHED_HEADERS[watch]} is repeated`
  }
  return undefined
}

/** The service token's header has a configured name, so it is looked up apart. */
function serviceTokenProblem(headers: WireHeaders, name: string): string | undefined {
  const dashed = name.replaceAll('_', '-')
  let found = -1
  for (let index = 0; index < headers.size; index++) {
    const record = headers.record(index)
    if (record.text.length !== name.length) continue
    if (record.text !== name) {
      if (!record.underscored || record.text.replaceAll('_', '-') !== dashed) continue
      return `header ${name} is spelt with an underscore`
    }
    if (found !== -1) return `header ${name} is repeated`
    found = index
  }
  if (found === -1) return undefined
  const value = headers.value(found)
  if (value === undefined || !PRINTABLE.test(value)) return `header ${name} is not printable`
  return value.includes(',') ? `header ${name} is repeated` : undefined
}

/** `application/grpc` with or without a suffix or parameters; `application/grpc-web` is another protocol. */
export function isGrpcContentType(value: string | undefined): boolean {
  return value !== undefined && /^application\/grpc(?:$|[+; ])/i.test(value)
}
