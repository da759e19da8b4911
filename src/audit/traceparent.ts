export type TraceContext = {
  readonly traceId: string
  readonly spanId: string
  /** Its spans are kept. */
  readonly sampled: boolean
}

const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:$|-)/
const VERSION_00_LENGTH = 55
/** The last digit of the flags, whose lowest bit is `sampled`. */
const FLAGS_AT = 54
const CODE_OF_A = 0x61

/**
 * Parses a `traceparent`. Undefined for anything the standard calls invalid: it comes from callers.
 * Source: W3C Trace Context 3.2; of versions above 00 the first 55 characters count.
 */
export function parseTraceparent(text: string): TraceContext | undefined {
  if (!TRACEPARENT.test(text)) return undefined
  if (text.startsWith('00') && text.length !== VERSION_00_LENGTH) return undefined
  const flags = text.charCodeAt(FLAGS_AT)
  // The last hexadecimal digit is odd: 1, 3, 5, 7, 9, b, d, f.
  const sampled = flags < CODE_OF_A ? (flags & 1) === 1 : (flags & 1) === 0
  return { traceId: text.slice(3, 35), spanId: text.slice(36, 52), sampled }
}
