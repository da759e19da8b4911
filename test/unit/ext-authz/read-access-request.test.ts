import { describe, expect, test } from '@jest/globals'
import { MAX_HEADER_BYTES, MAX_HEADERS } from '../../../src/ext-authz/check-request-reader.js'
import { readAccessRequest } from '../../../src/ext-authz/read-access-request.js'
import { AUTHORIZATION, encodeCheck, type CheckFields } from '../../support/envoy-wire.js'

const read = (message: Buffer): ReturnType<typeof readAccessRequest> =>
  readAccessRequest(message, 'x-service-token')
const readFields = (fields: CheckFields): ReturnType<typeof readAccessRequest> => read(encodeCheck(fields))

/** Raw headers, as Envoy sends them with `encode_raw_headers`. */
function encodeRaw(headers: readonly (readonly [string, string | Buffer])[], http: object = {}): Buffer {
  const pairs = headers.map(([key, value]) => ({ key, raw_value: Buffer.from(value) }))
  return AUTHORIZATION.requestSerialize({
    attributes: {
      request: { http: { method: 'GET', path: '/', host: 'svc', header_map: { headers: pairs }, ...http } },
    },
  })
}

describe('malformed', () => {
  test.each([
    { name: 'nothing at all', message: Buffer.alloc(0), problem: 'no attributes' },
    { name: 'a truncated message', message: encodeCheck({}).subarray(0, 100), problem: 'truncated' },
    { name: 'a group', message: Buffer.from([0x0a, 2, 0x1b, 0x1c]), problem: 'groups are not supported' },
    { name: 'field number 0', message: Buffer.from([0x0a, 2, 0x02, 0]), problem: 'field number 0' },
    {
      name: 'a length over 32 bits',
      message: Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f]),
      problem: 'number out of range',
    },
    { name: 'attributes as a number', message: Buffer.from([0x08, 1]), problem: 'wrong wire type' },
    {
      name: 'attributes twice',
      message: Buffer.concat([encodeCheck({}), encodeCheck({})]),
      problem: 'an embedded message occurs twice',
    },
    {
      name: 'a principal that is not UTF-8',
      message: Buffer.from([0x0a, 5, 0x0a, 3, 0x22, 1, 0xff]),
      problem: 'a string is not UTF-8',
    },
    {
      name: 'both kinds of headers',
      message: encodeRaw([['a', 'b']], { headers: { a: 'b' } }),
      problem: 'both headers and header_map',
    },
    {
      name: 'a header with two values',
      message: AUTHORIZATION.requestSerialize({
        attributes: {
          request: {
            http: { header_map: { headers: [{ key: 'a', value: 'b', raw_value: Buffer.from('c') }] } },
          },
        },
      }),
      problem: 'a header has both value and raw_value',
    },
    {
      name: '10,000 headers',
      message: encodeRaw(Array.from({ length: 10_000 }, (_, at) => [`h${at}`, 'v'] as const)),
      problem: `more than ${MAX_HEADERS} headers`,
    },
    {
      name: 'headers of 200 KiB',
      message: encodeRaw([
        ['a', 'v'.repeat(100_000)],
        ['b', 'v'.repeat(100_000)],
      ]),
      problem: `more than ${MAX_HEADER_BYTES} bytes of headers`,
    },
    ...['', 'X-Upper', 'a b', 'a\r', 'ä', ':', 'a:b'].map((name) => ({
      name: `a header called ${JSON.stringify(name)}`,
      message: encodeRaw([[name, 'v']]),
      problem: 'a header name is not a lower-case token',
    })),
  ])('$name', ({ message, problem }) => {
    expect(read(message)).toMatchObject({
      ok: false,
      kind: 'malformed',
      message: `not a CheckRequest: ${problem}`,
    })
  })

  test.each([
    { lists: 40, result: { ok: false, message: 'not a CheckRequest: nested deeper than 64 messages' } },
    { lists: 20, result: { ok: true } },
  ])('metadata of $lists lists within each other', ({ lists, result }) => {
    let value: object = { boolValue: true }
    for (let depth = 0; depth < lists; depth++) value = { listValue: { values: [value] } }
    const metadata = { filter_metadata: { a: { fields: { b: value } } } }
    expect(
      read(AUTHORIZATION.requestSerialize({ attributes: { metadata_context: metadata } })),
    ).toMatchObject(result)
  })
})

