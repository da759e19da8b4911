import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from './random.js'
import { REFERENCE } from './reference.js'

const CORPUS = join(import.meta.dirname, '../../../shared/corpora/authz-requests/check-requests.json')

/** Recorded requests of other projects, where the corpora are at hand. */
export function recordedRequests(): readonly Buffer[] {
  if (!existsSync(CORPUS)) return []
  const { cases } = JSON.parse(readFileSync(CORPUS, 'utf8')) as {
    cases: { request: { attributes?: object } }[]
  }
  return cases.flatMap(({ request }) => {
    if (request.attributes === undefined) return []
    const text = JSON.stringify({ attributes: request.attributes }, (key, value: unknown) =>
      key === 'time' ? undefined : value,
    )
    return [REFERENCE.requestSerialize(JSON.parse(text) as object)]
  })
}

const NAMES = [
  'authorization',
  'x-service-token',
  'content-type',
  ':path',
  ':method',
  ':authority',
  'cookie',
  'x_user_id',
  'x-user-id',
  'upgrade',
  'x-http-method',
  'x-b3-traceid',
]
const VALUES = [
  '',
  'a',
  'Bearer x.y.z',
  'application/grpc',
  'GET',
  '/a',
  'é',
  'a,b',
  'v'.repeat(100),
  'v'.repeat(900),
  'tab\there',
]
const PATHS = ['/', '/api/payments', '/a/../b', '/a%2Fb', '/caf%C3%A9?x=1', '', 'a', '/a//b', '/a;b', '/ä']

/** A request that a serialiser may write, likely or not. */
export function randomRequest(random: Random): Buffer {
  const entries = Array.from(
    { length: random.below(12) },
    () => [random.pick(NAMES), random.pick(VALUES)] as const,
  )
  const headers = random.chance(50)
    ? { headers: Object.fromEntries(entries) }
    : { headerMap: { headers: entries.map(([key, value]) => headerValue(random, key, value)) } }
  const http = {
    id: random.pick(VALUES),
    method: random.pick(['GET', 'POST', 'get', '']),
    path: random.pick(PATHS),
    host: random.pick(['svc', 'Svc:80', '', 'a@b']),
    scheme: random.pick(['https', '']),
    protocol: 'HTTP/2',
    size: random.pick([-1, 0, 5000]),
    body: random.chance(10) ? 'b'.repeat(random.below(5000)) : '',
    rawBody: random.chance(10) ? random.bytes(random.below(300)) : Buffer.alloc(0),
    ...headers,
  }
  return REFERENCE.requestSerialize({
    attributes: {
      source: peer(random),
      destination: peer(random),
      request: { time: { seconds: 1_790_000_000, nanos: 5 }, ...(random.chance(85) ? { http } : {}) },
      contextExtensions: random.chance(50) ? { 'portcullis.service': 'shop/pay', é: 'ü' } : {},
      ...(random.chance(40) ? { metadataContext: metadata(random) } : {}),
      ...(random.chance(60) ? { tlsSession: { sni: 'svc' } } : {}),
    },
  })
}

function headerValue(random: Random, key: string, value: string): object {
  return random.chance(80)
    ? { key, rawValue: random.chance(90) ? Buffer.from(value) : random.bytes(4) }
    : { key, value }
}

function peer(random: Random): object {
  const address = random.pick([
    { socketAddress: { address: '10.1.2.3', portValue: random.below(65_536) } },
    { socketAddress: { protocol: 1, address: '2001:db8::1', namedPort: 'http' } },
    { pipe: { path: '/run/x', mode: 420 } },
    { envoyInternalAddress: { serverListenerName: 'x', endpointId: 'y' } },
  ])
  return {
    address,
    service: 's',
    labels: random.chance(30) ? { a: 'b', c: 'd' } : {},
    principal: random.pick(['', 'spiffe://cluster.local/ns/shop/sa/pay', 'CN=é']),
    certificate: random.chance(50) ? '-----BEGIN%20CERTIFICATE-----%0A'.repeat(random.below(40)) : '',
  }
}

function metadata(random: Random): object {
  const nested = {
    structValue: {
      fields: {
        list: { listValue: { values: [{ numberValue: 1.5 }, { boolValue: true }, { nullValue: 0 }] } },
      },
    },
  }
  return {
    filterMetadata: {
      [random.chance(80) ? 'envoy.filters.http.jwt_authn' : 'jwt']: {
        fields: {
          payload: {
            structValue: {
              fields: { sub: { stringValue: 'alice' }, exp: { numberValue: 1.5e9 }, deep: nested },
            },
          },
          text: { stringValue: 'x' },
        },
      },
    },
    typedFilterMetadata: random.chance(30)
      ? { t: { typeUrl: 'type.example/x', value: random.bytes(9) } }
      : {},
  }
}
