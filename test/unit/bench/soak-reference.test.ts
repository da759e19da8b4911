import { describe, expect, test } from '@jest/globals'
import { compare, type Given } from '../../../bench/soak/compare.js'
import { POLICIES } from '../../../bench/soak/documents.js'
import {
  ANY_REFUSAL,
  NO_ANSWER,
  type Asking,
  type Gate,
  rightAnswers,
  type Surroundings,
} from '../../../bench/soak/reference.js'
import { Timeline } from '../../../bench/soak/timeline.js'

const surroundings = (over: Partial<Surroundings> = {}): Surroundings => ({
  policy: new Timeline(0),
  policies: POLICIES,
  storeAway: new Timeline(false),
  stalled: new Timeline(false),
  ...over,
})
const gate = (reason: string, isClosed: boolean): Gate => ({ reason, isClosed: new Timeline(isClosed) })
const BATCH = { from: 'shop/batch', to: 'shop/orders', method: 'GET', path: '/orders' }
const right = (asking: Asking, around = surroundings(), sentMs = 0, answeredMs = 1): string[] => [
  ...rightAnswers(asking, around, sentMs, answeredMs),
]

describe('an answer beside the right ones', () => {
  const deny = (reason: string): Given => ({ outcome: 'deny', reason })
  test.each<[string, Given, readonly string[], string]>([
    [
      'an allow of what must be refused',
      { outcome: 'allow', reason: 'allowed' },
      ['forbidden'],
      'wrong-allow',
    ],
    [
      'an allow while the store is away',
      { outcome: 'allow', reason: 'allowed' },
      ['session-terminated', 'state-unavailable'],
      'wrong-allow',
    ],
    [
      'an allow of bytes that are no request',
      { outcome: 'allow', reason: 'allowed' },
      [ANY_REFUSAL],
      'wrong-allow',
    ],
    ['a refusal of what may pass', deny('forbidden'), ['allowed'], 'wrong-deny'],
    ['a refusal for the store that is there', deny('state-unavailable'), ['allowed'], 'wrong-deny'],
    ['another reason', deny('scope-missing'), ['forbidden'], 'wrong-reason'],
    ['a refusal that claims to be none', deny('allowed'), ['allowed'], 'wrong-deny'],
    ['nothing', { failure: 'deadline exceeded' }, ['allowed'], 'no-answer'],
    ['nothing, while the machine stalls', { failure: 'deadline exceeded' }, ['allowed', NO_ANSWER], 'right'],
    ['the right refusal', deny('forbidden'), ['forbidden'], 'right'],
    [
      'a refusal for the store that is away',
      deny('state-unavailable'),
      ['allowed', 'state-unavailable'],
      'right',
    ],
    ['whatever refusal of no request', deny('ambiguous-request'), [ANY_REFUSAL], 'right'],
    ['the right allow', { outcome: 'allow', reason: 'allowed' }, ['allowed'], 'right'],
  ])('%s', (_name, given, answers, verdict) => {
    expect(compare(given, new Set(answers))).toBe(verdict)
  })
})

describe('what the reference takes for right', () => {
  test.each<[string, Asking, string]>([
    [
      'a credential that is void',
      { asked: BATCH, credentials: [gate('certificate-revoked', true)] },
      'certificate-revoked',
    ],
    ['a fault', { asked: BATCH, fault: 'service-token-replayed' }, 'service-token-replayed'],
    [
      'a session that is over',
      { asked: BATCH, standing: [gate('session-terminated', true)] },
      'session-terminated',
    ],
    [
      'an approval that is missing',
      { asked: BATCH, approvals: [gate('approval-required', true)] },
      'approval-required',
    ],
    ['what no document says', { asked: { ...BATCH, path: '/elsewhere' } }, 'endpoint-not-exposed'],
    ['a stranger', { asked: { ...BATCH, from: 'other/stranger' } }, 'call-not-allowed'],
    [
      'a credential before a fault, a fault before a session',
      {
        asked: BATCH,
        credentials: [gate('certificate-revoked', true)],
        fault: 'x',
        standing: [gate('session-terminated', true)],
      },
      'certificate-revoked',
    ],
    [
      'what the policy says before an approval',
      { asked: { ...BATCH, from: 'shop/web', path: '/no' }, approvals: [gate('approval-required', true)] },
      'endpoint-not-exposed',
    ],
    ['all in order', { asked: BATCH, credentials: [gate('certificate-revoked', false)] }, 'allowed'],
  ])('%s', (_name, asking, reason) => {
    expect(right(asking)).toEqual([reason])
  })

  test('one policy alone outside of a change, both within, and only the new one behind it', () => {
    const policy = new Timeline(0)
    const around = surroundings({ policy })
    policy.begin(1, 100)
    expect(right({ asked: BATCH }, around, 10, 99)).toEqual(['allowed'])
    expect(right({ asked: BATCH }, around, 90, 110).toSorted()).toEqual(['allowed', 'rule-not-matched'])
    policy.settle(200)
    expect(right({ asked: BATCH }, around, 150, 250).toSorted()).toEqual(['allowed', 'rule-not-matched'])
    expect(right({ asked: BATCH }, around, 201, 210)).toEqual(['rule-not-matched'])
  })

  test('a gate that closes meanwhile leaves both open, one that was closed before nothing', () => {
    const isClosed = new Timeline(false)
    const asking: Asking = { asked: BATCH, standing: [{ reason: 'quarantined', isClosed }] }
    isClosed.begin(true, 100)
    expect(right(asking, surroundings(), 50, 120).toSorted()).toEqual(['allowed', 'quarantined'])
    isClosed.settle(150)
    expect(right(asking, surroundings(), 151, 160)).toEqual(['quarantined'])
  })

  test('a store that is away adds a refusal and never an allow', () => {
    const storeAway = new Timeline(false)
    storeAway.begin(true, 100)
    const ended: Asking = { asked: BATCH, standing: [gate('session-terminated', true)] }
    expect(right(ended, surroundings({ storeAway }), 110, 120).toSorted()).toEqual([
      'session-terminated',
      'state-unavailable',
    ])
    expect(right({ asked: BATCH }, surroundings({ storeAway }), 10, 20)).toEqual(['allowed'])
  })
})

test('a machine that stalls excuses two refusals, and that none comes, and never an allow', () => {
  const stalled = new Timeline(false)
  stalled.begin(true, 100)
  const forbidden: Asking = { asked: BATCH, fault: 'user-token-signature' }
  expect(right(forbidden, surroundings({ stalled }), 110, 120).toSorted()).toEqual([
    NO_ANSWER,
    'overloaded',
    'state-unavailable',
    'user-token-signature',
  ])
})

test('each policy decides something differently than the others', () => {
  const probes: Asking[] = [
    { asked: BATCH },
    {
      asked: {
        from: 'shop/web',
        to: 'shop/orders',
        method: 'POST',
        path: '/orders',
        token: ['orders:write'],
      },
    },
    {
      asked: { from: 'shop/web', to: 'shop/stock', method: 'GET', path: '/stock/1', headers: [['x-k', '2']] },
    },
  ]
  const answers = POLICIES.map((_, index) =>
    probes.map((probe) => right(probe, surroundings({ policy: new Timeline(index) })).join()).join(),
  )
  expect(new Set(answers).size).toBe(POLICIES.length)
})
