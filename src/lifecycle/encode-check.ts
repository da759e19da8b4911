/** A call that nobody made, as Envoy would ask about it. */
export type HypotheticalCall = {
  /** Undefined: TCP. */
  readonly http:
    | {
        readonly method: string
        readonly path: string
        readonly host: string
        readonly headers: readonly (readonly [name: string, value: string])[]
        /** Text is UTF-8; undefined or empty: none. */
        readonly body?: string | Uint8Array | undefined
      }
    | undefined
  /** `namespace/name`, as the operator's Envoy configuration would name the target. */
  readonly target: string | undefined
  readonly sourceIp: string
  readonly destinationPort: number
}

/** What Envoy says of a body that it sent along whole. A call may say otherwise, to be one whose body was cut. */
const WHOLE = ['x-envoy-auth-partial-body', 'false'] as const

/**
 * The bytes of a CheckRequest, so that a hypothetical call takes the same way in as a real one and is found
 * ambiguous where a real one is. Field numbers: SPECS, Appendix A.
 */
export function encodeHypotheticalCheck(call: HypotheticalCall): Buffer {
  const { http } = call
  const pseudo: readonly (readonly [string, string])[] = http
    ? [
        [':method', http.method],
        [':path', http.path],
        [':authority', http.host],
        [':scheme', 'https'],
      ]
    : []
  const body = Buffer.from(http?.body ?? '')
  const whole = body.length === 0 || http?.headers.some(([name]) => name === WHOLE[0]) ? [] : [WHOLE]
  const attributes = Buffer.concat([
    field(1, field(1, socketAddress(call.sourceIp, 0))),
    field(2, field(1, socketAddress('', call.destinationPort))),
    ...(http
      ? [
          field(
            4,
            field(
              2,
              Buffer.concat([
                text(2, http.method),
                text(4, http.path),
                text(5, http.host),
                text(6, 'https'),
                text(10, 'HTTP/2'),
                body.length === 0 ? body : field(12, body),
                field(13, Buffer.concat([...pseudo, ...http.headers, ...whole].map(headerValue))),
              ]),
            ),
          ),
        ]
      : []),
    ...(call.target === undefined
      ? []
      : [field(10, Buffer.concat([text(1, 'portcullis.service'), text(2, call.target)]))]),
  ])
  return field(1, attributes)
}

function socketAddress(ip: string, port: number): Buffer {
  return field(1, Buffer.concat([text(2, ip), varintField(3, port)]))
}

/** A HeaderValue of a HeaderMap, which unlike the plain map can hold a name twice. */
function headerValue([name, value]: readonly [string, string]): Buffer {
  return field(1, Buffer.concat([text(1, name), field(3, Buffer.from(value))]))
}

function text(number: number, value: string): Buffer {
  return value === '' ? Buffer.alloc(0) : field(number, Buffer.from(value))
}

function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes])
}

function varintField(number: number, value: number): Buffer {
  return value === 0 ? Buffer.alloc(0) : Buffer.concat([varint(number << 3), varint(value)])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let left = value
  while (left > 0x7f) {
    bytes.push((left & 0x7f) | 0x80)
    left >>>= 7
  }
  return Buffer.from([...bytes, left])
}
