import { expect, test } from '@jest/globals'
import { type AssertionKey, AssertionKeys, parseAssertionKey } from '../../../src/identity/assertion-key.js'
import { generateKeyPair } from '../../../src/identity/token.js'

const OVERLAP_MS = 300_000
const LIFETIME_MS = 30_000

async function key(): Promise<AssertionKey> {
  const parsed = parseAssertionKey((await generateKeyPair('ES256')).privateKeyPem, 'ES256')
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.key
}

function kids(keys: AssertionKeys, nowMs: number): readonly unknown[] {
  return keys.published(nowMs).map(({ kid }) => kid)
}

test('an old key stays published until all it signed has expired, and no longer', async () => {
  const [first, second] = [await key(), await key()]
  const keys = new AssertionKeys(first, { overlapMs: OVERLAP_MS, lifetimeMs: LIFETIME_MS })
  expect(keys.offer(first, 0)).toBe(false)
  expect(keys.offer(second, 0)).toBe(true)
  expect(keys.offer(second, 1000)).toBe(false)
  expect(keys.signer(OVERLAP_MS - 1).kid).toBe(first.kid)
  expect(kids(keys, OVERLAP_MS - 1)).toEqual([first.kid, second.kid])
  expect(keys.signer(OVERLAP_MS).kid).toBe(second.kid)
  const goneMs = OVERLAP_MS + LIFETIME_MS + 60_000
  expect(kids(keys, goneMs - 1)).toEqual([second.kid, first.kid])
  expect(kids(keys, goneMs)).toEqual([second.kid])
})

test('a key that waits is dropped for a newer one and for the one that signs', async () => {
  const [first, second, third] = [await key(), await key(), await key()]
  const keys = new AssertionKeys(first, { overlapMs: OVERLAP_MS, lifetimeMs: LIFETIME_MS })
  keys.offer(second, 0)
  expect(keys.offer(third, 200_000)).toBe(true)
  expect(kids(keys, 200_000)).toEqual([first.kid, third.kid])
  expect(keys.signer(OVERLAP_MS).kid).toBe(first.kid)
  expect(keys.offer(first, OVERLAP_MS)).toBe(false)
  expect(keys.signer(10 * OVERLAP_MS).kid).toBe(first.kid)
})
