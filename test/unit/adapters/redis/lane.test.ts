import { expect, test } from '@jest/globals'
import { type Batch, Lane, type Written } from '../../../../src/adapters/redis/lane.js'
import type { StateDelta, StateOp } from '../../../../src/state/record.js'

/** The next flush is one of its own. */
const idle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const change = (key: string, ...ops: StateOp[]): StateDelta => ({ key, ops, expiresAtMs: 1000 })

/** A lane whose writes the test answers itself; every write is seen as number, then keys with operations. */
function laneOf(answers: readonly Written[]) {
  const seen: unknown[] = []
  const written: string[] = []
  let at = 0
  const lane = new Lane({
    write: ({ number, entries }: Batch) => {
      seen.push([number, Object.fromEntries([...entries].map(([key, { ops }]) => [key, [...ops]]))])
      return Promise.resolve(answers[at++] ?? 'ok')
    },
    onWritten: (keys) => void written.push(...keys),
    flushEveryMs: 60_000,
  })
  return { lane, seen, written }
}

test('what nobody knows whether it was written is sent again under its number, alone', async () => {
  const { lane, seen, written } = laneOf(['failed', 'ok'])
  expect(await lane.commit(change('k', ['add', 'n', 1]))).toBe(false)
  lane.note(change('k', ['add', 'n', 2]))
  expect(lane.unwritten('k')).toMatchObject({
    sending: { ops: [['add', 'n', 1]] },
    waiting: { ops: [['add', 'n', 2]] },
  })
  expect(written).toEqual([])
  await idle()
  expect(await lane.flush()).toBe(true)
  await idle()
  expect(await lane.flush()).toBe(true)
  lane.stop()
  expect(seen).toEqual([
    [1, { k: [['add', 'n', 1]] }],
    [1, { k: [['add', 'n', 1]] }],
    [2, { k: [['add', 'n', 2]] }],
  ])
  expect([lane.pending, written]).toEqual([0, ['k', 'k']])
})

test('what was certainly not written goes back, before what came later', async () => {
  const { lane, seen } = laneOf(['epoch', 'ok'])
  const committing = lane.commit(change('k', ['add', 'n', 1]))
  lane.note(change('k', ['drop', 'n'], ['add', 'n', 5]))
  expect(await committing).toBe(false)
  await idle()
  await lane.flush()
  lane.stop()
  expect(seen[1]).toEqual([
    2,
    {
      k: [
        ['drop', 'n'],
        ['add', 'n', 5],
      ],
    },
  ])
})

test('after a loss, what is restored replaces what waits of it, and the rest goes on waiting', async () => {
  const { lane, seen } = laneOf(['failed', 'ok'])
  await lane.commit(change('k', ['add', 'n', 1]))
  lane.note(change('other', ['add', 'n', 2]))
  lane.restore([change('k', ['max', 'n', 7])])
  await idle()
  await lane.flush()
  lane.stop()
  expect(seen[1]).toEqual([2, { k: [['max', 'n', 7]], other: [['add', 'n', 2]] }])
})

test('a commit goes before what was noted, and with it while there is room', async () => {
  const { lane, seen } = laneOf([])
  for (let n = 0; n < 200; n++) lane.note(change(`n${n}`, ['add', 'n', 1]))
  expect(await lane.commit(change('urgent', ['max', 'n', 1]))).toBe(true)
  const [first] = seen as [[number, Record<string, unknown>]]
  expect([Object.keys(first[1])[0], Object.keys(first[1]).length]).toEqual(['urgent', 128])
  await idle()
  await lane.flush()
  lane.stop()
  expect(lane.pending).toBe(0)
})
