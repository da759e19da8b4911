import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parseTraceparent } from '../../../src/audit/traceparent.js'
import type { TelemetryConfig } from '../../../src/config/telemetry.js'
import type { Decision } from '../../../src/decision/decision.js'
import { parseHeaders } from '../../../src/main/collector.js'
import { createExpiries } from '../../../src/main/expiries.js'
import { openLog, StartFailure } from '../../../src/main/log.js'
import { openTelemetry, type Telemetry } from '../../../src/main/telemetry.js'
import { createAuthority } from '../../support/certificate-authority.js'
import { type Collector, startCollector } from '../../support/otlp.js'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const NOW_MS = 1_790_000_000_000
const DECISION: Decision = {
  outcome: 'deny',
  reason: 'internal-error',
  message: 'why it failed',
  mode: 'Enforce',
  obligations: [],
  revision: 'r1',
  riskScore: 71.6,
  rule: 'web',
  wouldBe: undefined,
}

let directory: string
let collector: Collector
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'telemetry-'))
  collector = await startCollector()
})
afterAll(async () => {
  await collector.close()
  rmSync(directory, { recursive: true })
})

function open(sampleRatio: number, files: { headersFile?: string; caFile?: string } = {}): Telemetry {
  const config: TelemetryConfig = {
    metrics: { maxServicePairs: 10, collector: undefined },
    traces: {
      sampleRatio,
      buffer: 10,
      collector: {
        endpoint: `${collector.url}/v1/traces`,
        headersFile: undefined,
        caFile: undefined,
        timeoutMs: 1000,
        intervalMs: 10,
        ...files,
      },
    },
  }
  return openTelemetry(
    config,
    openLog(
      () => undefined,
      'info',
      () => NOW_MS,
    ),
    () => false,
    () => NOW_MS,
  )
}

describe('headers for a collector', () => {
  test.each([
    { name: 'no colon', text: 'authorization Bearer hunter2' },
    { name: 'no name', text: ': hunter2' },
    { name: 'a blank in the name', text: 'a b: hunter2' },
    { name: 'a control character', text: 'a: hunter2\u0007' },
    { name: 'twice', text: 'a: hunter2\nA: hunter2' },
    { name: 'one that the request says itself', text: 'Content-Length: 7\nb: hunter2' },
    { name: 'too many', text: Array.from({ length: 33 }, (_, at) => `a${at}: hunter2`).join('\n') },
  ])('refused without telling them: $name', ({ text }) => {
    const file = join(directory, 'bad.headers')
    writeFileSync(file, text)
    let failure: unknown
    try {
      open(0, { headersFile: file }).close()
    } catch (error) {
      failure = error
    }
    expect(failure).toBeInstanceOf(StartFailure)
    expect(String(failure)).toContain(`telemetry.traces.headersFile ${file}: `)
    expect(String(failure)).not.toContain('hunter2')
  })

  test.each(['headersFile', 'caFile'] as const)('a %s that is not there', (option) => {
    expect(() => open(0, { [option]: join(directory, 'none') })).toThrow(
      new RegExp(`^telemetry\\.traces\\.${option}: .*ENOENT`),
    )
  })

  test('comments, empty lines and colons in values', () => {
    expect(parseHeaders('# x: y\n\n Authorization'.trimEnd() + ': Bearer a:b \r\nX-Empty:\n')).toBe(
      'line 3 is no `name: value`',
    )
    expect(parseHeaders('# x: y\n\nAuthorization: Bearer a:b \r\nX-Empty:\n')).toEqual({
      authorization: 'Bearer a:b',
      'x-empty': '',
    })
  })
})

test.each([
  ['00', false],
  ['01', true],
  ['02', false],
  ['03', true],
  ['0a', false],
  ['0b', true],
  ['fe', false],
  ['ff', true],
])('flags %s: sampled is %s', (flags, sampled) => {
  expect(parseTraceparent(`00-${TRACE}-${PARENT}-${flags}`)).toEqual({
    traceId: TRACE,
    spanId: PARENT,
    sampled,
  })
})

describe('a call without a trace', () => {
  test('gets one by the ratio, and its event names it', async () => {
    const telemetry = open(1)
    const followed = telemetry.follow(undefined, undefined, NOW_MS)
    const named = parseTraceparent(followed?.traceparent ?? '')
    expect(named).toMatchObject({ traceId: followed?.traceId, sampled: true })
    followed?.answered(DECISION, 'd1', 250)
    await telemetry.drain(2000)
    telemetry.close()
    expect(collector.spans()).toMatchObject([
      {
        traceId: named?.traceId,
        spanId: named?.spanId,
        parentSpanId: undefined,
        startNanos: BigInt(NOW_MS) * 1_000_000n,
        endNanos: BigInt(NOW_MS) * 1_000_000n + 250_000n,
        status: { code: 2, message: 'internal-error' },
        attributes: {
          'portcullis.decision_id': 'd1',
          'portcullis.risk_score': '72',
          'portcullis.rule': 'web',
        },
      },
    ])
    expect(JSON.stringify(collector.spans()[0]?.attributes)).not.toContain('why it failed')
  })

  test('gets none at 0, and about half at 0.5', () => {
    const none = open(0)
    const half = open(0.5)
    const count = (telemetry: Telemetry): number =>
      Array.from({ length: 2000 }, () => telemetry.follow(undefined, undefined, NOW_MS)).filter(Boolean)
        .length
    expect(count(none)).toBe(0)
    // Six standard deviations.
    expect(Math.abs(count(half) - 1000)).toBeLessThan(135)
    none.close()
    half.close()
  })

  test('a trace that is not kept is not begun anew', () => {
    const telemetry = open(1)
    expect(telemetry.follow(`00-${TRACE}-${PARENT}-00`, undefined, NOW_MS)).toBeUndefined()
    telemetry.close()
  })
})

test('of a chain of certificates the first end counts; what is none changes nothing', () => {
  const expiries = createExpiries()
  expiries.note('listener a', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
  expect([...expiries.all()]).toEqual([])
  const authority = createAuthority({ name: 'root' })
  const leaf = authority.issueSvid({ spiffeId: 'spiffe://cluster.local/a' }).certificatePem
  expiries.note('listener a', authority.certificatePem)
  const [, ofRoot = 0] = [...expiries.all()][0] ?? []
  expiries.note('listener a', `${leaf}${authority.certificatePem}`)
  const [, ofChain = 0] = [...expiries.all()][0] ?? []
  expect(ofChain).toBeGreaterThan(Date.now())
  expect(ofChain).toBeLessThan(ofRoot)
})
