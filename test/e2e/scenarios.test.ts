import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { envoyBinary } from '../../demo/envoy-binary.js'
import { type Mesh, startMesh } from '../../demo/mesh.js'
import { play } from '../../demo/scenario.js'
import { CHAPTERS } from '../../demo/scenarios.js'

let mesh: Mesh

beforeAll(async () => {
  mesh = await startMesh({ envoy: envoyBinary() })
}, 60_000)

afterAll(async () => {
  await mesh.stop()
  mesh.forget()
})

/** Stories come last: what they leave behind stays. */
const STORIES = 3
const REFUSALS_FIRST = [...CHAPTERS.slice(0, -STORIES).toReversed(), ...CHAPTERS.slice(-STORIES)]

describe.each(REFUSALS_FIRST)('$title', ({ scenarios }) => {
  test.each(scenarios)('$caller to $target: $request', async (scenario) => {
    const outcome = await play(scenario, mesh)
    expect(outcome.difference).toBeUndefined()
  })
})

test('no event holds a token or a certificate', () => {
  const written = JSON.stringify(mesh.trail.all)
  expect(mesh.trail.length).toBeGreaterThan(80)
  expect(written).not.toMatch(/eyJ[\w-]{10}|BEGIN|Bearer/)
})
