import { describe, expect, test } from '@jest/globals'
import { createMetrics } from '../../../../src/adapters/telemetry/metrics.js'
import { PROCESS_METRICS } from '../../../../src/adapters/telemetry/process-metrics.js'
import type { Decision } from '../../../../src/decision/decision.js'
import { MODES } from '../../../../src/decision/mode.js'
import { HTTP_STATUS_OF_REASON, type RefusalReason } from '../../../../src/decision/reason.js'

function decision(over: Partial<Decision> = {}): Decision {
  return {
    outcome: 'allow',
    reason: 'allowed',
    message: '',
    mode: 'Enforce',
    obligations: [],
    revision: '',
    ...over,
  }
}

function isRefusalReason(name: string): name is RefusalReason {
  return name in HTTP_STATUS_OF_REASON
}

/** Every sample line by its name and labels. */
function samples(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      expect(line).toMatch(/^[a-z_]+(?:\{(?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)+\})? \S+$/)
      const space = line.lastIndexOf(' ')
      return [line.slice(0, space), Number(line.slice(space + 1).replace('Inf', 'Infinity'))]
    }),
  )
}

describe('registered metrics', () => {
  test('a name that is taken throws', () => {
    const metrics = createMetrics({ most: 10, isService: () => false })
    const metric = { name: 'portcullis_x', help: 'x', type: 'gauge', read: () => 1 } as const
    metrics.register(metric)
    expect(() => metrics.register(metric)).toThrow('portcullis_x is registered twice')
  })

  test.each([
    {
      name: 'hostile label values',
      read: () => [{ labels: { revision: 'a"b\\c\nd' }, value: 1 }],
      line: 'portcullis_x{revision="a\\"b\\\\c\\nd"} 1',
    },
    {
      name: 'several samples',
      read: () => [
        { labels: { cache: 'a' }, value: 1 },
        { labels: { cache: 'b' }, value: 2 },
      ],
      line: 'portcullis_x{cache="a"} 1\nportcullis_x{cache="b"} 2',
    },
    { name: 'a plain number', read: () => 0.25, line: 'portcullis_x 0.25' },
    { name: 'infinity', read: () => Infinity, line: 'portcullis_x +Inf' },
  ])('$name', ({ read, line }) => {
    const metrics = createMetrics({ most: 10, isService: () => false })
    metrics.register({ name: 'portcullis_x', help: 'one\ntwo \\', type: 'gauge', read })
    expect(metrics.text()).toContain(
      `# HELP portcullis_x one\\ntwo \\\\\n# TYPE portcullis_x gauge\n${line}\n`,
    )
    samples(metrics.text())
  })

  test('what is not known is not there', () => {
    const metrics = createMetrics({ most: 10, isService: () => false })
    metrics.register({ name: 'portcullis_x', help: 'x', type: 'gauge', read: () => undefined })
    expect(metrics.text()).not.toContain('portcullis_x')
  })

  test('they are read at each scrape', () => {
    const metrics = createMetrics({ most: 10, isService: () => false })
    let age = 0
    metrics.register({ name: 'portcullis_x', help: 'x', type: 'gauge', read: () => ++age })
    expect([
      samples(metrics.text()).get('portcullis_x'),
      samples(metrics.text()).get('portcullis_x'),
    ]).toEqual([1, 2])
  })
})

describe('decisions', () => {
  test('count by outcome, reason and mode; what would have been counts apart', () => {
    const metrics = createMetrics({ most: 10, isService: () => false })
    const shadowed = { outcome: 'deny', reason: 'rule-not-matched', message: '' } as const
    metrics.observe(decision(), 80)
    metrics.observe(decision(), 80)
    metrics.observe(decision({ outcome: 'deny', reason: 'forbidden' }), 80)
    metrics.observe(decision({ outcome: 'challenge', reason: 'step-up-required' }), 80)
    metrics.observe(decision({ mode: 'Shadow', wouldBe: shadowed }), 80)
    const counted = [...samples(metrics.text())].filter(
      ([name, value]) => /^portcullis_(?:would_be_)?decisions_total/.test(name) && value > 0,
    )
    expect(Object.fromEntries(counted)).toEqual({
      'portcullis_decisions_total{decision="allow",reason="allowed",mode="Enforce"}': 2,
      'portcullis_decisions_total{decision="allow",reason="allowed",mode="Shadow"}': 1,
      'portcullis_decisions_total{decision="deny",reason="forbidden",mode="Enforce"}': 1,
      'portcullis_decisions_total{decision="challenge",reason="step-up-required",mode="Enforce"}': 1,
      'portcullis_would_be_decisions_total{decision="deny",reason="rule-not-matched",mode="Shadow"}': 1,
    })
  })

  test('failures of its own are counted from 0, so that the first one is a rise', () => {
    const zeros = [...samples(createMetrics({ most: 10, isService: () => false }).text())].filter(([name]) =>
      name.startsWith('portcullis_decisions_total'),
    )
    expect(new Map(zeros.map(([name, value]) => [/reason="([^"]*)"/.exec(name)?.[1], value]))).toEqual(
      new Map(
        ['overloaded', 'internal-error', 'state-unavailable', 'not-ready'].map((reason) => [reason, 0]),
      ),
    )
  })

  test('every reason in every mode has a series of its own', () => {
    const metrics = createMetrics({ most: 10, isService: () => false })
    const reasons = Object.keys(HTTP_STATUS_OF_REASON).filter(isRefusalReason)
    for (const reason of reasons) {
      for (const mode of MODES) metrics.observe(decision({ outcome: 'deny', reason, mode }), 1)
    }
    const counted = [...samples(metrics.text())].filter(([name]) =>
      name.startsWith('portcullis_decisions_total'),
    )
    expect(counted).toHaveLength(3 * reasons.length)
    expect(counted.every(([, value]) => value === 1)).toBe(true)
  })

  test('durations are cumulative, bounds included', () => {
    const metrics = createMetrics({ most: 10, isService: () => false })
    for (const us of [0, 50, 51, 1_000, 2_000_000]) metrics.observe(decision(), us)
    const read = samples(metrics.text())
    const bucket = (le: string) => read.get(`portcullis_decision_duration_seconds_bucket{le="${le}"}`)
    expect([bucket('0.00005'), bucket('0.0001'), bucket('0.001'), bucket('1'), bucket('+Inf')]).toEqual([
      2, 3, 4, 4, 5,
    ])
    expect(read.get('portcullis_decision_duration_seconds_count')).toBe(5)
    expect(read.get('portcullis_decision_duration_seconds_sum')).toBeCloseTo(2.001101)
  })
})

test('the process says its CPU, memory and start', () => {
  const metrics = createMetrics({ most: 10, isService: () => false })
  PROCESS_METRICS.forEach(metrics.register)
  const read = samples(metrics.text())
  expect(read.get('process_cpu_seconds_total')).toBeGreaterThan(0)
  expect(read.get('process_resident_memory_bytes')).toBeGreaterThan(1e6)
  expect(Math.abs((read.get('process_start_time_seconds') ?? 0) * 1000 - Date.now())).toBeLessThan(600_000)
})
