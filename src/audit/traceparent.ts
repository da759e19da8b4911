export type TraceContext = { readonly traceId: string; readonly spanId: string }

const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:$|-)/
const VERSION_00_LENGTH = 55

/**
 * Parses a `traceparent`. Undefined for anything the standard calls invalid: it comes from callers.
 * Source: W3C Trace Context 3.2; of versions above 00 the first 55 characters count.
 */
export function parseTraceparent(text: string): TraceContext | undefined {
  if (!TRACEPARENT.test(text)) return undefined
  if (text.startsWith('00') && text.length !== VERSION_00_LENGTH) return undefined
  return { traceId: text.slice(3, 35), spanId: text.slice(36, 52) }
}
