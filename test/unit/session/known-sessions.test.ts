import { expect, test } from '@jest/globals'
import { knownSessionOps, knownSessions } from '../../../src/session/known-sessions.js'
import { applyOps, EMPTY_RECORD, type StateRecord } from '../../../src/state/record.js'
import { sessionKey } from '../../../src/state/subjects.js'
import { NOW_MS } from '../../support/facts.js'

function seen(record: StateRecord, id: string, atMs: number): StateRecord {
  return applyOps(record, knownSessionOps(record, sessionKey('iss', 'alice', id), id, atMs))
}

test('an id too long for a field is not listed', () => {
  expect(knownSessionOps(EMPTY_RECORD, 's:x', 'x'.repeat(513), NOW_MS)).toEqual([])
})

test('the eight seen last, newest first; seen again is newer', () => {
  let record = EMPTY_RECORD
  for (let n = 0; n < 12; n++) record = seen(record, `s-${n}`, NOW_MS + n)
  record = seen(record, 's-5', NOW_MS + 100)
  expect(knownSessions(record).map(({ sessionId }) => sessionId)).toEqual([
    's-5',
    's-11',
    's-10',
    's-9',
    's-8',
    's-7',
    's-6',
    's-4',
  ])
  expect(record.size).toBe(8)
})
