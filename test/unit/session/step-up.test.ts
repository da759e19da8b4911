import { describe, expect, test } from '@jest/globals'
import type { UserPrincipal } from '../../../src/identity/principal.js'
import type { Endpoint } from '../../../src/segmentation/matrix.js'
import { evaluateEndpointStepUp, evaluateSensitiveAge, isStepUpMet } from '../../../src/session/step-up.js'
import { anEndpoint, aUser, factsOf, NOW_MS } from '../../support/facts.js'

const MINUTE_MS = 60_000
const AGE_MS = 15 * MINUTE_MS
const ago = (minutes: number) => NOW_MS - minutes * MINUTE_MS

describe('isStepUpMet', () => {
  type Row = {
    readonly name: string
    readonly user: Partial<UserPrincipal>
    readonly factor?: string
    readonly began?: number
    readonly met: boolean
  }
  test.each<Row>([
    { name: 'nothing claimed', user: {}, met: false },
    { name: 'the factor without a time', user: { mfaVerified: true }, met: false },
    { name: 'a time without the factor', user: { authTimeMs: ago(1) }, met: false },
    { name: 'another factor', user: { amr: ['pwd'], acr: 'silver', authTimeMs: ago(1) }, met: false },
    { name: 'too old', user: { mfaVerified: true, authTimeMs: ago(15) - 1 }, met: false },
    { name: 'in the future', user: { mfaVerified: true, authTimeMs: ago(-1) + 1 }, met: false },
    {
      name: 'before the condition',
      user: { mfaVerified: true, authTimeMs: ago(6) },
      began: ago(5),
      met: false,
    },
    {
      name: 'as the condition began',
      user: { mfaVerified: true, authTimeMs: ago(5) },
      began: ago(5),
      met: false,
    },
    {
      name: 'mfa is no biometric',
      user: { mfaVerified: true, authTimeMs: ago(1) },
      factor: 'biometric',
      met: false,
    },
    { name: 'mfa_verified', user: { mfaVerified: true, authTimeMs: ago(15) }, met: true },
    { name: 'amr', user: { amr: ['pwd', 'mfa'], authTimeMs: ago(1) }, met: true },
    { name: 'acr', user: { acr: 'biometric', authTimeMs: ago(1) }, factor: 'biometric', met: true },
    {
      name: 'after the condition',
      user: { mfaVerified: true, authTimeMs: ago(4) },
      began: ago(5),
      met: true,
    },
  ])('$name: $met', ({ user, factor = 'mfa', began, met }) => {
    expect(isStepUpMet(aUser(user), factor, began, AGE_MS, NOW_MS)).toBe(met)
  })
})

describe('evaluateEndpointStepUp', () => {
  type Row = {
    readonly name: string
    readonly endpoint: Partial<Endpoint>
    readonly user?: Partial<UserPrincipal>
    readonly riskScore?: number
    readonly found: string | undefined
  }
  test.each<Row>([
    { name: 'MFA without a user', endpoint: { mfa: 'Required' }, found: 'user-required' },
    { name: 'an age without a user', endpoint: { maxAuthAgeMs: AGE_MS }, found: 'user-required' },
    {
      name: 'MFA by risk without a user',
      endpoint: { mfa: 'RiskBased' },
      riskScore: 0,
      found: 'user-required',
    },
    { name: 'no MFA', endpoint: { mfa: 'Required' }, user: {}, found: 'step-up-required mfa 900' },
    {
      name: 'unknown age',
      endpoint: { maxAuthAgeMs: MINUTE_MS },
      user: { mfaVerified: true },
      found: 'step-up-required mfa 60',
    },
    {
      name: 'too old',
      endpoint: { maxAuthAgeMs: MINUTE_MS },
      user: { authTimeMs: ago(2) },
      found: 'step-up-required mfa 60',
    },
    {
      name: 'fresh without MFA',
      endpoint: { mfa: 'Required', maxAuthAgeMs: AGE_MS },
      user: { authTimeMs: ago(2) },
      found: 'step-up-required mfa 900',
    },
    {
      name: 'risk above 50',
      endpoint: { mfa: 'RiskBased' },
      user: {},
      riskScore: 51,
      found: 'step-up-required mfa 900',
    },
    { name: 'unknown risk', endpoint: { mfa: 'RiskBased' }, user: {}, found: 'step-up-required mfa 900' },
    {
      name: 'unknown risk in Observe',
      endpoint: { mfa: 'RiskBased', mode: 'Observe' },
      user: {},
      found: undefined,
    },
    { name: 'risk of 50', endpoint: { mfa: 'RiskBased' }, user: {}, riskScore: 50, found: undefined },
    { name: 'MFA at any time', endpoint: { mfa: 'Required' }, user: { mfaVerified: true }, found: undefined },
    { name: 'fresh', endpoint: { maxAuthAgeMs: AGE_MS }, user: { authTimeMs: ago(2) }, found: undefined },
    { name: 'nothing asked of nobody', endpoint: {}, found: undefined },
  ])('$name: $found', ({ endpoint, user, riskScore, found }) => {
    const facts = factsOf({ user: user && aUser(user), riskScore })
    const refusal = evaluateEndpointStepUp(
      anEndpoint(endpoint),
      { maxAuthAgeMs: AGE_MS, maxAuthAgeFrom: undefined },
      facts,
    )
    const { reason, stepUp } = refusal ?? {}
    expect(stepUp ? `${reason} ${stepUp.factor} ${stepUp.maxAgeSeconds}` : reason).toBe(found)
  })
})

describe('a sensitive target asks its user for a recent authentication', () => {
  const from = (maxAuthAgeFrom: 'Low' | 'Medium' | 'High' | undefined) => ({
    maxAuthAgeMs: AGE_MS,
    maxAuthAgeFrom,
  })
  test.each([
    ['High, and the token says no time', 'High', 'High', {}, 'step-up-required'],
    ['High, and it is older', 'High', 'High', { authTimeMs: NOW_MS - AGE_MS - 1 }, 'step-up-required'],
    ['above what is asked from', 'High', 'Low', { authTimeMs: NOW_MS - AGE_MS - 1 }, 'step-up-required'],
    ['recent', 'High', 'High', { authTimeMs: NOW_MS - AGE_MS }, undefined],
    ['below what is asked from', 'Medium', 'High', {}, undefined],
    ['nothing is asked', 'High', undefined, {}, undefined],
  ] as const)('%s', (_name, sensitivity, asked, user, found) => {
    const facts = factsOf({ user: aUser(user) })
    const refusal = evaluateSensitiveAge(anEndpoint({ sensitivity }), from(asked), facts)
    expect(refusal?.reason).toBe(found)
  })

  test('nobody is asked where there is no user', () => {
    expect(evaluateSensitiveAge(anEndpoint({ sensitivity: 'High' }), from('High'), factsOf())).toBeUndefined()
  })
})
