import { describe, expect, test } from '@jest/globals'
import { acceptedForm, answerMetrics } from '../../../../src/adapters/telemetry/accepted.js'
import { createMetrics } from '../../../../src/adapters/telemetry/metrics.js'
import { PROCESS_METRICS } from '../../../../src/adapters/telemetry/process-metrics.js'
import { MODES } from '../../../../src/decision/mode.js'
import type { Decision } from '../../../../src/decision/decision.js'

const DECISION: Decision = {
  outcome: 'allow',
  reason: 'allowed',
  message: '',
  mode: 'Enforce',
  obligations: [],
  revision: '',
}
const NO_SERVICES = { most: 1000, isService: (name: string) => name === 'shop/pay' }
const TRACE = '0af7651916cd43dd8448eb211c80319c'

describe('the form that Accept prefers', () => {
  test.each([
    { accept: undefined, form: 'Prometheus' },
    { accept: '', form: 'Prometheus' },
    { accept: '*/*', form: 'Prometheus' },
    { accept: 'application/json', form: 'Prometheus' },
    { accept: 'application/*', form: 'OpenMetrics' },
    { accept: 'application/openmetrics-text', form: 'OpenMetrics' },
    { accept: 'APPLICATION/OpenMetrics-Text; Version="1.0.0"; charset=utf-8', form: 'OpenMetrics' },
    { accept: 'application/openmetrics-text; version=2.0.0', form: 'Prometheus' },
    { accept: 'application/openmetrics-text;q=0', form: 'Prometheus' },
    { accept: 'application/openmetrics-text;q=0.5,text/plain', form: 'Prometheus' },
    { accept: 'application/openmetrics-text,text/plain;q=0.5', form: 'OpenMetrics' },
    { accept: 'application/openmetrics-text;q=0.4,*/*;q=0.5', form: 'Prometheus' },
    { accept: 'application/openmetrics-text;q=0.6,*/*;q=0.5', form: 'OpenMetrics' },
    { accept: 'application/openmetrics-text;q=1.5', form: 'Prometheus' },
    { accept: 'application/openmetrics-text;q=', form: 'Prometheus' },
    { accept: `${'a/b,'.repeat(5000)}application/openmetrics-text`, form: 'Prometheus' },
    { accept: ',;=,/', form: 'Prometheus' },
    {
      // Prometheus 3.
      accept:
        'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
      form: 'OpenMetrics',
    },
  ])('$accept', ({ accept, form }) => {
    expect(acceptedForm(accept)).toBe(form)
  })
})

test('each form is told with its type', () => {
  const metrics = createMetrics(NO_SERVICES)
  expect(answerMetrics(metrics, 'application/openmetrics-text')).toEqual({
    contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
    body: metrics.openMetrics(),
  })
  expect(answerMetrics(metrics, undefined).contentType).toBe('text/plain; version=0.0.4; charset=utf-8')
})

test('OpenMetrics: names without _total, units, exemplars, and an end', () => {
  const metrics = createMetrics(NO_SERVICES)
  metrics.register({ name: 'portcullis_x_total', help: 'a "b"\n', type: 'counter', read: () => 2 })
  metrics.register({ name: 'portcullis_y_seconds', help: 'y', type: 'gauge', read: () => 1.5 })
  metrics.register({
    name: 'portcullis_z_bytes',
    help: 'z',
    type: 'gauge',
    read: () => [{ labels: { a: 'x\u0007\u2028\r"' }, value: NaN }],
  })
  metrics.observe(DECISION, 40)
  metrics.observe(DECISION, 300, TRACE)
  const text = metrics.openMetrics()
  expect(text).toContain(
    '# TYPE portcullis_x counter\n# HELP portcullis_x a \\"b\\"\\n\nportcullis_x_total 2\n',
  )
  expect(text).toContain('# TYPE portcullis_y_seconds gauge\n# UNIT portcullis_y_seconds seconds\n')
  expect(text).toContain('portcullis_z_bytes{a="x\ufffd\ufffd\ufffd\\""} NaN\n')
  expect(text).toMatch(
    new RegExp(
      `^portcullis_decision_duration_seconds_bucket\\{le="0\\.0005"\\} 2 # \\{trace_id="${TRACE}"\\} 0\\.0003 \\d+\\.?\\d*$`,
      'm',
    ),
  )
  expect(text).toContain('portcullis_decision_duration_seconds_bucket{le="1.0"} 2\n')
  expect(text).toMatch(/\n# EOF\n$/)
  expect(text).not.toMatch(/\n\n/)
  expect(metrics.text()).not.toContain(TRACE)
  expect(metrics.text()).toContain('portcullis_decision_duration_seconds_bucket{le="1"} 2\n')
})

describe('what a request says makes no series', () => {
  const series = (text: string): number => text.split('\n').filter((line) => /^[a-z]/.test(line)).length

  test('100,000 callers, users, rules, endpoints and messages: the same number', () => {
    const metrics = createMetrics(NO_SERVICES)
    PROCESS_METRICS.forEach(metrics.register)
    for (const mode of MODES) metrics.observe({ ...DECISION, mode }, 10)
    const before = series(metrics.text())
    for (let at = 0; at < 100_000; at++) {
      const name = `${at}-${Math.random()}`
      metrics.observe(
        {
          ...DECISION,
          message: name,
          caller: name,
          target: name,
          endpoint: name,
          rule: name,
          clientIp: name,
          targetId: `spiffe://cluster.local/${name}`,
          user: { subject: name, issuer: name } as never,
          revision: name,
        },
        10,
      )
    }
    expect(series(metrics.text())).toBe(before)
  })

  test('of services that documents name as many pairs as allowed, the others together', () => {
    const metrics = createMetrics({
      most: 100,
      isService: (name) => name.startsWith('shop/') || name === 'new/one',
    })
    for (let at = 0; at < 5000; at++) {
      const pair = { caller: `shop/s${at % 500}`, target: `shop/t${at % 7}` }
      metrics.observe({ ...DECISION, ...pair }, 10)
    }
    metrics.observe({ ...DECISION, outcome: 'deny', reason: 'caller-unknown', target: 'new/one' }, 10)
    const lines = metrics
      .text()
      .split('\n')
      .filter((line) => line.startsWith('portcullis_service_decisions_total{'))
    expect(lines).toHaveLength(102)
    expect(lines).toContain(
      'portcullis_service_decisions_total{source="other",target="other",decision="deny"} 1',
    )
    const sum = lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' '))), 0)
    expect(sum).toBe(5001)
  })

  test('nobody is `unknown`; no pairs at all are `other`', () => {
    const apart = createMetrics(NO_SERVICES)
    apart.observe({ ...DECISION, target: 'shop/pay' }, 10)
    expect(apart.text()).toContain('_total{source="unknown",target="shop/pay",decision="allow"} 1\n')
    const none = createMetrics({ most: 0, isService: () => true })
    none.observe({ ...DECISION, target: 'shop/pay' }, 10)
    expect(none.text()).toContain('_total{source="other",target="other",decision="allow"} 1\n')
  })
})
