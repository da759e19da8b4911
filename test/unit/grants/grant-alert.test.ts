import { expect, test } from '@jest/globals'
import { writeBreakGlassAlert } from '../../../src/grants/grant-alert.js'
import { NOW_MS } from '../../support/facts.js'

test('a break-glass grant is told in one line of JSON', () => {
  const line = writeBreakGlassAlert(
    {
      id: 'g1',
      subject: { issuer: 'https://idp.example', subject: 'dora\n"' },
      service: 'shop/vault',
      operations: ['Read', 'Write'],
      requester: 'oscar',
      breakGlass: true,
      reason: 'the vault burns',
      createdAtMs: NOW_MS,
      expiresAtMs: NOW_MS + 3_600_000,
    },
    NOW_MS,
  )
  expect(line).not.toContain('\n')
  expect(JSON.parse(line)).toMatchObject({
    eventType: 'break-glass',
    severity: 'HIGH',
    grantId: 'g1',
    requester: 'oscar',
    operations: 'Read Write',
    expiresAt: '2026-11-23T22:30:00Z',
  })
})
