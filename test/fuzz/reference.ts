import { dirname, join } from 'node:path'
import { createRequire } from 'node:module'
import { loadSync, type MethodDefinition } from '@grpc/proto-loader'

const roots = join(dirname(createRequire(import.meta.url).resolve('@grpc/grpc-js-xds/package.json')), 'deps')
const definition = loadSync('envoy/service/auth/v3/external_auth.proto', {
  includeDirs: ['envoy-api', 'xds', 'protoc-gen-validate', 'googleapis'].map((name) => join(roots, name)),
  defaults: true,
  oneofs: true,
  longs: String,
})
const service = definition['envoy.service.auth.v3.Authorization']
if (service === undefined || 'format' in service) throw new Error('no Authorization service')

/** google.protobuf.Value; one member is set. */
export type ReferenceValue = {
  readonly numberValue?: number
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly structValue?: ReferenceStruct
  readonly listValue?: { readonly values: readonly ReferenceValue[] }
}
export type ReferenceStruct = { readonly fields: Readonly<Record<string, ReferenceValue>> }

type Peer = {
  readonly address: {
    readonly socketAddress?: { readonly address: string; readonly portValue?: number }
  } | null
  readonly principal: string
  readonly certificate: string
}

/** A CheckRequest as @grpc/proto-loader decodes it with Envoy's full definitions: the part that is compared. */
export type ReferenceRequest = {
  readonly attributes: {
    readonly source: Peer | null
    readonly destination: Peer | null
    readonly request: {
      readonly http: {
        readonly id: string
        readonly method: string
        readonly path: string
        readonly host: string
        readonly scheme: string
        readonly query: string
        readonly fragment: string
        readonly protocol: string
        readonly body: string
        readonly rawBody: Uint8Array
        readonly headers: Readonly<Record<string, string>>
        readonly headerMap: {
          readonly headers: readonly {
            readonly key: string
            readonly value: string
            readonly rawValue: Buffer
          }[]
        } | null
      } | null
    } | null
    readonly contextExtensions: Readonly<Record<string, string>>
    readonly metadataContext: { readonly filterMetadata: Readonly<Record<string, ReferenceStruct>> } | null
    readonly tlsSession: { readonly sni: string } | null
  } | null
}

/** Envoy's own definitions of the whole message, with the decoder and encoder of @grpc/proto-loader. */
export const REFERENCE = service['Check'] as MethodDefinition<object, object, ReferenceRequest, object>
