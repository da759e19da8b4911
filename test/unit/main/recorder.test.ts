import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { createMetrics } from '../../../src/adapters/telemetry/metrics.js'
import type { Decision } from '../../../src/decision/decision.js'
import { readRecordLine } from '../../../src/lifecycle/replay/read-record.js'
import { openRecorder } from '../../../src/main/recorder.js'
import { RotatingFile } from '../../../src/main/rotating-file.js'
import { loadPolicy } from '../../../src/policy/load-policy.js'
import { NOWHERE } from '../../../src/risk/locate.js'
import { NOTHING_KNOWN } from '../../../src/state/recall.js'
import { aCall, NOW_MS } from '../../support/facts.js'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'recorder-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function policy() {
  const text =
    'apiVersion: portcullis.dev/v1beta1\nkind: ServicePolicy\nmetadata: { name: pay }\nspec: { endpoints: [{ name: Pay, paths: [/pay], methods: [POST] }] }\n'
  const loaded = loadPolicy([{ file: 'p.yaml', text }], {
    localTrustDomain: 'cluster.local',
    trustDomains: [],
  })
  if (!loaded.ok) throw new Error('no policy')
  return loaded.policy
}

const question = {
  request: {
    requestId: 'r',
    source: { ip: '10.0.0.1', port: 1, principal: '', certificate: '' },
    destination: { ip: '10.0.0.2', port: 2, principal: '' },
    http: aCall({ path: '/pay', headers: [['authorization', 'Bearer hunter2']] }),
    contextExtensions: new Map([['portcullis.service', 'default/pay']]),
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
} as const

const LOOKUPS = {
  identify: () =>
    Promise.resolve({
      ok: true,
      identity: { workload: undefined, serviceToken: undefined, user: undefined },
    } as const),
  recall: () => NOTHING_KNOWN,
  locate: () => NOWHERE,
  consume: () => 'consumed' as const,
  signals: false,
}

function opened(config: { file: string; sample?: number; maxBytes?: number }) {
  const told: unknown[] = []
  const metrics = createMetrics({ most: 10, isService: () => false })
  const recorder = openRecorder(
    { files: 3, maxBytes: 1e6, sample: 1, ...config },
    'x-service-token',
    metrics,
    (level, message, fields) => told.push([level, message, fields]),
  )
  if (!recorder) throw new Error('no recorder')
  const count = (name: string) => new RegExp(`^${name} (\\d+)$`, 'm').exec(metrics.text())?.[1]
  return { recorder, told, count }
}

test('without a configuration nothing is recorded', () => {
  expect(
    openRecorder(undefined, '', createMetrics({ most: 10, isService: () => false }), () => undefined),
  ).toBeUndefined()
})

test('a file that can not be written loses Checks, is counted and told once', async () => {
  const { recorder, told, count } = opened({ file: join(folder, 'none', 'checks.jsonl') })
  for (let at = 0; at < 3; at++) {
    recorder.record(await recorder.authorize(question, policy(), LOOKUPS), 'd', 1)
    await recorder.close()
  }
  expect(count('portcullis_recorded_checks_dropped_total')).toBe('3')
  expect(told).toEqual([
    [
      'warn',
      'recorded Checks are lost',
      expect.objectContaining({ problem: expect.stringMatching(/ENOENT/) }),
    ],
  ])
})

test('too many bytes that wait are dropped', async () => {
  const { recorder, told, count } = opened({ file: join(folder, 'checks.jsonl') })
  const inForce = policy()
  for (let at = 0; at < 20; at++) {
    recorder.record(await recorder.authorize(question, inForce, LOOKUPS), `d-${at}`, 40 * 1024 * 1024)
    recorder.record(await recorder.authorize(question, inForce, LOOKUPS), `d-${at}`, 40 * 1024 * 1024)
  }
  await recorder.close()
  const written = Number(count('portcullis_recorded_checks_total'))
  expect(written).toBeGreaterThan(0)
  expect(written + Number(count('portcullis_recorded_checks_dropped_total'))).toBe(40)
  expect(told.length).toBeGreaterThan(0)
})

test('what was decided is recorded with what was looked up, and nothing else', async () => {
  const file = join(folder, 'checks.jsonl')
  const { recorder, count } = opened({ file })
  const decision = await recorder.authorize(question, policy(), LOOKUPS)
  const other: Decision = { ...decision, reason: 'internal-error' }
  recorder.record(decision, 'd-1', 100)
  recorder.record(other, 'd-2', 100)
  await recorder.close()
  const lines = readFileSync(file, 'utf8').split('\n')
  expect(lines).toHaveLength(2)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(lines[0]).not.toContain('hunter2')
  const read = readRecordLine(lines[0] ?? '')
  expect(read).toMatchObject({
    kind: 'check',
    check: {
      recorded: { decisionId: 'd-1', decision: 'deny', decisionReason: 'no-credentials' },
      identified: { ok: true },
      known: NOTHING_KNOWN,
    },
  })
  expect(count('portcullis_recorded_checks_total')).toBe('1')
})

test('a sample of none records none', async () => {
  const { recorder, count } = opened({ file: join(folder, 'checks.jsonl'), sample: 0 })
  recorder.record(await recorder.authorize(question, policy(), LOOKUPS), 'd', 1)
  await recorder.close()
  expect(count('portcullis_recorded_checks_total')).toBe('0')
})

test.each([
  { files: 1, kept: ['f'], newest: ['f', 'line 5\n'] },
  { files: 3, kept: ['f', 'f.1', 'f.2'], newest: ['f.2', 'line 3\n'] },
])('of $files files the oldest goes', async ({ files, kept, newest: [name = '', text] }) => {
  const file = new RotatingFile(join(folder, 'f'), 10, files)
  for (let at = 1; at <= 5; at++) await file.append(`line ${at}\n`)
  await file.close()
  expect(readdirSync(folder).sort()).toEqual(kept)
  expect(readFileSync(join(folder, name), 'utf8')).toBe(text)
})

test('what is there is gone on with', async () => {
  for (const text of ['a\n', 'b\n']) {
    const file = new RotatingFile(join(folder, 'f'), 10, 2)
    await file.append(text)
    await file.close()
  }
  expect(readFileSync(join(folder, 'f'), 'utf8')).toBe('a\nb\n')
})
