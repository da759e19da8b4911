import { describe, expect, test } from '@jest/globals'
import { MAX_FIELDS, MAX_NAME, type StateDelta, stateKey } from '../../src/state/record.js'
import type { LimitedUse, StateStore } from '../../src/state/store.js'
import { eventually } from '../support/eventually.js'
import { readFields, type Replicas } from './replicas.js'

const HOUR_MS = 3_600_000
let subjects = 0

const use = (limit: number, more: Partial<LimitedUse> = {}): LimitedUse => ({
  key: stateKey('k', `use-${process.pid}-${subjects++}`),
  field: 'uses',
  limit,
  expiresAtMs: Date.now() + HOUR_MS,
  ...more,
})
const delta = (key: string, ...ops: StateDelta['ops']): StateDelta => ({
  key,
  ops,
  expiresAtMs: Date.now() + HOUR_MS,
})

function count(answers: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const answer of answers) counts[answer] = (counts[answer] ?? 0) + 1
  return counts
}

export function describeLimitedUse({ replica, isShared }: Replicas): void {
  /** As many as there can be, three at most. */
  const several = (): Promise<StateStore[]> =>
    Promise.all((isShared ? ['one', 'two', 'three'] : ['one']).map(replica))
  const one = async (stores: readonly StateStore[], n: number, what: LimitedUse): Promise<string> =>
    (await stores[n % stores.length]?.consume(what)) ?? 'no store'

  describe('limited use', () => {
    test.each<{ name: string; what: Partial<LimitedUse>; is: string }>([
      { name: 'a limit of 0', what: { limit: 0 }, is: 'exhausted' },
      { name: 'a limit below 0', what: { limit: -1 }, is: 'exhausted' },
      { name: 'a limit that is no number', what: { limit: NaN }, is: 'exhausted' },
      { name: 'a count that has ended', what: { expiresAtMs: Date.now() - 10_000 }, is: 'unavailable' },
      { name: 'a count without an end', what: { expiresAtMs: Infinity }, is: 'unavailable' },
      { name: 'an end that is no number', what: { expiresAtMs: NaN }, is: 'unavailable' },
      { name: 'a name that is too long', what: { field: 'x'.repeat(MAX_NAME + 1) }, is: 'unavailable' },
    ])('is refused: $name', async ({ what, is }) => {
      const store = await replica('one')
      const refused = use(3, what)
      for (let n = 0; n < 2; n++) expect(await store.consume(refused)).toBe(is)
      expect(await readFields(store, refused.key)).toEqual({})
    })

    test('is refused in a record that takes in no other field', async () => {
      const store = await replica('one')
      const full = use(3)
      const ops = Array.from({ length: MAX_FIELDS }, (_, n) => ['max', `f${n}`, n] as const)
      expect(await store.commit([delta(full.key, ...ops)])).toBe('committed')
      expect(await store.consume(full)).toBe('unavailable')
      expect(await store.consume({ ...full, field: 'f1', limit: 2 })).toBe('consumed')
      expect(await store.consume({ ...full, field: 'f1', limit: 2 })).toBe('exhausted')
    })

    test('is refused once the store is closed', async () => {
      const store = await replica('one')
      const known = use(1)
      expect(await store.consume(known)).toBe('consumed')
      await store.close(Date.now())
      expect(await store.consume(known)).toBe('unavailable')
      expect(await store.consume(use(1))).toBe('unavailable')
    })

    test('of a hundred at once, no more than the limit', async () => {
      const stores = await several()
      const wanted = use(7)
      const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => one(stores, n, wanted)))
      expect(count(answers)).toEqual({ consumed: 7, exhausted: 93 })
      for (const store of stores) expect(await store.consume(wanted)).toBe('exhausted')
    })

    test('is in the copy when it settles, and leaves the rest of the record', async () => {
      const store = await replica('one')
      const wanted = use(9)
      expect(await store.commit([delta(wanted.key, ['max', 'other', 5])])).toBe('committed')
      await readFields(store, wanted.key)
      for (const uses of [1, 2, 3]) {
        expect(await store.consume(wanted)).toBe('consumed')
        expect(await readFields(store, wanted.key)).toEqual({ other: 5, uses })
      }
    })

    test('counts with what was noted just before', async () => {
      const store = await replica('one')
      const wanted = use(5)
      await readFields(store, wanted.key)
      store.note([delta(wanted.key, ['add', 'uses', 3], ['add', 'calls', 1])])
      const answers = await Promise.all([1, 2, 3].map(() => store.consume(wanted)))
      expect(count(answers)).toEqual({ consumed: 2, exhausted: 1 })
      expect(await readFields(store, wanted.key)).toEqual({ uses: 5, calls: 1 })
    })

    test('among changes of the same record none is lost and none counts twice', async () => {
      const stores = await several()
      const wanted = use(60)
      const { key } = wanted
      for (const store of stores) await readFields(store, key)
      const work = Array.from({ length: 90 }, async (_, n) => {
        stores[n % stores.length]?.note([delta(key, ['add', 'calls', 1])])
        const answer = await one(stores, n, wanted)
        for (const store of stores) await readFields(store, key)
        return answer
      })
      expect(count(await Promise.all(work))).toEqual({ consumed: 60, exhausted: 30 })
      for (const store of stores) {
        await eventually(
          async () => expect(await readFields(store, key)).toEqual({ uses: 60, calls: 90 }),
          3000,
        )
      }
    })

    test('begins anew when the count is dropped', async () => {
      const store = await replica('one')
      const wanted = use(1)
      expect(await store.consume(wanted)).toBe('consumed')
      expect(await store.consume(wanted)).toBe('exhausted')
      expect(await store.commit([delta(wanted.key, ['drop', 'uses'])])).toBe('committed')
      expect(await store.consume(wanted)).toBe('consumed')
      expect(await store.consume(wanted)).toBe('exhausted')
    })

    test('is told apart by any name', async () => {
      const store = await replica('one')
      const { key } = use(1)
      for (const field of ['', 'a b', 'ü€', '\ud800', '__proto__', 'x'.repeat(MAX_NAME)]) {
        expect(await store.consume(use(1, { key, field }))).toBe('consumed')
        expect(await store.consume(use(1, { key, field }))).toBe('exhausted')
      }
    })

    test('is over after it was closed and opened', async () => {
      const first = await replica('one')
      const wanted = use(2)
      expect(await first.consume(wanted)).toBe('consumed')
      await first.close(Date.now())
      const again = await replica('one')
      expect(await readFields(again, wanted.key)).toEqual({ uses: 1 })
      expect(await again.consume(wanted)).toBe('consumed')
      expect(await again.consume(wanted)).toBe('exhausted')
    })

    if (!isShared) return
    test('on one is seen by the other', async () => {
      const [here, there] = [await replica('one'), await replica('two')]
      const wanted = use(3)
      expect(await readFields(there, wanted.key)).toEqual({})
      expect(await here.consume(wanted)).toBe('consumed')
      await eventually(async () => expect(await readFields(there, wanted.key)).toEqual({ uses: 1 }))
      expect(await there.consume(wanted)).toBe('consumed')
      await eventually(async () => expect(await readFields(here, wanted.key)).toEqual({ uses: 2 }))
    })
  })
}
