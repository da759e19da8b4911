import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { play } from '../../demo/scenario.js'
import { CHAPTERS } from '../../demo/scenarios.js'
import { type ClusterMesh, startClusterMesh } from './support/cluster-mesh.js'

/** The example mesh on Kubernetes answers as in the demo, call by call. */
let mesh: ClusterMesh | undefined

beforeAll(async () => {
  mesh = await startClusterMesh()
}, 300_000)

afterAll(() => mesh?.stop(), 120_000)

describe.each(CHAPTERS)('$title', ({ scenarios }) => {
  test.each(scenarios)(
    '$caller to $target: $request',
    async (scenario) => {
      if (!mesh) throw new Error('there is no mesh')
      const outcome = await play(scenario, mesh)
      expect(outcome.difference).toBeUndefined()
    },
    30_000,
  )
})
