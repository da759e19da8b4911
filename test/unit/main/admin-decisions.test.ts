import { expect, test } from '@jest/globals'
import { RecentDecisions } from '../../../src/admin/recent-decisions.js'
import { decisionsPort } from '../../../src/main/admin/decisions.js'

const line = (second: number, id: string): string =>
  JSON.stringify({ schemaVersion: '1.0', timestamp: `2026-01-01T00:00:0${second}.000Z`, decisionId: id })

function recentOf(...lines: readonly string[]): RecentDecisions {
  const recent = new RecentDecisions(10)
  for (const each of lines) recent.note(each)
  return recent
}

test('what one worker did not tell is no answer', async () => {
  const port = decisionsPort(recentOf(line(1, 'a')), {
    decisions: async () => Promise.resolve({ lines: [[]], silent: [2, 3] }),
    follow: () => () => undefined,
  })
  expect(await port.newest()).toMatchObject({
    ok: false,
    status: 503,
    problems: [{ code: 'worker-silent', message: expect.stringContaining('worker 2 and 3') }],
  })
})

test('decisions of all are one list, newest first', async () => {
  const port = decisionsPort(recentOf(line(1, 'a'), line(4, 'b')), {
    decisions: async () =>
      Promise.resolve({ lines: [[line(5, 'c'), line(2, 'd')], [line(3, 'e')]], silent: [] }),
    follow: () => () => undefined,
  })
  const newest = await port.newest()
  if (!newest.ok) throw new Error('refused')
  expect([...newest.value].map((each) => (JSON.parse(each) as { decisionId: string }).decisionId)).toEqual([
    'c',
    'b',
    'e',
    'd',
    'a',
  ])
})

test('whoever follows hears all, and all are left', () => {
  const recent = recentOf()
  let left = 0
  const heard: string[] = []
  const leave = decisionsPort(recent, {
    decisions: async () => Promise.resolve({ lines: [], silent: [] }),
    follow: (listener) => {
      listener('theirs')
      return () => left++
    },
  }).follow((each) => heard.push(each))
  recent.note('ours')
  leave()
  recent.note('later')
  expect({ heard, left }).toEqual({ heard: ['theirs', 'ours'], left: 1 })
})
