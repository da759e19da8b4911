import { beforeAll, describe, expect, test } from '@jest/globals'
import { JwtBundleKeys, parseJwtBundle } from '../../../src/identity/jwt-bundle.js'
import { testKey, type TestKey } from '../../support/tokens.js'

let one: TestKey
let two: TestKey
beforeAll(async () => {
  one = await testKey('ES256', 'one')
  two = await testKey('ES256', 'two')
})

const textOf = (...keys: readonly object[]): string => JSON.stringify({ keys })
const svidKey = ({ publicJwk: { alg: _alg, ...jwk } }: TestKey, more: object = {}): object => ({
  ...jwk,
  use: 'jwt-svid',
  ...more,
})
const kidsOf = (text: string, useOptional = false): readonly unknown[] | string => {
  const parsed = parseJwtBundle(text, useOptional)
  return parsed.ok ? parsed.keys.map(({ kid }) => kid) : parsed.problem
}

describe('parseJwtBundle', () => {
  test.each([
    ['no JSON', 'x', /not strict JSON/],
    ['a member twice', '{"keys":[],"keys":[]}', /not strict JSON/],
    ['no keys', '{}', /no JWK Set/],
    ['no list', '{"keys":{}}', /no JWK Set/],
    ['no object', '[]', /no JWK Set/],
    ['more than 1 MiB', `{"keys":[],"x":"${'x'.repeat(1024 * 1024)}"}`, /longer than/],
  ])('refuses %s', (_name, text, says) => {
    expect(kidsOf(text)).toMatch(says)
  })

  test('refuses a secret, a name twice and keys of which none can be used', () => {
    expect(kidsOf(textOf({ kty: 'oct', k: 'AA', kid: 'a', use: 'jwt-svid' }))).toMatch(/symmetric/)
    expect(kidsOf(textOf(svidKey(one), svidKey(two, { kid: 'one' })))).toMatch(/same `kid`/)
    expect(kidsOf(textOf(svidKey(one, { crv: 'P-999' })))).toMatch(/no usable key/)
  })

  test('leaves out keys of another use, without use and without a name', () => {
    const others = [
      svidKey(two, { use: 'x509-svid' }),
      svidKey(two, { use: 'sig' }),
      svidKey(two, { use: undefined }),
      svidKey(two, { kid: undefined }),
      svidKey(two, { kid: '' }),
    ]
    expect(kidsOf(textOf(svidKey(one), ...others))).toEqual(['one'])
    expect(kidsOf(textOf(...others))).toEqual([])
  })

  test('takes keys without use where all are for JWT-SVIDs', () => {
    const text = textOf(svidKey(one, { use: undefined }), svidKey(two, { use: 'x509-svid' }))
    expect(kidsOf(text, true)).toEqual(['one'])
  })

  test('takes none as a bundle that verifies nothing', () => {
    expect(kidsOf('{"keys":[]}')).toEqual([])
  })
})

test('JwtBundleKeys answers out of the bundle in force', () => {
  const keys = new JwtBundleKeys()
  const set = (...of: readonly TestKey[]): void => {
    const parsed = parseJwtBundle(textOf(...of.map((key) => svidKey(key))))
    keys.set(parsed.ok ? parsed.keys : undefined)
  }
  expect(keys.find('one', 'ES256').found).toBe('unavailable')
  set(one)
  const first = keys.generation
  expect(keys.find('one', 'ES256').found).toBe('key')
  expect(keys.find('two', 'ES256').found).toBe('none')
  set(one)
  expect(keys.generation).toBe(first)
  set(two)
  expect(keys.generation).toBe(first + 1)
  expect(keys.find('one', 'ES256').found).toBe('none')
  expect(keys.find(undefined, 'ES256').found).toBe('key')
  set(one, two)
  expect(keys.find(undefined, 'ES256').found).toBe('none')
  keys.set([])
  expect(keys.find('one', 'ES256').found).toBe('none')
  keys.set(undefined)
  expect(keys.find('one', 'ES256').found).toBe('unavailable')
})
