import { describe, expect, test } from '@jest/globals'
import { compileWritten, policyOf, type Written } from './written-policies.js'

describe('documents that are refused', () => {
  const tie = 'one device can match this tier and `a` equally well'
  test.each<{ name: string; written: Written; hasInventory?: boolean; expected: readonly string[] }>([
    {
      name: 'an empty one',
      written: [['d', '{}']],
      expected: ['d spec empty-device-policy: a DevicePolicy says nothing without `tier` or `posture`'],
    },
    {
      name: 'what only tiers have',
      written: [['d', '{ services: [work/email], mfa: Required, posture: { denyAbove: 80 } }']],
      expected: [
        'd spec.services without-tier: `services` belongs to a tier, and there is no `tier`',
        'd spec.mfa without-tier: `mfa` belongs to a tier, and there is no `tier`',
      ],
    },
    {
      name: 'without an inventory',
      written: [['d', '{ tier: laptops }']],
      hasInventory: false,
      expected: [
        'd metadata.name condition-no-source: a DevicePolicy needs an inventory of devices: `deviceInventory` in portcullis.yaml',
      ],
    },
    {
      name: 'unknown names',
      written: [['d', '{ tier: t, services: [work/emial, email, x/y], data: [publik] }']],
      expected: [
        'd spec.services[0] unknown-service: no ServicePolicy names the service `work/emial`: did you mean `work/email`?',
        'd spec.services[1] bare-service-name: write the service as namespace/name, not `email`: did you mean `work/email`?',
        'd spec.services[2] unknown-service: no ServicePolicy names the service `x/y`',
        'd spec.data[0] unknown-data-policy: there is no DataPolicy `publik`: did you mean `public`?',
      ],
    },
    {
      name: 'misspelt fields and words',
      written: [
        ['d', '{ teir: t, match: { managd: true }, operations: [read], obligations: [No_Download] }'],
      ],
      expected: [
        'd spec.teir unknown-field: unknown field `spec.teir`; did you mean `tier`?',
        'd spec.match.managd unknown-field: unknown field `spec.match.managd`; did you mean `managed`?',
        'd spec.operations[0] wrong-word: `spec.operations[0]`: `read` is none of Read, Write, Download; did you mean `Read`?',
        'd spec.obligations[0] wrong-value: `spec.obligations[0]` is `No_Download`, must be kebab-case, such as no-download',
      ],
    },
    {
      name: 'empty parts',
      written: [['d', '{ tier: t, match: {}, services: [], operations: [], session: {}, posture: {} }']],
      expected: [
        'd spec.match wrong-value: `spec.match` is empty, must have at least one field',
        'd spec.services wrong-value: `spec.services` is an empty list, must have at least one element',
        'd spec.session wrong-value: `spec.session` is empty, must have at least one field',
        'd spec.operations wrong-value: `spec.operations` is an empty list, must have at least one element',
        'd spec.posture wrong-value: `spec.posture` is empty, must have at least one field',
      ],
    },
    {
      name: 'numbers out of bounds',
      written: [['d', '{ posture: { points: { jailbroken: 101 }, denyAbove: -1, notSeenAfter: 1 day } }']],
      expected: [
        'd spec.posture.points.jailbroken wrong-value: `spec.posture.points.jailbroken` is 101, must be at most 100',
        'd spec.posture.notSeenAfter wrong-value: `spec.posture.notSeenAfter` is `1 day`, must be a duration such as 30s, 15m or 8h (units: ms, s, m, h, d, y)',
        'd spec.posture.denyAbove wrong-value: `spec.posture.denyAbove` is -1, must be at least 0',
      ],
    },
    {
      name: 'thresholds that cross',
      written: [['d', '{ posture: { readOnlyAbove: 80, externalRisk: { medium: 90, low: 95 } } }']],
      expected: [
        'd spec.posture.externalRisk.low thresholds-crossed: `low` (95) is more than `medium` (90)',
        'd spec.posture.externalRisk.medium thresholds-crossed: `medium` (90) is more than `high` (80)',
        'd spec.posture.readOnlyAbove thresholds-crossed: `readOnlyAbove` (80) is more than `denyAbove` (70)',
      ],
    },
    {
      name: 'and where the lower one is built in',
      written: [['d', '{ posture: { denyAbove: 40 } }']],
      expected: [
        'd spec.posture.denyAbove thresholds-crossed: `readOnlyAbove` (50) is more than `denyAbove` (40)',
      ],
    },
    {
      name: 'posture twice',
      written: [
        ['a', '{ posture: { denyAbove: 80 } }'],
        ['b', '{ tier: t, posture: { denyAbove: 90 } }'],
      ],
      expected: ['b spec.posture duplicate-posture: `posture` is set by the DevicePolicy `a` too'],
    },
    {
      name: 'two of one name',
      written: [
        ['a', '{ tier: a }'],
        ['a', '{ tier: b, match: { managed: true } }'],
      ],
      expected: ['a metadata.name duplicate-name: there is a DevicePolicy `a` already'],
    },
    {
      name: 'two tiers of one name',
      written: [
        ['a', '{ tier: t, match: { managed: true } }'],
        ['b', '{ tier: t, match: { managed: false } }'],
      ],
      expected: ['b spec.tier duplicate-name: there is a device tier `t` already'],
    },
    {
      name: 'a default without any tier',
      written: [['default', '{ posture: { denyAbove: 80 } }']],
      expected: [
        'default metadata.name no-tier: `default` replaces the built-in device tiers, and no document has one: all would be refused',
      ],
    },
    {
      name: 'tiers of the same devices',
      written: [
        ['a', '{ tier: a, match: { managed: true, ownership: Personal } }'],
        ['b', '{ tier: managed-personal }'],
      ],
      expected: [`b spec.tier tier-overlap: ${tie}`],
    },
    {
      name: 'tiers for all',
      written: [
        ['a', '{ tier: a }'],
        ['b', '{ tier: b }'],
      ],
      expected: [`b spec.tier tier-overlap: ${tie}`],
    },
    {
      name: 'tiers that share some devices',
      written: [
        ['a', '{ tier: a, match: { managed: true } }'],
        ['b', '{ tier: b, match: { ownership: Personal } }'],
      ],
      expected: [`b spec.match tier-overlap: ${tie}`],
    },
  ])('$name', ({ written, hasInventory, expected }) => {
    const { problems } = compileWritten(written, hasInventory)
    expect(problems).toEqual(expected)
  })
})

