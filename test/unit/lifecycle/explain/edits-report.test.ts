import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type CliRun, runCli } from '../../../support/cli.js'

const POLICY = `apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay, namespace: shop }
spec:
  require: Both
  endpoints:
    - { name: Pay, paths: [/pay], methods: [POST] }
    - { name: Wipe, paths: [/wipe], methods: [POST] }
  rules:
    - { name: low-risk, from: [{ services: [web] }], to: [{ endpoints: [Pay] }], when: [{ key: risk.score, below: 30 }] }
    - { name: wipers, from: [{ services: [web] }], to: [{ endpoints: [Wipe] }], when: [{ key: user.mfa, is: true }, { key: device.managed, is: true }] }
  forbid:
    - { name: hot, from: [{ any: true }], to: [{ endpoints: [Wipe] }], when: [{ key: risk.score, above: 60 }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: pay }] }
---
apiVersion: portcullis.dev/v1beta1
kind: BaselinePolicy
metadata: { name: default }
spec:
  allow:
    - { name: scrape, from: [{ identities: ["spiffe://cluster.local/ns/mon/sa/one"] }], to: [{ paths: [/metrics], methods: [GET] }] }
`
const EVENT = {
  timestamp: '2026-11-25T08:00:00.000Z',
  eventType: 'authorization',
  decisionId: 'd-1',
  workloadId: 'spiffe://cluster.local/ns/shop/sa/web',
  targetService: 'shop/pay',
  protocol: 'HTTP/2',
  requestMethod: 'POST',
  requestPath: '/pay',
  userId: 'al',
  userIssuer: 'https://idp.example',
  decision: 'deny',
  decisionReason: 'rule-not-matched',
  mode: 'Enforce',
}

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portcullis-edits-'))
  await writeFile(join(directory, 'shop.yaml'), POLICY)
})
afterAll(async () => rm(directory, { recursive: true }))

const explain = (...args: string[]): Promise<CliRun> => runCli(['explain', '--policy', directory, ...args])
const asking = (path: string, ...args: string[]) =>
  explain(
    '--caller',
    'shop/web',
    '--target',
    'shop/pay',
    '--method',
    'POST',
    '--path',
    path,
    '--user',
    'al',
    ...args,
  )

async function log(name: string, event: object): Promise<string> {
  const file = join(directory, name)
  await writeFile(file, `${JSON.stringify(event)}\n`)
  return file
}

describe('a recorded event that can not be explained', () => {
  test.each([
    ['is not there', 'nope', "nope can't be read: no such file or folder"],
    ['is a folder', tmpdir(), 'is a folder: name the log of security events in it'],
    ['is below a file', '/etc/hosts/log', 'a part of its path is not a folder'],
  ])('a log that %s', async (_name, file, says) => {
    const run = await explain('--event', file)
    expect(run).toMatchObject({ exitCode: 2, stdout: '' })
    expect(run.stderr).toContain(says)
    expect(run.stderr).not.toMatch(/ENOENT|EISDIR|ENOTDIR/)
  })

  test('a log that nobody may read', async () => {
    const file = await log('closed.jsonl', EVENT)
    await chmod(file, 0)
    const run = await explain('--event', file)
    // Root may read it all the same.
    if (process.getuid?.() === 0) expect(run.exitCode).toBe(1)
    else expect(run.stderr).toContain('permission denied')
  })

  test.each([
    ['a control character', { userId: 'a\u0007l' }, "userId has a control character, so its call can't be"],
    ['an empty name', { userId: '' }, 'userId is empty'],
    ['a name that is too long', { userId: 'a'.repeat(1025) }, 'userId is longer than 1024 characters'],
    ['an issuer that no token has', { userIssuer: 'i\n' }, 'userIssuer has a control character'],
    ['a device that no token has', { deviceId: '\u0000' }, 'deviceId has a control character'],
    ['a session that no token has', { sessionId: '\u007f' }, 'sessionId has a control character'],
  ])('a user with %s: the field of the event is named', async (name, fields, says) => {
    const run = await explain('--event', await log(`${name}.jsonl`, { ...EVENT, ...fields }))
    expect(run).toMatchObject({ exitCode: 2, stdout: '' })
    expect(run.stderr).toContain(says)
    expect(run.stderr).not.toContain('token would be malformed')
  })
})

describe('no change is shown', () => {
  test('past a condition on risk: what the caller has to do is', async () => {
    const { stdout } = await asking('/pay', '--risk', '50')
    expect(stdout).toContain('Nearest rule: low-risk')
    expect(stdout).toContain('here: 50')
    expect(stdout).toContain('What would help: where a condition on risk, device, session or sign-in refuses')
    expect(stdout).not.toMatch(/Smallest change|Or: /)
  })

  test('past a forbid on risk and a rule on MFA and device', async () => {
    const { stdout } = await asking('/wipe', '--risk', '66', '--mfa')
    expect(stdout).toContain('DENY  forbidden')
    expect(stdout).toContain('the caller must meet it')
    expect(stdout).not.toMatch(/Smallest change|Or: /)
  })
})

test('a caller that no document names gets the way that a baseline allow opens to others', async () => {
  const id = 'spiffe://cluster.local/ns/x/sa/prom'
  const { stdout } = await explain(
    '--caller',
    id,
    '--target',
    'shop/pay',
    '--path',
    '/metrics',
    '--user',
    'al',
  )
  expect(stdout).toContain(`change: let the rule scrape mean ${id} too`)
})

test('JSON holds nothing that is meant for the store', async () => {
  const call = await asking('/pay', '--risk', '50', '-o', 'json')
  const event = await explain('-o', 'json', '--event', await log('one.jsonl', EVENT))
  for (const { stdout, exitCode } of [call, event]) {
    const told: unknown = JSON.parse(stdout)
    expect(told).toMatchObject({
      reason: expect.any(String),
      steps: expect.any(Array),
      why: expect.any(Object),
    })
    expect(told).not.toHaveProperty('lessons')
    expect(told).not.toHaveProperty('subjects')
    expect(stdout).not.toContain('expiresAtMs')
    expect(exitCode).toBe(1)
  }
})
