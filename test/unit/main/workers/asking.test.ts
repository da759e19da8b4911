import { expect, test } from '@jest/globals'
import { Asking } from '../../../../src/main/workers/asking.js'

test('who does not answer in time, or is gone, has told nothing', async () => {
  const asking = new Asking<string>()
  const ids: number[] = []
  const late = asking.ask((id) => ids.push(id), 10)
  expect(await late).toBeUndefined()
  asking.answer(ids[0] ?? 0, 'too late')
  const gone = asking.ask((id) => ids.push(id), 10_000)
  asking.giveUp()
  expect(await gone).toBeUndefined()
})

test('each answer is for its own question', async () => {
  const asking = new Asking<string>()
  const answers = ['a', 'b'].map((name) =>
    asking.ask((id) => setImmediate(() => asking.answer(id, name)), 10_000),
  )
  expect(await Promise.all(answers)).toEqual(['a', 'b'])
})
