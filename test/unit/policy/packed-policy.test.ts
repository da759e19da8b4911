import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { loadPolicy, type LoadOptions, type Policy } from '../../../src/policy/load-policy.js'
import {
  memoryOf,
  openPolicyInSteps,
  type PackedPolicy,
  packPolicy,
} from '../../../src/policy/packed-policy.js'
import { packTexts, textAt } from '../../../src/schema/packed-texts.js'
import { finish } from '../../../src/schema/steps.js'
import { verdictOf } from '../../support/mesh.js'
import { aCall, aPolicyText, generator } from '../lifecycle/explain/random-policy.js'

const OPTIONS: LoadOptions = { localTrustDomain: 'cluster.local', trustDomains: [], hasDevices: true }
type Files = Parameters<typeof loadPolicy>[0]

function packedOf(files: Files): PackedPolicy {
  const loaded = loadPolicy(files, OPTIONS)
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const packed = packPolicy(loaded, OPTIONS)
  return structuredClone(packed, { transfer: memoryOf(packed) })
}

const opened = (packed: PackedPolicy): Policy => finish(openPolicyInSteps(packed, OPTIONS))

/** Everything that decides, as text: maps, sets and class instances are written out, of functions that they are there. */
function described(value: unknown): unknown {
  if (typeof value === 'function') return 'function'
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Map) return { map: [...value].map(([key, item]) => [key, described(item)]) }
  if (value instanceof Set) return { set: [...value].map(described) }
  if (Array.isArray(value)) return value.map(described)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, described(item)]))
}

const root = new URL('../../../examples/mesh/policy/', import.meta.url)
const EXAMPLE = readdirSync(root).map((file) => ({ file, text: readFileSync(new URL(file, root)) }))
const SHOP = `apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: cart, namespace: shop }
spec:
  calls: [{ service: prices }]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: prices, namespace: shop }
spec:
  endpoints: [{ name: all, paths: [/a], methods: [GET] }]
  rules: [{ name: cart, from: [{ services: [cart] }] }]
`

describe('what is not as it was packed lets nobody in', () => {
  const [from, to] = ['{"services":["cart"]}', '{"services":["nobody"]}']

  test('a service that is not sound any more', () => {
    const packed = packedOf([{ file: 'shop.yaml', text: SHOP }])
    const texts = [0, 1].map((index) => textAt(packed.matrix.services, index).replace(from, to))
    const { matrix } = opened({ ...packed, matrix: { ...packed.matrix, services: packTexts(texts) } })
    expect(() => matrix.services.get('shop/prices')).toThrow(
      /that was sound is not: shop\/prices .*`shop\/nobody`/,
    )
    expect(() => matrix.services.get('shop/prices')).toThrow(/that was sound is not/)
    expect(matrix.services.get('shop/cart')?.id).toBe('shop/cart')
  })

  test('a service whose text is cut off', () => {
    const packed = packedOf([{ file: 'shop.yaml', text: SHOP }])
    const texts = [0, 1].map((index) => textAt(packed.matrix.services, index).slice(0, 100))
    const { matrix } = opened({ ...packed, matrix: { ...packed.matrix, services: packTexts(texts) } })
    expect(() => matrix.services.get('shop/cart')).toThrow()
  })

  test('a service of which there is no text', () => {
    const packed = packedOf([{ file: 'shop.yaml', text: SHOP }])
    const { matrix } = opened({ ...packed, matrix: { ...packed.matrix, services: packTexts([]) } })
    expect(() => matrix.services.get('shop/cart')).toThrow('there is no packed text 0')
  })

  test('a document of another kind', () => {
    const packed = packedOf(EXAMPLE)
    const others = packTexts([
      '{"kind":"AdaptivePolicy","metadata":{"name":"a"},"spec":{"rules":[{}]},"sources":{}}',
    ])
    expect(() => opened({ ...packed, others })).toThrow('no source was packed for spec.rules.0')
  })
})

test('the names of services are there before any of them is compiled', () => {
  const { matrix } = opened(packedOf([{ file: 'shop.yaml', text: SHOP }]))
  expect([...matrix.services.keys()]).toEqual(['shop/cart', 'shop/prices'])
  expect(matrix.services.size).toBe(2)
  expect([matrix.services.has('shop/cart'), matrix.services.has('shop/nobody')]).toEqual([true, false])
  expect(matrix.services.get('shop/nobody')).toBeUndefined()
  expect(matrix.identities.get('spiffe://cluster.local/ns/shop/sa/nobody')).toBeUndefined()
  const cart = matrix.identities.get('spiffe://cluster.local/ns/shop/sa/cart')
  expect(cart).toBe(matrix.services.get('shop/cart'))
  expect([...matrix.services.values()].map(({ id }) => id)).toEqual(['shop/cart', 'shop/prices'])
})

test('the example mesh is the same, packed or not, part by part', () => {
  const loaded = loadPolicy(EXAMPLE, OPTIONS)
  if (!loaded.ok) throw new Error('the example does not load')
  const { matrix, ...rest } = loaded.policy
  const before = [...matrix.services.values()].map(described)
  const known = described({ ...rest, baseline: matrix.baselineOfUnknown, roles: matrix.grantOnlyRoles })
  const counts = matrix.counts
  const packed = opened(packedOf(EXAMPLE))
  const { matrix: other, ...otherRest } = packed
  expect([...other.services.values()].map(described)).toEqual(before)
  expect(described({ ...otherRest, baseline: other.baselineOfUnknown, roles: other.grantOnlyRoles })).toEqual(
    known,
  )
  expect(other.counts).toEqual(counts)
  expect(other.calls.edges).toBe(counts.edges)
  // Where parts were written is among what was compared.
  expect(JSON.stringify(before)).toContain('user-service.yaml:11:7')
})

test('random policies decide the same, packed or not', () => {
  const seed = Number(process.env['PROPERTY_SEED'] ?? Date.now() % 1_000_000_007)
  const random = generator(seed)
  let [permits, refusals] = [0, 0]
  for (let round = 0; round < 150; round++) {
    const files = [{ file: 'p.yaml', text: aPolicyText(random) }]
    const loaded = loadPolicy(files, OPTIONS)
    if (!loaded.ok) continue
    const packed = opened(packedOf(files))
    for (let at = 0; at < 60; at++) {
      const call = aCall(random)
      const [one, other] = [loaded.policy, packed].map(({ matrix }) => described(verdictOf(matrix, call)))
      expect({ seed, round, call, verdict: other }).toEqual({ seed, round, call, verdict: one })
      if (verdictOf(packed.matrix, call).permit) permits++
      else refusals++
    }
  }
  expect(Math.min(permits, refusals)).toBeGreaterThan(100)
})
