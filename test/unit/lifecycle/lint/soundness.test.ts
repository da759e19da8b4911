import { expect, test } from '@jest/globals'
import { lintPolicy } from '../../../../src/lifecycle/lint/lint-policy.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'
import { chooseEndpoint, evaluateMatrix, type MatrixVerdict } from '../../../../src/segmentation/evaluate.js'
import { serviceOfIdentity } from '../../../../src/segmentation/compile.js'
import { aCall, aUser, factsOf, NOW_MS } from '../../../support/facts.js'

type Rule = { readonly name: string; readonly [field: string]: unknown }
type Target = { readonly rules: readonly Rule[]; readonly forbid: readonly Rule[] }

let seed = 20261125
const random = (below: number): number => {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
  return Math.floor((seed / 0x80000000) * below)
}
const one = <T>(...list: readonly T[]): T => {
  const found = list[random(list.length)]
  if (found === undefined) throw new Error('nothing to choose from')
  return found
}

const from = (): unknown =>
  one<() => unknown>(
    () => ({ services: one(['x/a'], ['x/a', 'x/b'], ['y/c'], ['x/a', 'y/c']) }),
    () => ({ namespaces: one(['x'], ['y'], ['x', 'y']) }),
    () => ({ notNamespaces: one(['x'], ['y']) }),
    () => ({
      identities: one(['spiffe://local/ns/x/sa/a'], ['spiffe://local/ns/*/sa/a'], ['spiffe://far/f']),
    }),
    () => ({ namespaces: ['x'], selector: { matchLabels: { tier: one('web', 'back') } } }),
    () => ({ trustDomains: one(['local'], ['far'], ['local', 'far']) }),
    () => ({ users: true }),
    () => ({ users: true, services: ['x/a', 'y/c'] }),
    () => ({ any: true }),
    () => ({ services: ['x/a', 'x/b'], namespaces: one(['x'], ['y']) }),
  )()
const to = () => one({}, {}, { to: [{ endpoints: ['Read'] }] }, { to: [{ endpoints: ['Read', 'Write'] }] })
const condition = (): unknown =>
  one(
    { key: 'user.mfa', is: true },
    { key: 'user.mfa', is: false },
    { key: 'request.method', values: ['GET'] },
    { key: 'request.method', values: ['P*'] },
    { key: 'request.method', notValues: ['G*'] },
    { key: 'user.id', present: false },
    { key: 'user.id', values: ['alice'] },
    { key: 'target.endpoint', values: ['Write'] },
    { key: 'time.weekday', between: ['Tue', 'Sun'] },
  )
const when = () =>
  one(
    {},
    {},
    { when: [condition()] },
    { when: [condition(), condition()] },
    { when: [condition(), condition(), condition()] },
  )
const permit = (_: unknown, at: number): Rule => ({
  name: `p${at}`,
  from: Array.from({ length: 1 + random(2) }, from),
  ...to(),
  ...when(),
  ...one({}, { grantScopes: ['w'] }),
})
const forbidden = (_: unknown, at: number): Rule => ({
  name: `f${at}`,
  ...one({}, { from: [from()] }, { from: [from()] }, { from: [from()] }),
  ...to(),
  ...when(),
  ...one({}, { mode: 'Shadow' }, { mode: 'Enforce' }),
})

function load(target: Target) {
  const service = (namespace: string, name: string, spec: object, labels = {}) => ({
    apiVersion: 'portcullis.dev/v1beta1',
    kind: 'ServicePolicy',
    metadata: { name, namespace, labels },
    spec,
  })
  const calls = { calls: [{ service: 'x/api' }] }
  const endpoints = [
    { name: 'Read', paths: ['/r'], methods: ['GET', 'POST'] },
    { name: 'Write', paths: ['/w'], methods: ['GET', 'POST'], workloadScopes: ['w'] },
  ]
  const documents = [
    service('x', 'api', { require: 'Any', endpoints, ...target }),
    service('x', 'a', calls, { tier: 'web' }),
    service('x', 'b', calls, { tier: 'back' }),
    service('y', 'c', { ...calls, identities: ['spiffe://far/f'] }),
  ]
  const text = documents.map((document) => JSON.stringify(document)).join('\n---\n')
  const loaded = loadPolicy([{ file: 'f', text }], { localTrustDomain: 'local', trustDomains: ['far'] })
  return loaded.ok ? loaded : undefined
}