describe('documents that load', () => {
  const orderOf = (...written: Written) => policyOf(...written).tiers.map(({ name }) => name)

  test.each<{ name: string; written: Written; expected: readonly string[] }>([
    {
      name: 'none',
      written: [],
      expected: ['managed-corporate', 'managed-personal', 'unmanaged'],
    },
    {
      name: 'what asks for more goes first, and before what is built in',
      written: [
        ['a', '{ tier: any }'],
        ['b', '{ tier: laptops, match: { managed: true } }'],
        ['c', '{ tier: phones, match: { managed: true, ownership: Personal } }'],
        ['d', '{ tier: strangers, match: { managed: false } }'],
      ],
      expected: [
        'phones',
        'laptops',
        'strangers',
        'any',
        'managed-corporate',
        'managed-personal',
        'unmanaged',
      ],
    },
    {
      name: 'a built-in one written anew',
      written: [['a', '{ tier: unmanaged, operations: [Read] }']],
      expected: ['unmanaged', 'managed-corporate', 'managed-personal'],
    },
    {
      name: 'a default replaces them',
      written: [
        ['default', '{ tier: laptops, match: { managed: true } }'],
        ['b', '{ tier: phones, match: { managed: true, ownership: Personal } }'],
      ],
      expected: ['phones', 'laptops'],
    },
  ])('$name: $expected', ({ written, expected }) => {
    expect(orderOf(...written)).toEqual(expected)
  })

  test('the example of the format', () => {
    const spec =
      '{ tier: managed-personal, match: { managed: true, ownership: Personal }, services: [work/email, work/files], mfa: Required, session: { maxDuration: 4h }, operations: [Read, Write], obligations: [no-download-confidential, watermark-documents] }'
    expect(policyOf(['managed-personal', spec]).tiers[0]).toEqual({
      name: 'managed-personal',
      source: 'managed-personal.yaml spec.tier',
      match: { managed: true, ownership: 'Personal' },
      services: new Set(['work/email', 'work/files']),
      data: undefined,
      operations: new Set(['Read', 'Write']),
      mfa: 'Required',
      session: { maxDurationMs: 4 * 3_600_000, idleTimeoutMs: undefined },
      obligations: ['no-download-confidential', 'watermark-documents'],
    })
  })

  test.each([
    { hasInventory: true, written: [], inventory: true, inert: 0 },
    { hasInventory: false, written: [], inventory: false, inert: 1 },
    { hasInventory: undefined, written: [], inventory: false, inert: 0 },
    { hasInventory: undefined, written: [['a', '{ tier: t }'] as const], inventory: true, inert: 0 },
  ])('inventory $hasInventory, documents $written', ({ hasInventory, written, inventory, inert }) => {
    const { policy, problems } = compileWritten(written, hasInventory)
    expect({ problems, inventory: policy.inventory, inert: policy.inert.length }).toEqual({
      problems: [],
      inventory,
      inert,
    })
  })
})
