import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import {
  readCheckRequest,
  type WirePeer,
  type WirePlace,
  type WireRequest,
} from '../../src/ext-authz/check-request-reader.js'
import { readAccessRequest } from '../../src/ext-authz/read-access-request.js'
import { WireJwtMetadata } from '../../src/ext-authz/wire-jwt-metadata.js'
import { randomRequest, recordedRequests } from './check-requests.js'
import { Random } from './random.js'
import { REFERENCE, type ReferenceRequest, type ReferenceStruct, type ReferenceValue } from './reference.js'
import { mutateTree } from './wire-tree.js'

const SEED = Number(process.env['FUZZ_SEED'] ?? 20261122)
const ITERATIONS = Number(process.env['FUZZ_ITERATIONS'] ?? 20_000)

const MUTATIONS: Readonly<Record<string, (message: Buffer, random: Random) => Buffer>> = {
  none: (message) => message,
  truncated: (message, random) => message.subarray(0, random.below(message.length)),
  'bytes changed': (message, random) => {
    const changed = Buffer.from(message)
    for (let count = 1 + random.below(4); count > 0; count--)
      changed[random.below(changed.length)] = random.below(256)
    return changed
  },
  'bytes inserted': (message, random) =>
    splice(message, random.below(message.length), 0, random.bytes(1 + random.below(8))),
  'bytes removed': (message, random) =>
    splice(message, random.below(message.length), 1 + random.below(8), Buffer.alloc(0)),
  'fields changed': mutateTree,
  'two messages in one': (message, random) => Buffer.concat([message, randomRequest(random)]),
}

/** How many are accepted at least and at most: a run that accepts nothing compares nothing. */
const ACCEPTED_PERCENT: Readonly<Record<string, readonly [number, number]>> = {
  none: [100, 100],
  truncated: [0, 0],
  'bytes changed': [5, 95],
  'fields changed': [20, 80],
  'two messages in one': [0, 0],
}

function splice(message: Buffer, at: number, remove: number, insert: Buffer): Buffer {
  return Buffer.concat([message.subarray(0, at), insert, message.subarray(at + remove)])
}

function referenceOf(message: Buffer): ReferenceRequest | undefined {
  try {
    return REFERENCE.requestDeserialize(message)
  } catch {
    return undefined
  }
}

function bytesAt(place: WirePlace | undefined): string {
  return place === undefined ? '' : place.bytes.subarray(place.start, place.end).toString('hex')
}

type Facts = {
  readonly peers: readonly object[]
  readonly http: object | undefined
  readonly headers: readonly (readonly [string, string | undefined])[]
  readonly contextExtensions: readonly (readonly [string, string])[]
  readonly sni: string
}

function factsOf({ source, destination, http, contextExtensions, sni }: WireRequest): Facts {
  const peerOf = ({ ip, port, principal, certificate }: WirePeer): object => ({
    ip,
    port,
    principal,
    certificate,
  })
  const names = new Set<string>()
  for (let index = 0; index < (http?.headers.size ?? 0); index++) names.add(http!.headers.record(index).text)
  const { headers, body, rawBody, ...attributes } = http ?? {}
  return {
    peers: [peerOf(source), peerOf(destination)],
    http: http && { ...attributes, body: bytesAt(body), rawBody: bytesAt(rawBody) },
    headers: [...names].map((name) => [name, headers?.get(name)] as const).sort(byName),
    contextExtensions: [...contextExtensions].sort(byName),
    sni,
  }
}

function expectedFacts({ attributes }: ReferenceRequest): Facts {
  type ReferencePeer = NonNullable<typeof attributes>['source']
  const peerOf = (peer: ReferencePeer): object => ({
    ip: peer?.address?.socketAddress?.address ?? '',
    port: peer?.address?.socketAddress?.portValue ?? 0,
    principal: peer?.principal ?? '',
    certificate: peer?.certificate ?? '',
  })
  const http = attributes?.request?.http ?? undefined
  const raw = http?.headerMap?.headers ?? []
  const repeated = new Map<string, number>()
  for (const { key } of raw) repeated.set(key, (repeated.get(key) ?? 0) + 1)
  const headers = new Map<string, string | undefined>(Object.entries(http?.headers ?? {}))
  for (const { key, value, rawValue } of raw) {
    const text = value === '' ? strictText(rawValue) : value
    headers.set(key, repeated.get(key) === 1 ? text : undefined)
  }
  const pick = ({
    id,
    method,
    path,
    host,
    scheme,
    query,
    fragment,
    protocol,
    body,
    rawBody,
  }: NonNullable<typeof http>): object => ({
    id,
    method,
    path,
    host,
    scheme,
    query,
    fragment,
    protocol,
    body: Buffer.from(body).toString('hex'),
    rawBody: Buffer.from(rawBody).toString('hex'),
  })
  return {
    peers: [peerOf(attributes?.source ?? null), peerOf(attributes?.destination ?? null)],
    http: http && pick(http),
    headers: [...headers].sort(byName),
    contextExtensions: Object.entries(attributes?.contextExtensions ?? {}).sort(byName),
    sni: attributes?.tlsSession?.sni ?? '',
  }
}

