import { dirname, join } from 'node:path'
import { createRequire } from 'node:module'
import { describe, expect, test } from '@jest/globals'
import { loadSync, type MethodDefinition } from '@grpc/proto-loader'
import { type AccessLogEntry, MAX_ID_BYTES, readAccessLogs } from '../../src/ext-authz/access-log-reader.js'
import { Random } from './random.js'
import type { ReferenceStruct } from './reference.js'

const SEED = Number(process.env['FUZZ_SEED'] ?? 20261125)
const ITERATIONS = Number(process.env['FUZZ_ITERATIONS'] ?? 20_000)

type Common = {
  readonly metadata: { readonly filterMetadata: Readonly<Record<string, ReferenceStruct>> } | null
  readonly responseFlags: { readonly unauthorizedDetails: { readonly reason: number } | null } | null
  readonly intermediateLogEntry: boolean
  readonly accessLogType: number
}
type HttpEntry = {
  readonly commonProperties: Common | null
  readonly request: { readonly requestBodyBytes: string } | null
  readonly response: {
    readonly responseCode: { readonly value: number } | null
    readonly responseBodyBytes: string
  } | null
}
type TcpEntry = {
  readonly commonProperties: Common | null
  readonly connectionProperties: { readonly receivedBytes: string; readonly sentBytes: string } | null
}
type ReferenceMessage = {
  readonly httpLogs?: { readonly logEntry: readonly HttpEntry[] }
  readonly tcpLogs?: { readonly logEntry: readonly TcpEntry[] }
}

/** Envoy's own definitions of the whole message, with the decoder and encoder of @grpc/proto-loader. */
const roots = join(dirname(createRequire(import.meta.url).resolve('@grpc/grpc-js-xds/package.json')), 'deps')
const service = loadSync('envoy/service/accesslog/v3/als.proto', {
  includeDirs: ['envoy-api', 'xds', 'protoc-gen-validate', 'googleapis'].map((name) => join(roots, name)),
  defaults: true,
  oneofs: true,
  longs: String,
})['envoy.service.accesslog.v3.AccessLogService']
if (service === undefined || 'format' in service) throw new Error('no AccessLogService')
const { requestSerialize, requestDeserialize } = service['StreamAccessLogs'] as MethodDefinition<
  object,
  object,
  ReferenceMessage,
  object
>

function referenceOf(message: Buffer): ReferenceMessage | undefined {
  try {
    return requestDeserialize(message)
  } catch {
    return undefined
  }
}

const AT_THE_END = new Set([0, 3, 6])

function entryOf(
  common: Common | null,
  filter: string,
  rest: Omit<AccessLogEntry, 'decisionId' | 'deniedByAuthz'>,
): AccessLogEntry[] {
  const id = common?.metadata?.filterMetadata[filter]?.fields['decision_id']?.stringValue ?? ''
  if (!common || id === '' || Buffer.byteLength(id) > MAX_ID_BYTES || common.intermediateLogEntry) return []
  if (!AT_THE_END.has(common.accessLogType)) return []
  return [{ ...rest, decisionId: id, deniedByAuthz: common.responseFlags?.unauthorizedDetails?.reason === 1 }]
}

function expectedEntries({ httpLogs, tcpLogs }: ReferenceMessage): AccessLogEntry[] {
  const http = (httpLogs?.logEntry ?? []).flatMap(({ commonProperties, request, response }) =>
    entryOf(commonProperties, 'envoy.filters.http.ext_authz', {
      kind: 'http',
      responseCode: response?.responseCode?.value ?? 0,
      responseBytes: Number(response?.responseBodyBytes ?? 0),
      requestBytes: Number(request?.requestBodyBytes ?? 0),
    }),
  )
  const tcp = (tcpLogs?.logEntry ?? []).flatMap(({ commonProperties, connectionProperties }) =>
    entryOf(commonProperties, 'envoy.filters.network.ext_authz', {
      kind: 'tcp',
      responseCode: 0,
      responseBytes: Number(connectionProperties?.sentBytes ?? 0),
      requestBytes: Number(connectionProperties?.receivedBytes ?? 0),
    }),
  )
  return [...http, ...tcp]
}

const IDS = ['0199-7abc', '', 'é', 'x'.repeat(64), 'x'.repeat(65), '\0']
const SIZES = ['0', '1', '127', '128', '70000', '4294967296', '9007199254740991']
const address = { socketAddress: { address: '10.1.2.3', portValue: 8443 } }

