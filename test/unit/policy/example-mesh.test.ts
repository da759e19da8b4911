import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { Type } from '@sinclair/typebox'
import { decide } from '../../../src/decide.js'
import { parseSpiffeId } from '../../../src/identity/spiffe-id.js'
import type { UserPrincipal } from '../../../src/identity/principal.js'
import { loadPolicy, type Policy } from '../../../src/policy/load-policy.js'
import { memoryOf, openPolicyInSteps, packPolicy } from '../../../src/policy/packed-policy.js'
import type { ListenerRules } from '../../../src/request/listener.js'
import { finish } from '../../../src/schema/steps.js'
import { checkShape, matchesShape } from '../../../src/schema/shape.js'
import { parseYamlDocuments } from '../../../src/schema/strict-yaml.js'
import { resolveTarget } from '../../../src/segmentation/target.js'
import { aCall, aUser, factsOf, NOW_MS } from '../../support/facts.js'
import { deviceInOrder } from '../../../src/lifecycle/suppose-device.js'
import { NOWHERE } from '../../../src/risk/locate.js'
import { NOTHING_KNOWN } from '../../../src/state/recall.js'

const UNKNOWN = { known: { ...NOTHING_KNOWN, device: deviceInOrder(NOW_MS) }, located: NOWHERE }

const texts = Type.Optional(Type.Array(Type.String()))
const UserSchema = Type.Object(
  {
    roles: texts,
    scopes: texts,
    mfa: Type.Optional(Type.Boolean()),
    risk: Type.Optional(Type.Number()),
    authAgeSeconds: Type.Optional(Type.Number()),
    /** Default: as long ago as the authentication. */
    issuedSecondsAgo: Type.Optional(Type.Number()),
    deviceTrust: Type.Optional(Type.Union([Type.Literal('low'), Type.Literal('high')])),
  },
  { additionalProperties: false },
)
const CasesSchema = Type.Object({
  cases: Type.Array(
    Type.Object(
      {
        name: Type.String(),
        from: Type.Optional(Type.String()),
        to: Type.Optional(Type.String()),
        via: Type.Optional(Type.Literal('gateway')),
        host: Type.Optional(Type.String()),
        call: Type.Optional(Type.String()),
        grpc: Type.Optional(Type.String()),
        port: Type.Optional(Type.Number()),
        headers: Type.Optional(Type.Record(Type.String(), Type.String())),
        user: Type.Optional(UserSchema),
        token: texts,
        expect: Type.String(),
        rule: Type.Optional(Type.String()),
      },
      { additionalProperties: false },
    ),
  ),
})

const root = new URL('../../../examples/mesh/policy/', import.meta.url)
const files = readdirSync(root).map((file) => ({ file, text: readFileSync(new URL(file, root)) }))
const OPTIONS = { localTrustDomain: 'cluster.local', trustDomains: [], hasDevices: true }
const loaded = loadPolicy(files, OPTIONS)
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
const { policy, warnings } = loaded

/** As another thread hands it over; packing takes the memory of what it packs. */
function handedOver(): Policy {
  const again = loadPolicy(files, OPTIONS)
  if (!again.ok) throw new Error('the example was read and is not any more')
  const packed = packPolicy(again, OPTIONS)
  return finish(openPolicyInSteps(structuredClone(packed, { transfer: memoryOf(packed) }), OPTIONS))
}

function readCases() {
  const file = new URL('cases/example-mesh.yaml', import.meta.url)
  const { documents, problems } = parseYamlDocuments('example-mesh.yaml', readFileSync(file))
  const [document] = documents
  if (!document || problems.length > 0) throw new Error(JSON.stringify(problems))
  if (!matchesShape(CasesSchema, document.value)) {
    throw new Error(JSON.stringify(checkShape(CasesSchema, document)))
  }
  return document.value.cases
}

type Case = ReturnType<typeof readCases>[number]

const SIDECAR: ListenerRules = {
  name: 'mesh',
  role: 'Sidecar',
  peerIdentity: 'Certificate',
  principalTrustDomains: [],
  trustedProxies: new Map(),
  trustedHops: 0,
  mtls: 'Strict',
  target: ['principal', 'extension'],
}
const GATEWAY: ListenerRules = {
  ...SIDECAR,
  name: 'edge',
  role: 'Gateway',
  peerIdentity: 'None',
  target: ['extension', 'route'],
}

function userOf({ user }: Case): UserPrincipal | undefined {
  if (!user) return undefined
  const { roles = [], scopes = [], mfa = false, risk, authAgeSeconds = 0, deviceTrust } = user
  const { issuedSecondsAgo = authAgeSeconds } = user
  return aUser({
    roles,
    scopes,
    mfaVerified: mfa,
    riskScore: risk,
    authTimeMs: user.authAgeSeconds === undefined ? undefined : NOW_MS - authAgeSeconds * 1000,
    deviceTrust,
    claims: { roles, iat: NOW_MS / 1000 - issuedSecondsAgo },
  })
}

function requestOf(written: Case) {
  const { call, grpc, headers = {}, host = 'shop.example.com', port = 8080, to } = written
  const [method = '', path = ''] = grpc === undefined ? (call?.split(' ') ?? []) : ['POST', `/${grpc}`]
  const http =
    method === ''
      ? undefined
      : aCall({ method, path, host, grpc: grpc !== undefined, headers: Object.entries(headers) })
  const { request } = factsOf({ http, port })
  return {
    ...request,
    destination: {
      ...request.destination,
      principal: to === undefined ? '' : `spiffe://cluster.local/ns/shop/sa/${to}`,
    },
  }
}

function callerOf({ from }: Case) {
  if (from === undefined) return undefined
  const [namespace, name] = from.includes('/') ? from.split('/') : ['shop', from]
  const parsed = parseSpiffeId(
    from.startsWith('spiffe://') ? from : `spiffe://cluster.local/ns/${namespace}/sa/${name}`,
  )
  if (!parsed.ok) throw new Error(`${from} is no caller`)
  return { spiffeId: parsed.id, verifiedBy: 'certificate' as const }
}

function decideCase(written: Case, by: Policy) {
  const request = requestOf(written)
  const listener = written.via === 'gateway' ? GATEWAY : SIDECAR
  const asker = { spiffeId: undefined }
  const found = resolveTarget(by.matrix, request, listener, asker)
  if (!found.ok) return { reason: found.refusal.reason, rule: undefined, outcome: 'deny' }
  const identity = {
    workload: callerOf(written),
    user: userOf(written),
    serviceToken: written.token && { issuer: 'x', service: 'x', scopes: written.token, jti: '1' },
  }
  return decide(
    { request, listener, asker, nowMs: NOW_MS },
    found.target,
    { ok: true, identity },
    UNKNOWN,
    by,
  )
}

const cases = readCases()

test('the example mesh has no warnings', () => {
  expect(warnings).toEqual([])
  expect(policy.documents).toBe(20)
})

describe.each([
  ['read here', policy],
  ['handed over by another thread', handedOver()],
])('%s', (_where, by) => {
  test.each(cases)('$name: $expect', (written) => {
    const decision = decideCase(written, by)
    expect(decision.reason).toBe(written.expect)
    if (written.rule !== undefined) expect(decision.rule).toBe(written.rule)
    const outcome =
      written.expect === 'allowed' ? 'allow' : written.expect === 'step-up-required' ? 'challenge' : 'deny'
    expect(decision.outcome).toBe(outcome)
  })
})
