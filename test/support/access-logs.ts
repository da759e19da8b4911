import { fileURLToPath } from 'node:url'
import { loadSync, type MethodDefinition } from '@grpc/proto-loader'
import { structOf } from './envoy-wire.js'

const service = loadSync('envoy/service/accesslog/v3/als.proto', {
  includeDirs: [fileURLToPath(new URL('../../proto', import.meta.url))],
  keepCase: true,
  longs: Number,
})['envoy.service.accesslog.v3.AccessLogService']
if (!service || 'format' in service) throw new Error('als.proto defines no AccessLogService')

/** StreamAccessLogs as the reference codec knows it. */
export const STREAM_ACCESS_LOGS = service['StreamAccessLogs'] as MethodDefinition<object, object>

/** What an entry tells; what is absent is absent on the wire. */
export type EntryFields = {
  readonly decisionId?: string
  readonly code?: number
  readonly responseBytes?: number
  readonly requestBytes?: number
  readonly unauthorized?: number
  readonly type?: number
  readonly intermediate?: boolean
  /** The filter whose metadata it is, instead of ext_authz of its protocol. */
  readonly filter?: string
}

function common(fields: EntryFields, filter: string): object {
  const { decisionId, unauthorized, type, intermediate } = fields
  return {
    ...(decisionId === undefined
      ? {}
      : {
          metadata: {
            filter_metadata: {
              [fields.filter ?? filter]: structOf({ decision: 'allow', decision_id: decisionId }),
            },
          },
        }),
    ...(unauthorized === undefined
      ? {}
      : { response_flags: { unauthorized_details: { reason: unauthorized } } }),
    ...(type === undefined ? {} : { access_log_type: type }),
    ...(intermediate === undefined ? {} : { intermediate_log_entry: intermediate }),
  }
}

/** One StreamAccessLogsMessage about HTTP calls. */
export function encodeHttpLogs(...entries: readonly EntryFields[]): Buffer {
  return STREAM_ACCESS_LOGS.requestSerialize({
    identifier: { log_name: 'portcullis' },
    http_logs: {
      log_entry: entries.map((fields) => ({
        common_properties: common(fields, 'envoy.filters.http.ext_authz'),
        request: { request_body_bytes: fields.requestBytes },
        response: {
          ...(fields.code === undefined ? {} : { response_code: { value: fields.code } }),
          response_body_bytes: fields.responseBytes,
        },
      })),
    },
  })
}

/** One StreamAccessLogsMessage about TCP connections. */
export function encodeTcpLogs(...entries: readonly EntryFields[]): Buffer {
  return STREAM_ACCESS_LOGS.requestSerialize({
    tcp_logs: {
      log_entry: entries.map((fields) => ({
        common_properties: common(fields, 'envoy.filters.network.ext_authz'),
        connection_properties: { received_bytes: fields.requestBytes, sent_bytes: fields.responseBytes },
      })),
    },
  })
}