describe('ambiguous', () => {
  test.each([
    {
      name: 'a lower-case method',
      fields: { method: 'get' },
      problem: 'the method is not an upper-case token',
    },
    { name: 'a mixed method', fields: { method: 'Post' }, problem: 'the method is not an upper-case token' },
    { name: 'no method', fields: { method: '' }, problem: 'the method is not an upper-case token' },
    { name: 'a path that climbs', fields: { path: '/a/../admin' }, problem: 'path: dot segment' },
    { name: 'no path', fields: { path: '' }, problem: 'path: no path' },
    { name: 'a host with userinfo', fields: { host: 'a@b' }, problem: 'the host is not a host name' },
    ...['x-http-method-override', 'x-http-method', 'x-method-override', 'x_http_method_override'].map(
      (header) => ({
        name: `header ${header}`,
        fields: { headers: { [header]: 'DELETE' } },
        problem: 'a header that overrides the method',
      }),
    ),
    ...[':method', ':path', ':authority', ':scheme'].map((header) => ({
      name: `${header} that disagrees`,
      fields: { headers: { [header]: 'other' } },
      problem: `header ${header} and the request's attribute disagree`,
    })),
    {
      name: 'a host header that disagrees',
      fields: { headers: { host: 'other' } },
      problem: "header host and the request's attribute disagree",
    },
    {
      name: 'an unknown pseudo-header',
      fields: { headers: { ':status': '200' } },
      problem: 'an unknown pseudo-header',
    },
    ...['authorization', 'x-service-token', 'content-type', 'dpop'].map((header) => ({
      name: `joined ${header}`,
      fields: { headers: { [header]: 'a,b' } },
      problem: `header ${header} is repeated`,
    })),
    ...['authorization', 'x-service-token', 'x-forwarded-client-cert'].map((header) => ({
      name: `a control byte in ${header}`,
      fields: { headers: { [header]: 'a\tb' } },
      problem: `header ${header} is not printable`,
    })),
    {
      name: 'x_service_token',
      fields: { headers: { x_service_token: 'a' } },
      problem: 'header x-service-token is spelt with an underscore',
    },
    {
      name: 'content_type',
      fields: { headers: { content_type: 'a' } },
      problem: 'header content-type is spelt with an underscore',
    },
  ])('$name', ({ fields, problem }) => {
    expect(readFields(fields)).toMatchObject({ ok: false, kind: 'ambiguous', message: problem })
  })

  test.each(['authorization', 'x-service-token', ':path', 'x-forwarded-client-cert', 'content-type'])(
    'raw header %s twice',
    (name) => {
      const value = name === ':path' ? '/' : 'a'
      const message = encodeRaw([
        [name, value],
        [name, value],
      ])
      expect(read(message)).toMatchObject({
        ok: false,
        kind: 'ambiguous',
        message: `header ${name} is repeated`,
      })
    },
  )

  test('a raw credential that is not UTF-8', () => {
    const message = encodeRaw([['authorization', Buffer.from([0x42, 0xff])]])
    expect(read(message)).toMatchObject({ ok: false, message: 'header authorization is not printable' })
  })

  test.each([{ query: 'a=b' }, { fragment: 'a' }])('attributes %j apart from the path', (http) => {
    expect(read(encodeRaw([], http))).toMatchObject({
      ok: false,
      message: 'a query or fragment outside of the path',
    })
  })

  test('what could be read is told, for the event and the form of the answer', () => {
    const headers = { 'content-type': 'application/grpc', 'x-request-id': 'r-1' }
    expect(readFields({ path: '/a//b?token=1', sourceIp: '10.9.9.9', headers })).toMatchObject({
      source: { ip: '10.9.9.9', port: 41234 },
      destination: { ip: '10.1.2.4', port: 8443 },
      requestId: 'r-1',
      method: 'GET',
      path: '/a//b?token=1',
      host: 'svc',
      grpc: true,
    })
  })
})

