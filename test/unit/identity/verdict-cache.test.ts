import { describe, expect, test } from '@jest/globals'
import { VerdictCache } from '../../../src/identity/verdict-cache.js'

type Verdict = { readonly ok: boolean; readonly from: string }
const NOW_MS = 1_700_000_000_000
const UNTIL_MS = NOW_MS + 60_000
const BASIS = { generation: 1 }

function cache(
  limits: Partial<ConstructorParameters<typeof VerdictCache<Verdict>>[0]> = {},
): VerdictCache<Verdict> {
  return new VerdictCache<Verdict>(
    { maxAccepted: 10, maxRefused: 4, maxPending: 2, maxKeyLength: 100, ...limits },
    ({ ok }) => ({ space: ok ? 'accepted' : 'refused', untilMs: UNTIL_MS }),
  )
}
const accept = (from: string) => (): Promise<Verdict> => Promise.resolve({ ok: true, from })
const refuse = (from: string) => (): Promise<Verdict> => Promise.resolve({ ok: false, from })

describe('VerdictCache.get gives nothing', () => {
  test.each([
    ['for another key', 'other', 1, NOW_MS],
    ['once what it was made from has changed', 'key', 2, NOW_MS],
    ['at the end of its time', 'key', 1, UNTIL_MS],
  ])('%s', async (_name, key, generation, nowMs) => {
    const verdicts = cache()
    const basis = { generation: 1 }
    await verdicts.verify('key', basis, NOW_MS, accept('a'))
    basis.generation = generation
    expect(verdicts.get(key, nowMs)).toBeUndefined()
    basis.generation = 1
    expect(verdicts.get('key', NOW_MS)).toEqual({ ok: true, from: 'a' })
  })

  test('for a key that is too long to keep', async () => {
    const verdicts = cache()
    const key = 'k'.repeat(101)
    expect(await verdicts.verify(key, BASIS, NOW_MS, accept('a'))).toEqual({ ok: true, from: 'a' })
    expect(verdicts.get(key, NOW_MS)).toBeUndefined()
    expect(verdicts.size).toEqual({ accepted: 0, refused: 0, pending: 0 })
  })

  test('for a verification that threw, and the next one is tried', async () => {
    const verdicts = cache()
    await expect(
      verdicts.verify('key', BASIS, NOW_MS, () => Promise.reject(new Error('broken'))),
    ).rejects.toThrow('broken')
    expect(verdicts.get('key', NOW_MS)).toBeUndefined()
    expect(await verdicts.verify('key', BASIS, NOW_MS, accept('b'))).toEqual({ ok: true, from: 'b' })
  })
})

describe('VerdictCache is bounded', () => {
  test('a flood of refusals evicts no accepted verdict', async () => {
    const verdicts = cache()
    await verdicts.verify('good', BASIS, NOW_MS, accept('a'))
    for (let at = 0; at < 1000; at += 1) await verdicts.verify(`bad ${at}`, BASIS, NOW_MS, refuse('b'))
    expect(verdicts.get('good', NOW_MS)).toEqual({ ok: true, from: 'a' })
    expect(verdicts.get('bad 999', NOW_MS)).toEqual({ ok: false, from: 'b' })
    expect(verdicts.size).toMatchObject({ accepted: 1, pending: 0 })
    expect(verdicts.size.refused).toBeLessThanOrEqual(4)
  })

  test('what is used stays, what is not used goes', async () => {
    const verdicts = cache()
    await verdicts.verify('used', BASIS, NOW_MS, accept('a'))
    await verdicts.verify('unused', BASIS, NOW_MS, accept('a'))
    for (let at = 0; at < 100; at += 1) {
      await verdicts.verify(`other ${at}`, BASIS, NOW_MS, accept('b'))
      expect(verdicts.get('used', NOW_MS)).toBeDefined()
      expect(verdicts.size.accepted).toBeLessThanOrEqual(10)
    }
    expect(verdicts.get('unused', NOW_MS)).toBeUndefined()
  })

  test('no more verifications at once than allowed', async () => {
    const verdicts = cache()
    const running = [
      verdicts.verify('a', BASIS, NOW_MS, accept('a')),
      verdicts.verify('b', BASIS, NOW_MS, accept('b')),
    ]
    expect(verdicts.verify('c', BASIS, NOW_MS, accept('c'))).toBeUndefined()
    await Promise.all(running.map(async (one) => one))
    expect(await verdicts.verify('c', BASIS, NOW_MS, accept('c'))).toEqual({ ok: true, from: 'c' })
  })
})

describe('VerdictCache.verify', () => {
  test('shares one verification between all who ask for the same bytes', async () => {
    const verdicts = cache()
    let verifications = 0
    const verify = async (): Promise<Verdict> => {
      verifications += 1
      await Promise.resolve()
      return { ok: true, from: 'a' }
    }
    await Promise.all(Array.from({ length: 50 }, async () => verdicts.verify('key', BASIS, NOW_MS, verify)))
    expect(verifications).toBe(1)
  })

  test('does not share across generations, and an older verdict never replaces a newer one', async () => {
    const verdicts = cache()
    const basis = { generation: 1 }
    let finishOld = (_verdict: Verdict): void => undefined
    const old = verdicts.verify('key', basis, NOW_MS, () => new Promise((resolve) => (finishOld = resolve)))
    basis.generation = 2
    expect(await verdicts.verify('key', basis, NOW_MS, refuse('new'))).toEqual({ ok: false, from: 'new' })
    finishOld({ ok: true, from: 'old' })
    expect(await old).toEqual({ ok: true, from: 'old' })
    expect(verdicts.get('key', NOW_MS)).toEqual({ ok: false, from: 'new' })
  })

  test('a refusal that became an acceptance is forgotten', async () => {
    const verdicts = cache()
    const basis = { generation: 1 }
    await verdicts.verify('key', basis, NOW_MS, refuse('a'))
    basis.generation = 2
    await verdicts.verify('key', basis, NOW_MS, accept('b'))
    expect(verdicts.get('key', NOW_MS)).toEqual({ ok: true, from: 'b' })
    expect(verdicts.size).toEqual({ accepted: 1, refused: 0, pending: 0 })
  })
})

describe('keys that share the part they are found by', () => {
  const tail = 'x'.repeat(96)
  const one = `one.${tail}`
  const two = `two.${tail}`

  test('never get each other’s verdict', async () => {
    const verdicts = cache({ maxKeyLength: 1000 })
    await verdicts.verify(one, BASIS, NOW_MS, accept('one'))
    expect(verdicts.get(two, NOW_MS)).toBeUndefined()
    expect(verdicts.get(one, NOW_MS)).toEqual({ ok: true, from: 'one' })
  })

  test('a refused one does not push out an accepted one', async () => {
    const verdicts = cache({ maxKeyLength: 1000 })
    await verdicts.verify(one, BASIS, NOW_MS, accept('one'))
    await verdicts.verify(two, BASIS, NOW_MS, refuse('two'))
    expect(verdicts.get(one, NOW_MS)).toEqual({ ok: true, from: 'one' })
    expect(verdicts.get(two, NOW_MS)).toEqual({ ok: false, from: 'two' })
  })
})
