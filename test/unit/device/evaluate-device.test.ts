import { describe, expect, test } from '@jest/globals'
import type { Step } from '../../../src/decision/decision.js'
import type { DeviceCall } from '../../../src/device/device-call.js'
import { type DeviceReport, riskLevelOps } from '../../../src/device/device-report.js'
import { deviceState } from '../../../src/device/device-state.js'
import { type DeviceVerdict, evaluateDevice } from '../../../src/device/evaluate-device.js'
import { applyOps, EMPTY_RECORD, type StateRecord } from '../../../src/state/record.js'
import { anEndpoint, aUser, NOW_MS } from '../../support/facts.js'
import { policyOf, recordOf } from './written-policies.js'

const LIMITS = { maxAuthAgeMs: 900_000, maxAuthAgeFrom: undefined }
const user = aUser({ deviceId: 'laptop-7' })
const told = (report: Partial<DeviceReport>) => recordOf(report, NOW_MS)

type Policy = ReturnType<typeof policyOf>
type Known = Partial<Omit<DeviceCall, 'device'>> & { readonly record?: StateRecord | undefined }

function verdictOf(policy: Policy, { record, ...known }: Known, steps?: Step[]): DeviceVerdict {
  const call: DeviceCall = {
    user,
    endpoint: anEndpoint(),
    operation: 'Read',
    targetId: 'work/email',
    riskScore: 0,
    riskSources: [],
    nowMs: NOW_MS,
    device: record && deviceState(record, policy, NOW_MS),
    ...known,
  }
  return evaluateDevice(call, policy, LIMITS, steps)
}

/** `reason rule, … | obligation …` */
function words({ refusals, stepUp, obligations }: DeviceVerdict): string {
  const refused = [...refusals, ...(stepUp ? [stepUp] : [])].map(({ reason, rule }) =>
    rule === undefined ? reason : `${reason} ${rule}`,
  )
  return `${refused.join(', ') || 'pass'} | ${obligations.join(' ')}`.trimEnd()
}

const messages = ({ refusals }: DeviceVerdict) => refusals.map(({ message }) => message)
const high = anEndpoint({ sensitivity: 'High' })

describe('by the trust that the token claims', () => {
  const low = aUser({ deviceTrust: 'low' })
  test.each<{ name: string; known: Known; expected: string }>([
    {
      name: 'low writes',
      known: { user: low, operation: 'Write' },
      expected: 'device-read-only | read-only',
    },
    {
      name: 'low does what nobody knows',
      known: { user: low, operation: undefined },
      expected: 'device-read-only | read-only',
    },
    { name: 'low reads', known: { user: low }, expected: 'pass | read-only' },
    { name: 'low downloads', known: { user: low, operation: 'Download' }, expected: 'pass | read-only' },
    {
      name: 'medium writes',
      known: { user: aUser({ deviceTrust: 'medium' }), operation: 'Write' },
      expected: 'pass |',
    },
    { name: 'nobody claims anything', known: { operation: 'Write' }, expected: 'pass |' },
    {
      name: 'no user has no device',
      known: { user: undefined, operation: 'Write', record: told({ jailbroken: true, osPatched: false }) },
      expected: 'pass |',
    },
    {
      name: 'low, of a good device',
      known: { user: low, operation: 'Write', record: told({}) },
      expected: 'device-read-only | read-only',
    },
  ])('$name: $expected', ({ known, expected }) => {
    expect(words(verdictOf(policyOf(), known))).toBe(expected)
  })
})

