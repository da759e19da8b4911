import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import { eventually } from '../support/eventually.js'
import { KubeApi } from '../support/kube-api.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'

const root = createAuthority({ name: 'root' })
const SHOP = { namespace: 'shop' }
const id = (name: string): string => `spiffe://cluster.local/ns/shop/sa/${name}`
const callOf = (caller: string, target = 'pay') => ({
  principal: id(caller),
  certificate: asEnvoySends(root.issueSvid({ spiffeId: id(caller) }).certificatePem),
  destinationPrincipal: id(target),
  path: '/read',
})
const READ = callOf('web')
const ENDPOINTS = [{ name: 'Read', paths: ['/read'], methods: ['GET'] }]
const PAY = { endpoints: ENDPOINTS, rules: [{ name: 'web-reads', from: [{ services: ['web'] }] }] }

let api: KubeApi
const running: TestPortcullis[] = []
beforeEach(async () => {
  api = await KubeApi.start()
})
afterEach(async () => {
  for (const each of running.splice(0)) await each.stop()
  await api.close()
})

async function started(kubernetes: Readonly<Record<string, unknown>> = {}): Promise<TestPortcullis> {
  const portcullis = await startPortcullis(
    { 'pki/ca.pem': root.certificatePem, kubeconfig: api.kubeconfig() },
    {
      trustDomains: { 'cluster.local': { bundle: { file: './pki/ca.pem' } } },
      policy: { kubernetes: { kubeconfig: './kubeconfig', ...kubernetes } },
      health: { listen: '127.0.0.1:0' },
    },
  )
  running.push(portcullis)
  return portcullis
}

async function withPayments(): Promise<TestPortcullis> {
  api.put('ServicePolicy', 'pay', PAY, SHOP)
  api.put('ServicePolicy', 'web', { calls: [{ service: 'pay' }] }, SHOP)
  const portcullis = await started()
  await becomes(portcullis, 'allowed')
  return portcullis
}

/** Within the two seconds that a change may take. */
async function becomes(portcullis: TestPortcullis, reason: string, call = READ): Promise<void> {
  await eventually(async () => expect((await portcullis.check(call)).reason).toBe(reason), 2000)
}

async function tells(type: string, name: string, expected: RegExp): Promise<void> {
  await eventually(() => expect(api.condition(type, 'ServicePolicy', name, 'shop')).toMatch(expected))
}

async function readiness(portcullis: TestPortcullis): Promise<Readonly<Record<string, unknown>>> {
  return (await (await fetch(`http://${portcullis.running.health}/readyz`)).json()) as Record<string, unknown>
}

