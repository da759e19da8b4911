import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import type { ClaimAnswer } from '../../src/identity/replay.js'
import {
  MAX_FIELDS,
  MAX_RESERVED,
  MAX_NAME,
  MAX_TEXT,
  type StateDelta,
  type StateOp,
  stateKey,
} from '../../src/state/record.js'
import type { StateStore } from '../../src/state/store.js'
import { eventually } from '../support/eventually.js'
import { describeDocuments } from './documents.js'
import { describeLimitedUse } from './limited-use.js'
import { readFields } from './replicas.js'

/** A kind of store under test. */
export type StoreUnderTest = {
  /** Opens one more instance on the same place. `now` is its clock. */
  readonly open: (replica: string, now: () => number) => Promise<StateStore>
  /** Several instances may be open at the same time and see each other. */
  readonly shared: boolean
  /** Starts and ends what is behind it. */
  readonly start?: () => Promise<void>
  readonly stop?: () => Promise<void>
}

const HOUR_MS = 3_600_000
const VISIBLE_WITHIN_MS = 1000
const START_MS = 40_000
let subjects = 0

const subject = (): string => stateKey('u', 'https://idp.example', `subject-${process.pid}-${subjects++}`)
const change = (key: string, ...ops: StateOp[]): StateDelta => ({
  key,
  ops,
  expiresAtMs: Date.now() + HOUR_MS,
})

