import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { ApiClient } from '../../../../src/adapters/kubernetes/api-client.js'
import { Collection, type CollectionLimits } from '../../../../src/adapters/kubernetes/collection.js'
import { ofKubeconfig } from '../../../../src/adapters/kubernetes/kubeconfig.js'
import { eventually } from '../../../support/eventually.js'
import { KubeApi } from '../../../support/kube-api.js'

let api: KubeApi
let directory: string
let client: ApiClient | undefined
let collection: Collection<string> | undefined
let changes = 0

beforeEach(async () => {
  api = await KubeApi.start()
  directory = await mkdtemp(join(tmpdir(), 'kube-'))
})
afterEach(async () => {
  collection?.close()
  client?.close()
  await api.close()
  await rm(directory, { recursive: true, force: true })
})

/** Follows the ServicePolicies of a namespace; an item is `name generation`. */
async function follow(
  limits: Partial<CollectionLimits> = {},
  tokenFile?: string,
): Promise<Collection<string>> {
  const path = join(directory, 'kubeconfig')
  await writeFile(path, api.kubeconfig(tokenFile))
  const found = await ofKubeconfig(path)
  if (!found.ok) throw new Error(found.problem)
  client = new ApiClient(found.access, Date.now)
  changes = 0
  collection = new Collection<string>({
    client,
    path: '/apis/portcullis.dev/v1beta1/namespaces/shop/servicepolicies',
    read: (object) => {
      const { metadata } = object as { metadata?: { name?: string; generation?: number } }
      if (metadata?.name === undefined) return { ok: false, problem: 'an object without a name' }
      return { ok: true, kept: { key: metadata.name, item: `${metadata.name} ${metadata.generation}` } }
    },
    changed: () => void changes++,
    nowMs: Date.now,
    random: () => 0.5,
    limits: { leastBackoffMs: 20, mostBackoffMs: 100, ...limits },
  })
  collection.start()
  return collection
}

const put = (name: string, spec: unknown = {}): number =>
  api.put('ServicePolicy', name, spec, { namespace: 'shop' })
const items = (): string[] => [...(collection?.items() ?? [])].toSorted()

async function problemIs(expected: RegExp): Promise<void> {
  await eventually(() => expect(collection?.health.problem).toMatch(expected))
}

describe('a list that is refused says why, and is asked for again', () => {
  test.each<[string, KubeApi['trouble'], RegExp]>([
    ['401', { kind: 'status', status: 401 }, /^answered 401: as the test wishes$/],
    ['403', { kind: 'status', status: 403 }, /^answered 403: as the test wishes$/],
    ['404', { kind: 'status', status: 404 }, /^answered 404/],
    ['500', { kind: 'status', status: 500 }, /^answered 500/],
    ['a redirect', { kind: 'status', status: 302 }, /^answered 302/],
    ['garbage', { kind: 'garbage', text: '<html>' }, /^answered what is no list$/],
    ['JSON that is no list', { kind: 'garbage', text: '{"items":[]}' }, /^answered what is no list$/],
    [
      'a list of something else',
      { kind: 'garbage', text: '{"metadata":{"resourceVersion":"1"},"items":[{}]}' },
      /^answered an object without a name$/,
    ],
    ['more than a page may have', { kind: 'huge', bytes: 200_000 }, /^answered more than 100000 bytes$/],
    ['silence', { kind: 'hang' }, /^no whole answer within 200 ms$/],
    ['a slow answer', { kind: 'slow', delayMs: 1000 }, /^no whole answer within 200 ms$/],
    ['a broken connection', { kind: 'refuse-connections' }, /^not reachable: /],
  ])('%s', async (_name, trouble, problem) => {
    put('a')
    api.trouble = trouble
    await follow({ maxPageBytes: 100_000, pageTimeoutMs: 200 })
    await problemIs(problem)
    expect(collection?.health).toMatchObject({ listed: false, sinceMs: expect.any(Number) })
    expect(items()).toEqual([])
    api.trouble = undefined
    await eventually(() => expect(items()).toEqual(['a 1']))
    expect(collection?.health).toMatchObject({ listed: true, problem: undefined, sinceMs: undefined })
  })

  test('a token that is not taken, until its file holds another', async () => {
    put('a')
    api.token = 'right'
    await writeFile(join(directory, 'token'), 'wrong\n')
    await follow({}, join(directory, 'token'))
    await problemIs(/^answered 401: Unauthorized$/)
    expect(JSON.stringify(collection?.health)).not.toContain('wrong')
    await writeFile(join(directory, 'token'), 'right\n')
    await eventually(() => expect(items()).toEqual(['a 1']))
  })

  test('more objects than are kept', async () => {
    for (const name of ['a', 'b', 'c']) put(name)
    await follow({ maxItems: 2 })
    await problemIs(/^there are more than 2 objects$/)
    api.remove('ServicePolicy', 'c', 'shop')
    await eventually(() => expect(items()).toEqual(['a 1', 'b 1']))
    put('d')
    await problemIs(/more than/)
    expect(items()).toEqual(['a 1', 'b 1'])
  })

  test('more bytes than are kept', async () => {
    put('a', { text: 'x'.repeat(5000) })
    await follow({ maxBytes: 4000 })
    await problemIs(/^the objects have more than 4000 bytes$/)
  })
})