describe('by posture', () => {
  const at71 = applyOps(told({}), riskLevelOps('HIGH', NOW_MS))
  const policy = policyOf(['p', '{ posture: { externalRisk: { high: 71, medium: 51, low: 50 } } }'])
  const at51 = applyOps(told({}), riskLevelOps('MEDIUM', NOW_MS))
  const at50 = applyOps(told({}), riskLevelOps('LOW', NOW_MS))
  const both = 'read-only no-download'
  test.each<{ name: string; known: Known; expected: string }>([
    {
      name: '71, high sensitivity',
      known: { record: at71, endpoint: high },
      expected: `device-risk | ${both}`,
    },
    {
      name: '71, a target that nobody knows',
      known: { record: at71, endpoint: undefined, targetId: undefined },
      expected: `device-risk | ${both}`,
    },
    {
      name: '71, a write of high sensitivity',
      known: { record: at71, endpoint: high, operation: 'Write' },
      expected: `device-risk, device-read-only | ${both}`,
    },
    { name: '71, a read', known: { record: at71 }, expected: `pass | ${both}` },
    {
      name: '71, a write',
      known: { record: at71, operation: 'Write' },
      expected: `device-read-only | ${both}`,
    },
    {
      name: '70, high sensitivity',
      known: { record: told({ managed: false, jailbroken: true }), endpoint: high },
      expected: `pass | ${both}`,
    },
    {
      name: '51, a write',
      known: { record: at51, operation: 'Write' },
      expected: `device-read-only | ${both}`,
    },
    {
      name: '51, who knows what',
      known: { record: at51, operation: undefined },
      expected: `device-read-only | ${both}`,
    },
    {
      name: '51, a download',
      known: { record: at51, operation: 'Download' },
      expected: `device-read-only | ${both}`,
    },
    { name: '51, a read', known: { record: at51, endpoint: high }, expected: `pass | ${both}` },
    { name: '50, a write', known: { record: at50, operation: 'Write', endpoint: high }, expected: 'pass |' },
    {
      name: 'a device that nobody knows writes',
      known: { record: EMPTY_RECORD, operation: 'Write', endpoint: high },
      expected: 'pass |',
    },
  ])('$name: $expected', ({ known, expected }) => {
    expect(words(verdictOf(policy, known))).toBe(expected)
  })

  test('obligations of the policy, thresholds of the policy', () => {
    const own = policyOf(['p', '{ posture: { readOnlyAbove: 10, denyAbove: 15, obligations: [watermark] } }'])
    const known = { record: EMPTY_RECORD, endpoint: high, operation: 'Download' } as const
    expect(words(verdictOf(own, known))).toBe('device-risk, device-read-only | watermark')
  })

  test('messages say which fact decided', () => {
    const record = told({ jailbroken: true, osPatched: false, ownership: 'Personal' })
    expect(messages(verdictOf(policyOf(), { record, endpoint: high, operation: 'Write' }))).toEqual([
      'the device is managed and Personal, posture 80 of 100 (os-not-patched 30, jailbroken 50); above 70 nothing of high sensitivity is open to it',
      'the device is managed and Personal, posture 80 of 100 (os-not-patched 30, jailbroken 50); above 50 it may only read',
    ])
  })
})