async function metric(portcullis: TestPortcullis, name: string): Promise<string | undefined> {
  const text = await (await fetch(`http://${portcullis.running.health}/metrics`)).text()
  return text.split('\n').find((line) => line.startsWith(`${name} `))
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('a broken resource', () => {
  const BROKEN = { ...PAY, rules: [{ name: 'web-reads', from: [{ services: ['web'], any: true }] }] }

  test('is refused whole: what it had in force decides, and the status says where it is wrong', async () => {
    const portcullis = await withPayments()
    api.put('ServicePolicy', 'pay', BROKEN, SHOP)
    await tells('Accepted', 'pay', /^False spec\.rules\[0\]\.from\[0\]\.any: any: true stands alone/)
    await tells('Programmed', 'pay', /^False decisions are made by generation 1$/)
    expect(api.status('ServicePolicy', 'pay', 'shop')).toMatchObject({
      observedGeneration: 2,
      programmedGeneration: 1,
    })
    expect((await portcullis.check(READ)).reason).toBe('allowed')
    // Others are not held up by it.
    api.put('ServicePolicy', 'web', {}, SHOP)
    await becomes(portcullis, 'call-not-allowed')
    expect(await readiness(portcullis)).toMatchObject({
      ready: true,
      policyProblems: [
        expect.stringMatching(/^servicepolicy\/shop\/pay spec\.rules\[0\]\.from\[0\]\.any: error: /),
      ],
    })
    expect(await metric(portcullis, 'portcullis_policy_refused')).toBe('portcullis_policy_refused 1')
    api.put('ServicePolicy', 'pay', PAY, SHOP)
    api.put('ServicePolicy', 'web', { calls: [{ service: 'pay' }] }, SHOP)
    await becomes(portcullis, 'allowed')
    await tells('Accepted', 'pay', /^True/)
    expect(await metric(portcullis, 'portcullis_policy_refused')).toBe('portcullis_policy_refused 0')
  })

  test('whose version in force a new replica does not know keeps its service closed', async () => {
    await withPayments()
    await tells('Programmed', 'pay', /^True/)
    api.put('ServicePolicy', 'pay', BROKEN, SHOP)
    api.put('BaselinePolicy', 'ops', { allow: [{ name: 'reads', from: [{ namespaces: ['shop'] }] }] })
    await tells('Accepted', 'pay', /^False/)
    const late = await started()
    await becomes(late, 'forbidden')
  })

  test('of the whole mesh keeps a new replica from starting', async () => {
    await withPayments()
    api.put('BaselinePolicy', 'ops', { forbid: [{ name: 'x', from: [{ namespaces: ['batch'] }] }] })
    await eventually(() => expect(api.condition('Programmed', 'BaselinePolicy', 'ops')).toMatch(/^True/))
    api.put('BaselinePolicy', 'ops', { forbid: [{ name: 'x', from: [{}] }] })
    await eventually(() => expect(api.condition('Accepted', 'BaselinePolicy', 'ops')).toMatch(/^False/))
    await expect(started()).rejects.toThrow(
      /^baselinepolicy\/ops: error: generation 2 is refused .* generation 1, which is in force elsewhere, is not known here/,
    )
  })
})

describe('the API server', () => {
  test.each([401, 403, 500])(
    'answers %i: the last policy stays, and readiness says since when',
    async (status) => {
      const portcullis = await withPayments()
      api.trouble = { kind: 'status', status }
      api.endWatches('broken')
      await eventually(async () =>
        expect((await readiness(portcullis))['policyProblems']).toContainEqual(
          expect.stringMatching(
            new RegExp(`^servicepolicies: not followed since \\d{4}-.*Z: answered ${status}`),
          ),
        ),
      )
      expect((await readiness(portcullis))['ready']).toBe(true)
      expect(await metric(portcullis, 'portcullis_policy_away_since_seconds')).toMatch(/ \d+/)
      expect((await portcullis.check(READ)).reason).toBe('allowed')
      api.put('ServicePolicy', 'web', {}, SHOP)
      await pause(300)
      expect((await portcullis.check(READ)).reason).toBe('allowed')
      api.trouble = undefined
      await eventually(async () => expect((await portcullis.check(READ)).reason).toBe('call-not-allowed'))
      await eventually(async () => expect((await readiness(portcullis))['policyProblems']).toEqual([]))
      expect(await metric(portcullis, 'portcullis_policy_away_since_seconds')).toBeUndefined()
    },
  )

  test('that sends garbage or an empty list of something else empties nothing', async () => {
    const portcullis = await withPayments()
    api.trouble = { kind: 'garbage', text: '{"kind":"Status","items":[]}' }
    api.compact()
    api.endWatches('broken')
    await pause(300)
    expect((await portcullis.check(READ)).reason).toBe('allowed')
  })

  test('gone while a resource was deleted: it counts once it is back', async () => {
    const portcullis = await withPayments()
    api.trouble = { kind: 'refuse-connections' }
    api.endWatches('broken')
    api.remove('ServicePolicy', 'pay', 'shop')
    api.compact()
    await pause(300)
    expect((await portcullis.check(READ)).reason).toBe('allowed')
    api.trouble = undefined
    await eventually(async () => expect((await portcullis.check(READ)).reason).toBe('target-unknown'))
  })
})

describe('decisions follow resources', () => {
  test('made, edited and deleted, each within two seconds', async () => {
    const portcullis = await started()
    expect((await portcullis.check(READ)).outcome).toBe('deny')
    api.put('ServicePolicy', 'web', { calls: [{ service: 'pay' }] }, SHOP)
    await tells('ResolvedRefs', 'web', /^False spec\.calls\[0\]\.service: no ServicePolicy names the service/)
    await tells('Accepted', 'web', /^True/)
    api.put('ServicePolicy', 'pay', PAY, SHOP)
    await becomes(portcullis, 'allowed')
    await tells('ResolvedRefs', 'web', /^True/)
    api.put('ServicePolicy', 'pay', { ...PAY, forbid: [{ name: 'closed' }] }, SHOP)
    await becomes(portcullis, 'forbidden')
    api.put('ServicePolicy', 'pay', PAY, SHOP)
    await becomes(portcullis, 'allowed')
    api.remove('ServicePolicy', 'web', 'shop')
    await becomes(portcullis, 'caller-unknown')
  })

  test('events name the resource and the field', async () => {
    const portcullis = await withPayments()
    await eventually(() => expect(portcullis.events().at(-1)?.['decision']).toBe('allow'))
    expect(portcullis.events().at(-1)).toMatchObject({
      rule: 'web-reads',
      ruleSource: 'servicepolicy/shop/pay spec.rules[0]',
    })
    const revision = (await readiness(portcullis))['revision']
    expect(portcullis.events().at(-1)?.['policyRevision']).toBe(revision)
    await eventually(() => expect(api.status('ServicePolicy', 'pay', 'shop')?.['revision']).toBe(revision))
  })

  test('an endpoint whose DataPolicy is missing is closed until it is there', async () => {
    api.put(
      'ServicePolicy',
      'pay',
      { ...PAY, endpoints: [{ ...ENDPOINTS[0], dataPolicy: 'internal' }] },
      SHOP,
    )
    api.put('ServicePolicy', 'web', { calls: [{ service: 'pay' }] }, SHOP)
    const portcullis = await started()
    await becomes(portcullis, 'data-policy')
    await tells('ResolvedRefs', 'pay', /^False spec\.endpoints\[0\]\.dataPolicy: /)
    api.put('DataPolicy', 'internal', {})
    await becomes(portcullis, 'allowed')
  })

  test('a forbid of a service without a document binds whoever has none', async () => {
    const forbid = [{ name: 'no-ghost', from: [{ services: ['shop/ghost'] }] }]
    const identities = [id('ghost'), id('web')]
    api.put('ServicePolicy', 'pay', { endpoints: ENDPOINTS }, SHOP)
    api.put('ServicePolicy', 'web', {}, SHOP)
    api.put('BaselinePolicy', 'ops', { allow: [{ name: 'reads', from: [{ identities }] }], forbid })
    const portcullis = await started()
    await becomes(portcullis, 'allowed')
    await becomes(portcullis, 'forbidden', callOf('ghost'))
  })

  test('namespaces that are not named are not read', async () => {
    api.put('ServicePolicy', 'pay', PAY, SHOP)
    api.put('ServicePolicy', 'web', { calls: [{ service: 'pay' }] }, SHOP)
    const portcullis = await started({ namespaces: ['other'] })
    await becomes(portcullis, 'target-unknown')
    expect(api.requests).toContainEqual(expect.stringContaining('/namespaces/other/servicepolicies?limit='))
    expect(api.requests.filter((each) => /v1beta1\/servicepolicies/.test(each))).toEqual([])
  })

  test('a burst of changes ends in the last one, and makes few policies', async () => {
    const portcullis = await withPayments()
    const first = performance.now()
    for (let turn = 0; turn < 300; turn++) {
      api.put('ServicePolicy', 'web', turn % 2 === 0 ? {} : { calls: [{ service: 'pay' }] }, SHOP)
      if (turn % 30 === 0) await pause(10)
    }
    api.put('ServicePolicy', 'web', {}, SHOP)
    await becomes(portcullis, 'call-not-allowed')
    expect(performance.now() - first).toBeLessThan(3000)
    await tells('Programmed', 'web', /^True/)
    expect(
      api.requests.filter((each) => each.startsWith('PATCH') && each.includes('/web/')).length,
    ).toBeLessThan(30)
  })
})

describe('statuses', () => {
  test('two replicas agree and write once each change, not against each other', async () => {
    await withPayments()
    await started()
    await tells('Programmed', 'pay', /^True/)
    await tells('Programmed', 'web', /^True/)
    await pause(500)
    const before = api.requests.filter((each) => each.startsWith('PATCH')).length
    await pause(500)
    expect(api.requests.filter((each) => each.startsWith('PATCH')).length).toBe(before)
    expect(before).toBeLessThanOrEqual(4)
  })

  test('what another replica says otherwise is left until there is something new to say', async () => {
    await withPayments()
    await tells('Programmed', 'pay', /^True/)
    const other = {
      observedGeneration: 1,
      conditions: [{ type: 'Accepted', status: 'False', reason: 'x', message: 'y' }],
    }
    api.setStatus('ServicePolicy', 'pay', 'shop', other)
    await pause(600)
    expect(api.condition('Accepted', 'ServicePolicy', 'pay', 'shop')).toBe('False y')
    // A change is a new verdict.
    api.put('ServicePolicy', 'pay', { ...PAY, sensitivity: 'High' }, SHOP)
    await tells('Accepted', 'pay', /^True/)
  })

  test('that may not be written change no decision, and are written once they may', async () => {
    api.trouble = { kind: 'status', status: 403, of: 'patch' }
    const portcullis = await withPayments()
    await eventually(async () =>
      expect(await metric(portcullis, 'portcullis_policy_status_failures_total')).toMatch(/ [1-9]/),
    )
    api.trouble = undefined
    await tells('Programmed', 'pay', /^True/)
  })
})

describe('does not start', () => {
  test('without a kubeconfig', async () => {
    const starting = startPortcullis(
      { 'pki/ca.pem': root.certificatePem },
      {
        trustDomains: { 'cluster.local': { bundle: { file: './pki/ca.pem' } } },
        policy: { kubernetes: { kubeconfig: './kubeconfig' } },
      },
    )
    await expect(starting).rejects.toThrow(/^policy\.kubernetes: .*kubeconfig can't be read/)
  })

  test('outside of a cluster', async () => {
    const starting = startPortcullis(
      { 'pki/ca.pem': root.certificatePem },
      {
        trustDomains: { 'cluster.local': { bundle: { file: './pki/ca.pem' } } },
        policy: { kubernetes: {} },
      },
    )
    await expect(starting).rejects.toThrow(/^policy\.kubernetes: no pod of Kubernetes/)
  })
})
