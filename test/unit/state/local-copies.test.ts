import { describe, expect, test } from '@jest/globals'
import { type Loaded, LocalCopies, type Unwritten } from '../../../src/state/local-copies.js'
import { EMPTY_RECORD, type StateDelta } from '../../../src/state/record.js'

const NOW_MS = 1_764_000_000_000
const END_MS = NOW_MS + 60_000
const NOTHING: Unwritten = { sending: undefined, waiting: undefined }

const calls = (n: number): Loaded => ({ record: new Map([['calls', n]]), expiresAtMs: END_MS })
const add = (key: string, n: number): StateDelta => ({ key, ops: [['add', 'calls', n]], expiresAtMs: END_MS })

/** Trips that the test answers itself, in their order. */
function tripsOf(maxCopies = 100, unwritten: (key: string) => Unwritten = () => NOTHING) {
  const trips: { key: string; answer: (loaded: Loaded | 'unavailable') => void }[] = []
  const copies = new LocalCopies({
    maxCopies,
    load: (key) => new Promise((resolve) => trips.push({ key, answer: resolve })),
    unwritten,
  })
  /** Answers the next trip as soon as it is made. */
  async function answer(by: Loaded | 'unavailable'): Promise<void> {
    for (let turn = 0; turn < 20 && trips.length === 0; turn++) await Promise.resolve()
    trips.shift()?.answer(by)
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
  }
  async function loaded(key: string, value: Loaded): Promise<void> {
    const loading = copies.load(key, NOW_MS)
    await answer(value)
    await loading
  }
  return { copies, trips, answer, loaded }
}

describe('what is no valid copy', () => {
  test('one that was never loaded', () => {
    const { copies } = tripsOf()
    expect(copies.valid('k', NOW_MS)).toBeUndefined()
    expect(copies.lastKnown('k', NOW_MS)).toBeUndefined()
  })

  test('one that could not be loaded', async () => {
    const { copies, answer } = tripsOf()
    const loading = copies.load('k', NOW_MS)
    await answer('unavailable')
    expect(await loading).toBe('unavailable')
    expect(copies.lastKnown('k', NOW_MS)).toBeUndefined()
  })

  test.each<{ name: string; spoil: (copies: LocalCopies) => void }>([
    { name: 'one that was invalidated', spoil: (copies) => void copies.invalidate('k') },
    { name: 'one from before all were doubted', spoil: (copies) => copies.doubtAll() },
  ])('$name, but it is what is last known', async ({ spoil }) => {
    const { copies, loaded } = tripsOf()
    await loaded('k', calls(1))
    spoil(copies)
    expect(copies.valid('k', NOW_MS)).toBeUndefined()
    expect(copies.lastKnown('k', NOW_MS)).toEqual(calls(1).record)
    copies.apply(add('k', 2), NOW_MS)
    expect(copies.lastKnown('k', NOW_MS)).toEqual(calls(3).record)
    expect(copies.valid('k', NOW_MS)).toBeUndefined()
    await loaded('k', calls(7))
    expect(copies.valid('k', NOW_MS)).toEqual(calls(7).record)
  })

  test('one that has ended', async () => {
    const { copies, loaded } = tripsOf()
    await loaded('k', calls(1))
    expect(copies.valid('k', END_MS - 1)).toEqual(calls(1).record)
    expect(copies.valid('k', END_MS)).toBeUndefined()
    expect(copies.lastKnown('k', END_MS)).toEqual(EMPTY_RECORD)
    expect([...copies.known(END_MS)]).toEqual([])
  })

  test('the least lately used one of too many', async () => {
    const { copies, loaded } = tripsOf(2)
    await loaded('a', calls(1))
    await loaded('b', calls(2))
    copies.valid('a', NOW_MS)
    await loaded('c', calls(3))
    expect(copies.size).toBe(2)
    expect(copies.valid('b', NOW_MS)).toBeUndefined()
    expect(copies.valid('a', NOW_MS)).toEqual(calls(1).record)
  })
})

describe('a trip under way', () => {
  test('is shared', async () => {
    const { copies, trips, answer } = tripsOf()
    const loading = [copies.load('k', NOW_MS), copies.load('k', NOW_MS), copies.load('other', NOW_MS)]
    await Promise.resolve()
    expect(trips.map(({ key }) => key)).toEqual(['k', 'other'])
    await answer(calls(1))
    await answer(calls(2))
    expect(await Promise.all(loading)).toEqual([calls(1).record, calls(1).record, calls(2).record])
  })

  test.each<{ name: string; spoil: (copies: LocalCopies) => void }>([
    { name: 'the record was invalidated', spoil: (copies) => void copies.invalidate('k') },
    { name: 'all were doubted', spoil: (copies) => copies.doubtAll() },
    { name: 'an own change was written', spoil: (copies) => copies.written('k') },
  ])('is made again when meanwhile $name', async ({ spoil }) => {
    const { copies, answer } = tripsOf()
    const loading = copies.load('k', NOW_MS)
    await Promise.resolve()
    spoil(copies)
    await answer(calls(1))
    await answer(calls(2))
    expect(await loading).toEqual(calls(2).record)
    expect(copies.valid('k', NOW_MS)).toEqual(calls(2).record)
  })

  test('ends, and its record is not kept as valid, when the record never stands still', async () => {
    const { copies, answer } = tripsOf()
    const loading = copies.load('k', NOW_MS)
    for (let trip = 1; trip <= 3; trip++) {
      await Promise.resolve()
      copies.invalidate('k')
      await answer(calls(trip))
    }
    expect(await loading).toEqual(calls(3).record)
    expect(copies.valid('k', NOW_MS)).toBeUndefined()
  })
})

describe('own changes', () => {
  test('that the store does not have are in what is loaded', async () => {
    const { copies, loaded } = tripsOf(100, (key) => ({ sending: undefined, waiting: add(key, 5) }))
    await loaded('k', { record: EMPTY_RECORD, expiresAtMs: Infinity })
    expect(copies.valid('k', NOW_MS)).toEqual(calls(5).record)
    expect(copies.valid('k', END_MS)).toBeUndefined()
    copies.written('k')
    expect(copies.valid('k', NOW_MS)).toEqual(calls(5).record)
  })

  test('that may be in what is loaded twice are cleared up once they are written', async () => {
    const { copies, loaded } = tripsOf(100, (key) => ({ sending: add(key, 5), waiting: add(key, 1) }))
    await loaded('k', calls(5))
    expect(copies.valid('k', NOW_MS)).toEqual(calls(11).record)
    copies.written('k')
    expect(copies.valid('k', NOW_MS)).toBeUndefined()
  })

  test('are applied to a copy, and make none', async () => {
    const { copies, loaded } = tripsOf()
    copies.apply(add('k', 1), NOW_MS)
    expect(copies.size).toBe(0)
    await loaded('k', calls(1))
    copies.apply(add('k', 1), NOW_MS)
    expect(copies.valid('k', NOW_MS)).toEqual(calls(2).record)
    copies.apply({ ...add('k', 1), expiresAtMs: END_MS + 500 }, END_MS)
    expect(copies.valid('k', END_MS)).toEqual(calls(1).record)
  })
})

test('an invalidation says whether the copy is in use', async () => {
  const { copies, loaded } = tripsOf()
  await loaded('k', calls(1))
  expect(copies.invalidate('k')).toBe(false)
  await loaded('k', calls(1))
  copies.valid('k', NOW_MS)
  expect(copies.invalidate('k')).toBe(true)
  expect(copies.invalidate('k')).toBe(false)
  expect(copies.invalidate('stranger')).toBe(false)
})
