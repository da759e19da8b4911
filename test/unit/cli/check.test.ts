import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type CliRun, runCli } from '../../support/cli.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: payment-service, namespace: shop }
spec:
  routes: [{ host: shop.example.com, pathPrefix: /pay, stripPrefix: /pay }]
  endpoints:
    - { name: ProcessPayment, paths: [/api/payments], methods: [POST], workloadScopes: [payments:process] }
    - { name: GetReceipt, paths: ["/api/receipts/{id}"], methods: [GET], require: User }
    - { name: Export, paths: [/api/export], methods: [GET, POST], require: Both }
    - { name: Refund, grpc: [shop.v1.Payments/Refund], require: Both, mfa: Required }
    - { name: Office, paths: [/office], methods: [GET] }
  rules:
    - name: checkout-processes
      from: [{ services: [checkout-service] }]
      to: [{ endpoints: [ProcessPayment, Export, Refund] }]
    - name: users
      from: [{ users: true }]
      to: [{ endpoints: [GetReceipt] }]
    - name: from-the-office
      from: [{ services: [checkout-service] }]
      to: [{ endpoints: [Office] }]
      when: [{ key: source.ip, cidr: [10.0.0.0/8] }, { key: "user.claims[department]", values: [sales] }]
  forbid:
    - { name: no-tests, when: [{ key: "request.headers[x-test]", present: true }], message: test runs may not pay }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: database-service, namespace: shop }
spec:
  mode: Shadow
  endpoints: [{ name: sql, protocol: TCP, ports: [5432] }]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: checkout-service, namespace: shop }
spec:
  calls: [{ service: payment-service }, { service: database-service }]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: order-service, namespace: shop }
spec:
  calls: [{ service: payment-service }]