describe('read', () => {
  test('an HTTP call', () => {
    const result = readFields({
      certificate: '-----BEGIN%20CERTIFICATE-----',
      principal: 'spiffe://cluster.local/ns/shop/sa/checkout',
      destinationPrincipal: 'spiffe://cluster.local/ns/shop/sa/payment',
      service: 'shop/payment',
      method: 'POST',
      path: '/api/payments?dry=1',
      host: 'Payment.shop.svc:8443',
      headers: { authorization: 'Bearer a.b.c', x_odd: '1', 'x-joined': 'a,b', 'x-name': 'é' },
    })
    if (!result.ok) throw new Error(result.message)
    const { http, ...rest } = result.request
    expect(rest).toEqual({
      requestId: '5bd4b7a0-8e0a-4d53-8a9a-1f0f6e8f0001',
      source: {
        ip: '10.1.2.3',
        port: 41234,
        principal: 'spiffe://cluster.local/ns/shop/sa/checkout',
        certificate: '-----BEGIN%20CERTIFICATE-----',
      },
      destination: {
        ip: '10.1.2.4',
        port: 8443,
        principal: 'spiffe://cluster.local/ns/shop/sa/payment',
        certificate: '',
      },
      contextExtensions: new Map([['portcullis.service', 'shop/payment']]),
      sni: 'Payment.shop.svc:8443',
    })
    expect(http).toMatchObject({
      method: 'POST',
      path: '/api/payments',
      query: 'dry=1',
      host: 'payment.shop.svc',
      protocol: 'HTTP/2',
      upgrade: false,
      grpc: false,
    })
    expect([...http!.headers.names()].sort()).toEqual([
      'authorization',
      'x-forwarded-proto',
      'x-joined',
      'x-name',
      'x-request-id',
      'x_odd',
    ])
    expect(http!.headers.get('authorization')).toBe('Bearer a.b.c')
    expect(http!.headers.get('x-name')).toBe('é')
    expect([
      http!.headers.count('x-joined'),
      http!.headers.count('absent'),
      http!.headers.get('absent'),
    ]).toEqual([1, 0, undefined])
  })

  test('raw headers keep their repetitions', () => {
    const result = read(
      encodeRaw([
        ['x-a', '1'],
        ['x-a', '2'],
        ['x-b', '3'],
        ['x-c', Buffer.from([0xff])],
      ]),
    )
    const headers = result.ok ? result.request.http?.headers : undefined
    expect([headers?.get('x-a'), headers?.count('x-a')]).toEqual([undefined, 2])
    expect([headers?.get('x-b'), headers?.count('x-b')]).toEqual(['3', 1])
    expect([headers?.get('x-c'), headers?.count('x-c')]).toEqual([undefined, 1])
  })

  test('a TCP connection', () => {
    const result = readFields({ tcp: true, principal: 'spiffe://cluster.local/ns/shop/sa/a' })
    expect(result).toMatchObject({ ok: true, request: { http: undefined, requestId: '' } })
  })

  test.each([
    { name: 'a plain call', fields: {}, upgrade: false },
    { name: 'keep-alive', fields: { headers: { connection: 'keep-alive' } }, upgrade: false },
    { name: 'an upgrade header', fields: { headers: { upgrade: 'websocket' } }, upgrade: true },
    {
      name: 'a connection header',
      fields: { headers: { connection: 'keep-alive, Upgrade' } },
      upgrade: true,
    },
    { name: 'CONNECT', fields: { method: 'CONNECT' }, upgrade: true },
    { name: 'extended CONNECT', fields: { headers: { ':protocol': 'websocket' } }, upgrade: true },
  ])('$name: upgrade $upgrade', ({ fields, upgrade }) => {
    expect(readFields(fields)).toMatchObject({ ok: true, request: { http: { upgrade } } })
  })

  test.each([
    { type: 'application/json', grpc: false },
    { type: 'application/grpc-web', grpc: false },
    { type: 'application/grpc', grpc: true },
    { type: 'application/grpc+proto', grpc: true },
    { type: 'application/grpc;x=y', grpc: true },
  ])('$type: gRPC $grpc', ({ type, grpc }) => {
    expect(readFields({ headers: { 'content-type': type } })).toMatchObject({
      ok: true,
      request: { http: { grpc } },
    })
  })

  test('another name for the service token is watched instead', () => {
    const message = encodeCheck({ headers: { 'x-svc': 'a,b', 'x-service-token': 'a,b' } })
    expect(readAccessRequest(message, 'x-other')).toMatchObject({ ok: true })
    expect(readAccessRequest(message, 'x-svc')).toMatchObject({
      ok: false,
      message: 'header x-svc is repeated',
    })
  })
})
