import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Command, CommanderError } from 'commander'
import type { CliIo } from '../../../src/cli/io.js'
import { register } from '../../../src/cli/explain.js'
import { type RecordedApi, startRecordedApi } from '../../support/recorded-api.js'
import { type CliRun, runCli } from '../../support/cli.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: payment, namespace: shop }
spec:
  endpoints:
    - { name: Pay, paths: [/pay], methods: [POST], workloadScopes: ["pay:write"] }
    - { name: Look, paths: ["/pay/{id}"], methods: [GET] }
    - { name: Refund, paths: [/refund], methods: [POST], require: Both, mfa: Required }
  rules:
    # the shop pays
    - { name: checkout-pays, from: [{ services: [checkout] }], to: [{ endpoints: [Pay] }], when: [{ key: source.ip, cidr: [10.0.0.0/8] }], grantScopes: ["pay:write"] }
    - { name: looked-up, from: [{ services: [checkout, order] }], to: [{ endpoints: [Look] }] }
    - { name: refunds, from: [{ services: [checkout] }], to: [{ endpoints: [Refund] }] }
  forbid:
    - { name: not-order, from: [{ services: [order, audit] }], to: [{ endpoints: [Pay] }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: checkout, namespace: shop }
spec: { calls: [{ service: payment }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: order, namespace: shop }
spec:
  mode: Shadow
  endpoints: [{ name: all, paths: [/orders], methods: [GET] }]
  calls:
    - service: payment # looks and pays
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: audit, namespace: shop }
spec: { mode: Enforce }
`

let directory = ''
let api: RecordedApi
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portcullis-explain-'))
  await writeFile(join(directory, 'shop.yaml'), POLICY)
  await writeFile(join(directory, 'token'), 'a-token-of-alice-that-is-long-enough-0001\n')
  api = await startRecordedApi()
})
afterAll(async () => {
  await api.close()
  await rm(directory, { recursive: true })
})

async function explain(...args: string[]): Promise<CliRun> {
  let [stdout, stderr] = ['', '']
  const io: CliIo = {
    stdout: (text) => void (stdout += text),
    stderr: (text) => void (stderr += text),
    env: {},
    isTerminal: false,
    exitCode: 0,
  }
  const program = new Command('portcullis')
    .exitOverride()
    .configureOutput({ writeOut: io.stdout, writeErr: io.stderr })
  register(program, io)
  try {
    await program.parseAsync(['explain', ...args], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    io.exitCode = error.exitCode === 0 ? 0 : 2
  }
  return { exitCode: io.exitCode, stdout, stderr }
}

const onPolicy = (...args: string[]) => explain('--policy', directory, ...args)
const CALL = ['--target', 'shop/payment', '--method', 'POST', '--path', '/pay', '--source-ip', '10.1.1.1']

const EVENT = {
  timestamp: '2026-11-25T08:00:00.000Z',
  eventType: 'authorization',
  decisionId: 'd-1',
  workloadId: 'spiffe://cluster.local/ns/shop/sa/order',
  callerService: 'shop/order',
  targetService: 'shop/payment',
  protocol: 'HTTP/2',
  requestMethod: 'GET',
  requestPath: '/pay/7/lines',
  sourceIp: '10.1.1.1',
  decision: 'deny',
  decisionReason: 'endpoint-not-exposed',
  message: 'shop/payment does not expose GET /pay/7/lines',
  mode: 'Enforce',
}

async function log(name: string, ...events: object[]): Promise<string> {
  const file = join(directory, name)
  await writeFile(file, events.map((event) => `${JSON.stringify(event)}\n`).join(''))
  return file
}

describe('wrong usage is exit 2', () => {
  test.each([
    ['nothing to explain', [], '--target is missing'],
    ['an id and a call', ['d-1', ...CALL], 'has its --target already'],
    ['an event and a call', ['--event', 'x', ...CALL], 'exclude each other'],
    ['a log that is not there', ['--event', '/no/such/log'], "can't be read"],
    ['no token', ['d-1'], 'token'],
    ['an option that is none', ['--reason', 'x'], 'unknown option'],
  ])('%s', async (_name, args, says) => {
    const run = await onPolicy(...args)
    expect(run).toMatchObject({ exitCode: 2, stdout: '' })
    expect(run.stderr).toContain(says)
  })

  test.each([
    ['no event', [], undefined, 'holds no decision'],
    ['several', [EVENT, { ...EVENT, decisionId: 'd-2' }], undefined, 'holds 2 decisions: say which'],
    ['not this one', [EVENT], 'd-9', 'no decision d-9'],
    ['something else', [{ a: 1 }], undefined, 'no security event'],
  ])('a log with %s', async (_name, events, id, says) => {
    const run = await onPolicy(
      ...(id === undefined ? [] : [id]),
      '--event',
      await log('bad.jsonl', ...events),
    )
    expect(run).toMatchObject({ exitCode: 2, stdout: '' })
    expect(run.stderr).toContain(says)
  })
})

describe('a call that nobody made', () => {
  test('the forbid that names it among others: only this caller is taken out, and then what else it lacks', async () => {
    const run = await onPolicy('--caller', 'shop/order', ...CALL)
    expect(run.exitCode).toBe(1)
    expect(run.stdout).toContain('DENY  forbidden')
    expect(run.stdout).toContain('Smallest change: let the forbid not-order not mean shop/order; ')
    expect(run.stdout).toContain('it opens nothing else')
  })

  test('the nearest rule, part by part, and a value more in its condition', async () => {
    const run = await onPolicy('--caller', 'shop/checkout', ...CALL.slice(0, -1), '192.168.3.4')
    expect(run.stdout).toContain('shop.yaml:12:7), 1 of 4 parts not met')
    expect(run.stdout).toContain('✗ when    { key: source.ip, cidr: ["10.0.0.0/8"] }; here: 192.168.3.4')
    expect(run.stdout).toContain(
      'Smallest change: let the condition on source.ip of checkout-pays hold for 192.168.3.4/32 too',
    )
    expect(run.stdout).toContain('it opens nothing else')
  })

  test('what the matrix does not refuse is not for the policy to change', async () => {
    const args = [
      '--target',
      'shop/payment',
      '--method',
      'POST',
      '--path',
      '/refund',
      '--caller',
      'shop/checkout',
    ]
    const run = await onPolicy(...args)
    expect(run.stdout).toContain('user-required')
    expect(run.stdout).toContain('What would help: the call must carry the token of a user.')
    expect(run.stdout).not.toContain('Smallest change')
  })

  test('a call that passes in Shadow says why it passed, and what enforcing it would take', async () => {
    const run = await onPolicy('--target', 'shop/order', '--path', '/orders', '--caller', 'shop/checkout')
    expect(run.exitCode).toBe(0)
    expect(run.stdout).toContain('Why it passed: shop/order is in mode Shadow')
    expect(run.stdout).toContain('Smallest change: let checkout call order, through all alone')
  })

  test('JSON has the edits as YAML, the patch, and what else it opens; git applies the patch', async () => {
    const run = await onPolicy(
      '-o',
      'json',
      '--target',
      'shop/payment',
      '--path',
      '/pay/7',
      '--caller',
      'shop/audit',
    )
    const { why } = JSON.parse(run.stdout)
    expect(why).toMatchObject({ refusedBy: 'policy', nearest: { rule: 'looked-up', unmet: 1 } })
    const [change] = why.changes
    expect(change.edits).toEqual([
      expect.objectContaining({ op: 'append', yaml: '{ service: payment, endpoints: [Look] }' }),
      expect.objectContaining({
        op: 'append',
        at: ['spec', 'rules', 1, 'from', 0, 'services'],
        yaml: 'audit',
      }),
    ])
    expect(change.then).toMatchObject({ decision: 'allow' })
    expect(change.diff).toContain(
      '+spec: { mode: Enforce, calls: [{ service: payment, endpoints: [Look] }] }',
    )
  })

  test('check tells it where it is asked to, and not else', async () => {
    const args = ['check', '--policy', directory, '--caller', 'shop/audit', ...CALL]
    expect((await runCli(args)).stdout).not.toContain('Nearest rule')
    expect((await runCli([...args, '--why'])).stdout).toContain('Nearest rule')
  })
})

describe('a recorded event', () => {
  test('is decided again, and what it does not hold is said', async () => {
    const run = await onPolicy('--event', await log('one.jsonl', EVENT))
    expect(run.exitCode).toBe(1)
    expect(run.stdout).toContain('Recorded d-1 at 2026-11-25T08:00:00.000Z: deny endpoint-not-exposed')
    expect(run.stdout).toContain('not in the event: scopes of a service token; headers; query; body')
    expect(run.stdout).toContain('On this policy:\nDENY  endpoint-not-exposed')
    expect(run.stdout).toContain('/pay/{id}/lines')
  })

  test('refused for its credentials: says what the caller must do', async () => {
    const { workloadId: _none, callerService: _neither, ...rest } = EVENT
    const event = { ...rest, decisionReason: 'certificate-expired' }
    const run = await onPolicy('-o', 'json', '--event', await log('cert.jsonl', event))
    const told = JSON.parse(run.stdout)
    expect(told.recorded).toMatchObject({ refusedBy: 'credentials', reason: 'certificate-expired' })
    expect(told.recorded.advice).toContain('valid certificate')
    expect(told.why.changes).toBeUndefined()
  })

  test('a name from a log cannot steer a terminal', async () => {
    const event = { ...EVENT, message: 'a\u001b[2Jb' }
    expect((await onPolicy('--event', await log('esc.jsonl', event))).stdout).not.toContain('\u001b')
  })
})

describe('a decision of a running server', () => {
  const connection = () => ['--server', api.url, '--token-file', join(directory, 'token')]
  const ANSWER = {
    event: EVENT,
    now: {
      decision: 'deny',
      reason: 'endpoint-not-exposed',
      message: 'm',
      steps: [{ step: 'endpoint', outcome: 'fail', detail: 'nothing there' }],
    },
    missing: ['headers'],
  }

  test('that it does not know is a finding', async () => {
    api.answers({ status: 404, body: { title: 'not found', detail: 'no recent decision' } })
    const run = await explain('d-1', ...connection())
    expect(run).toMatchObject({ exitCode: 1, stdout: '' })
    expect(run.stderr).toContain('no recent decision')
  })

  test('is shown with its steps, and with a policy searched on', async () => {
    api.answers({ body: ANSWER })
    const run = await explain('d/1', ...connection())
    expect(api.asked[0]?.path).toBe('/v1/decisions/d%2F1/explain')
    expect(run.exitCode).toBe(1)
    expect(run.stdout).toContain('✗ endpoint  nothing there')
    api.answers({ body: ANSWER })
    const searched = await onPolicy('d-1', ...connection())
    expect(searched.stdout).toContain('Smallest change')
    expect(await readFile(join(directory, 'shop.yaml'), 'utf8')).toBe(POLICY)
  })
})
