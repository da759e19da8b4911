import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { play } from '../../demo/scenario.js'
import { CHAPTERS } from '../../demo/scenarios.js'
import { operations } from './operations.js'
import { type ClusterMesh, startClusterMesh } from './support/cluster-mesh.js'

/** The example mesh on Kubernetes answers as in the demo, call by call. */
let started: ClusterMesh | undefined
const mesh = (): ClusterMesh => {
  if (!started) throw new Error('there is no mesh')
  return started
}

beforeAll(async () => {
  started = await startClusterMesh()
}, 300_000)

afterAll(() => started?.stop(), 120_000)

describe.each(CHAPTERS)('$title', ({ scenarios }) => {
  test.each(scenarios)(
    '$caller to $target: $request',
    async (scenario) => {
      const outcome = await play(scenario, mesh())
      expect(outcome.difference).toBeUndefined()
    },
    30_000,
  )
})

describe('under steady load', () => operations(mesh))
