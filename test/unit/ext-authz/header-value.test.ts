import { describe, expect, test } from '@jest/globals'
import { headerList, headerValue, quoted } from '../../../src/ext-authz/header-value.js'

describe('one value', () => {
  test.each([
    { name: 'too long', text: 'a'.repeat(8193) },
    { name: 'too long once encoded', text: 'é'.repeat(2000) },
    { name: 'an unpaired surrogate', text: 'a\ud800' },
  ])('$name is refused, not cut', ({ text }) => {
    expect(() => headerValue(text)).toThrow()
    expect(() => headerList([text])).toThrow()
  })

  test.each([
    ['a\r\nx-user-id: root', 'a%0D%0Ax-user-id: root'],
    ['a\0b\x7f', 'a%00b%7F'],
    ['100%', '100%25'],
    ['a%20b', 'a%2520b'],
    ['Müller', 'M%C3%BCller'],
    [' padded ', '%20padded%20'],
    ['   ', '%20%20%20'],
    ['auth0|5f7c', 'auth0|5f7c'],
    ['CN=a, O=b', 'CN=a, O=b'],
  ])('%j is %j, and decodes to it', (text, value) => {
    expect(headerValue(text)).toBe(value)
    expect(decodeURIComponent(value)).toBe(text)
  })
})

test.each([
  { texts: ['a,admin'], list: 'a%2Cadmin' },
  { texts: ['a', 'b c', 'ü'], list: 'a,b c,%C3%BC' },
  { texts: [' a', 'b '], list: '%20a,b%20' },
  { texts: [], list: '' },
])('$list keeps its elements apart', ({ texts, list }) => {
  expect(headerList(texts)).toBe(list)
  expect(list === '' ? [] : list.split(',').map(decodeURIComponent)).toEqual(texts)
})

test('a quoted string can not be left', () => {
  expect(quoted('a"b\\c\r\nd')).toBe('"a\\"b\\\\c??d"')
})
