import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { blocksOf } from '../docs/blocks.js'
import { PORTCULLIS } from './support/cluster-mesh.js'
import { apiIsBack, AWAY_MS, stopApi } from './support/hooks.js'
import { apply, getJson, kubectl, podsOf, until } from './support/kubectl.js'
import { linesSince, startLoad, steady, underLoad } from './support/load.js'
import { CALLER, KINDS, type ResourceMesh, startResourceMesh, TARGET } from './support/resource-mesh.js'
import { type Right, type TriedAccount, tryAccount } from './support/service-account.js'

/** Policy from custom resources, in pods: what edits do to the decisions of two replicas, as a calling pod sees them. */
const SYSTEM = 'portcullis-system'
const SHOP = 'shop'
const CHANGE_LIMIT_MS = 2000

const baseline = {
  apiVersion: 'portcullis.dev/v1beta1',
  kind: 'BaselinePolicy',
  metadata: { name: 'default' },
  spec: { defaults: { mode: 'Enforce', require: 'Workload' } },
}
const servicePolicy = (name: string, spec: object, namespace = SHOP): object => ({
  apiVersion: 'portcullis.dev/v1beta1',
  kind: 'ServicePolicy',
  metadata: { name, namespace },
  spec,
})
const STOCK = { name: 'GetStock', paths: ['/api/stock/{sku}'], methods: ['GET'] }
const target = servicePolicy(TARGET.name, { endpoints: [STOCK] })
const caller = servicePolicy(CALLER.name, { calls: [{ service: TARGET.name, endpoints: ['GetStock'] }] })

let mesh: ResourceMesh | undefined
let account: TriedAccount | undefined

beforeAll(async () => {
  mesh = await startResourceMesh([baseline, target, caller])
  account = await tryAccount(SYSTEM, 'portcullis')
  await startLoad()
}, 300_000)

afterAll(async () => {
  account?.close()
  await mesh?.stop()
}, 120_000)

type Condition = { readonly type: string; readonly status: string; readonly message: string }
type Told = {
  readonly metadata: { readonly generation: number }
  readonly status?: {
    readonly conditions: readonly Condition[]
    readonly observedGeneration: number
    readonly programmedGeneration?: number
    readonly revision?: string
  }
}

const read = (name: string): Promise<Told> => getJson(['servicepolicy', '-n', SHOP, name])

/** Waits until the status says so of the newest version. */
async function told(name: string, type: string, expected: RegExp): Promise<Told> {
  let found: Told | undefined
  await until(`${type} of ${name} to be ${expected}`, 10_000, async () => {
    found = await read(name)
    const { metadata, status } = found
    const condition = status?.conditions.find((one) => one.type === type)
    return (
      status?.observedGeneration === metadata.generation &&
      condition !== undefined &&
      expected.test(`${condition.status} ${condition.message}`)
    )
  })
  if (!found) throw new Error('nothing was read')
  return found
}

/**
 * Makes a change and waits until all calls of a second get the new answer. How long after the end of the change the
 * last call began that still got another one, milliseconds; negative when all was changed before.
 */
async function changes(change: () => Promise<unknown>, status: number, reason?: string): Promise<number> {
  await change()
  const endMs = Date.now()
  let lastOther = -1
  await until(`calls to get ${status} ${reason ?? ''}`, 10_000, async () => {
    const asked = (await linesSince(endMs)).filter(({ kind }) => kind === 'allowed')
    expect(asked.filter(({ status: got }) => got === 503)).toEqual([])
    const others = asked.filter((line) => line.status !== status || line.reason !== reason)
    lastOther = Math.max(-1, ...others.map(({ at }) => at - endMs))
    return asked.some(({ at }) => at - endMs > lastOther + 1000)
  })
  return lastOther
}

async function patchSpec(name: string, spec: object): Promise<void> {
  await kubectl(['patch', 'servicepolicy', '-n', SHOP, name, '--type=merge', '-p', JSON.stringify({ spec })])
}

