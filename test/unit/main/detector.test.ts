import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { defaultDetector } from '../../../src/config/detector.js'
import type { Decision } from '../../../src/decision/decision.js'
import { parseSpiffeId } from '../../../src/identity/spiffe-id.js'
import { openDetector } from '../../../src/main/detector.js'
import { eventually } from '../../support/eventually.js'
import { NOW_MS } from '../../support/facts.js'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'detector-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const parsed = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web')
if (!parsed.ok) throw new Error('no SPIFFE ID')
const workload = { spiffeId: parsed.id, verifiedBy: 'certificate' } as const

function decision(at: number, outcome: 'allow' | 'deny' = 'deny'): Parameters<Live['note']>[0] {
  const made: Decision = {
    outcome,
    reason: outcome === 'allow' ? 'allowed' : 'call-not-allowed',
    message: '',
    mode: 'Enforce',
    obligations: [],
    revision: '',
    workload,
    target: `a/t${at}`,
    endpoint: 'Read',
  }
  return {
    decision: made,
    decisionId: `d${at}`,
    request: undefined,
    unreadable: undefined,
    nowMs: NOW_MS + at,
  }
}

type Live = NonNullable<Awaited<ReturnType<typeof openDetector>>>

async function open(over: object = {}, tell: (line: string) => void = () => undefined) {
  const metrics = new Map<string, () => unknown>()
  const recorded: string[] = []
  const logged: string[] = []
  const live = await openDetector(
    { ...defaultDetector(), ...over },
    {
      proxies: new Set(),
      placeOf: () => undefined,
      record: (line) => void recorded.push(line),
      tell,
      metrics: { register: ({ name, read }) => void metrics.set(name, read) },
      log: (level, message) => void logged.push(`${level} ${message}`),
    },
  )
  if (!live) throw new Error('off')
  return { live, metrics, recorded, logged }
}

test('a flood is passed over beyond what may wait, and counted', async () => {
  const { live, metrics, recorded } = await open()
  for (let at = 0; at < 10_025; at++) live.note(decision(at))
  // Nothing is looked at while a call is answered.
  expect(recorded).toEqual([])
  await live.drain()
  expect(metrics.get('portcullis_detector_missed_total')?.()).toContainEqual({
    labels: { what: 'decisions' },
    value: 25,
  })
  expect(recorded.length).toBeGreaterThan(0)
})

test('an alert that can not be sent harms nobody', async () => {
  const { live, logged } = await open({}, () => {
    throw new Error('no room')
  })
  for (let at = 0; at < 6; at++) live.note(decision(at))
  await eventually(() => expect(logged).toContain('error the detector failed'))
  live.note(decision(7))
  await live.drain()
})

test('a decision that is none harms nobody', async () => {
  const { live, logged } = await open()
  const none: ReturnType<typeof decision> = JSON.parse('{}')
  live.note(none)
  expect(logged).toEqual(['error the detector failed'])
  await live.drain()
})

describe('what was learned', () => {
  test('is there after a restart', async () => {
    const baselineFile = join(folder, 'learned.jsonl')
    const first = await open({ baselineFile })
    first.live.note(decision(1, 'allow'))
    await first.live.drain()
    expect(readFileSync(baselineFile, 'utf8')).toContain('"edges":{"a/t1":["Read"]}')
    const second = await open({ baselineFile })
    expect(second.metrics.get('portcullis_detector_subjects')?.()).toContainEqual({
      labels: { kind: 'workload' },
      value: 1,
    })
    second.live.close()
  })

  test('a folder that went away is told once, and nothing fails', async () => {
    const gone = mkdtempSync(join(folder, 'gone-'))
    const { live, logged } = await open({ baselineFile: join(gone, 'learned.jsonl') })
    rmSync(gone, { recursive: true })
    live.note(decision(1, 'allow'))
    await live.drain()
    expect(logged).toEqual(['error what the detector learned can not be written'])
  })
})
