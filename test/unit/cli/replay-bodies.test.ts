import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { writeRecordedCheck } from '../../../src/audit/recorded-check.js'
import { parseSpiffeId } from '../../../src/identity/spiffe-id.js'
import { requestBody } from '../../../src/request/body.js'
import { NOWHERE } from '../../../src/risk/locate.js'
import { NOTHING_KNOWN } from '../../../src/state/recall.js'
import { runCli } from '../../support/cli.js'
import { aCall, NOW_MS } from '../../support/facts.js'

const HEAD = 'apiVersion: portcullis.dev/v1beta1\nkind: ServicePolicy\n'
const POLICY = `${HEAD}metadata: { name: cart, namespace: shop }
spec: { calls: [{ service: pay }] }
---
${HEAD}metadata: { name: pay, namespace: shop }
spec:
  endpoints: [{ name: Pay, paths: [/pay], methods: [POST] }]
  rules: [{ name: small, from: [{ services: [cart] }], when: [{ key: "request.body[amount]", below: 100 }] }]
`
let folder = ''
const at = (...names: string[]) => join(folder, ...names)

function record(body: string): string {
  const id = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/cart')
  if (!id.ok) throw new Error('no SPIFFE ID')
  const workload = { spiffeId: id.id, verifiedBy: 'certificate' as const }
  const http = aCall({
    method: 'POST',
    path: '/pay',
    headers: [
      ['content-type', 'application/json'],
      ['x-envoy-auth-partial-body', 'false'],
    ],
  })
  return writeRecordedCheck(
    {
      request: {
        requestId: '',
        source: { ip: '10.0.0.1', port: 1, principal: '', certificate: '' },
        destination: { ip: '10.0.0.2', port: 2, principal: '' },
        http: { ...http, body: requestBody(() => Buffer.from(body), http.headers) },
        contextExtensions: new Map([['portcullis.service', 'shop/pay']]),
        sni: '',
      },
      listener: {
        name: 'mesh',
        role: 'Sidecar',
        peerIdentity: 'Certificate',
        principalTrustDomains: [],
        trustedProxies: new Map(),
        trustedHops: 0,
        mtls: 'Strict',
        target: ['extension'],
      },
      asker: { spiffeId: undefined },
      nowMs: NOW_MS,
      identified: { ok: true, identity: { workload, serviceToken: undefined, user: undefined } },
      known: NOTHING_KNOWN,
      located: NOWHERE,
      decision: {
        outcome: 'allow',
        reason: 'allowed',
        message: '',
        mode: 'Enforce',
        obligations: [],
        revision: 'r',
      },
      decisionId: 'd-1',
    },
    'x-service-token',
  )
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'replay-bodies-'))
  for (const [name, text] of [
    ['same', POLICY],
    ['closed', POLICY.replace('services: [cart]', 'services: [pay]')],
  ] as const) {
    mkdirSync(at(name))
    writeFileSync(at(name, 'shop.yaml'), text)
  }
  writeFileSync(at('checks.jsonl'), `${record('{"amount":5}')}\n${record('{"amount":7}')}\n`)
})
afterAll(() => rmSync(folder, { recursive: true }))

const replay = (name: string, ...args: string[]) =>
  runCli(['replay', at('checks.jsonl'), '--policy', at(name), ...args])

test('a rule that lets in nobody any more is broken for whatever body', async () => {
  const { exitCode, stdout } = await replay('closed')
  expect(stdout).toMatch(/^Allowed then, refused by the candidate: 2\n/)
  expect(exitCode).toBe(1)
})

test.each([{ args: [] }, { args: ['--any'] }])('the same policy is no change $args', async ({ args }) => {
  const { exitCode, stdout } = await replay('same', ...args)
  expect(stdout).toMatch(
    /^Can't be told, since a body or a withheld value decides, which is not recorded: 2\n {2}2 × shop\/cart → /,
  )
  expect(stdout).toContain('\n      allow  ⇒  allow, or deny rule-not-matched')
  expect(stdout).toMatch(
    /\n2 can't be told: .*\n2 Checks: 0 the same, 0 refused, 0 opened, 0 otherwise changed\n$/,
  )
  expect(exitCode).toBe(0)
})

test('programs get the number', async () => {
  const { exitCode, stdout } = await replay('same', '-o', 'json')
  expect(JSON.parse(stdout)).toMatchObject({
    checks: 2,
    same: 0,
    broken: 0,
    untold: 2,
    bodies: 2,
    groups: [{ kind: 'untold', count: 2 }],
  })
  expect(exitCode).toBe(0)
})