/** The payloads that Envoy's jwt_authn filter kept, or undefined where they are refused. */
function payloadsOf({ metadata }: WireRequest): object | undefined {
  if (metadata === undefined) return {}
  const read = new WireJwtMetadata(metadata).payloads()
  return read.ok ? Object.fromEntries(read.payloads) : undefined
}

function expectedPayloads({ attributes }: ReferenceRequest): object {
  const filter = attributes?.metadataContext?.filterMetadata['envoy.filters.http.jwt_authn']
  const kept = Object.entries(jsonOfStruct(filter))
  return Object.fromEntries(kept.filter(([, value]) => isObject(value)))
}

/** Without the difference between prototypes. */
const plain = (value: object): unknown => JSON.parse(JSON.stringify(value))

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function jsonOfStruct(struct: ReferenceStruct | undefined): object {
  return Object.fromEntries(
    Object.entries(struct?.fields ?? {}).map(([name, value]) => [name, jsonOfValue(value)]),
  )
}

function jsonOfValue({
  numberValue,
  stringValue,
  boolValue,
  structValue,
  listValue,
}: ReferenceValue): unknown {
  if (structValue) return jsonOfStruct(structValue)
  if (listValue) return listValue.values.map(jsonOfValue)
  return numberValue ?? stringValue ?? boolValue ?? null
}

function strictText(bytes: Buffer): string | undefined {
  const text = bytes.toString('utf8')
  return Buffer.from(text).equals(bytes) ? text : undefined
}

function byName(left: readonly [string, unknown], right: readonly [string, unknown]): number {
  return left[0] < right[0] ? -1 : Number(left[0] > right[0])
}

describe(`reader against the reference decoder, FUZZ_SEED=${SEED} FUZZ_ITERATIONS=${ITERATIONS}`, () => {
  const recorded = recordedRequests()

  test.each(Object.keys(MUTATIONS))('%s: the same facts, or refused', (name) => {
    const random = new Random(SEED)
    const mutate = MUTATIONS[name]!
    const iterations = Math.ceil(ITERATIONS / Object.keys(MUTATIONS).length)
    let accepted = 0
    let payloadsRead = 0
    for (let iteration = 0; iteration < iterations; iteration++) {
      const base = recorded.length > 0 && random.chance(15) ? random.pick(recorded) : randomRequest(random)
      const message = mutate(base, random)
      const read = readCheckRequest(message)
      // The door behind it must hold whatever the reader lets in.
      readAccessRequest(message, 'x-service-token')
      if (!read.ok) continue
      accepted++
      const reference = referenceOf(message)
      const place = `iteration ${iteration}: ${message.toString('hex')}`
      if (reference === undefined) throw new Error(`accepted what the reference can't decode, ${place}`)
      const facts = JSON.stringify(factsOf(read.request))
      const expected = JSON.stringify(expectedFacts(reference))
      if (facts !== expected) throw new Error(`${facts}\n is not\n${expected}, ${place}`)
      const payloads = payloadsOf(read.request)
      if (payloads === undefined) continue
      if (!isDeepStrictEqual(plain(payloads), plain(expectedPayloads(reference))))
        throw new Error(`${JSON.stringify(payloads)} is not what the reference reads, ${place}`)
      if (Object.keys(payloads).length > 0) payloadsRead++
    }
    expect(payloadsRead > 0).toBe(accepted > 0)
    const [least, most] = ACCEPTED_PERCENT[name] ?? [0, 100]
    const percent = (100 * accepted) / iterations
    expect(percent).toBeGreaterThanOrEqual(least)
    expect(percent).toBeLessThanOrEqual(most)
  })

  test('random bytes are never a request', () => {
    const random = new Random(SEED)
    for (let iteration = 0; iteration < 2000; iteration++) {
      const message = random.bytes(random.below(64))
      const read = readCheckRequest(message)
      if (read.ok)
        expect(JSON.stringify(factsOf(read.request))).toBe(
          JSON.stringify(expectedFacts(referenceOf(message)!)),
        )
    }
  })
})
