import { createHash } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import {
  appendLine,
  appendLines,
  bodyOf,
  CHAIN_START,
  chainHash,
  splitLine,
} from '../../../../src/audit/chain/chain-line.js'

const HASH = 'x'.repeat(43)

describe('splitLine', () => {
  it.each([
    ['no chain', '{"a":1}'],
    ['a number from zero', `{"a":1,"chain":{"seq":0,"hash":"${HASH}"}}`],
    ['a number with a zero before it', `{"a":1,"chain":{"seq":01,"hash":"${HASH}"}}`],
    ['a number that is not exact', `{"a":1,"chain":{"seq":9007199254740993,"hash":"${HASH}"}}`],
    ['a short hash', `{"a":1,"chain":{"seq":1,"hash":"${HASH.slice(1)}"}}`],
    ['something behind', `{"a":1,"chain":{"seq":1,"hash":"${HASH}"}} `],
    ['a carriage return', `{"a":1,"chain":{"seq":1,"hash":"${HASH}"}}\r`],
    ['members in another order', `{"a":1,"chain":{"hash":"${HASH}","seq":1}}`],
    ['nothing', ''],
  ])('does not take %s', (_, line) => {
    expect(splitLine(Buffer.from(line))).toBeUndefined()
  })

  it('takes the last chain of a line, and the bytes before it as they are', () => {
    const inner = Buffer.concat([Buffer.from(`{"a":",\\"chain\\":{\\"seq\\":7"`), Buffer.from([0xff, 0x00])])
    const line = Buffer.concat([inner, Buffer.from(`,"chain":{"seq":12,"hash":"${HASH}"}}`)])
    expect(splitLine(line)).toEqual({ body: inner, seq: 12, hash: HASH })
  })
})

describe('bodyOf', () => {
  it.each(['', '{}', '[1]', 'text', '{"a":1', '"a":1}'])('refuses %j', (line) => {
    expect(() => bodyOf(line)).toThrow('an event is a JSON object')
  })
})

describe('the chain', () => {
  const bodies = ['{"a":1', '{"b":"ü €"', '{"c":"\ud800"', `{"d":"${'long '.repeat(2000)}"`, '{"e":"😀"']

  it('hashes what the format says', () => {
    const expected = createHash('sha256')
      .update(`${'A'.repeat(43)}{"a":1,"seq":1`)
      .digest('base64url')
    expect(appendLine(CHAIN_START, '{"a":1').line).toBe(`{"a":1,"chain":{"seq":1,"hash":"${expected}"}}`)
  })

  it('is the same in one piece and line by line', () => {
    let end = CHAIN_START
    let text = ''
    for (const body of bodies) {
      const { line, ...next } = appendLine(end, body)
      text += `${line}\n`
      end = next
    }
    const together = appendLines(CHAIN_START, bodies)
    expect(together.bytes.toString()).toBe(Buffer.from(text).toString())
    expect(together.end).toEqual(end)
    const first = appendLines(CHAIN_START, bodies.slice(0, 2))
    expect(Buffer.concat([first.bytes, appendLines(first.end, bodies.slice(2)).bytes])).toEqual(
      together.bytes,
    )
    expect(appendLines(end, [])).toEqual({ bytes: Buffer.alloc(0), end })
  })

  it('every line of it is read back with the hash of its bytes', () => {
    let { hash: previous, seq } = CHAIN_START
    const { bytes } = appendLines(CHAIN_START, bodies)
    for (let at = 0; at < bytes.length;) {
      const end = bytes.indexOf(10, at)
      const line = splitLine(bytes.subarray(at, end))
      if (!line) throw new Error('no line')
      expect(line.seq).toBe(++seq)
      expect(line.hash).toBe(chainHash(previous, line.body, line.seq))
      previous = line.hash
      at = end + 1
    }
    expect(seq).toBe(bodies.length)
  })
})
