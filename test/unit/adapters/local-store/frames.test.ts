import { expect, test } from '@jest/globals'
import { FrameReader, header, MAX_BODY } from '../../../../src/adapters/local-store/frames.js'
import {
  decodeDeltas,
  encodeDeltas,
  recordOf,
  recordParts,
} from '../../../../src/adapters/local-store/wire.js'
import { applyOps, EMPTY_RECORD, type StateDelta } from '../../../../src/state/record.js'

const frame = (kind: number, text: string): Buffer =>
  Buffer.concat([header(kind, Buffer.byteLength(text)), Buffer.from(text)])

test('a frame that is too long, or that is refused, ends the reading', () => {
  const reader = new FrameReader(() => true)
  expect(reader.push(header(0, MAX_BODY))).toBe(true)
  expect(new FrameReader(() => true).push(header(0, MAX_BODY + 1))).toBe(false)
  const taken: number[] = []
  const picky = new FrameReader((kind) => taken.push(kind) < 2)
  expect(picky.push(Buffer.concat([frame(1, 'a'), frame(2, 'b'), frame(3, 'c')]))).toBe(false)
  expect(taken).toEqual([1, 2])
})

test.each([1, 2, 3, 5, 7, 100])('frames cut into pieces of %i bytes are the same frames', (size) => {
  const frames = [frame(0, ''), frame(1, 'one'), frame(2, 'x'.repeat(300)), frame(0, 'ü')]
  const bytes = Buffer.concat(frames)
  const found: [number, string][] = []
  const reader = new FrameReader((kind, body) => found.push([kind, body.toString()]) > 0)
  for (let at = 0; at < bytes.length; at += size) {
    expect(reader.push(bytes.subarray(at, at + size))).toBe(true)
  }
  expect(found).toEqual([
    [0, ''],
    [1, 'one'],
    [2, 'x'.repeat(300)],
    [0, 'ü'],
  ])
})

test.each<{ name: string; text: string }>([
  { name: 'no JSON', text: '[[' },
  { name: 'no list', text: '{}' },
  { name: 'an entry that is none', text: '[1]' },
  { name: 'no key', text: '[["",1,[]]]' },
  { name: 'a key that is too long', text: `[["${'k'.repeat(129)}",1,[]]]` },
  { name: 'no end', text: '[["k",null,[]]]' },
  { name: 'no operations', text: '[["k",1,{}]]' },
  { name: 'an operation that there is not', text: '[["k",1,[["set","f",1]]]]' },
  { name: 'a number too many', text: '[["k",1,[["add","f",1,2]]]]' },
  { name: 'a text that is too long', text: `[["k",1,[["latest","f",1,"${'x'.repeat(513)}"]]]]` },
  { name: 'too many', text: `[${Array.from({ length: 4097 }, () => '["k",1,[]]').join(',')}]` },
])('are no changes: $name', ({ text }) => {
  expect(decodeDeltas(Buffer.from(text))).toBeUndefined()
})

test('changes and records arrive as what they are', () => {
  const deltas: StateDelta[] = [
    {
      key: 'u:1',
      expiresAtMs: 12.5,
      ops: [
        ['add', '__proto__', -0.1],
        ['max', '\ud800', 1e300],
        ['latest', '', 3, '\uffff\u0000|'],
        ['drop', 'd'],
        ['prune', 'h', 9],
      ],
    },
  ]
  expect(decodeDeltas(encodeDeltas(deltas))).toEqual(deltas)
  const bounds = (below: number): unknown =>
    decodeDeltas(encodeDeltas([{ key: 'k', expiresAtMs: 1, ops: [['prune', 'h', below]] }]))?.[0]?.ops
  expect(bounds(Infinity)).toEqual([['prune', 'h', Number.MAX_VALUE]])
  expect(bounds(-Infinity)).toEqual([['prune', 'h', -Number.MAX_VALUE]])
  const record = applyOps(EMPTY_RECORD, [
    ['max', 'much', 1e308],
    ['add', 'much', 1e308],
    ['latest', 'text', 1, 'Infinity'],
    ['add', 'n', 0.1],
  ])
  for (const expiresAtMs of [5, Infinity]) {
    const parts: unknown = JSON.parse(JSON.stringify(recordParts({ record, expiresAtMs })))
    expect(Array.isArray(parts) && recordOf(parts, 0)).toEqual({ record, expiresAtMs })
  }
  expect(recordOf(['x'], 0)).toBeUndefined()
  expect(recordOf([null, 1, 1], 0)).toBeUndefined()
  expect(recordOf([null, 'f', null], 0)).toBeUndefined()
})
