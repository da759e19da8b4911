import { describe, expect, test } from '@jest/globals'
import { parseXfcc, xfccValue } from '../../../src/identity/xfcc.js'

describe('parseXfcc refuses', () => {
  test.each([
    ['nothing', ''],
    ['no pair', 'hello'],
    ['an empty key', '=x'],
    ['an empty element', 'By=a,,By=b'],
    ['a trailing comma', 'By=a,'],
    ['a trailing semicolon', 'By=a;'],
    ['a blank before a key', 'By=a, By=b'],
    ['a key in another alphabet', 'U\u0280I=a'],
    ['an open quote', 'Subject="CN=x;URI=spiffe://td/admin'],
    ['an escaped closing quote', 'Subject="CN=x\\"'],
    ['text after a quote', 'URI="a"b'],
    ['a quote within a value', 'URI=a"b"'],
    ['an unquoted =', 'Subject=CN=x'],
    ['a hash twice', 'Hash=1;Hash=2'],
    ['an unknown key twice, in two spellings', 'Foo=1;foo=2'],
    ['a control character', 'URI=a\u0000'],
    ['65 elements', Array(65).fill('By=a').join(',')],
    ['65 pairs', Array(65).fill('By=a').join(';')],
    ['more than 128 KiB', `Cert="${'a'.repeat(128 * 1024)}"`],
  ])('%s', (_name, header) => {
    expect(parseXfcc(header)).toMatchObject({ ok: false })
  })
})

describe('parseXfcc reads', () => {
  test('what stands in quotes as one value, whatever it looks like', () => {
    expect(parseXfcc('Subject="CN=x\\";URI=spiffe://td/admin,";URI=spiffe://td/user,Hash=')).toEqual({
      ok: true,
      elements: [
        {
          pairs: [
            ['subject', 'CN=x";URI=spiffe://td/admin,'],
            ['uri', 'spiffe://td/user'],
          ],
        },
        { pairs: [['hash', '']] },
      ],
    })
  })

  test('a value by its key', () => {
    const parsed = parseXfcc('By=a;By=b;Chain="%2B+"')
    if (!parsed.ok) throw new Error(parsed.problem)
    expect(xfccValue(parsed.elements[0]!, 'chain')).toBe('%2B+')
    expect(xfccValue(parsed.elements[0]!, 'hash')).toBeUndefined()
  })
})
