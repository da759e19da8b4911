import { describe, expect, test } from '@jest/globals'
import { MAX_BODY_BYTES, parseBody, requestBody, TWO_BODIES } from '../../../src/request/body.js'
import { aCall } from '../../support/facts.js'

type Headers = readonly (readonly [string, string])[]
const WHOLE = ['x-envoy-auth-partial-body', 'false'] as const
const JSON_HEADERS: Headers = [['content-type', 'application/json'], WHOLE]
const FORM_HEADERS: Headers = [['content-type', 'application/x-www-form-urlencoded'], WHOLE]

const read = (body: string | Uint8Array, headers: Headers) =>
  parseBody(Buffer.from(body), aCall({ headers }).headers)
const typed = (type: string): Headers => [['content-type', type], WHOLE]

describe('a body that could mean something else upstream is refused', () => {
  test.each<[name: string, body: string | Uint8Array, headers: Headers, problem: string]>([
    [
      'Envoy says nothing of it',
      '{}',
      typed('application/json').slice(0, 1),
      'does not say that it is whole',
    ],
    ['Envoy cut it', '{}', [...JSON_HEADERS.slice(0, 1), ['x-envoy-auth-partial-body', 'true']], 'whole'],
    ['the client says a word too', '{}', [...JSON_HEADERS, ['x-envoy-auth-partial-body', 'false']], 'whole'],
    [
      'the two are joined',
      '{}',
      [...JSON_HEADERS.slice(0, 1), ['x-envoy-auth-partial-body', 'false,false']],
      'whole',
    ],
    ['oversized', `"${'a'.repeat(MAX_BODY_BYTES)}"`, JSON_HEADERS, 'longer than 65536 bytes'],
    ['compressed', '{}', [...JSON_HEADERS, ['content-encoding', 'gzip']], 'encoded'],
    ['no content type', '{}', [WHOLE], 'no'],
    ['two content types', '{}', [...JSON_HEADERS, ['content-type', 'text/plain']], 'no content type'],
    ['joined content types', '{}', typed('application/json, text/plain'), 'no content type'],
    ['a blank that is not one', '{}', typed('\u00a0application/json'), 'neither JSON nor a form'],
    ['another blank that is not one', '{}', typed('application/json\u00a0;charset=utf-8'), 'neither JSON'],
    ['another character set', '{}', typed('application/json; charset=utf-16'), 'no content type'],
    ['two character sets', '{}', typed('application/json; charset=utf-8; charset=utf-8'), 'no content type'],
    ['text', '{}', typed('text/plain'), 'neither JSON nor a form'],
    ['several parts', '{}', typed('multipart/form-data'), 'neither JSON nor a form'],
    ['gRPC', '{}', typed('application/grpc+proto'), 'neither JSON nor a form'],
    ['gRPC of JSON', '{}', typed('application/grpc'), 'neither'],
    ['a list of JSON', '{}', typed('application/jsonl'), 'neither'],
    ['malformed', '{"a":', JSON_HEADERS, 'not a JSON value'],
    ['nothing', '', JSON_HEADERS, 'not a JSON value'],
    ['a member twice', '{"a":1,"a":2}', JSON_HEADERS, 'a member occurs twice'],
    ['two spellings of a member', '{"a":1,"A":2}', JSON_HEADERS, 'two members differ in case alone'],
    [
      'deep ones',
      '[{"b":{"ta\\u017fk":1,"TAS\\u212a":2}}]',
      JSON_HEADERS,
      'two members differ in case alone',
    ],
    ['no UTF-8', Uint8Array.of(0x22, 0xff, 0x22), JSON_HEADERS, 'not UTF-8'],
    ['too deep', '['.repeat(40) + ']'.repeat(40), JSON_HEADERS, 'nested deeper than 32'],
    ['a form with ;', 'a=1;b=2', FORM_HEADERS, 'not a form of one meaning'],
    ['a form with a broken escape', 'a=%ff', FORM_HEADERS, 'not a form of one meaning'],
    ['a form of no UTF-8', Uint8Array.of(0x61, 0x3d, 0xff), FORM_HEADERS, 'not a form of one meaning'],
  ])('%s', (_, body, headers, problem) => {
    expect(read(body, headers)).toEqual({ ok: false, problem: expect.stringContaining(problem) })
  })
  test('two bodies', () => expect(TWO_BODIES.read().ok).toBe(false))
})

test.each<[name: string, body: string, headers: Headers, value: unknown, repeated: readonly string[]]>([
  ['JSON', '{"a":{"b":[1,"x"]}}', JSON_HEADERS, { a: { b: [1, 'x'] } }, []],
  ['JSON with a suffix', '1', typed('application/vnd.api+json'), 1, []],
  ['JSON with its character set', '{}', typed('Application/JSON; charset="UTF-8"'), {}, []],
  ['a name of the prototype', '{"__proto__":1}', JSON_HEADERS, JSON.parse('{"__proto__":1}'), []],
  ['a form', 'a=1&b=x+y%C3%A9&c&=e&&', FORM_HEADERS, { a: '1', b: 'x yé', c: '', '': 'e' }, []],
  ['JSON between blanks', '{}', typed(' \tapplication/json\t '), {}, []],
  ['a repeated field', 'a=1&b=2&%61=1&a=3', FORM_HEADERS, { b: '2' }, ['a']],
  ['a field of several spellings', 'a=1&b=2&a[]=1&A=3', FORM_HEADERS, { b: '2' }, ['a', 'a[]', 'A']],
  [
    'a field of the prototype',
    'toString=1&__proto__=2',
    FORM_HEADERS,
    JSON.parse('{"toString":"1","__proto__":"2"}'),
    [],
  ],
])('%s is read', (_, body, headers, value, repeated) => {
  const answer = read(body, headers)
  expect(answer.ok && { value: structuredClone(answer.value), repeated: [...answer.repeated] }).toEqual({
    value,
    repeated,
  })
})

test('a body is decoded when asked for, and once', () => {
  let decoded = 0
  const body = requestBody(
    () => {
      decoded += 1
      return Buffer.from('{"a":1}')
    },
    aCall({ headers: JSON_HEADERS }).headers,
  )
  expect(decoded).toBe(0)
  expect(body.read()).toBe(body.read())
  expect(decoded).toBe(1)
})
