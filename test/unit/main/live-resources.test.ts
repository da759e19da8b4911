import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { LivePolicy } from '../../../src/main/live-policy.js'
import { openResources } from '../../../src/main/live-resources.js'
import { eventually } from '../../support/eventually.js'
import { KubeApi, type Trouble } from '../../support/kube-api.js'

let api: KubeApi
let directory: string
let live: LivePolicy | undefined
const lines: string[] = []

beforeEach(async () => {
  lines.length = 0
  api = await KubeApi.start()
  directory = await mkdtemp(join(tmpdir(), 'kube-'))
  await writeFile(join(directory, 'kubeconfig'), api.kubeconfig())
})
afterEach(async () => {
  live?.close()
  live = undefined
  await api.close()
  await rm(directory, { recursive: true, force: true })
})

async function open(startMs: number): Promise<LivePolicy> {
  live = await openResources(
    { namespaces: [], grants: new Map(), kubeconfig: join(directory, 'kubeconfig'), writesStatuses: true },
    { localTrustDomain: 'cluster.local', trustDomains: [] },
    (level, message) => lines.push(`${level} ${message}`),
    { startMs, settleMs: 10, mostSettleMs: 100, limits: { leastBackoffMs: 20, mostBackoffMs: 50 } },
  )
  return live
}

describe('there is no start without a first policy', () => {
  test.each<[string, Trouble, RegExp]>([
    [
      'without the definitions',
      { kind: 'status', status: 404 },
      /^policy\.kubernetes: servicepolicies: answered 404: as the test wishes \(are the CustomResourceDefinitions applied\?\)$/,
    ],
    [
      'without rights',
      { kind: 'status', status: 403 },
      /^policy\.kubernetes: datapolicies: answered 403: as the test wishes \(its rights: docs\/custom-resources\.md\)$/,
    ],
    ['without an answer', { kind: 'hang' }, /^policy\.kubernetes: riskpolicies: never listed$/],
    [
      'without a server',
      { kind: 'refuse-connections' },
      /^policy\.kubernetes: baselinepolicies: not reachable: .*socket hang up$/,
    ],
  ])('%s', async (_name, trouble, problem) => {
    api.trouble = trouble
    const failure = await open(200).then(
      () => [],
      (error: unknown) => String(error instanceof Error ? error.message : error).split('\n'),
    )
    expect(failure).toHaveLength(6)
    expect(failure).toContainEqual(expect.stringMatching(problem))
    await eventually(() => expect(api.watching).toBe(0))
  })

  test('but a server that comes late is waited for', async () => {
    api.trouble = { kind: 'status', status: 503 }
    api.put('ServicePolicy', 'pay', {}, { namespace: 'shop' })
    setTimeout(() => (api.trouble = undefined), 150)
    const { current } = await open(5000)
    expect([...current.matrix.services.keys()]).toEqual(['shop/pay'])
  })
})

test('the API server going and coming is told once each, per kind', async () => {
  await open(5000)
  await eventually(() => expect(api.watching).toBe(6))
  api.trouble = { kind: 'status', status: 503 }
  api.endWatches('broken')
  await eventually(() => expect(live?.lastProblems).toHaveLength(6))
  await new Promise((resolve) => setTimeout(resolve, 200))
  api.trouble = undefined
  await eventually(() => expect(live?.lastProblems).toEqual([]))
  const count = (text: string): number => lines.filter((line) => line.includes(text)).length
  expect(count('warn custom resources can not be followed')).toBeLessThanOrEqual(12)
  expect(count('info custom resources are followed again')).toBe(6)
})

test('a thousand services are in force, and a change of one within two seconds', async () => {
  for (let at = 0; at < 1000; at++) {
    const spec = {
      endpoints: [{ name: 'Read', paths: ['/read'], methods: ['GET'] }],
      calls: [{ service: `s${(at + 1) % 1000}` }],
      rules: [{ name: 'before', from: [{ services: [`s${(at + 999) % 1000}`] }] }],
    }
    api.put('ServicePolicy', `s${at}`, spec, { namespace: 'shop' })
  }
  const policy = await open(20_000)
  expect(policy.current.matrix.counts).toMatchObject({ services: 1000, edges: 1000 })
  const changedMs = performance.now()
  api.put('ServicePolicy', 's7', {}, { namespace: 'shop' })
  await eventually(() => expect(policy.current.matrix.counts.edges).toBe(999), 2000)
  expect(performance.now() - changedMs).toBeLessThan(2000)
}, 30_000)
