import { beforeAll, describe, expect, test } from '@jest/globals'
import { DpopNonces } from '../../../src/identity/dpop-nonce.js'
import { DpopProofs, type DpopRules } from '../../../src/identity/dpop.js'
import type { Claim, ClaimAnswer } from '../../../src/identity/replay.js'
import { dpopProof, publicMembers, thumbprint, type ProofFields } from '../../support/dpop.js'
import { aCall } from '../../support/facts.js'
import { testKey, type TestKey } from '../../support/tokens.js'

const NOW_MS = 1_700_000_000_000
let key: TestKey
beforeAll(async () => {
  key = await testKey('ES256')
})

const proofs = (more: Partial<DpopRules> = {}): DpopProofs =>
  new DpopProofs({
    origins: ['https://shop.example.com'],
    maxAgeMs: 60_000,
    clockSkewMs: 5_000,
    nonces: undefined,
    replay: { claim: () => 'first' },
    maxPending: 2,
    ...more,
  })

async function verify(
  given: DpopProofs,
  fields: Partial<ProofFields> = {},
  listener = 'mesh',
): Promise<string> {
  const uri = 'https://shop.example.com/a'
  const proof = dpopProof(key, { token: 't', uri, nowMs: NOW_MS, ...fields })
  const http = aCall({ method: 'GET', path: '/a', headers: [['dpop', proof]] })
  const refusal = await given.verify({ token: 't', keyThumbprint: thumbprint(key), http, listener }, NOW_MS)
  return refusal ? `${refusal.reason} ${refusal.dpop?.error ?? ''}`.trim() : 'taken'
}

const claiming = (answer: ClaimAnswer, claims: Claim[] = []): Partial<DpopRules> => ({
  replay: {
    claim: (claim) => {
      claims.push(claim)
      return answer
    },
  },
})

describe('a DPoP proof', () => {
  test.each<[string, Partial<ProofFields>, Partial<DpopRules>, string]>([
    ['60.001 s old', { claims: { iat: NOW_MS / 1000 - 60.001 } }, {}, 'sender-constraint invalid_dpop_proof'],
    ['5.001 s early', { claims: { iat: NOW_MS / 1000 + 5.001 } }, {}, 'sender-constraint invalid_dpop_proof'],
    ['used before', {}, claiming('replayed'), 'sender-constraint invalid_dpop_proof'],
    ['older than the server', {}, claiming('before-start'), 'sender-constraint invalid_dpop_proof'],
    ['when the store is gone', {}, claiming('unavailable'), 'state-unavailable'],
    ['when too many are under way', {}, { maxPending: 0 }, 'overloaded'],
    ['60 s old', { claims: { iat: NOW_MS / 1000 - 60 } }, {}, 'taken'],
    ['5 s early', { claims: { iat: NOW_MS / 1000 + 5 } }, {}, 'taken'],
  ])('%s', async (_name, fields, rules, expected) => {
    expect(await verify(proofs(rules), fields)).toBe(expected)
  })

  test('that is refused for anything else is not used up', async () => {
    const claims: Claim[] = []
    const given = proofs(claiming('first', claims))
    const wrongs: Partial<ProofFields>[] = [
      { method: 'POST' },
      { token: 'u' },
      { uri: 'https://other.example/a' },
      { header: { jwk: { ...publicMembers(key), d: 'x' } } },
    ]
    for (const wrong of wrongs) expect(await verify(given, wrong)).toContain('invalid_dpop_proof')
    expect(claims).toEqual([])
  })

  test('is remembered until it is too old, by key, URI, id and listener', async () => {
    const claims: Claim[] = []
    const given = proofs(claiming('first', claims))
    const same = { claims: { jti: 'a' } }
    await verify(given, same)
    await verify(given, { ...same, uri: 'https://SHOP.example.com/a#x' })
    await verify(given, same, 'edge')
    await verify(given, { claims: { jti: 'b' } })
    expect(claims.map((claim) => claim.expiresAtMs)).toEqual(claims.map(() => NOW_MS + 65_000))
    const [first, ...others] = claims.map((claim) => claim.key)
    expect(others.map((other) => other === first)).toEqual([true, false, false])
  })
})

describe('nonces', () => {
  const nonces = new DpopNonces(Buffer.alloc(32, 1), 60_000)
  test.each<[string, () => string]>([
    ['nothing', () => ''],
    ['another length', () => 'abc'],
    ['another process’s', () => new DpopNonces(Buffer.alloc(32, 2), 60_000).issue(NOW_MS)],
    ['two lifetimes old', () => nonces.issue(NOW_MS - 120_000)],
    ['of the future', () => nonces.issue(NOW_MS + 60_000)],
  ])('%s is not taken', (_name, nonce) => {
    expect(nonces.accepts(nonce(), NOW_MS)).toBe(false)
  })
  test.each([0, 59_999])('one %d ms old is taken', (ageMs) => {
    expect(nonces.accepts(nonces.issue(NOW_MS - ageMs), NOW_MS)).toBe(true)
  })
})
