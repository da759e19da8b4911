import { describe, expect, test } from '@jest/globals'
import { readAccessRequest } from '../../../src/ext-authz/read-access-request.js'
import { REFERENCE } from '../../fuzz/reference.js'

const WHOLE = { 'x-envoy-auth-partial-body': 'false', 'content-type': 'application/json' }

/** What Envoy's message holds, encoded with its own definitions, as the core reads it. */
function bodyOf(http: object) {
  const call = { method: 'POST', path: '/a', host: 'svc', headers: WHOLE, ...http }
  const message = REFERENCE.requestSerialize({ attributes: { request: { http: call } } })
  const read = readAccessRequest(message, 'x-service-token')
  if (!read.ok) throw new Error(read.message)
  return read.request.http?.body?.read()
}

const rawHeaders = (...headers: readonly (readonly [string, string])[]) => ({
  headers: {},
  headerMap: { headers: headers.map(([key, value]) => ({ key, rawValue: Buffer.from(value) })) },
})

describe('a body of a CheckRequest that nobody can read in one way', () => {
  test.each<[name: string, http: object, problem: string]>([
    ['both kinds', { body: '{}', rawBody: Buffer.from('{}') }, 'both body and raw_body'],
    ['cut', { body: '{}', headers: { ...WHOLE, 'x-envoy-auth-partial-body': 'true' } }, 'whole'],
    ['of which nothing is said', { body: '{}', headers: { 'content-type': 'application/json' } }, 'whole'],
    [
      'of which the client speaks too',
      {
        rawBody: Buffer.from('{}'),
        ...rawHeaders(
          ['content-type', 'application/json'],
          ['x-envoy-auth-partial-body', 'false'],
          ['x-envoy-auth-partial-body', 'false'],
        ),
      },
      'whole',
    ],
    ['no UTF-8', { rawBody: Buffer.from([0x22, 0xe9, 0x22]) }, 'not UTF-8'],
  ])('%s', (_, http, problem) => {
    expect(bodyOf(http)).toEqual({ ok: false, problem: expect.stringContaining(problem) })
  })
})

test.each<[name: string, http: object]>([
  ['body', { body: '{"a":"é"}' }],
  ['raw_body', { rawBody: Buffer.from('{"a":"é"}') }],
  [
    'raw_body beside raw headers',
    {
      rawBody: Buffer.from('{"a":"é"}'),
      ...rawHeaders(['content-type', 'application/json'], ['x-envoy-auth-partial-body', 'false']),
    },
  ],
])('%s is read', (_, http) => {
  expect(bodyOf(http)).toMatchObject({ ok: true, value: { a: 'é' } })
})

test('an empty body is none', () => {
  expect(bodyOf({ body: '', rawBody: Buffer.alloc(0) })).toBeUndefined()
})
