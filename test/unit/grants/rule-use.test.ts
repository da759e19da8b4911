import { describe, expect, test } from '@jest/globals'
import type { Decision } from '../../../src/decision/decision.js'
import {
  lastRuleUseMs,
  OBSERVATION_KEY,
  observedSinceMs,
  observing,
  ruleUseKey,
  RuleUses,
} from '../../../src/grants/rule-use.js'
import { applyOps, EMPTY_RECORD } from '../../../src/state/record.js'
import { NOW_MS } from '../../support/facts.js'

const HOUR_MS = 3_600_000

type Used = Pick<Decision, 'reason' | 'wouldBe' | 'rule' | 'ruleSource' | 'target'>

const aDecision = (decision: Partial<Used> = {}): Used => ({
  reason: 'allowed',
  wouldBe: undefined,
  rule: 'readers',
  ruleSource: 'lab.yaml:3:5',
  target: 'lab/records',
  ...decision,
})

describe('nothing is noted of', () => {
  test.each<{ name: string; decision: Used }>([
    {
      name: 'a call that passed without a rule',
      decision: aDecision({ rule: undefined, ruleSource: undefined }),
    },
    { name: 'what no document wrote', decision: aDecision({ ruleSource: undefined }) },
    { name: 'a refusal by something else', decision: aDecision({ reason: 'step-up-required' }) },
    {
      name: 'what a mode let pass',
      decision: aDecision({ wouldBe: { outcome: 'deny', reason: 'adaptive-deny', message: '' } }),
    },
  ])('$name', ({ decision }) => {
    expect(new RuleUses().noted(decision, NOW_MS)).toBeUndefined()
  })

  test('a rule that was noted within the hour, also by a clock ahead', () => {
    const uses = new RuleUses()
    expect(uses.noted(aDecision(), NOW_MS)).toBeDefined()
    expect(uses.noted(aDecision(), NOW_MS + HOUR_MS - 1)).toBeUndefined()
    expect(uses.noted(aDecision(), NOW_MS - HOUR_MS + 1)).toBeUndefined()
    expect(uses.noted(aDecision(), NOW_MS + HOUR_MS)).toBeDefined()
    expect(uses.noted(aDecision(), NOW_MS + HOUR_MS)).toBeUndefined()
  })
})

describe('a use is noted', () => {
  test('of the rule that let a call pass', () => {
    const delta = new RuleUses().noted(aDecision(), NOW_MS)
    expect(delta?.key).toBe(ruleUseKey('lab/records', 'readers'))
    expect(lastRuleUseMs(applyOps(EMPTY_RECORD, delta?.ops ?? []))).toBe(NOW_MS)
  })

  test('of a forbid, apart from a permit of the same name, in every mode', () => {
    const uses = new RuleUses()
    const key = ruleUseKey('lab/records', 'readers', 'forbid')
    expect(key).not.toBe(ruleUseKey('lab/records', 'readers'))
    expect(uses.noted(aDecision({ reason: 'forbidden' }), NOW_MS)?.key).toBe(key)
    const shadowed = aDecision({
      ruleSource: 'lab.yaml:9:5',
      wouldBe: { outcome: 'deny', reason: 'forbidden', message: '' },
    })
    expect(uses.noted(shadowed, NOW_MS)?.key).toBe(key)
  })

  test('for each target of a rule that stands for many', () => {
    const uses = new RuleUses()
    const keys = ['lab/a', 'lab/b', undefined].map((target) => uses.noted(aDecision({ target }), NOW_MS)?.key)
    expect(new Set(keys).size).toBe(3)
    expect(keys).not.toContain(undefined)
  })

  test('and again where too many rules were seen since', () => {
    const uses = new RuleUses(2)
    const rule = (index: number) => aDecision({ rule: `r${index}`, ruleSource: `lab.yaml:${index}:1` })
    expect([1, 2, 1, 2].map((index) => uses.noted(rule(index), NOW_MS) !== undefined)).toEqual([
      true,
      true,
      false,
      false,
    ])
    expect([3, 1, 3].map((index) => uses.noted(rule(index), NOW_MS) !== undefined)).toEqual([
      true,
      true,
      false,
    ])
  })
})

test('observation began with the first start', () => {
  const first = observing(NOW_MS)
  expect(first.key).toBe(OBSERVATION_KEY)
  const record = applyOps(applyOps(EMPTY_RECORD, first.ops), observing(NOW_MS + HOUR_MS).ops)
  expect(observedSinceMs(record)).toBe(NOW_MS)
  expect(observedSinceMs(EMPTY_RECORD)).toBeUndefined()
  expect(lastRuleUseMs(EMPTY_RECORD)).toBeUndefined()
})
