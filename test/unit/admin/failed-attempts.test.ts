import { describe, expect, test } from '@jest/globals'
import { FailedAttempts } from '../../../src/admin/failed-attempts.js'

const fail = (attempts: FailedAttempts, address: string, times: number, nowMs: number): void => {
  for (let time = 0; time < times; time++) attempts.note(address, nowMs)
}

describe('FailedAttempts', () => {
  test.each([
    { name: 'an address of which nothing is known', failures: 0, afterMs: 0, wait: 0 },
    { name: 'nine failures', failures: 9, afterMs: 0, wait: 0 },
    { name: 'ten', failures: 10, afterMs: 0, wait: 60 },
    { name: 'ten, at the end of the minute', failures: 10, afterMs: 59_001, wait: 1 },
    { name: 'ten, after the minute', failures: 10, afterMs: 60_000, wait: 0 },
  ])('$name: $wait s', ({ failures, afterMs, wait }) => {
    const attempts = new FailedAttempts()
    fail(attempts, '192.0.2.1', failures, 0)
    expect(attempts.waitSeconds('192.0.2.1', afterMs)).toBe(wait)
    expect(attempts.waitSeconds('192.0.2.2', afterMs)).toBe(0)
  })

  test.each([
    { failed: '2001:db8::1', same: '2001:db8:0:0:ffff:1:2:3', other: '2001:db8:0:1::1' },
    { failed: '::ffff:192.0.2.1', same: '192.0.2.1', other: '::ffff:192.0.2.2' },
    { failed: 'fe80::1%eth0', same: 'fe80::2', other: 'fe81::1' },
    { failed: '::1', same: '::2', other: '1::' },
  ])('$failed is as $same and not as $other', ({ failed, same, other }) => {
    const attempts = new FailedAttempts()
    fail(attempts, failed, 10, 0)
    expect(attempts.waitSeconds(same, 0)).toBe(60)
    expect(attempts.waitSeconds(other, 0)).toBe(0)
  })

  test('a flood of addresses takes bounded memory: the oldest window goes first', () => {
    const attempts = new FailedAttempts()
    fail(attempts, 'first', 10, 0)
    for (let index = 0; index < 9_999; index++) attempts.note(`a${index}`, 1)
    expect(attempts.waitSeconds('first', 1)).toBe(60)
    attempts.note('one more', 1)
    expect(attempts.waitSeconds('first', 1)).toBe(0)
  })
})
