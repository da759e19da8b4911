import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { Turns } from '../../../src/adapters/grpc/turns.js'

/** Of a loop whose time is told. */
function turnsOf() {
  const loop = { sleptMs: 0 }
  return { loop, turns: new Turns(() => loop.sleptMs) }
}

test('the first message of all has not waited, those that are read later in its turn may have', () => {
  const { turns } = turnsOf()
  expect(turns.waitedMs(1000)).toBe(0)
  expect(turns.waitedMs(1030)).toBe(30)
})

test('without sleep between two turns, a message may have come just after the last one began', async () => {
  const { turns } = turnsOf()
  turns.waitedMs(1000)
  await nextTurn()
  expect(turns.waitedMs(1080)).toBe(80)
  await nextTurn()
  expect(turns.waitedMs(1090)).toBe(10)
})

test('after sleep nothing waited', async () => {
  const { loop, turns } = turnsOf()
  turns.waitedMs(1000)
  await nextTurn()
  expect(turns.lastMs).toBe(0)
  loop.sleptMs += 60
  expect(turns.waitedMs(1080)).toBe(0)
})

test('how long the last one waited is told until the loop has slept', async () => {
  const { loop, turns } = turnsOf()
  turns.waitedMs(1000)
  turns.waitedMs(1070)
  await nextTurn()
  expect(turns.lastMs).toBe(70)
  loop.sleptMs += 1
  expect(turns.lastMs).toBe(0)
})

test('the event loop of this process tells when it slept', async () => {
  const turns = new Turns()
  turns.waitedMs(performance.now())
  await nextTurn()
  const endMs = performance.now() + 30
  while (performance.now() < endMs);
  expect(turns.waitedMs(performance.now())).toBeGreaterThanOrEqual(29)
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect(turns.waitedMs(performance.now())).toBe(0)
})
