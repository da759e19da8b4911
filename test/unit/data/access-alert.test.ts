import { expect, test } from '@jest/globals'
import { AccessAlerts } from '../../../src/data/access-alert.js'
import type { Decision } from '../../../src/decision/decision.js'
import { NO_SUBJECTS } from '../../../src/state/subjects.js'
import { aUser, NOW_MS } from '../../support/facts.js'

const WINDOW_MS = 60_000
const data = { name: 'restricted', level: 'Full', retention: '7y', alert: true } as const

function reached(over: Partial<Decision> = {}, who = 'alice'): Decision {
  return {
    outcome: 'allow',
    reason: 'allowed',
    message: '',
    mode: 'Enforce',
    target: 'shop/vault',
    endpoint: 'Records',
    operation: 'Read',
    user: aUser({ subject: who }),
    subjects: { ...NO_SUBJECTS, user: `u:${who}` },
    obligations: [],
    data,
    revision: 'r1',
    ...over,
  }
}

test.each([
  ['a refused call', reached({ outcome: 'deny', reason: 'data-policy' })],
  ['data that nobody wants to be told of', reached({ data: { ...data, alert: false } })],
  ['data without a classification', reached({ data: undefined })],
])('nothing is told of %s', (_name, decision) => {
  expect(new AccessAlerts().about(decision, 'd1', WINDOW_MS, NOW_MS)).toBeUndefined()
})

test('the first call of each user to each endpoint with each operation within the window', () => {
  const alerts = new AccessAlerts()
  const told = (decision: Decision, atMs: number) =>
    alerts.about(decision, 'd1', WINDOW_MS, atMs) !== undefined
  expect(told(reached(), NOW_MS)).toBe(true)
  expect(told(reached(), NOW_MS + WINDOW_MS - 1)).toBe(false)
  expect(told(reached({}, 'bob'), NOW_MS)).toBe(true)
  expect(told(reached({ endpoint: 'Other' }), NOW_MS)).toBe(true)
  expect(told(reached({ operation: 'Write' }), NOW_MS)).toBe(true)
  expect(told(reached(), NOW_MS + WINDOW_MS)).toBe(true)
})

test('one line of JSON, whatever somebody is called', () => {
  const line = new AccessAlerts().about(reached({ grantId: 'g1' }, 'a"\n\u001b[31m'), 'd1', WINDOW_MS, NOW_MS)
  expect(line).not.toMatch(/[\n\u001b]/)
  expect(JSON.parse(line ?? '')).toMatchObject({
    eventType: 'data-access',
    dataPolicy: 'restricted',
    operation: 'Read',
    decisionId: 'd1',
    targetService: 'shop/vault',
    grantId: 'g1',
  })
})

test('memory stays bounded', () => {
  const alerts = new AccessAlerts()
  for (let n = 0; n < 10_001; n++) alerts.about(reached({}, `u${n}`), 'd', WINDOW_MS, NOW_MS)
  expect(alerts.about(reached({}, 'u0'), 'd', WINDOW_MS, NOW_MS)).toBeDefined()
  expect(alerts.about(reached({}, 'u10000'), 'd', WINDOW_MS, NOW_MS)).toBeUndefined()
})
