import { describe, expect, test } from '@jest/globals'
import { INEXACT, parseStrictJson } from '../../../src/identity/strict-json.js'

describe('parseStrictJson refuses', () => {
  test.each([
    '',
    ' ',
    '{',
    '}',
    '[1,]',
    '{"a":1,}',
    '{"a"}',
    '{a:1}',
    "{'a':1}",
    '[1 2]',
    '"a',
    '"\n"',
    '"\\x41"',
    '"\\u12"',
    '01',
    '+1',
    '1.',
    '.5',
    '1e',
    'NaN',
    'Infinity',
    '-',
    '1e400',
    'tru',
    'nul',
    'undefined',
    '1 1',
    '{} x',
    '\u00a01',
    '{"a":1,"a":1}',
    '{"__proto__":1,"__proto__":2}',
    '"\\udc00"',
    '"\\ud800\\ud800"',
    '/**/1',
  ])('%j', (text) => {
    expect(parseStrictJson(text)).toMatchObject({ ok: false })
  })
})

test.each([
  'null',
  ' true ',
  'false',
  '0',
  '-0.5e-3',
  '1E+2',
  '""',
  '"\\u00e9\\n\\"\\\\\\/"',
  '"\\ud83d\\ude00"',
  '"é😀"',
  '[]',
  '{}',
  '[1,"a",null,[{"b":{}}]]',
  '{"a":{"a":1},"b":[{"a":1},{"a":2}],"":0}',
])('parseStrictJson agrees with JSON.parse on %s', (text) => {
  const parsed = parseStrictJson(text)
  expect(parsed.ok).toBe(true)
  expect(JSON.stringify(parsed.ok && parsed.value)).toBe(JSON.stringify(JSON.parse(text)))
})

test('what parseStrictJson accepts, JSON.parse accepts: mutations of a token payload', () => {
  const base = '{"iss":"a","aud":["b","c"],"exp":1700000000,"x":{"y":[true,null,-1.5e3]},"s":"\\u0041\\n"}'
  const alphabet = '{}[]",:\\u0e-+.tfn \n'
  let accepted = 0
  for (let at = 0; at < base.length; at += 1) {
    for (const character of alphabet) {
      for (const text of [
        base.slice(0, at) + character + base.slice(at),
        base.slice(0, at) + character + base.slice(at + 1),
        base.slice(0, at) + base.slice(at + 1),
      ]) {
        const parsed = parseStrictJson(text)
        if (!parsed.ok) continue
        accepted += 1
        expect(JSON.stringify(parsed.value)).toBe(JSON.stringify(JSON.parse(text)))
      }
    }
  }
  expect(accepted).toBeGreaterThan(100)
})

describe('for any reader', () => {
  const read = (text: string) => parseStrictJson(text, { forAnyReader: true })
  test.each([
    '{"a":1,"A":1}',
    '{"x":[{"role":1,"b":2,"roLe":3}]}',
    '{"k":1,"\u212a":1}',
    '{"\u017f":1,"S":1}',
    '{"\u03c3":1,"\u03c2":1}',
  ])('%s is refused, for tokens it is read', (text) => {
    expect(read(text)).toMatchObject({ ok: false, problem: 'two members differ in case alone' })
    expect(parseStrictJson(text)).toEqual({ ok: true, value: JSON.parse(text) })
  })

  test.each([
    '9007199254740992',
    '9007199254740993',
    '-9007199254740993',
    '18446744073709551615',
    '1e16',
    '1e300',
    '9007199254740991.5',
    '0.1000000000000000055511151231257827',
    '1.00000000000000000001',
    '1e-400',
    '0.00000000000000000000000000000000000000000000000000000000000000001',
  ])('%s becomes no number, for tokens it is one', (text) => {
    expect(read(`[${text},1]`)).toEqual({ ok: true, value: [INEXACT, 1] })
    expect(parseStrictJson(text)).toEqual({ ok: true, value: Number(text) })
  })

  test.each([
    '0',
    '-0',
    '0.0',
    '0e99',
    '9007199254740991',
    '-9007199254740991',
    '1.50',
    '1e3',
    '1.5E-7',
    '0.30000000000000004',
    '12345678.000000000000',
    '100000000000000.5',
    '5e-324',
  ])('%s stays as it is', (text) => {
    expect(read(text)).toEqual({ ok: true, value: Number(text) })
  })
})