const mayBe = async (right: Right): Promise<boolean> => {
  if (!account) throw new Error('there is no account')
  return account.may(right)
}
const requests = async (args: readonly string[], input?: string): Promise<string> => {
  if (!account) throw new Error('there is no account')
  return account.request(args, input)
}

describe('the service account of Portcullis', () => {
  test.each<Right>([
    { verb: 'get', resource: 'secrets', namespace: SYSTEM },
    { verb: 'list', resource: 'configmaps', namespace: SYSTEM },
    { verb: 'create', resource: 'pods', namespace: SYSTEM },
    { verb: 'create', resource: 'pods', subresource: 'exec', namespace: SYSTEM },
    { verb: 'create', resource: 'serviceaccounts', subresource: 'token', namespace: SYSTEM },
    { verb: 'list', resource: 'namespaces' },
    { verb: 'patch', resource: 'customresourcedefinitions.apiextensions.k8s.io' },
    { verb: 'patch', resource: 'clusterroles.rbac.authorization.k8s.io' },
  ])('may not $verb $resource', async (right) => {
    expect(await mayBe(right)).toBe(false)
  })

  test.each(KINDS)('may change no %s', async (kind) => {
    for (const verb of ['create', 'update', 'patch', 'delete', 'deletecollection']) {
      expect({ verb, may: await mayBe({ verb, resource: `${kind}.portcullis.dev` }) }).toEqual({
        verb,
        may: false,
      })
    }
  })

  test.each<{ what: string; args: readonly string[]; input?: object }>([
    { what: 'read its own Secrets', args: ['get', 'secret', 'portcullis-tls', '-n', SYSTEM] },
    { what: 'list Secrets of others', args: ['get', 'secrets', '-n', SHOP] },
    { what: 'list pods', args: ['get', 'pods', '-n', SYSTEM] },
    {
      what: 'make a pod',
      args: ['create', '-n', SYSTEM, '-f', '-'],
      input: {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'x' },
        spec: { containers: [{ name: 'x', image: 'x' }] },
      },
    },
    { what: 'get a token', args: ['create', 'token', 'portcullis', '-n', SYSTEM] },
    { what: 'make a policy', args: ['create', '-f', '-'], input: servicePolicy('made', {}) },
    { what: 'delete a policy', args: ['delete', 'servicepolicy', '-n', SHOP, TARGET.name] },
    {
      what: 'replace a policy',
      args: ['replace', '--raw', pathOf(TARGET.name), '-f', '-'],
      input: servicePolicy(TARGET.name, {}),
    },
  ])('is refused when it tries to $what', async ({ args, input }) => {
    expect(await requests(args, input && JSON.stringify(input))).toBe('forbidden')
  })

  test.each(KINDS)('lists and watches %s, and patches their status', async (kind) => {
    const resource = `${kind}.portcullis.dev`
    for (const verb of ['list', 'watch']) expect(await mayBe({ verb, resource })).toBe(true)
    expect(await mayBe({ verb: 'patch', resource, subresource: 'status' })).toBe(true)
    expect(await mayBe({ verb: 'get', resource })).toBe(false)
    expect(await requests(['get', '--raw', `/apis/portcullis.dev/v1beta1/${kind}`])).toBe('done')
  })

  test('gets its token into no pod of others', async () => {
    const { automountServiceAccountToken } = await getJson<{ automountServiceAccountToken: boolean }>([
      'serviceaccount',
      '-n',
      SYSTEM,
      'portcullis',
    ])
    expect(automountServiceAccountToken).toBe(false)
  })
})

function pathOf(name: string): string {
  return `/apis/portcullis.dev/v1beta1/namespaces/${SHOP}/servicepolicies/${name}`
}

