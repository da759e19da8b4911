import { describe, expect, it } from '@jest/globals'
import {
  activeName,
  classificationOf,
  closedName,
  headName,
  parseLogFileName,
  stemOf,
  stemOfAny,
  streamOf,
} from '../../../../src/audit/chain/file-names.js'

describe('names of a log', () => {
  it.each([
    'events',
    'events.json',
    'events.lock',
    'events.head.tmp',
    'events.000000000001.jsonl.tmp',
    'events.000000000001.head',
    'events.default.jsonl',
    'events.Restricted.jsonl',
    'events.a.b.jsonl',
    'events.-a.jsonl',
    'other.jsonl',
    'events2.jsonl',
  ])('%s is none', (name) => {
    expect(parseLogFileName('events', name)).toBeUndefined()
  })

  it('what is not named so can not be the name of a log', () => {
    expect(() => stemOf('events.log')).toThrow('events.log does not end in .jsonl')
    expect(stemOfAny('.jsonl')).toBeUndefined()
    expect(stemOfAny('events.lock')).toBeUndefined()
  })

  it.each([undefined, 'restricted', 'a', 'x-1', 'head', 'jsonl', 'default', '000000000001', '1234567890123'])(
    'of classification %s are read back',
    (classification) => {
      const stream = streamOf(classification)
      expect(classificationOf(stream)).toBe(classification)
      const names = [
        [activeName('events', stream), { kind: 'active' }],
        [headName('events', stream), { kind: 'head' }],
        [closedName('events', stream, 1), { kind: 'closed', firstSeq: 1 }],
        [closedName('events', stream, 9e15), { kind: 'closed', firstSeq: 9e15 }],
      ] as const
      for (const [name, expected] of names) {
        expect(parseLogFileName('events', name)).toEqual({ name, stream, ...expected })
        expect(stemOfAny(name)).toBe('events')
      }
    },
  )

  it('are all different', () => {
    const streams = [undefined, 'default', '000000000001', 'head', 'restricted'].map(streamOf)
    const names = streams.flatMap((stream) => [
      activeName('e', stream),
      headName('e', stream),
      closedName('e', stream, 1),
    ])
    expect(new Set(names).size).toBe(names.length)
  })
})