const WORKLOADS = [undefined, 'local/ns/x/sa/a', 'local/ns/x/sa/b', 'local/ns/y/sa/c', 'far/f']
const USERS = [undefined, aUser(), aUser({ mfaVerified: true, subject: 'bob' })]
const CALLS = WORKLOADS.flatMap((workload) =>
  USERS.flatMap((user) =>
    ['GET /r', 'POST /r', 'GET /w', 'POST /w'].flatMap((call) =>
      [0, 1].map((days) => ({ workload: workload && `spiffe://${workload}`, user, call, days })),
    ),
  ),
)

function verdicts({ policy: { matrix } }: NonNullable<ReturnType<typeof load>>): MatrixVerdict[] {
  return CALLS.map(({ workload, user, call, days }) => {
    const [method = '', path = ''] = call.split(' ')
    const http = aCall({ method, path })
    const targetService = matrix.services.get('x/api')
    const facts = factsOf({ http, user, workload, targetService, nowMs: NOW_MS + days * 86_400_000 })
    const id = facts.identity.workload?.spiffeId
    const known = { ...facts, caller: id && serviceOfIdentity(matrix, id) }
    return evaluateMatrix(matrix, { ...known, endpoint: chooseEndpoint(known.target, known.request) })
  })
}

test('what is said to say nothing can go, and what is said never to match never does', () => {
  const told = new Map<string, number>()
  for (let round = 0; round < 400; round++) {
    const target = {
      rules: Array.from({ length: 1 + random(4) }, permit),
      forbid: Array.from({ length: random(3) }, forbidden),
    }
    const loaded = load(target)
    if (!loaded) continue
    const before = verdicts(loaded)
    for (const { code, message } of lintPolicy(loaded, { nowMs: NOW_MS })) {
      if (code === 'unreachable-endpoint') {
        const endpoint = /the endpoint (\w+):/.exec(message)?.[1]
        expect({
          message,
          target,
          reached: before.filter((verdict) => verdict.permit && verdict.endpoint?.name === endpoint),
        }).toEqual({ message, target, reached: [] })
        told.set(code, (told.get(code) ?? 0) + 1)
        continue
      }
      const name = /\b([pf][0-9])\b/.exec(message)?.[1]
      if (name === undefined) continue
      const without = load({
        rules: target.rules.filter((rule) => rule.name !== name),
        forbid: target.forbid.filter((rule) => rule.name !== name),
      })
      const found = { code, message, target }
      const decided = before.filter((verdict) => verdict.permit && verdict.rule === name)
      if (
        code === 'beaten-rule' ||
        code === 'shadowed-rule' ||
        (code === 'unmeetable-condition' && name.startsWith('p'))
      ) {
        expect({ ...found, decided }).toEqual({ ...found, decided: [] })
      } else if (code !== 'redundant-rule') continue
      told.set(code, (told.get(code) ?? 0) + 1)
      // A last rule that goes opens the service to its neighbours, and an endpoint for anyone may need it.
      if (!without || target.rules.length === 1 || (code === 'unmeetable-condition' && name.startsWith('f')))
        continue
      const permits = (list: readonly MatrixVerdict[]) => list.map(({ permit: passes }) => passes)
      expect({ ...found, permits: permits(verdicts(without)) }).toEqual({
        ...found,
        permits: permits(before),
      })
    }
  }
  for (const code of [
    'unreachable-endpoint',
    'shadowed-rule',
    'redundant-rule',
    'beaten-rule',
    'unmeetable-condition',
  ]) {
    expect(told.get(code) ?? 0).toBeGreaterThan(5)
  }
})