describe('a broken resource', () => {
  beforeEach(() => steady(), 60_000)

  test('that the definitions rule out is not stored', async () => {
    const broken = servicePolicy(TARGET.name, { rules: [{ name: 'x', from: [{ any: true, users: true }] }] })
    await expect(apply(broken)).rejects.toThrow(/any: true stands alone/)
    await expect(apply(servicePolicy(TARGET.name, { endpoint: [] }))).rejects.toThrow(
      /unknown field "?endpoint/,
    )
  })

  test('is refused whole, its status says why and where, and decisions stay', async () => {
    const before = (await told(TARGET.name, 'Programmed', /^True/)).metadata.generation
    const tally = await underLoad(async () => {
      await patchSpec(TARGET.name, {
        endpoints: [],
        rules: [{ name: 'partners', from: [{ trustDomains: ['unknown.example'] }] }],
      })
      const { metadata, status } = await told(
        TARGET.name,
        'Accepted',
        /^False .*spec\.rules\[0\]\.from\[0\]\.trustDomains\[0\]: the trust domain `unknown\.example`/,
      )
      expect(metadata.generation).toBe(before + 1)
      expect(status?.programmedGeneration).toBe(before)
      await told(TARGET.name, 'Programmed', new RegExp(`^False decisions are made by generation ${before}$`))
      const { stdout } = await kubectl(['get', 'svcpol', '-n', SHOP, '-o', 'wide'])
      const [, ...rows] = stdout.trim().split('\n')
      const row = rows.find((line) => line.startsWith(TARGET.name))
      expect(row).toMatch(
        / False +(True|Unknown) +False +[0-9a-f]+ +spec\.rules\[0\]\.from\[0\]\.trustDomains\[0\]: /,
      )
      await sleep(CHANGE_LIMIT_MS)
    })
    expect(tally).toMatchObject({ wrong: [], failed: [] })
    expect(tally.allowed).toBeGreaterThan(50)
  }, 60_000)

  test('holds up no other', async () => {
    expect(await changes(() => patchSpec(CALLER.name, { calls: [] }), 403, 'call-not-allowed')).toBeLessThan(
      CHANGE_LIMIT_MS,
    )
    expect(await changes(() => apply(caller), 200)).toBeLessThan(CHANGE_LIMIT_MS)
  }, 60_000)

  test('counts once it is mended', async () => {
    await patchSpec(TARGET.name, { endpoints: [STOCK], rules: [] })
    const { metadata, status } = await told(TARGET.name, 'Programmed', /^True/)
    await told(TARGET.name, 'Accepted', /^True/)
    expect(status?.programmedGeneration).toBe(metadata.generation)
  }, 30_000)
})

describe('decisions follow resources', () => {
  beforeEach(() => steady(), 60_000)

  test('`kubectl edit` within two seconds', async () => {
    const edit = (command: string): Promise<unknown> =>
      promisify(execFile)('kubectl', ['edit', 'servicepolicy', '-n', SHOP, TARGET.name], {
        env: { ...process.env, KUBE_EDITOR: command },
        timeout: 30_000,
      })
    const [closing, opening] = [
      "sed -i 's#/api/stock/#/api/closed/#'",
      "sed -i 's#/api/closed/#/api/stock/#'",
    ]
    const late: number[] = []
    for (let round = 0; round < 2; round++) {
      late.push(await changes(() => edit(closing), 403, 'endpoint-not-exposed'))
      late.push(await changes(() => edit(opening), 200))
    }
    expect(Math.max(...late)).toBeLessThan(CHANGE_LIMIT_MS)
    process.stderr.write(`the last call on what was before an edit began after it by ${late.join(', ')} ms\n`)
  }, 90_000)

  test('a deletion, and what is made again', async () => {
    const remove = (): Promise<unknown> => kubectl(['delete', 'servicepolicy', '-n', SHOP, CALLER.name])
    expect(await changes(remove, 403, 'caller-unknown')).toBeLessThan(CHANGE_LIMIT_MS)
    expect(await changes(() => apply(caller), 200)).toBeLessThan(CHANGE_LIMIT_MS)
  }, 60_000)

  test('a replica that starts has the policy before it is asked', async () => {
    const tally = await underLoad(async () => {
      await kubectl(['rollout', 'restart', '-n', SYSTEM, 'deployment/portcullis'])
      await kubectl(['rollout', 'status', '-n', SYSTEM, 'deployment/portcullis', '--timeout=120s'])
    })
    expect(tally).toMatchObject({ wrong: [], failed: [], told: [] })
    expect(tally.allowed).toBeGreaterThan(100)
  }, 150_000)
})

