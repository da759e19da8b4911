import { expect, test } from '@jest/globals'
import { canonicalPath } from '../../../../src/ext-authz/canonical-path.js'
import { AMBIGUOUS_TARGETS, LOOK_ALIKES } from '../../../../src/lifecycle/export/ambiguous-targets.js'

const PATTERNS = AMBIGUOUS_TARGETS.map(({ pattern, allowed }) => ({
  whole: new RegExp(`^(?:${pattern})$`, 's'),
  allowed,
}))
const isAmbiguous = (target: string): boolean =>
  PATTERNS.some(({ whole, allowed }) => whole.test(target) !== allowed)

test('every look-alike that canonicalPath refuses is in the list, and no other', () => {
  const refused: number[] = []
  for (let point = 0xa0; point <= 0x10ffff; point++) {
    if (point >= 0xd800 && point <= 0xdfff) continue
    const path = `/${encodeURIComponent(String.fromCodePoint(point))}`
    if (!canonicalPath(path).ok) refused.push(point)
  }
  const listed = LOOK_ALIKES.split(' ').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map((hex) => Number.parseInt(hex, 16))
    return Array.from({ length: last - first + 1 }, (_, at) => first + at)
  })
  expect(listed).toEqual(refused)
})

/** Pieces that targets go wrong by, joined by a generator that starts the same each time. */
const PIECES = [
  '/',
  'a',
  'Z',
  '.',
  '..',
  '?',
  '#',
  ';',
  '\\',
  '%',
  '%2F',
  '%2f',
  '%20',
  '%25',
  '%7E',
  '%C3%A9',
  '%c3%a9',
  '%C3',
  '%A9',
  '%E2%82%AC',
  '%E2%80%A8',
  '%EF%BC%8F',
  '%F0%9F%98%80',
  '%F4%90%80%80',
  '%ED%A0%80',
  '%E0%80%AF',
  '%C0%AF',
  '%C2%85',
  '*',
  '{',
  ' ',
  '"',
  '|',
  '^',
  'é',
  '&=',
]

test('the patterns and canonicalPath say the same of 50,000 targets', () => {
  let seed = 11
  const next = (below: number): number => (seed = (seed * 48271) % 2147483647) % below
  const differing: string[] = []
  let fine = 0
  for (let round = 0; round < 50_000; round++) {
    const target = `/${Array.from({ length: next(7) }, () => PIECES[next(PIECES.length)]).join('')}`
    const { ok } = canonicalPath(target)
    if (ok) fine++
    if (ok === isAmbiguous(target)) differing.push(target)
  }
  expect(differing).toEqual([])
  expect(fine).toBeGreaterThan(5000)
})
