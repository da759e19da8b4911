import { expect, test } from '@jest/globals'
import { contradictionsOf } from '../../../../src/lifecycle/lint/contradictions.js'
import type { WrittenWhen } from '../../../../src/lifecycle/lint/linted-mesh.js'

const NOW_MS = Date.parse('2026-03-01T12:00:00Z')
const roles = 'user.roles'
const score = 'risk.score'
const claim = 'user.claims[level]'
const hour = 'time.hour'

const NEVER: readonly (readonly [string, WrittenWhen])[] = [
  [
    'true and false',
    [
      { key: 'user.mfa', is: true },
      { key: 'user.mfa', is: false },
    ],
  ],
  [
    'absent and compared',
    [
      { key: 'user.id', present: false },
      { key: 'user.id', values: ['a'] },
    ],
  ],
  ['absent and compared, in one', [{ key: 'user.id', present: false, values: ['a'] }]],
  [
    'absent and present',
    [
      { key: 'user.id', present: false },
      { key: 'user.id', present: true },
    ],
  ],
  ['above the highest', [{ key: score, above: 100 }]],
  ['below the lowest', [{ key: score, below: 0 }]],
  [
    'above >= below',
    [
      { key: score, above: 50 },
      { key: score, below: 50 },
    ],
  ],
  ['a bound that is open at one end', [{ key: score, atLeast: 50, below: 50 }]],
  [
    'between of two ranges',
    [
      { key: score, between: ['1', '2'] },
      { key: score, between: ['3', '4'] },
    ],
  ],
  ['no whole number between', [{ key: hour, above: 4, below: 5 }]],
  ['numbers that are out of bounds', [{ key: 'destination.port', values: ['80', '443'], above: 443 }]],
  ['numbers that are refused', [{ key: 'destination.port', values: ['80'], notValues: ['80'] }]],
  [
    'a claim, by its other name',
    [
      { key: claim, above: 5 },
      { key: 'request.auth.claims[level]', below: 5 },
    ],
  ],
  [
    'a claim of two types',
    [
      { key: claim, above: 5 },
      { key: claim, is: true },
    ],
  ],
  [
    'two texts',
    [
      { key: 'request.method', values: ['GET'] },
      { key: 'request.method', values: ['POST'] },
    ],
  ],
  [
    'prefixes',
    [
      { key: 'request.path', values: ['/a/*'] },
      { key: 'request.path', values: ['/b/*', '/c'] },
    ],
  ],
  ['what is left of three lists', ['ab*', '*b', 'a'].map((value) => ({ key: 'user.id', values: [value] }))],
  ['refused by prefix', [{ key: 'user.id', values: ['ab', 'ac*'], notValues: ['a*'] }]],
  ['everything refused', [{ key: 'user.id', values: ['a', '*z'], notValues: ['*'] }]],
  ['a list whose every wanted value is refused', [{ key: roles, values: ['a'], notValues: ['a', 'b'] }]],
  ['every word refused', [{ key: 'risk.level', notValues: ['low', 'medium', 'high'] }]],
  ['hosts in any case', [{ key: 'request.host', values: ['A.example'], notValues: ['a.EXAMPLE'] }]],
  [
    'ranges',
    [
      { key: 'source.ip', cidr: ['10.0.0.0/8'] },
      { key: 'source.ip', cidr: ['192.168.0.0/16'] },
    ],
  ],
  [
    'an address out of its range',
    [
      { key: 'client.ip', cidr: ['10.0.0.0/8'] },
      { key: 'remote.ip', values: ['11.1.1.1'] },
    ],
  ],
  [
    'families',
    [
      { key: 'source.ip', cidr: ['::/0'] },
      { key: 'source.ip', cidr: ['0.0.0.0/0'] },
    ],
  ],
  ['weekdays', [{ key: 'time.weekday', between: ['Mon', 'Fri'], values: ['Saturday'] }]],
  [
    'windows of a day',
    [
      { key: 'time.ofDay', between: ['08:00', '12:00'] },
      { key: 'time.ofDay', between: ['12:00', '18:00'] },
    ],
  ],
  [
    'dates',
    [
      { key: 'time.date', values: ['2026-05-01'] },
      { key: 'time.date', between: ['2026-06-01', '2026-07-01'] },
    ],
  ],
  ['days that are over', [{ key: 'time.date', between: ['2025-12-24', '2026-01-06'] }]],
]

test.each(NEVER.map(([name, when]) => ({ name, when })))('never: $name', ({ when }) => {
  expect(contradictionsOf(when, NOW_MS)).toHaveLength(1)
})

const PERHAPS: readonly (readonly [string, WrittenWhen])[] = [
  ['nothing', []],
  ['no key', [{ key: 'user.id', present: true }]],
  [
    'a list has several values',
    [
      { key: roles, values: ['a'] },
      { key: roles, values: ['b'] },
    ],
  ],
  [
    'so has a claim',
    [
      { key: claim, values: ['a'] },
      { key: claim, values: ['b'] },
    ],
  ],
  [
    'a prefix and a suffix',
    [
      { key: 'user.id', values: ['a*'] },
      { key: 'user.id', values: ['*z'] },
    ],
  ],
  ['one value left', [{ key: 'user.id', values: ['a', 'b'], notValues: ['a'] }]],
  ['an empty value is not a star', [{ key: 'request.query[a]', values: [''], notValues: ['*'] }]],
  ['closed bounds', [{ key: score, atLeast: 50, atMost: 50 }]],
  [
    'other zones',
    [
      { key: hour, below: 4 },
      { key: hour, above: 20, zone: 'Asia/Tokyo' },
    ],
  ],
  [
    'a window that wraps',
    [
      { key: 'time.ofDay', between: ['22:00', '06:00'] },
      { key: 'time.ofDay', between: ['05:00', '09:00'] },
    ],
  ],
  [
    'hours that wrap',
    [
      { key: hour, between: ['22', '6'] },
      { key: hour, above: 22 },
    ],
  ],
  [
    'a range within another',
    [
      { key: 'source.ip', cidr: ['10.0.0.0/8'] },
      { key: 'source.ip', cidr: ['10.1.0.0/16'] },
    ],
  ],
  ['yesterday, elsewhere', [{ key: 'time.date', values: ['2026-02-28'] }]],
  [
    'two keys',
    [
      { key: 'user.mfa', is: true },
      { key: 'device.managed', is: false },
    ],
  ],
]

test.each(PERHAPS.map(([name, when]) => ({ name, when })))('perhaps: $name', ({ when }) => {
  expect(contradictionsOf(when, NOW_MS)).toEqual([])
})

test('the days that are over are told from what never was', () => {
  const over = contradictionsOf([{ key: 'time.date', values: ['2020-01-01'] }], NOW_MS)
  expect(over).toEqual([
    { index: 0, key: 'time.date', why: 'the days that it names are over', expired: true },
  ])
})

test('lists that are too long to be compared are let be, in bounded time', () => {
  const values = Array.from({ length: 20_000 }, (_, at) => `v${at}`)
  const before = performance.now()
  expect(
    contradictionsOf(
      [
        { key: 'user.id', values },
        { key: 'user.id', values: ['x'], notValues: values },
      ],
      NOW_MS,
    ),
  ).toHaveLength(1)
  expect(
    contradictionsOf(
      [
        { key: 'user.id', values },
        { key: 'user.id', values },
      ],
      NOW_MS,
    ),
  ).toEqual([])
  expect(performance.now() - before).toBeLessThan(1000)
})
