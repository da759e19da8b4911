import { describe, expect, test } from '@jest/globals'
import { type Judgement, judgeInSteps, type Standing } from '../../../../src/policy/resources/judge.js'
import { parseResource } from '../../../../src/policy/resources/resource.js'
import { settle } from '../../../../src/policy/resources/settle.js'
import { finish } from '../../../../src/schema/steps.js'

const OPTIONS = { localTrustDomain: 'cluster.local', trustDomains: [], grants: new Map() }
const ENDPOINTS = [{ name: 'Read', paths: ['/read'], methods: ['GET'] }]
const PAY = { serviceAccounts: ['pay'], endpoints: ENDPOINTS }

function objectOf(name: string, spec: unknown, kind = 'ServicePolicy'): Record<string, unknown> {
  const namespace = kind === 'ServicePolicy' ? { namespace: 'shop' } : {}
  return { apiVersion: 'portcullis.dev/v1beta1', kind, metadata: { name, ...namespace }, spec }
}

function standing(...specs: readonly (readonly [string, unknown])[]): Standing {
  const resources = specs.map(([name, spec]) => {
    const object = objectOf(name, spec)
    const metadata = { name, namespace: 'shop', uid: `of ${name}`, resourceVersion: '1', generation: 1 }
    const parsed = parseResource('ServicePolicy', { ...object, metadata })
    if (!parsed.ok) throw new Error(parsed.problem)
    return parsed.resource
  })
  const settled = settle(resources, new Map(), OPTIONS)
  if (!settled.ok) throw new Error('the standing resources are not sound')
  return { resources, inForce: settled.inForce, namespaces: [] }
}

type Asked = { readonly kind?: string; readonly version?: string; readonly group?: string }

function judge(object: unknown, before: Standing = standing(['pay', PAY]), asked: Asked = {}): Judgement {
  const proposed = {
    group: 'portcullis.dev',
    version: 'v1beta1',
    kind: 'ServicePolicy',
    uid: 'new',
    ...asked,
  }
  return finish(judgeInSteps({ ...proposed, object }, before, OPTIONS))
}

describe('refused', () => {
  test.each([
    ['an unknown kind', { kind: 'Widget' }, /^`Widget` of `portcullis\.dev\/v1beta1` is not judged here/],
    ['an unknown version', { version: 'v2' }, /`portcullis\.dev\/v2` is not judged here/],
    ['another group', { group: 'apps' }, /`apps\/v1beta1` is not judged here/],
  ])('%s', (_what, asked, message) => {
    const judged = judge(objectOf('pay', PAY), standing(), asked)
    expect(judged).toEqual({ allowed: false, message: expect.stringMatching(message) })
  })

  test.each([
    ['no object', null, /no ServicePolicy/],
    ['no namespace', { ...objectOf('x', PAY), metadata: { name: 'x' } }, /in no namespace/],
    [
      'a field that nobody knows, with its place',
      objectOf('x', { endpoints: [...ENDPOINTS, { name: 'B', path: '/b', methods: ['GET'] }] }),
      /^spec\.endpoints\[1\]\.path: /,
    ],
    [
      'a host that is not granted',
      objectOf('x', { routes: [{ host: 'x.example', prefix: '/' }] }),
      /spec\.routes\[0\]\S*: /,
    ],
    ["another's service account", objectOf('x', PAY), /spec\.serviceAccounts\[0\]: /],
  ])('%s', (_what, object, message) => {
    expect(judge(object)).toEqual({ allowed: false, message: expect.stringMatching(message) })
  })

  test('a change that breaks what is in force', () => {
    const broken = objectOf('pay', { endpoints: [{ name: 'Read', paths: ['read'], methods: ['GET'] }] })
    expect(judge(broken)).toMatchObject({
      allowed: false,
      message: expect.stringContaining('spec.endpoints'),
    })
  })
})

describe('allowed', () => {
  test('a sound resource, and nothing that stands is changed', () => {
    const before = standing(['pay', PAY])
    const [copy, size] = [JSON.stringify(before.resources), before.inForce.size]
    expect(judge(objectOf('web', { calls: [{ service: 'pay' }] }), before)).toEqual({
      allowed: true,
      warnings: [],
    })
    expect([JSON.stringify(before.resources), before.inForce.size]).toEqual([copy, size])
  })

  test('a name that nothing has yet, with a warning', () => {
    const judged = judge(objectOf('web', { calls: [{ service: 'nobody' }] }))
    expect(judged).toEqual({ allowed: true, warnings: [expect.stringMatching(/^spec\.calls\[0\].*nobody/)] })
  })

  test('a namespace that is not read, with a warning', () => {
    const before = { ...standing(), namespaces: ['other'] }
    expect(judge(objectOf('x', PAY), before)).toEqual({
      allowed: true,
      warnings: ['the namespace shop is not read, so nothing comes of it'],
    })
  })
})