describe('the API server', () => {
  beforeEach(() => steady(), 60_000)
  ;(stopApi ? test : test.skip)(
    'away: the last policy stays; back: edits count again',
    async () => {
      const startedMs = Date.now()
      const tally = await underLoad(async () => {
        const startApi = await stopApi?.()
        await sleep(AWAY_MS)
        await startApi?.()
        await apiIsBack()
      })
      expect(tally).toMatchObject({ wrong: [], failed: [], told: [] })
      expect(tally.allowed).toBeGreaterThan(AWAY_MS / 100)
      const backMs = Date.now()
      for (const { metadata } of await podsOf(SYSTEM, PORTCULLIS)) {
        const since = new Date(startedMs).toISOString()
        const { stdout } = await kubectl(['logs', '-n', SYSTEM, metadata.name, `--since-time=${since}`])
        expect(stdout).toContain('custom resources can not be followed, what was read stays')
        await until(`${metadata.name} to follow again`, 70_000, async () => {
          const later = await kubectl(['logs', '-n', SYSTEM, metadata.name, `--since-time=${since}`])
          return later.stdout.split('custom resources are followed again').length > KINDS.length
        })
      }
      process.stderr.write(`followed again by both ${Date.now() - backMs} ms later\n`)
      expect(
        await changes(() => patchSpec(CALLER.name, { calls: [] }), 403, 'call-not-allowed'),
      ).toBeLessThan(CHANGE_LIMIT_MS)
      expect(await changes(() => apply(caller), 200)).toBeLessThan(CHANGE_LIMIT_MS)
    },
    240_000,
  )
})

describe('ServicePolicies of some namespaces', () => {
  beforeAll(async () => {
    await kubectl(['apply', '--server-side', '--validate=strict', '-f', '-'], pagesBinding())
    await kubectl(['delete', 'clusterrolebinding', 'portcullis-service-policies'])
    // Replicas that start have these rights alone.
    await mesh?.deploy('custom-resources-namespaced', { namespaces: [SHOP] })
    await startLoad()
  }, 150_000)

  test('the rights on them end at these namespaces', async () => {
    const list = (...scope: string[]): Promise<string> => requests(['get', 'servicepolicies', ...scope])
    await until('the rights to be gone', 10_000, async () => (await list('-A')) === 'forbidden')
    expect(await list('-n', 'edge')).toBe('forbidden')
    expect(await list('-n', SHOP)).toBe('done')
    const status: Right = { verb: 'patch', resource: 'servicepolicies.portcullis.dev', subresource: 'status' }
    expect(await mayBe({ ...status, namespace: 'edge' })).toBe(false)
    expect(await mayBe({ ...status, namespace: SHOP })).toBe(true)
  }, 30_000)

  test('those of others are not read', async () => {
    await apply(servicePolicy('foreign', {}, 'edge'))
    await patchSpec(TARGET.name, { endpoints: [] })
    await told(TARGET.name, 'Programmed', /^True/)
    await apply(target)
    await told(TARGET.name, 'Programmed', /^True/)
    const foreign = await getJson<Told>(['servicepolicy', '-n', 'edge', 'foreign'])
    expect(foreign.status).toBeUndefined()
    await steady()
  }, 150_000)
})

/** The RoleBinding of the page, which names the namespace `shop`. */
function pagesBinding(): string {
  const block = blocksOf('docs/custom-resources.md').find(({ text }) => text.includes('kind: RoleBinding'))
  if (!block) throw new Error('the page has no RoleBinding')
  return block.text
}
