import { describe, expect, test } from '@jest/globals'
import { addressKey, userKeys } from '../../../src/state/subjects.js'
import { aUser } from '../../support/facts.js'

describe('addressKey', () => {
  test.each<[string, string, boolean]>([
    ['203.0.113.1', '203.0.113.2', false],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['::1', '2001:db8::1', false],
    ['2001:db8::1', '2001:db8:0:1::1', false],
    ['203.0.113.1', '203.0.113.1', true],
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9', true],
    ['2001:db8::1', '2001:db8::2:0:0:1', true],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::', true],
  ])('%s and %s', (one, other, same) => {
    expect(addressKey(one) === addressKey(other)).toBe(same)
  })
})

test('a session is known by its issuer, its subject and its name', () => {
  const of = (user: Parameters<typeof aUser>[0]): string | undefined => userKeys(aUser(user)).session
  const own = of({ sessionId: 's' })
  expect(of({ sessionId: 's' })).toBe(own)
  for (const other of [
    { sessionId: 't' },
    { sessionId: 's', subject: 'bob' },
    { sessionId: 's', issuer: 'https://other.example' },
    {},
  ]) {
    expect(of(other)).not.toBe(own)
  }
})