/** The contract of every store: src/state/store.ts. */
export function describeStateStore(name: string, under: StoreUnderTest): void {
  describe(`the state store: ${name}`, () => {
    const open: StateStore[] = []
    let clockMs = 0
    const now = (): number => Date.now() + clockMs

    async function replica(id: string): Promise<StateStore> {
      const store = await under.open(id, now)
      open.push(store)
      return store
    }
    const read = (store: StateStore, key: string): Promise<unknown> => readFields(store, key, now())

    beforeAll(async () => under.start?.(), START_MS)
    afterAll(async () => under.stop?.(), START_MS)
    afterEach(async () => {
      clockMs = 0
      await Promise.all(open.splice(0).map((store) => store.close(Date.now())))
    }, START_MS)

    describe('refuses', () => {
      const long = 'x'.repeat(10_000_000)
      test.each<{ name: string; ops: StateOp[]; is: unknown }>([
        { name: 'a text of 10 MB', ops: [['latest', 'f', 1, long]], is: {} },
        { name: 'a field name of 10 MB', ops: [['add', long, 1]], is: {} },
        { name: 'a field name one unit too long', ops: [['add', 'x'.repeat(MAX_NAME + 1), 1]], is: {} },
        { name: 'a text one unit too long', ops: [['latest', 'f', 1, 'x'.repeat(MAX_TEXT + 1)]], is: {} },
        { name: 'what is no number', ops: [['add', 'f', NaN]], is: {} },
        { name: 'what has no end', ops: [['max', 'f', Infinity]], is: {} },
        { name: 'a time that is none', ops: [['latest', 'f', NaN, 'x']], is: {} },
        {
          name: 'fields beyond the limit',
          ops: Array.from({ length: MAX_FIELDS + 5 }, (_, n) => ['max', `f:${n}`, n] as const),
          is: Object.fromEntries(Array.from({ length: MAX_FIELDS }, (_, n) => [`f:${n}`, n])),
        },
        {
          name: 'not the marks that a full record must still take',
          ops: [
            ...Array.from({ length: MAX_FIELDS + 5 }, (_, n) => ['max', `f:${n}`, n] as const),
            ['max', 'x', 7],
            ['max', 'cs:0a', 8],
          ],
          is: {
            ...Object.fromEntries(Array.from({ length: MAX_FIELDS }, (_, n) => [`f:${n}`, n])),
            x: 7,
            'cs:0a': 8,
          },
        },
        {
          name: 'marks beyond their room',
          ops: Array.from(
            { length: MAX_FIELDS + MAX_RESERVED + 9 },
            (_, n) => ['max', `tc:${n}`, n] as const,
          ),
          is: Object.fromEntries(Array.from({ length: MAX_FIELDS + MAX_RESERVED }, (_, n) => [`tc:${n}`, n])),
        },
      ])('$name', async ({ ops, is }) => {
        const store = await replica('one')
        const key = subject()
        await store.commit([change(key, ops[0] ?? ['drop', ''], ...ops.slice(1))])
        expect(await read(store, key)).toEqual(is)
        await store.close(Date.now())
        expect(await read(await replica('one'), key)).toEqual(is)
      })
    })

    test('nothing is known of a stranger', async () => {
      const store = await replica('one')
      expect(await read(store, subject())).toEqual({})
      expect(store.health()).toMatchObject({ standing: 'current', lost: 0, lostBeforeMs: undefined })
    })

    test('what was noted is read at once', async () => {
      const store = await replica('one')
      const key = subject()
      await store.read(key, now())
      store.note([change(key, ['add', 'calls', 2], ['latest', 'agent', 7, 'curl'])])
      store.note([change(key, ['add', 'calls', 3])])
      expect(await read(store, key)).toEqual({ calls: 5, agent: '7|curl' })
    })

    test('what was noted of a subject never read is read at once', async () => {
      const store = await replica('one')
      const key = subject()
      store.note([change(key, ['add', 'calls', 2])])
      expect(await read(store, key)).toEqual({ calls: 2 })
      store.note([change(key, ['add', 'calls', 1])])
      expect(await read(store, key)).toEqual({ calls: 3 })
    })

    test('what was committed is there after it was closed and opened', async () => {
      const store = await replica('one')
      const key = subject()
      expect(await store.commit([change(key, ['max', 'terminatedAt', 12.345678901234567])])).toBe('committed')
      await store.close(Date.now())
      expect(await read(await replica('one'), key)).toEqual({ terminatedAt: 12.345678901234567 })
    })

    test('what was noted is there after it was closed and opened', async () => {
      const store = await replica('one')
      const key = subject()
      store.note(Array.from({ length: 100 }, () => change(key, ['add', 'calls', 1])))
      await eventually(() => expect(store.health().pending).toBe(0))
      store.note([change(key, ['add', 'calls', 1])])
      await store.close(Date.now())
      expect(await read(await replica('one'), key)).toEqual({ calls: 101 })
    })

    test('every operation does what applyOps does', async () => {
      const store = await replica('one')
      const key = subject()
      await store.commit([
        change(key, ['add', 'a', 0.1], ['add', 'a', 0.2], ['max', 'b', 5], ['max', 'b', 3], ['min', 'c', 5]),
        change(key, ['min', 'c', -3], ['latest', 'd', 10, 'new'], ['latest', 'd', 9, 'old'], ['add', 'e', 1]),
        change(key, ['drop', 'e'], ['add', 'h7', 1], ['add', 'h8', 1], ['add', 'h9', 1], ['prune', 'h', 9]),
      ])
      await store.close(Date.now())
      expect(await read(await replica('one'), key)).toEqual({
        a: 0.1 + 0.2,
        b: 5,
        c: -3,
        d: '10|new',
        h9: 1,
      })
    })

    test.each(['ünïcödé €', '\u0000\r\n{}', '\ud83d\ude00', '\ud800 alone', '__proto__', '*', ''])(
      'a field and a text may be called %j',
      async (text) => {
        const store = await replica('one')
        const key = subject()
        await store.commit([change(key, ['add', text, 1], ['latest', 'text', 1, text])])
        await store.close(Date.now())
        const answer = await (await replica('one')).read(key, now())
        expect(answer).toEqual(
          new Map<string, unknown>([
            [text, 1],
            ['text', `1|${text}`],
          ]),
        )
      },
    )

    test.each(['x', 'ü', '\uffff', '\ud800'])(
      'a field and a text of the greatest length (%j)',
      async (unit) => {
        const [store, key] = [await replica('one'), subject()]
        const [field, text] = [unit.repeat(MAX_NAME), unit.repeat(MAX_TEXT)]
        await store.commit([change(key, ['latest', field, 1_764_054_803_123, text])])
        expect(await read(store, key)).toEqual({ [field]: `1764054803123|${text}` })
        await store.close(Date.now())
        expect(await read(await replica('one'), key)).toEqual({ [field]: `1764054803123|${text}` })
      },
    )

    test('many at once are all written', async () => {
      const store = await replica('one')
      const keys = Array.from({ length: 3000 }, subject)
      store.note(keys.map((key, n) => change(key, ['max', 'n', n])))
      await eventually(() => expect(store.health().pending).toBe(0))
      await store.close(Date.now())
      const again = await replica('one')
      for (const n of [0, 1, 1500, 2999]) expect(await read(again, keys[n] ?? '')).toEqual({ n })
    })

    describe('claims', () => {
      const claim = async (store: StateStore, key: string, lifetimeMs = 30_000): Promise<ClaimAnswer> =>
        store.claims.claim({ key, issuedAtMs: Date.now(), expiresAtMs: Date.now() + lifetimeMs }, now())

      test('what has ended is not first', async () => {
        const store = await replica('one')
        expect(await claim(store, subject().slice(2), -2000)).toBe('replayed')
      })

      test('what was issued before anything is known is not first', async () => {
        const store = await replica('one')
        const early = {
          key: subject().slice(2),
          issuedAtMs: Date.now() - 9e8,
          expiresAtMs: Date.now() + 30_000,
        }
        expect(await store.claims.claim(early, now())).toBe('before-start')
        expect(await store.claims.claim(early, now())).toBe('before-start')
      })

      test('is first once, also after it was closed and opened', async () => {
        const store = await replica('one')
        const key = subject().slice(2)
        expect(await claim(store, key)).toBe('first')
        expect(await claim(store, key)).toBe('replayed')
        await store.close(Date.now())
        expect(await claim(await replica('one'), key)).toBe('replayed')
      })

      test('a clock set back brings nothing to life again', async () => {
        const store = await replica('one')
        const key = subject().slice(2)
        expect(await claim(store, key, 5000)).toBe('first')
        clockMs = 10_000
        expect(await claim(store, key, 5000)).toBe('replayed')
        expect(await claim(store, subject().slice(2))).toBe('first')
        clockMs = 0
        expect(await claim(store, key, 5000)).toBe('replayed')
      })

      test('one of many at once is first', async () => {
        const store = await replica('one')
        const others = under.shared ? [await replica('two'), await replica('three')] : []
        const key = subject().slice(2)
        const answers = await Promise.all(
          Array.from({ length: 60 }, (_, n) =>
            claim([store, ...others][n % (others.length + 1)] ?? store, key),
          ),
        )
        expect(answers.toSorted()).toEqual(['first', ...Array.from({ length: 59 }, () => 'replayed')])
      })
    })

    if (under.shared) {
      test('a commit on one is seen by the other', async () => {
        const [one, two] = [await replica('one'), await replica('two')]
        const key = subject()
        expect(await read(two, key)).toEqual({})
        const beganAtMs = Date.now()
        expect(await one.commit([change(key, ['max', 'terminatedAt', 1])])).toBe('committed')
        await eventually(async () => expect(await read(two, key)).toEqual({ terminatedAt: 1 }))
        expect(Date.now() - beganAtMs).toBeLessThan(VISIBLE_WITHIN_MS)
      })

      test('counts of both come together', async () => {
        const [one, two] = [await replica('one'), await replica('two')]
        const key = subject()
        await Promise.all([one.read(key, now()), two.read(key, now())])
        for (let n = 0; n < 50; n++)
          for (const store of [one, two]) store.note([change(key, ['add', 'calls', 1])])
        for (const store of [one, two]) {
          await eventually(async () => expect(await read(store, key)).toEqual({ calls: 100 }), 2000)
        }
      })
    }

    describeLimitedUse({ replica, isShared: under.shared })
    describeDocuments({ replica, isShared: under.shared })

    test('closed, it tells nothing and takes nothing', async () => {
      const store = await replica('one')
      await store.close(Date.now())
      expect(store.health().standing).toBe('unavailable')
      expect(await store.commit([change(subject(), ['add', 'f', 1])])).toBe('unavailable')
      expect(
        await store.claims.claim({ key: 'k', issuedAtMs: now(), expiresAtMs: now() + 9000 }, now()),
      ).toBe('unavailable')
      store.note([change(subject(), ['add', 'f', 1])])
      await store.close(Date.now())
    })
  })
}
