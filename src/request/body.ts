import { parseStrictJsonBytes } from '../identity/strict-json.js'
import type { ReadBody, RequestBody, RequestHeaders } from './access-request.js'
import { parseForm } from './form.js'

/** A longer body is not read: reading costs about 20 µs a KiB, on the request's way. */
export const MAX_BODY_BYTES = 64 * 1024
/** Envoy drops what the client says here and says itself whether it cut the body. Source: SPECS 1.2. */
const PARTIAL_HEADER = 'x-envoy-auth-partial-body'
const JSON_TYPE = /^application\/(?:[a-z0-9!#$&^_.-]+\+)?json$/
const FORM_TYPE = 'application/x-www-form-urlencoded'
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const NONE: ReadonlySet<string> = new Set()

/** A body as Envoy sent it along. It is read when first asked for, and once. `encoded` gives its bytes. */
export function requestBody(encoded: () => Uint8Array, headers: RequestHeaders): RequestBody {
  let known: ReadBody | undefined
  return { read: () => (known ??= parseBody(encoded(), headers)) }
}

/** More than one body was sent along, so nobody knows which the upstream gets. */
export const TWO_BODIES: RequestBody = { read: () => ({ ok: false, problem: 'both body and raw_body' }) }

/** Reads a body in the one meaning that its headers give it. No problem repeats anything of it. */
export function parseBody(bytes: Uint8Array, headers: RequestHeaders): ReadBody {
  if (headers.count(PARTIAL_HEADER) !== 1 || headers.get(PARTIAL_HEADER) !== 'false')
    return refuse('Envoy does not say that it is whole')
  if (bytes.length > MAX_BODY_BYTES) return refuse(`longer than ${MAX_BODY_BYTES} bytes`)
  if (headers.count('content-encoding') > 0) return refuse('its content is encoded')
  const type = contentType(headers.get('content-type'))
  if (type === undefined) return refuse('no content type that can be read')
  if (JSON_TYPE.test(type)) {
    const json = parseStrictJsonBytes(bytes, { forAnyReader: true })
    return json.ok ? { ok: true, value: json.value, repeated: NONE } : refuse(json.problem)
  }
  if (type !== FORM_TYPE) return refuse('neither JSON nor a form')
  const text = decodeUtf8(bytes)
  const form = text === undefined ? undefined : parseForm(text)
  return form
    ? { ok: true, value: form.fields, repeated: form.repeated }
    : refuse('not a form of one meaning')
}

const refuse = (problem: string): ReadBody => ({ ok: false, problem })

/** Lower-case and without parameters; undefined for another character set than UTF-8 and for any parameter that is not known. */
function contentType(value: string | undefined): string | undefined {
  if (value === undefined) return undefined
  const [type = '', ...parameters] = value.toLowerCase().split(';')
  const known = parameters.every((parameter) => /^[ \t]*charset="?utf-8"?[ \t]*$/.test(parameter))
  return known && parameters.length < 2 && !type.includes(',')
    ? type.replace(/^[ \t]+|[ \t]+$/g, '')
    : undefined
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes)
  } catch {
    return undefined
  }
}
