import { expect, test } from '@jest/globals'
import { readTrafficLine } from '../../../src/lifecycle/traffic.js'

const EVENT = {
  timestamp: '2026-11-25T08:00:00.000Z',
  eventType: 'authorization',
  decisionId: 'd1',
  decision: 'deny',
  decisionReason: 'call-not-allowed',
}

test.each([
  ['no JSON', '{', 'bad'],
  ['two objects', '{} {}', 'bad'],
  ['a list', '[]', 'bad'],
  ['something without a type', '{"a":1}', 'bad'],
  ['an event without a time', JSON.stringify({ ...EVENT, timestamp: 'soon' }), 'bad'],
  ['an event without a decision', JSON.stringify({ ...EVENT, decision: 'maybe' }), 'bad'],
  ['a line of a megabyte', JSON.stringify({ ...EVENT, message: 'x'.repeat(1e6) }), 'bad'],
  ['a blank line', ' ', 'other'],
  ['an act of an administrator', '{"eventType":"administration"}', 'other'],
  ['an event', JSON.stringify(EVENT), 'event'],
])('%s', (_name, line, kind) => {
  expect(readTrafficLine(line).kind).toBe(kind)
})

test('fields of another type than they should be are absent', () => {
  const read = readTrafficLine(
    JSON.stringify({
      ...EVENT,
      targetService: 7,
      userRoles: ['a', 1],
      riskScore: '3',
      destinationPort: 8443,
    }),
  )
  expect(read).toMatchObject({
    kind: 'event',
    event: {
      targetService: undefined,
      userRoles: ['a'],
      riskScore: undefined,
      destinationPort: 8443,
      atMs: Date.UTC(2026, 10, 25, 8),
    },
  })
})