test('lists in pages, follows changes, and asks for one list alone', async () => {
  for (const name of ['a', 'b', 'c', 'd', 'e']) put(name)
  api.put('ServicePolicy', 'elsewhere', {}, { namespace: 'other' })
  await follow({ pageSize: 2 })
  await eventually(() => expect(items()).toEqual(['a 1', 'b 1', 'c 1', 'd 1', 'e 1']))
  put('a', { mode: 'Shadow' })
  put('f')
  api.remove('ServicePolicy', 'b', 'shop')
  await eventually(() => expect(items()).toEqual(['a 2', 'c 1', 'd 1', 'e 1', 'f 1']))
  expect(api.requests.filter((request) => !request.includes('watch=1'))).toHaveLength(3)
  expect(changes).toBeGreaterThan(3)
})

describe('a watch that ends is resumed where it was', () => {
  test.each(['in order', 'broken'] as const)('%s', async (how) => {
    put('a')
    await follow()
    await eventually(() => expect(api.watching).toBe(1))
    put('b')
    await eventually(() => expect(items()).toEqual(['a 1', 'b 1']))
    api.endWatches(how)
    put('c')
    api.remove('ServicePolicy', 'a', 'shop')
    await eventually(() => expect(items()).toEqual(['b 1', 'c 1']))
    expect(api.requests.filter((request) => !request.includes('watch=1'))).toHaveLength(1)
  })

  test('from a bookmark, where older events are gone', async () => {
    put('a')
    await follow()
    await eventually(() => expect(api.watching).toBe(1))
    api.put('ServicePolicy', 'elsewhere', {}, { namespace: 'other' })
    api.bookmark()
    await new Promise((resolve) => setTimeout(resolve, 50))
    api.compact()
    api.endWatches('in order')
    await eventually(() => expect(api.watching).toBe(1))
    expect(api.requests.filter((request) => !request.includes('watch=1'))).toHaveLength(1)
  })

  test('with a new list, where what was missed is gone', async () => {
    put('a')
    put('b')
    await follow()
    await eventually(() => expect(api.watching).toBe(1))
    api.trouble = { kind: 'status', status: 503 }
    api.endWatches('broken')
    api.remove('ServicePolicy', 'a', 'shop')
    put('c')
    api.compact()
    await problemIs(/^answered 503/)
    expect(items()).toEqual(['a 1', 'b 1'])
    api.trouble = undefined
    await eventually(() => expect(items()).toEqual(['b 1', 'c 1']))
    expect(collection?.health.problem).toBeUndefined()
  })
})

describe('what is no event ends the watch, is told, and is made good by a new list', () => {
  test.each([
    ['half a line of JSON', '{"type":"ADDED","object":{"metadata"\n'],
    [
      'an unknown kind of event',
      '{"type":"REWRITTEN","object":{"metadata":{"name":"x","resourceVersion":"1"}}}\n',
    ],
    ['an object without a version', '{"type":"DELETED","object":{"metadata":{"name":"a"}}}\n'],
    ['an object without a name', '{"type":"DELETED","object":{"metadata":{"resourceVersion":"1"}}}\n'],
    ['a line without end', 'x'.repeat(20_000)],
  ])('%s', async (_name, text) => {
    put('a')
    await follow({ maxObjectBytes: 10_000, leastBackoffMs: 200 })
    await eventually(() => expect(api.watching).toBe(1))
    api.inject('ServicePolicy', text)
    await problemIs(/^sent /)
    expect(items()).toEqual(['a 1'])
    put('b')
    await eventually(() => expect(items()).toEqual(['a 1', 'b 1']))
    expect(api.requests.filter((request) => !request.includes('watch=1')).length).toBeGreaterThan(1)
    expect(collection?.health.problem).toBeUndefined()
  })
})

test('a server that ends every watch at once is not asked in a circle', async () => {
  put('a')
  await follow({ leastBackoffMs: 100 })
  const timer = setInterval(() => api.endWatches('in order'), 1)
  await eventually(() => expect(items()).toEqual(['a 1']))
  await new Promise((resolve) => setTimeout(resolve, 500))
  clearInterval(timer)
  expect(api.requests.length).toBeLessThan(12)
})

test('a watch that stays silent beyond its time counts as dead, and is resumed', async () => {
  put('a')
  api.isDeaf = true
  await follow({ watchSeconds: 0.1, graceMs: 100 })
  await eventually(() => expect(api.watching).toBe(1))
  put('b')
  await problemIs(/^no word for 1100 ms$/)
  await eventually(() => expect(items()).toEqual(['a 1', 'b 1']))
})

test('closing ends the watch', async () => {
  await follow()
  await eventually(() => expect(api.watching).toBe(1))
  collection?.close()
  await eventually(() => expect(api.watching).toBe(0))
  const asked = api.requests.length
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(api.requests.length).toBe(asked)
})