`

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portcullis-check-'))
  await writeFile(join(directory, 'shop.yaml'), POLICY)
})
afterAll(() => rm(directory, { recursive: true }))

function check(...args: string[]): Promise<CliRun> {
  return runCli(['check', '--policy', directory, ...args])
}

const PAYMENT = ['--target', 'shop/payment-service']
const CHECKOUT = ['--caller', 'shop/checkout-service']
const PROCESS = [...PAYMENT, '--method', 'POST', '--path', '/api/payments']
const SCOPE = ['--workload-scope', 'payments:process']
const ALICE = ['--user', 'alice']

describe('wrong usage is exit 2 and no decision', () => {
  test.each([
    { name: 'no target', args: CHECKOUT, says: '--target is missing' },
    { name: 'TCP without a port', args: [...PAYMENT, '--tcp'], says: '--tcp needs --port' },
    {
      name: 'TCP and gRPC',
      args: [...PAYMENT, '--tcp', '--port', '1', '--grpc', 'a.B/C'],
      says: 'exclude each other',
    },
    { name: 'a role without a user', args: [...PAYMENT, '--role', 'admin'], says: 'need --user' },
    {
      name: 'a proxy without a caller',
      args: [...PAYMENT, '--via', 'edge/gateway'],
      says: '--via needs --caller',
    },
    {
      name: 'a proxy that is no workload',
      args: [...PROCESS, ...CHECKOUT, '--via', 'spiffe://a'],
      says: '--via spiffe://a is neither',
    },
    { name: 'a scope without a workload', args: [...PAYMENT, ...SCOPE], says: 'needs --caller' },
    {
      name: 'a workload at a gateway',
      args: [...PROCESS, ...CHECKOUT, '--listener-role', 'Gateway'],
      says: 'exclude each other',
    },
    {
      name: 'a caller that is none',
      args: [...PROCESS, '--caller', 'checkout'],
      says: 'neither namespace/name nor',
    },
    {
      name: 'a caller without a path',
      args: [...PROCESS, '--caller', 'spiffe://cluster.local'],
      says: 'neither namespace/name nor',
    },
    { name: 'risk above 100', args: [...PROCESS, ...ALICE, '--risk', '101'], says: 'from 0 to 100' },
    { name: 'risk that is no number', args: [...PROCESS, ...ALICE, '--risk', '1e1'], says: 'from 0 to 100' },
    { name: 'a time that is none', args: [...PROCESS, '--at', 'tomorrow'], says: 'give a time' },
    {
      name: 'a date that does not exist',
      args: [...PROCESS, '--at', '2026-02-31T25:00:00Z'],
      says: 'give a time',
    },
    { name: 'a header without a value', args: [...PROCESS, '--header', 'x-env'], says: 'a name and a value' },
    {
      name: 'a claim of a wrong type',
      args: [...PROCESS, ...ALICE, '--claim', 'acr=5'],
      says: 'would be malformed',
    },
    {
      name: 'an unknown level',
      args: [...PROCESS, ...ALICE, '--device-trust', 'Low'],
      says: 'Allowed choices',
    },
  ])('$name', async ({ args, says }) => {
    const { exitCode, stdout, stderr } = await check(...args)
    expect(stderr).toContain(says)
    expect([exitCode, stdout]).toEqual([2, ''])
  })

  test('a policy with errors tells all of them', async () => {
    const bad = await mkdtemp(join(tmpdir(), 'portcullis-check-'))
    await writeFile(
      join(bad, 'a.yaml'),
      POLICY.replace('endpoints: [{ name: sql', 'endpoint: [{ name: sql').replace(
        'mode: Shadow',
        'mode: shadow',
      ),
    )
    const { exitCode, stdout, stderr } = await runCli(['check', '--policy', bad, ...PROCESS])
    await rm(bad, { recursive: true })
    expect(stderr).toMatch(/a\.yaml:\d+:\d+: error: .*shadow/)
    expect(stderr).toMatch(/a\.yaml:\d+:\d+: error: .*did you mean `endpoints`/)
    expect([exitCode, stdout]).toEqual([2, ''])
  })

  test('so does a folder that is not there', async () => {
    const { exitCode, stderr } = await runCli(['check', '--policy', '/nowhere', ...PROCESS])
    expect(stderr).toContain("/nowhere can't be read")
    expect(exitCode).toBe(2)
  })
})

describe('refused calls are exit 1', () => {
  test.each([
    { reason: 'ambiguous-request', args: [...PAYMENT, ...CHECKOUT, '--path', '/api/../admin'] },
    {
      reason: 'ambiguous-request',
      args: [...PROCESS, ...CHECKOUT, '--header', 'x-http-method-override:GET'],
    },
    {
      reason: 'ambiguous-request',
      args: [...PROCESS, ...CHECKOUT, '--header', 'authorization:a', '--header', 'authorization:b'],
    },
    { reason: 'target-unknown', args: ['--target', 'shop/nobody', ...CHECKOUT] },
    { reason: 'certificate-required', args: PROCESS },
    { reason: 'no-credentials', args: [...PROCESS, '--mtls', 'Permissive'] },
    { reason: 'caller-unknown', args: [...PROCESS, '--caller', 'spiffe://cluster.local/ns/x/sa/y'] },
    { reason: 'call-not-allowed', args: [...PROCESS, '--caller', 'shop/database-service'] },
    { reason: 'endpoint-not-exposed', args: [...PAYMENT, ...CHECKOUT, '--path', '/admin'] },
    { reason: 'rule-not-matched', args: [...PROCESS, '--caller', 'shop/order-service', ...SCOPE] },
    { reason: 'scope-missing', args: [...PROCESS, ...CHECKOUT] },
    { reason: 'forbidden', args: [...PROCESS, ...CHECKOUT, ...SCOPE, '--header', 'X-Test: 1'] },
    { reason: 'user-required', args: [...PAYMENT, ...CHECKOUT, '--path', '/api/export'] },
    {
      reason: 'device-read-only',
      args: [
        ...PAYMENT,
        ...CHECKOUT,
        '--path',
        '/api/export',
        '--method',
        'POST',
        ...ALICE,
        '--device-trust',
        'low',
      ],
    },
    {
      reason: 'step-up-required',
      args: [...PAYMENT, ...CHECKOUT, '--path', '/api/export', ...ALICE, '--risk', '71'],
    },
    {
      reason: 'rule-not-matched',
      args: [...PAYMENT, ...CHECKOUT, '--path', '/office', ...ALICE, '--claim', 'department=sales'],
    },
  ])('$reason: $args', async ({ reason, args }) => {
    const { exitCode, stdout } = await check(...args)
    expect(stdout.split('\n')[0]).toMatch(new RegExp(`^(?:DENY|CHALLENGE)  ${reason}  `))
    expect(exitCode).toBe(1)
  })

  test('a misspelt name gets a hint', async () => {
    const { stderr } = await check('--target', 'shop/paymet-service', ...CHECKOUT)
    expect(stderr).toContain('did you mean shop/payment-service?')
  })
})

describe('calls that pass are exit 0', () => {
  test.each([
    { name: 'with the scope', args: [...PROCESS, ...CHECKOUT, ...SCOPE] },
    {
      name: 'caller as SPIFFE ID',
      args: [...PROCESS, '--caller', 'spiffe://cluster.local/ns/shop/sa/checkout-service', ...SCOPE],
    },
    {
      name: 'user through a gateway, by route',
      args: [
        '--listener-role',
        'Gateway',
        '--host',
        'shop.example.com',
        '--path',
        '/pay/api/receipts/7?x=1',
        ...ALICE,
      ],
    },
    {
      name: 'low device that reads',
      args: [...PAYMENT, ...CHECKOUT, '--path', '/api/export', ...ALICE, '--device-trust', 'low'],
    },
    {
      name: 'gRPC with MFA',
      args: [
        ...PAYMENT,
        ...CHECKOUT,
        '--grpc',
        'shop.v1.Payments/Refund',
        ...ALICE,
        '--mfa',
        '--auth-age',
        '1m',
      ],
    },
    {
      name: 'conditions on address and claim',
      args: [
        ...PAYMENT,
        ...CHECKOUT,
        '--path',
        '/office',
        ...ALICE,
        '--claim',
        'department=sales',
        '--source-ip',
        '10.1.1.1',
      ],
    },
    { name: 'TCP', args: ['--target', 'shop/database-service', ...CHECKOUT, '--tcp', '--port', '5432'] },
    {
      name: 'a refusal in Shadow',
      args: ['--target', 'shop/database-service', ...CHECKOUT, '--tcp', '--port', '5433'],
    },
  ])('$name', async ({ args }) => {
    const { exitCode, stdout } = await check(...args)
    expect(stdout.split('\n')[0]).toMatch(/^ALLOW {2}allowed {2}/)
    expect(exitCode).toBe(0)
  })
})

describe('what it prints', () => {
  test('one line first, then the steps and the rule with its place', async () => {
    const { stdout } = await check(...PROCESS, ...CHECKOUT, ...SCOPE)
    const lines = stdout.trimEnd().split('\n')
    expect(lines[0]).toBe(
      'ALLOW  allowed  shop/checkout-service → shop/payment-service  POST /api/payments (ProcessPayment)',
    )
    expect(lines.slice(1, -1).every((line) => /^ {2}[✓✗·-] \S/.test(line))).toBe(true)
    expect(lines.at(-1)).toMatch(/^ {2}rule +checkout-processes {2}\S+shop\.yaml:\d+:\d+$/)
  })

  test('a failed step is marked, and the message of a forbid is there', async () => {
    const { stdout } = await check(...PROCESS, ...CHECKOUT, ...SCOPE, '--header', 'x-test:1')
    expect(stdout).toMatch(/\n {2}test runs may not pay\n/)
    expect(stdout).toMatch(/\n {2}✗ forbid/)
  })

  test('Shadow shows what Enforce would do', async () => {
    const { stdout } = await check('--target', 'shop/database-service', ...CHECKOUT, '--tcp', '--port', '1')
    expect(stdout).toMatch(/\n {2}Enforce +deny endpoint-not-exposed: /)
  })

  test('JSON for programs', async () => {
    const { stdout } = await check(
      ...PROCESS,
      ...CHECKOUT,
      ...SCOPE,
      ...ALICE,
      '--role',
      'admin',
      '-o',
      'json',
    )
    expect(JSON.parse(stdout)).toMatchObject({
      decision: 'allow',
      reason: 'allowed',
      mode: 'Enforce',
      caller: 'shop/checkout-service',
      target: 'shop/payment-service',
      endpoint: 'ProcessPayment',
      operation: 'Write',
      rule: 'checkout-processes',
      workload: 'spiffe://cluster.local/ns/shop/sa/checkout-service',
      user: { issuer: 'https://idp.example', subject: 'alice', roles: ['admin'] },
      revision: expect.stringMatching(/^[\da-f]{64}$/),
      steps: expect.arrayContaining([expect.objectContaining({ step: 'target', outcome: 'pass' })]),
    })
  })

  test.each([
    { name: 'nowhere but on a terminal', io: { isTerminal: false }, coloured: false },
    { name: 'never with NO_COLOR', io: { isTerminal: true, env: { NO_COLOR: '1' } }, coloured: false },
    { name: 'on a terminal', io: { isTerminal: true }, coloured: true },
  ])('colours: $name', async ({ io, coloured }) => {
    const { stdout } = await runCli(['check', '--policy', directory, ...PROCESS, ...CHECKOUT], io)
    expect(stdout.includes('\u001b[')).toBe(coloured)
  })
})

test('a proxy needs the edge too, and its steps are told apart', async () => {
  const run = await check(...PROCESS, ...CHECKOUT, ...SCOPE, '--via', 'shop/order-service')
  expect(run.exitCode).toBe(1)
  expect(run.stdout).toContain('DENY  rule-not-matched')
  expect(run.stdout).toContain('forwarded by the proxy spiffe://cluster.local/ns/shop/sa/order-service')
  expect(run.stdout).toMatch(/✓ proxy calls +shop\/order-service calls shop\/payment-service/)
  expect(run.stdout).toMatch(/✗ proxy rules /)
  const self = await check(...PROCESS, ...CHECKOUT, ...SCOPE, '--via', 'shop/checkout-service')
  expect(self.exitCode).toBe(0)
})

test('a configuration gives policy, trust domain and claim mapping', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-check-'))
  const file = join(folder, 'portcullis.yaml')
  await writeFile(
    file,
    `
apiVersion: portcullis.dev/v1beta1
kind: Configuration
listeners: [{ name: mesh, address: "127.0.0.1:0" }]
trustDomain: prod.example
trustDomains: { prod.example: { bundle: { file: ca.pem } } }
policy: { directory: ${JSON.stringify(directory)} }
userTokens:
  issuers:
    - { issuer: "https://id.example", audiences: [shop], jwksFile: keys.json, algorithms: [RS256], claims: { department: org.unit } }
`,
  )
  const call = [...PAYMENT, ...CHECKOUT, '--path', '/office', '--source-ip', '10.1.1.1']
  const user = [...ALICE, '--issuer', 'https://id.example', '--claim', 'org={"unit":"sales"}']
  const { exitCode, stdout } = await runCli(['check', '--config', file, ...call, ...user])
  await rm(folder, { recursive: true })
  expect(stdout).toContain('spiffe://prod.example/ns/shop/sa/checkout-service')
  expect(exitCode).toBe(0)
})