function randomCommon(random: Random, filter: string): object {
  const id = random.chance(85) ? { stringValue: random.pick(IDS) } : { numberValue: 5 }
  const fields = {
    decision: { stringValue: 'allow' },
    ...(random.chance(90) ? { decision_id: id } : {}),
    ext_authz_duration: { numberValue: 1.5 },
    obligations: { listValue: { values: [{ stringValue: 'decision_id' }] } },
  }
  return {
    sampleRate: 1,
    downstreamRemoteAddress: address,
    downstreamLocalAddress: address,
    tlsProperties: { tlsVersion: 4, tlsSniHostname: 'svc', tlsCipherSuite: { value: 4865 } },
    startTime: { seconds: 1_790_000_000, nanos: 5 },
    timeToLastRxByte: { seconds: 0, nanos: 99 },
    upstreamCluster: 'application',
    responseFlags: random.chance(40)
      ? { noRouteFound: random.chance(50), unauthorizedDetails: { reason: random.below(2) } }
      : {},
    metadata: random.chance(95)
      ? {
          filterMetadata: {
            'envoy.filters.http.jwt_authn': { fields: { decision_id: { stringValue: 'not this' } } },
            [random.chance(90) ? filter : 'envoy.filters.http.ext_auth_']: { fields },
          },
          typedFilterMetadata: random.chance(20)
            ? { t: { typeUrl: 'type.example/x', value: random.bytes(9) } }
            : {},
        }
      : undefined,
    filterStateObjects: random.chance(20) ? { f: { typeUrl: 'x', value: random.bytes(4) } } : {},
    customTags: { tag: 'value' },
    duration: { nanos: 5 },
    upstreamRequestAttemptCount: 1,
    streamId: '5bd4b7a0-8e0a-4d53-8a9a-1f0f6e8f0001',
    intermediateLogEntry: random.chance(10),
    downstreamWireBytesSent: 900,
    accessLogType: random.pick([0, 3, 6, 6, 6, 4, 2, 9]),
  }
}

function randomMessage(random: Random): Buffer {
  const count = random.below(4)
  const http = Array.from({ length: count }, () => ({
    commonProperties: randomCommon(random, 'envoy.filters.http.ext_authz'),
    protocolVersion: 3,
    request: {
      requestMethod: 1,
      path: '/é',
      requestHeadersBytes: 400,
      requestBodyBytes: random.pick(SIZES),
      requestHeaders: random.chance(20) ? { a: 'b' } : {},
    },
    response: random.chance(90)
      ? {
          responseCode: random.chance(90) ? { value: random.pick([0, 200, 401, 503, 999]) } : undefined,
          responseHeadersBytes: 200,
          responseBodyBytes: random.pick(SIZES),
          responseCodeDetails: 'via_upstream',
        }
      : undefined,
  }))
  const tcp = Array.from({ length: count }, () => ({
    commonProperties: randomCommon(random, 'envoy.filters.network.ext_authz'),
    connectionProperties: { receivedBytes: random.pick(SIZES), sentBytes: random.pick(SIZES) },
  }))
  return requestSerialize({
    identifier: random.chance(50) ? { node: { id: 'x', cluster: 'y' }, logName: 'portcullis' } : undefined,
    ...(random.chance(70) ? { httpLogs: { logEntry: http } } : { tcpLogs: { logEntry: tcp } }),
  })
}

const MUTATIONS: Readonly<Record<string, (message: Buffer, random: Random) => Buffer>> = {
  truncated: (message, random) => message.subarray(0, random.below(Math.max(1, message.length))),
  'bytes changed': (message, random) => {
    const changed = Buffer.from(message)
    for (let count = 1 + random.below(4); count > 0 && changed.length > 0; count--)
      changed[random.below(changed.length)] = random.below(256)
    return changed
  },
  'bytes removed': (message, random) => {
    const at = random.below(Math.max(1, message.length))
    return Buffer.concat([message.subarray(0, at), message.subarray(at + 1 + random.below(8))])
  },
  'two messages in one': (message, random) => Buffer.concat([message, randomMessage(random)]),
}

describe(`access logs against the reference decoder, FUZZ_SEED=${SEED} FUZZ_ITERATIONS=${ITERATIONS}`, () => {
  test('what Envoy may send is read with the same facts', () => {
    const random = new Random(SEED)
    let entries = 0
    for (let iteration = 0; iteration < ITERATIONS / 5; iteration++) {
      const message = randomMessage(random)
      const read = readAccessLogs(message)
      if (!read.ok) throw new Error(`${read.problem}, iteration ${iteration}: ${message.toString('hex')}`)
      expect(read.entries).toEqual(expectedEntries(requestDeserialize(message)))
      entries += read.entries.length
    }
    expect(entries).toBeGreaterThan(ITERATIONS / 20)
  })

  // What is stepped over unread may be broken, and decoders then lose their place; so the facts are compared where
  // the reference has written what it read again.
  test.each(Object.keys(MUTATIONS))('%s: refused or read, and never an exception', (name) => {
    const random = new Random(SEED)
    let compared = 0
    for (let iteration = 0; iteration < ITERATIONS / 4; iteration++) {
      const message = MUTATIONS[name]?.(randomMessage(random), random) ?? Buffer.alloc(0)
      const read = readAccessLogs(message)
      for (const entry of read.ok ? read.entries : []) {
        expect(entry.decisionId.length).toBeGreaterThan(0)
        expect(Buffer.byteLength(entry.decisionId)).toBeLessThanOrEqual(MAX_ID_BYTES)
        for (const number of [entry.responseCode, entry.responseBytes, entry.requestBytes])
          expect(Number.isSafeInteger(number) && number >= 0).toBe(true)
      }
      const reference = referenceOf(message)
      const again = reference && readAccessLogs(requestSerialize(reference))
      if (!reference || !again?.ok) continue
      compared++
      expect(again.entries).toEqual(expectedEntries(reference))
    }
    expect(compared).toBeGreaterThan(0)
  })

  test('random bytes are never entries', () => {
    const random = new Random(SEED)
    for (let iteration = 0; iteration < 2000; iteration++) {
      const read = readAccessLogs(random.bytes(random.below(64)))
      expect(read.ok ? read.entries : []).toEqual([])
    }
  })
})
