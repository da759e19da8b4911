import { describe, expect, test } from '@jest/globals'
import { mediaTypeOf, parseJws, parseJwt } from '../../../src/identity/jwt.js'
import { encode } from '../../support/tokens.js'

const HEADER = encode({ alg: 'ES256', kid: 'k1' })
const PAYLOAD = encode({ iss: 'a' })
const SIGNATURE = encode('signature')
const of = (header: unknown, payload: unknown = { iss: 'a' }): string =>
  `${encode(header)}.${encode(payload)}.${SIGNATURE}`

describe('parseJwt refuses as malformed', () => {
  test.each([
    ['nothing', ''],
    ['two parts', `${HEADER}.${PAYLOAD}`],
    ['four parts', `${HEADER}.${PAYLOAD}.${SIGNATURE}.`],
    ['five parts, an encrypted token', `${HEADER}.a.b.c.d`],
    ['no signature', `${HEADER}.${PAYLOAD}.`],
    ['no header', `.${PAYLOAD}.${SIGNATURE}`],
    ['no payload', `${HEADER}..${SIGNATURE}`],
    ['a blank before', ` ${HEADER}.${PAYLOAD}.${SIGNATURE}`],
    ['a newline behind', `${HEADER}.${PAYLOAD}.${SIGNATURE}\n`],
    ['padding', `${HEADER}.${PAYLOAD}.${SIGNATURE}==`],
    ['the other base64 alphabet', `${HEADER}.${PAYLOAD}.ab+/`],
    ['unused bits that are set, two of them', `${HEADER}.${PAYLOAD}.ab9`],
    ['unused bits that are set, four of them', `${HEADER}.${PAYLOAD}.ab_x_f`],
    ['an impossible length', `${HEADER}.${PAYLOAD}.abcde`],
    ['more than 16 KiB', `${HEADER}.${encode({ iss: 'a'.repeat(16 * 1024) })}.${SIGNATURE}`],
    ['a header that is a list', of('[]')],
    ['a header that is no JSON', of('{alg:"ES256"}')],
    ['a header with a byte order mark', of('\ufeff{"alg":"ES256"}')],
    ['a header with alg twice', of('{"alg":"ES256","alg":"ES256"}')],
    ['a header with alg twice, once escaped', of('{"alg":"ES256","\\u0061lg":"none"}')],
    ['something behind the header', of('{"alg":"ES256"}{}')],
    ['crit', of({ alg: 'ES256', crit: ['exp'], exp: 1 })],
    ['an empty crit', of({ alg: 'ES256', crit: [] })],
    ['b64 false', of({ alg: 'ES256', b64: false })],
    ['b64 true', of({ alg: 'ES256', b64: true })],
    ['a kid that is no text', of({ alg: 'ES256', kid: 1 })],
    ['a kid of 513 characters', of({ alg: 'ES256', kid: 'k'.repeat(513) })],
    ['a payload that is text', of({ alg: 'ES256' }, '"a"')],
    ['a payload that is null', of({ alg: 'ES256' }, 'null')],
    ['a payload with sub twice', of({ alg: 'ES256' }, '{"sub":"a","sub":"b"}')],
    ['a payload with a nested duplicate', of({ alg: 'ES256' }, '{"a":[{"b":1,"b":2}]}')],
    [
      'a payload that is not UTF-8',
      `${HEADER}.${Buffer.from([0x22, 0xff, 0x22]).toString('base64url')}.${SIGNATURE}`,
    ],
    ['a payload nested 40 deep', of({ alg: 'ES256' }, `{"a":${'['.repeat(40)}${']'.repeat(40)}}`)],
    ['a number beyond doubles', of({ alg: 'ES256' }, '{"exp":1e999}')],
    ['half a surrogate pair', of({ alg: 'ES256' }, '{"sub":"\\ud800"}')],
  ])('%s', (_name, text) => {
    expect(parseJwt(text)).toMatchObject({ ok: false, fault: 'malformed' })
  })
})

describe('parseJwt refuses the algorithm', () => {
  test.each([
    'none',
    'None',
    'NONE',
    'nOnE',
    '',
    'HS256',
    'HS384',
    'HS512',
    'ES256K',
    'RSA1_5',
    'es256',
    'toString',
    7,
  ])('%p', (alg) => {
    expect(parseJwt(of({ alg }))).toMatchObject({ ok: false, fault: 'algorithm' })
  })
  test('that is absent', () => {
    expect(parseJwt(of({ kid: 'k1' }))).toMatchObject({ ok: false, fault: 'algorithm' })
  })
})

test('no problem repeats the token', () => {
  for (const text of ['secretsecret', of('{"secretsecret'), of({ alg: 'secretsecret' })]) {
    expect(JSON.stringify(parseJwt(text))).not.toContain('secretsecret')
  }
})

test('parseJwt reads header and claims; a key in the header is not among them', () => {
  const parsed = parseJwt(
    of({ alg: 'ES256', kid: 'k1', typ: 'application/at+JWT', jwk: {}, jku: 'https://evil' }),
  )
  expect(parsed).toMatchObject({ ok: true, jwt: { algorithm: 'ES256', kid: 'k1', claims: { iss: 'a' } } })
  if (!parsed.ok) return
  expect(mediaTypeOf(parsed.jwt)).toBe('at+jwt')
  expect(Object.keys(parsed.jwt)).not.toContain('jwk')
  expect(parsed.jwt.signed.toString()).toBe(
    of({ alg: 'ES256', kid: 'k1', typ: 'application/at+JWT', jwk: {}, jku: 'https://evil' })
      .split('.')
      .slice(0, 2)
      .join('.'),
  )
})

test('claims have no prototype, so __proto__ and toString are claims like others', () => {
  const parsed = parseJwt(of({ alg: 'ES256' }, '{"__proto__":{"mfa_verified":true},"a":{"toString":1}}'))
  if (!parsed.ok) throw new Error(parsed.problem)
  expect(Object.getPrototypeOf(parsed.jwt.claims)).toBeNull()
  expect(parsed.jwt.claims['mfa_verified']).toBeUndefined()
  expect(Object.keys(parsed.jwt.claims)).toEqual(['__proto__', 'a'])
})

test('parseJws takes an empty or binary payload, which parseJwt refuses', () => {
  expect(parseJws(`${HEADER}..${SIGNATURE}`)).toMatchObject({ ok: true })
  expect(parseJwt(`${HEADER}..${SIGNATURE}`)).toMatchObject({ ok: false })
})