describe('by tier', () => {
  const tier = (spec: string) => policyOf(['t', `{ tier: t, ${spec} }`])
  const data = (dataPolicy: string | undefined) => anEndpoint({ dataPolicy })
  const mfa = aUser({ deviceId: 'laptop-7', amr: ['mfa'] })
  const mfaAt = (fromNowMs: number) =>
    aUser({ deviceId: 'laptop-7', amr: ['mfa'], authTimeMs: NOW_MS + fromNowMs })
  test.each<{ name: string; spec: string; known: Known; expected: string }>([
    {
      name: 'another service',
      spec: 'services: [work/email]',
      known: { targetId: 'work/files' },
      expected: 'device-tier t |',
    },
    {
      name: 'a service that nobody knows',
      spec: 'services: [work/email]',
      known: { targetId: undefined },
      expected: 'device-tier t |',
    },
    { name: 'its service', spec: 'services: [work/email]', known: {}, expected: 'pass |' },
    {
      name: 'another operation',
      spec: 'operations: [Read, Download]',
      known: { operation: 'Write' },
      expected: 'device-tier t |',
    },
    {
      name: 'an operation that nobody knows',
      spec: 'operations: [Read, Download]',
      known: { operation: undefined },
      expected: 'device-tier t |',
    },
    { name: 'its operation', spec: 'operations: [Read]', known: {}, expected: 'pass |' },
    {
      name: 'other data',
      spec: 'data: [public]',
      known: { endpoint: data('restricted') },
      expected: 'device-tier t |',
    },
    {
      name: 'data that nobody classified',
      spec: 'data: [public]',
      known: { endpoint: data(undefined) },
      expected: 'device-tier t |',
    },
    {
      name: 'a target that nobody knows',
      spec: 'data: [public]',
      known: { endpoint: undefined },
      expected: 'device-tier t |',
    },
    { name: 'its data', spec: 'data: [public]', known: { endpoint: data('public') }, expected: 'pass |' },
    {
      name: 'read-only, a write',
      spec: 'obligations: [read-only]',
      known: { operation: 'Write' },
      expected: 'device-read-only t | read-only',
    },
    {
      name: 'read-only, a download',
      spec: 'obligations: [read-only]',
      known: { operation: 'Download' },
      expected: 'pass | read-only',
    },
    {
      name: 'no-download, a download',
      spec: 'obligations: [no-download]',
      known: { operation: 'Download' },
      expected: 'device-tier t | no-download',
    },
    {
      name: 'no-download, a write',
      spec: 'obligations: [no-download]',
      known: { operation: 'Write' },
      expected: 'pass | no-download',
    },
    ...['confidential', 'restricted'].map((policy) => ({
      name: `no-download-confidential, ${policy} data`,
      spec: 'obligations: [no-download-confidential, no-copy-paste]',
      known: { operation: 'Download', endpoint: data(policy) } as const,
      expected: 'device-tier t | no-download-confidential no-copy-paste',
    })),
    {
      name: 'no-download-confidential, a read of confidential data',
      spec: 'obligations: [no-download-confidential]',
      known: { endpoint: data('confidential') },
      expected: 'pass | no-download-confidential',
    },
    {
      name: 'no-download-confidential, internal data',
      spec: 'obligations: [no-download-confidential]',
      known: { operation: 'Download', endpoint: data('internal') },
      expected: 'pass | no-download-confidential',
    },
    { name: 'MFA without', spec: 'mfa: Required', known: {}, expected: 'step-up-required t |' },
    { name: 'MFA with', spec: 'mfa: Required', known: { user: mfa }, expected: 'pass |' },
    {
      name: 'MFA at risk 51',
      spec: 'mfa: RiskBased',
      known: { riskScore: 51 },
      expected: 'step-up-required t |',
    },
    { name: 'MFA at risk 50', spec: 'mfa: RiskBased', known: { riskScore: 50 }, expected: 'pass |' },
    {
      name: 'MFA from before a risk of 51',
      spec: 'mfa: RiskBased',
      known: { user: mfaAt(-2000), riskScore: 51, riskSources: [{ score: 51, beganMs: NOW_MS - 1000 }] },
      expected: 'step-up-required t |',
    },
    {
      name: 'MFA of an hour ago at a risk of 51',
      spec: 'mfa: RiskBased',
      known: { user: mfaAt(-3_600_000), riskScore: 51 },
      expected: 'step-up-required t |',
    },
    {
      name: 'MFA that does not say when, at a risk of 51',
      spec: 'mfa: RiskBased',
      known: { user: mfa, riskScore: 51 },
      expected: 'step-up-required t |',
    },
    {
      name: 'MFA after the beginning of a risk of 51',
      spec: 'mfa: RiskBased',
      known: { user: mfaAt(-1000), riskScore: 51, riskSources: [{ score: 51, beganMs: NOW_MS - 2000 }] },
      expected: 'pass |',
    },
    {
      name: 'MFA at a risk that nobody knows',
      spec: 'mfa: RiskBased',
      known: { riskScore: undefined },
      expected: 'step-up-required t |',
    },
    {
      name: 'MFA in Observe',
      spec: 'mfa: RiskBased',
      known: { riskScore: undefined, endpoint: anEndpoint({ mode: 'Observe' }) },
      expected: 'pass |',
    },
    {
      name: 'everything at once',
      spec: 'services: [work/files], operations: [Read], data: [public], mfa: Required, obligations: [read-only]',
      known: { operation: 'Write' },
      expected:
        'device-tier t, device-tier t, device-tier t, device-read-only t, step-up-required t | read-only',
    },
  ])('$name: $expected', ({ spec, known, expected }) => {
    expect(words(verdictOf(tier(spec), { record: told({}), ...known }))).toBe(expected)
  })

  test('without a tier nothing passes', () => {
    const none = policyOf(['default', '{ tier: managed-personal }'])
    expect(words(verdictOf(none, { record: told({}) }))).toBe('device-tier |')
    expect(messages(verdictOf(none, { record: told({}) }))).toEqual([
      'no tier of the device policy is for this device; the device is managed',
    ])
  })

  test('obligations come once, in the order of their causes', () => {
    const policy = policyOf(['t', '{ tier: t, obligations: [watermark, no-download, watermark, read-only] }'])
    const known = { user: aUser({ deviceTrust: 'low' }), record: told({ compliant: false }) }
    expect(words(verdictOf(policy, known))).toBe('pass | read-only no-download watermark')
  })

  test('where a tier was written, and what it asks for', () => {
    const { stepUp: refusal } = verdictOf(tier('mfa: Required'), { record: told({}) })
    expect(refusal).toEqual({
      reason: 'step-up-required',
      message: 'the device tier t asks for multi-factor authentication; the device is managed',
      rule: 't',
      ruleSource: 't.yaml spec.tier',
      stepUp: { factor: 'mfa', maxAgeSeconds: 900 },
    })
  })

  test.each([
    {
      name: 'a device that nobody knows',
      user,
      expected: 'the device tier t may not use work/email; the device is not in the inventory, so unmanaged',
    },
    {
      name: 'no device at all',
      user: aUser(),
      expected:
        'the device tier t may not use work/email; the token names no device, which counts as unmanaged',
    },
  ])('messages name $name', ({ user: caller, expected }) => {
    const known = { record: EMPTY_RECORD, user: caller }
    expect(messages(verdictOf(tier('services: [work/files]'), known))).toEqual([expected])
  })
})

describe('steps', () => {
  test.each<{ name: string; known: Known; expected: readonly string[] }>([
    { name: 'nobody looked', known: {}, expected: [] },
    {
      name: 'refused',
      known: { user: aUser({ deviceTrust: 'low' }), operation: 'Write' },
      expected: ['device fail: a device of low trust may only read'],
    },
    {
      name: 'passed',
      known: { record: told({ firewall: false }) },
      expected: [
        'device pass: tier managed-corporate, the device is managed, posture 10 of 100 (firewall-off 10)',
      ],
    },
  ])('$name', ({ known, expected }) => {
    const steps: Step[] = []
    verdictOf(policyOf(), known, steps)
    expect(steps.map(({ step, outcome, detail }) => `${step} ${outcome}: ${detail}`)).toEqual(expected)
  })
})
