import type { Condition } from '../../segmentation/when/condition.js'
import type { HeaderTest } from './access.js'

/** A rule's conditions as tests of headers, or the first that asks for something else. */
export type HeaderTests =
  | { readonly ok: true; readonly tests: readonly HeaderTest[] }
  | { readonly ok: false; readonly problem: string }

const HEADER = /^request\.headers\[([^\]]+)\]$/
const ASKED = new Set(['key', 'values', 'notValues', 'present'])

/**
 * Headers that Envoy sets, joins or takes away itself on the way, or which it reads as something else: `host` is
 * `:authority` to its matchers, and Portcullis gets none of that name. By name or, with `-` at the end, by prefix.
 * Source: Envoy, HTTP header manipulation and sanitizing.
 */
const OF_ENVOY =
  'host connection keep-alive proxy-connection transfer-encoding content-length te trailer upgrade http2-settings expect early-data via cookie x-request-id x-client-trace-id x-ot-span-context traceparent tracestate b3 x-b3- x-forwarded- x-envoy-'.split(
    ' ',
  )

function isOfEnvoy(header: string): boolean {
  if (header.startsWith(':')) return true
  return OF_ENVOY.some((name) => (name.endsWith('-') ? header.startsWith(name) : header === name))
}

/** Only exact values of headers that nobody changes on the way mean the same elsewhere. */
export function headerTests(when: readonly Condition[] | undefined): HeaderTests {
  const tests: HeaderTest[] = []
  for (const condition of when ?? []) {
    const { key = 'CEL', values, notValues, present } = condition
    const name = HEADER.exec(key)?.[1]?.toLowerCase()
    if (name === undefined) return { ok: false, problem: `the condition on ${key}` }
    if (isOfEnvoy(name)) {
      return {
        ok: false,
        problem: `the condition on ${key}, a header that Envoy itself sets or reads otherwise`,
      }
    }
    const exact = [...(values ?? []), ...(notValues ?? [])].every((value) => !/[*,]/.test(value))
    const known = Object.keys(condition).every((field) => ASKED.has(field))
    if (!exact || !known) {
      return { ok: false, problem: `the condition on ${key}, which is not of exact values` }
    }
    tests.push({ name, values, notValues, present })
  }
  return { ok: true, tests }
}
