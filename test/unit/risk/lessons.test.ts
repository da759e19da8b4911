import { describe, expect, test } from '@jest/globals'
import type { RefusalReason } from '../../../src/decision/reason.js'
import { compileRisk } from '../../../src/risk/compile-risk.js'
import { type Learned, lessonsOf } from '../../../src/risk/lessons.js'
import { NOTHING_KNOWN } from '../../../src/state/recall.js'
import { NO_SUBJECTS, type SubjectKeys } from '../../../src/state/subjects.js'
import { aUser, NOW_MS } from '../../support/facts.js'

const POLICY = compileRisk([])
const LIMITS = { maxDurationMs: 8 * 3_600_000, idleTimeoutMs: 1_800_000 }

/** The kinds of fields that a refusal changes, by subject. */
function counted(
  reason: RefusalReason,
  keys: Partial<SubjectKeys>,
  outcome: Learned['outcome'] = 'deny',
  lacksEdge = reason === 'call-not-allowed' || reason === 'user-required',
  blameless?: true,
): Record<string, string> {
  const decision: Learned = {
    outcome,
    reason,
    blameless,
    target: 'shop/pay',
    mode: 'Enforce',
    user: keys.user === undefined ? undefined : aUser(),
  }
  const known = { ...NOTHING_KNOWN, keys: { ...NO_SUBJECTS, ...keys } }
  const lessons = lessonsOf(decision, known, { assessment: undefined, lacksEdge }, POLICY, LIMITS, NOW_MS)
  return Object.fromEntries(
    (lessons?.noted ?? []).map(({ key, ops }) => [
      key,
      [...new Set(ops.map((op) => /^(?:f|t|c|e):?/.exec(op[1])?.[0] ?? op[1]))].join(' '),
    ]),
  )
}

describe('whom a failed attempt counts against', () => {
  test.each<[string, RefusalReason, Partial<SubjectKeys>, Record<string, string>]>([
    ['Portcullis itself failed', 'state-unavailable', { user: 'u', address: 'a' }, {}],
    ['the session is over', 'session-terminated', { user: 'u', session: 's' }, {}],
    ['nothing was shown', 'no-credentials', { address: 'a' }, {}],
    [
      'a verified user',
      'rule-not-matched',
      { user: 'u', workload: 'w', address: 'a' },
      { u: 'f: f', w: 'c: c' },
    ],
    ['else the workload', 'rule-not-matched', { workload: 'w', address: 'a' }, { w: 'f: f c: c' }],
    [
      'an edge that it lacks, whatever the reason',
      'user-required',
      { workload: 'w' },
      { w: 'f: f c: c t: t' },
    ],
    [
      "an edge is the workload's own, whoever it calls for",
      'call-not-allowed',
      { user: 'u', workload: 'w' },
      { u: 'f: f', w: 'c: c t: t' },
    ],
    ['a target that it may call has not refused it', 'scope-missing', { workload: 'w' }, { w: 'f: f c: c' }],
    ['a replayed token', 'service-token-replayed', { workload: 'w' }, { w: 'f: f e: c: c' }],
    ['else the address', 'user-token-signature', { address: 'a' }, { a: 'f: f' }],
    ['nobody, where even the address is unknown', 'user-token-signature', {}, {}],
  ])('%s', (_name, reason, keys, expected) => {
    expect(counted(reason, keys)).toEqual(expected)
  })

  test('a token of which nobody can tell whether it was used counts against nobody', () => {
    const workload = { workload: 'w' }
    expect(counted('service-token-replayed', workload, 'deny', false, true)).toEqual({ w: 'c: c' })
    expect(counted('sender-constraint', { address: 'a' }, 'deny', false, true)).toEqual({})
  })

  test('a challenge is no failed attempt', () => {
    expect(counted('step-up-required', { user: 'u' }, 'challenge')).toEqual({})
  })
})

test('a call that passes keeps its session awake, and counts against nobody', () => {
  const decision: Learned = {
    outcome: 'allow',
    reason: 'allowed',
    target: 'shop/pay',
    mode: 'Shadow',
    user: aUser(),
  }
  const known = { ...NOTHING_KNOWN, keys: { ...NO_SUBJECTS, user: 'u', session: 's' } }
  const lessons = lessonsOf(
    decision,
    known,
    { assessment: undefined, lacksEdge: false },
    POLICY,
    LIMITS,
    NOW_MS,
  )
  expect(lessons).toMatchObject({ noted: [{ key: 's' }], committed: [] })
})
