import { expect, test } from '@jest/globals'
import { ThreadTurns } from '../../../src/identity/thread-turns.js'

test('never begins more than it may at once, and keeps the order', async () => {
  const turns = new ThreadTurns(2)
  const begun: number[] = []
  let running = 0
  let most = 0
  const answers = Array.from({ length: 20 }, (_, index) =>
    turns.take(async () => {
      begun.push(index)
      most = Math.max(most, ++running)
      await new Promise((resolve) => setImmediate(resolve))
      running -= 1
      return index
    }),
  )
  expect(begun).toEqual([0, 1])
  expect(await Promise.all(answers)).toEqual(Array.from({ length: 20 }, (_, index) => index))
  expect(begun).toEqual(Array.from({ length: 20 }, (_, index) => index))
  expect(most).toBe(2)
})

test('work that fails, at once or later, gives its turn away', async () => {
  const turns = new ThreadTurns(1)
  const failed = [
    turns.take(() => Promise.reject(new Error('later'))),
    turns.take(() => {
      throw new Error('at once')
    }),
  ].map((each) => each.catch((error: unknown) => (error instanceof Error ? error.message : '')))
  expect(await turns.take(() => Promise.resolve('fine'))).toBe('fine')
  expect(await Promise.all(failed)).toEqual(['later', 'at once'])
})
