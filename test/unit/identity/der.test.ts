import { describe, expect, test } from '@jest/globals'
import {
  DerError,
  readBoolean,
  readChildren,
  readInteger,
  readNamedBits,
  readObjectIdentifier,
  readTime,
  readWhole,
  TAG,
} from '../../../src/identity/der.js'

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')
const whole = (hex: string, tag: number) => readWhole(bytes(hex), tag, 'it')
const time = (tag: number, text: string) =>
  readTime({ tag, content: Buffer.from(text, 'latin1'), whole: Buffer.alloc(0) }, 'it')

describe('DER is refused', () => {
  test.each([
    ['no bytes', () => whole('', TAG.sequence)],
    ['a header alone', () => whole('30', TAG.sequence)],
    ['content cut short', () => whole('30 02 05', TAG.sequence)],
    ['bytes after its end', () => whole('30 00 00', TAG.sequence)],
    ['an indefinite length', () => whole('30 80 00 00', TAG.sequence)],
    ['a long length that fits the short form', () => whole('30 81 02 05 00', TAG.sequence)],
    ['a length with a leading zero', () => whole(`30 82 00 80 ${'00'.repeat(128)}`, TAG.sequence)],
    ['a length of four bytes', () => whole('30 84 00 00 00 01 05', TAG.sequence)],
    ['a length beyond the end', () => whole('30 83 ff ff ff 00', TAG.sequence)],
    ['a tag number over 30', () => whole('3f 81 01 00', TAG.sequence)],
    ['another type', () => whole('31 00', TAG.sequence)],
    ['a child cut short', () => readChildren(whole('30 03 02 02 01', TAG.sequence), 'it')],
    ['TRUE as 1', () => readBoolean(whole('01 01 01', TAG.boolean), 'it')],
    ['an empty boolean', () => readBoolean(whole('01 00', TAG.boolean), 'it')],
    ['an empty integer', () => readInteger(whole('02 00', TAG.integer), 'it')],
    ['a padded positive integer', () => readInteger(whole('02 02 00 7f', TAG.integer), 'it')],
    ['a padded negative integer', () => readInteger(whole('02 02 ff 80', TAG.integer), 'it')],
    ['unused bits that are set', () => readNamedBits(whole('03 02 05 81', TAG.bitString), 'it')],
    ['unused bits of nothing', () => readNamedBits(whole('03 01 01', TAG.bitString), 'it')],
    ['an empty object identifier', () => readObjectIdentifier(bytes(''), 'it')],
    ['an arc with a leading zero', () => readObjectIdentifier(bytes('55 80 01'), 'it')],
    ['an arc without its end', () => readObjectIdentifier(bytes('55 1d 81'), 'it')],
    ['UTC time without seconds', () => time(TAG.utcTime, '2501010000Z')],
    ['UTC time with an offset', () => time(TAG.utcTime, '250101000000+0000')],
    ['the 30th of February', () => time(TAG.utcTime, '250230000000Z')],
    ['second 60', () => time(TAG.utcTime, '250101000060Z')],
    ['fractions of a second', () => time(TAG.generalizedTime, '20250101000000.5Z')],
    ['another type of time', () => time(TAG.integer, '250101000000Z')],
  ])('%s', (_name, read) => {
    expect(read).toThrow(DerError)
  })
})

describe('DER is read', () => {
  test('children are views of the same memory', () => {
    const der = bytes('30 06 02 01 05 01 01 ff')
    const [number, flag] = readChildren(readWhole(der, TAG.sequence, 'it'), 'it')
    expect(readInteger(number!, 'it')).toEqual(Buffer.from([5]))
    expect(readBoolean(flag!, 'it')).toBe(true)
    expect(number?.content.buffer).toBe(der.buffer)
  })

  test.each([
    ['2.5.29.15', '55 1d 0f'],
    ['1.2.840.113549.1.1.11', '2a 86 48 86 f7 0d 01 01 0b'],
    ['2.999.1', '88 37 01'],
    ['2.25.18446744073709551616', '69 82 80 80 80 80 80 80 80 80 00'],
  ])('object identifier %s', (dotted, hex) => {
    expect(readObjectIdentifier(bytes(hex), 'it')).toBe(dotted)
  })

  test.each([
    [TAG.utcTime, '491231235959Z', '2049-12-31T23:59:59Z'],
    [TAG.utcTime, '500101000000Z', '1950-01-01T00:00:00Z'],
    [TAG.generalizedTime, '29690503000001Z', '2969-05-03T00:00:01Z'],
  ])('time %d %s', (tag, text, iso) => {
    expect(time(tag, text)).toBe(Date.parse(iso))
  })

  test('named bits are counted from the first', () => {
    expect(readNamedBits(whole('03 02 01 86', TAG.bitString), 'it')).toBe((1 << 0) | (1 << 5) | (1 << 6))
  })
})
