import { fileURLToPath } from 'node:url'
import * as protoLoader from '@grpc/proto-loader'

const definition = protoLoader.loadSync(
  fileURLToPath(new URL('../../proto/envoy/service/auth/v3/external_auth.proto', import.meta.url)),
  { keepCase: true, longs: Number, bytes: Buffer, enums: String, defaults: true, oneofs: true },
)
const service = definition['envoy.service.auth.v3.Authorization']
if (!service || 'format' in service) throw new Error('external_auth.proto defines no Authorization service')

/** The Check method as the reference codec knows it. */
export const AUTHORIZATION = service['Check'] as protoLoader.MethodDefinition<object, object>

/** A call as a test names it; what is absent is absent on the wire. */
export type CheckFields = {
  readonly certificate?: string
  readonly principal?: string
  readonly sourceIp?: string
  readonly destinationPrincipal?: string
  readonly destinationPort?: number
  readonly service?: string
  readonly method?: string
  readonly path?: string
  readonly host?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Of the request, as far as Envoy passed it on. */
  readonly body?: string
  /** A TCP check. */
  readonly tcp?: boolean
  /** What filters before ext_authz kept, by filter; values as JSON. */
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** JSON as a google.protobuf.Value. */
function valueOf(json: unknown): object {
  if (json === null || json === undefined) return { nullValue: 0 }
  if (typeof json === 'number') return { numberValue: json }
  if (typeof json === 'string') return { stringValue: json }
  if (typeof json === 'boolean') return { boolValue: json }
  if (Array.isArray(json)) return { listValue: { values: json.map(valueOf) } }
  return { structValue: structOf(json) }
}

export function structOf(json: object): { fields: Record<string, object> } {
  return { fields: Object.fromEntries(Object.entries(json).map(([name, value]) => [name, valueOf(value)])) }
}

/** Encodes a CheckRequest in the shape that a real Envoy sends. */
export function encodeCheck(fields: CheckFields): Buffer {
  const { method = 'GET', path = '/', host = 'svc' } = fields
  const http = {
    id: '5bd4b7a0-8e0a-4d53-8a9a-1f0f6e8f0001',
    method,
    path,
    host,
    scheme: 'https',
    protocol: 'HTTP/2',
    size: -1,
    headers: {
      ':method': method,
      ':path': path,
      ':authority': host,
      ':scheme': 'https',
      'x-request-id': '5bd4b7a0-8e0a-4d53-8a9a-1f0f6e8f0001',
      'x-forwarded-proto': 'https',
      ...fields.headers,
    },
    ...(fields.body === undefined ? {} : { body: fields.body }),
  }
  return AUTHORIZATION.requestSerialize({
    attributes: {
      source: {
        address: { socket_address: { address: fields.sourceIp ?? '10.1.2.3', port_value: 41234 } },
        principal: fields.principal ?? '',
        certificate: fields.certificate ?? '',
      },
      destination: {
        address: { socket_address: { address: '10.1.2.4', port_value: fields.destinationPort ?? 8443 } },
        principal: fields.destinationPrincipal ?? '',
      },
      request: { time: { seconds: 1_790_000_000, nanos: 0 }, ...(fields.tcp ? {} : { http }) },
      ...(fields.service === undefined
        ? {}
        : { context_extensions: { 'portcullis.service': fields.service } }),
      tls_session: { sni: host },
      ...(fields.metadata === undefined
        ? {}
        : {
            metadata_context: {
              filter_metadata: Object.fromEntries(
                Object.entries(fields.metadata).map(([filter, kept]) => [filter, structOf(Object(kept))]),
              ),
            },
          }),
    },
  })
}

export type HeaderOption = {
  readonly header: { readonly key: string; readonly value: string; readonly raw_value: Buffer }
  readonly append_action: string | number
}

/** A decoded CheckResponse; `status` is null where it was absent, which Envoy takes for allow. */
export type CheckReply = {
  readonly status: { readonly code: number; readonly message: string } | null
  readonly denied_response?: {
    readonly status: { readonly code: number } | null
    readonly headers: readonly HeaderOption[]
    readonly body: string
  }
  readonly ok_response?: {
    readonly headers: readonly HeaderOption[]
    readonly headers_to_remove: readonly string[]
    readonly response_headers_to_add: readonly HeaderOption[]
  }
  readonly dynamic_metadata?: { readonly fields: Readonly<Record<string, unknown>> } | null
}

export function decodeReply(reply: Buffer): CheckReply {
  return AUTHORIZATION.responseDeserialize(reply) as CheckReply
}
