import { describe, expect, test } from '@jest/globals'
import { VerificationQueue } from '../../../src/identity/verification-queue.js'
import { VerdictCache } from '../../../src/identity/verdict-cache.js'

function queueOf(terms: { most?: number; targetMs?: () => number } = {}) {
  const clock = { ms: 0, strained: false }
  const queue = new VerificationQueue({
    most: 100,
    targetMs: () => 100,
    clockMs: () => clock.ms,
    strained: () => clock.strained,
    ...terms,
  })
  return { queue, clock }
}

/** As many as there is room for, all under way. */
function fill(queue: VerificationQueue): (() => void)[] {
  const leaves: (() => void)[] = []
  for (;;) {
    const leave = queue.enter()
    if (!leave) return leaves
    leaves.push(leave)
  }
}

describe('VerificationQueue has no room', () => {
  test('beyond its bound, before anything was measured', () => {
    const { queue } = queueOf()
    expect(fill(queue)).toHaveLength(100)
    expect(queue.enter()).toBeUndefined()
  })

  test('for more than are done in time, at the pace that was measured', () => {
    const { queue, clock } = queueOf()
    for (let round = 0; round < 100; round++) {
      const leave = queue.enter()
      clock.ms += 5
      leave?.()
    }
    expect(fill(queue)).toHaveLength(20)
  })

  test('for more than a few while known callers wait', () => {
    const { queue, clock } = queueOf()
    clock.strained = true
    expect(fill(queue)).toHaveLength(12)
    clock.strained = false
    expect(fill(queue)).toHaveLength(88)
  })

  test('for any where none may be under way', () => {
    expect(queueOf({ most: 0 }).queue.enter()).toBeUndefined()
  })

  test('so that a cache refuses what it would have to wait for', async () => {
    const { queue, clock } = queueOf({ most: 10 })
    clock.strained = true
    const limits = { maxAccepted: 10, maxRefused: 10, maxPending: 100, maxKeyLength: 100, queue }
    const verdicts = new VerdictCache<string>(limits, () => undefined)
    const ends: (() => void)[] = []
    const verify = (): Promise<string> =>
      new Promise((resolve) => {
        ends.push(() => resolve('good'))
      })
    const asked = Array.from({ length: 9 }, (_, at) =>
      verdicts.verify(`key-${at}`, { generation: 1 }, 0, verify),
    )
    expect(asked.map((each) => each === undefined)).toEqual([...Array<boolean>(8).fill(false), true])
    for (const end of ends) end()
    for (const each of asked) await each
    expect(queue.underWay).toBe(0)
    expect(verdicts.verify('key-9', { generation: 1 }, 0, () => Promise.resolve('good'))).toBeDefined()
  })
})

test('one that fails leaves too', async () => {
  const { queue } = queueOf()
  const limits = { maxAccepted: 10, maxRefused: 10, maxPending: 100, maxKeyLength: 100, queue }
  const verdicts = new VerdictCache<string>(limits, () => undefined)
  const failing = verdicts.verify('key', { generation: 1 }, 0, () => Promise.reject(new Error('broken')))
  await expect(failing).rejects.toThrow('broken')
  expect(queue.underWay).toBe(0)
})

test('many at once count as the time of all together', () => {
  const { queue, clock } = queueOf()
  for (let round = 0; round < 100; round++) {
    const leaves = Array.from({ length: 10 }, () => queue.enter())
    // One after the other, 2 ms each.
    for (const leave of leaves) {
      clock.ms += 2
      leave?.()
    }
  }
  expect(queue.limit).toBe(50)
})

test('it is found again once the pace is better', () => {
  const { queue, clock } = queueOf()
  const measure = (ms: number): void => {
    for (let round = 0; round < 200; round++) {
      const leave = queue.enter()
      clock.ms += ms
      leave?.()
    }
  }
  measure(1000)
  expect(queue.limit).toBe(8)
  measure(1)
  expect(queue.limit).toBeGreaterThan(90)
})
