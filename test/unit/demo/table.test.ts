import { describe, expect, test } from '@jest/globals'
import type { Outcome } from '../../../demo/scenario.js'
import { heading, outcomeLine, painter } from '../../../demo/table.js'

const plain = painter({}, {})

const OUTCOME: Outcome = {
  scenario: {
    caller: 'checkout-service',
    target: 'payment-service',
    request: 'POST /api/payments',
    call: () => Promise.reject(new Error('nobody calls')),
    expected: { status: '403', decision: 'deny', reason: 'call-not-allowed' },
  },
  status: '403',
  decision: 'deny',
  reason: 'call-not-allowed',
  rule: 'some-rule',
  durationMs: 1.23,
  difference: undefined,
}

describe('the table', () => {
  test('says what differs', () => {
    const [line, below] = outcomeLine(
      { ...OUTCOME, difference: 'expected status 200, got 403' },
      plain,
    ).split('\n')
    expect(line).toMatch(/✗$/)
    expect(below).toBe('  ✗ expected status 200, got 403')
  })

  test('fits 160 columns whatever is in it', () => {
    const long = 'x'.repeat(300)
    const scenario = { ...OUTCOME.scenario, caller: long, target: long, request: long }
    const widest = outcomeLine(
      { ...OUTCOME, scenario, status: long, decision: long, reason: long, rule: long, durationMs: 99_999 },
      plain,
    )
    expect(widest.length).toBeLessThanOrEqual(160)
    expect(heading(plain).length).toBeLessThanOrEqual(160)
  })

  test.each([
    { name: 'not a terminal', stream: {}, environment: {} },
    { name: 'NO_COLOR', stream: { isTTY: true }, environment: { NO_COLOR: '1' } },
  ])('has no colours: $name', ({ stream, environment }) => {
    expect(outcomeLine(OUTCOME, painter(stream, environment))).not.toContain('\u001b')
  })

  test('has colours on a terminal', () => {
    expect(outcomeLine(OUTCOME, painter({ isTTY: true }, {}))).toContain('\u001b[31mdeny')
  })

  test('shows a handshake that Envoy refused as its own', () => {
    const refused = { ...OUTCOME, status: 'tls: unknown ca', decision: 'none', reason: '', rule: '' }
    expect(outcomeLine(refused, plain)).toMatch(/ tls +by Envoy +unknown ca +1\.2 {2}✓$/)
  })
})
