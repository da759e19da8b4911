import { describe, expect, test } from '@jest/globals'
import { printable, printableJson, printableLines } from '../../../src/cli/admin/printable.js'
import { issuerColumn, sheet, table } from '../../../src/cli/admin/table.js'
import { fullTime, relativeTime } from '../../../src/cli/admin/times.js'

const NOW_MS = Date.parse('2026-03-01T12:00:00Z')
const MIN_MS = 60_000
const HOUR_MS = 3_600_000

describe('relativeTime', () => {
  test.each([
    { awayMs: 0, text: 'now' },
    { awayMs: 400, text: 'now' },
    { awayMs: 30_000, text: 'in 30 s' },
    { awayMs: -89_000, text: '89 s ago' },
    { awayMs: 42 * MIN_MS, text: 'in 42 min' },
    { awayMs: 89 * MIN_MS, text: 'in 89 min' },
    { awayMs: -3 * HOUR_MS, text: '3 h ago' },
    { awayMs: 47 * HOUR_MS, text: 'in 47 h' },
    { awayMs: -60 * 24 * HOUR_MS, text: '60 d ago' },
  ])('$text', ({ awayMs, text }) => {
    expect(relativeTime(new Date(NOW_MS + awayMs).toISOString(), NOW_MS)).toBe(text)
  })
  test('what is no time is told as it is', () => {
    expect([relativeTime('soon', NOW_MS), fullTime('soon', NOW_MS)]).toEqual(['soon', 'soon'])
  })
  test('with the absolute time where it matters', () => {
    expect(fullTime('2026-03-01T13:42:00.5+01:00', NOW_MS)).toBe('2026-03-01 12:42:00 UTC (in 42 min)')
  })
})

type Row = { readonly id: string; readonly text: string }
const COLUMNS = [
  { title: 'ID', of: ({ id }: Row) => id },
  { title: 'TEXT', of: ({ text }: Row) => text, mayBeCut: true },
]

describe('table', () => {
  test.each([
    {
      name: 'aligned',
      rows: [
        { id: 'a', text: 'x' },
        { id: 'longer', text: '' },
      ],
      lines: ['ID      TEXT', 'a       x', 'longer'],
    },
    {
      name: 'wide characters count twice, marks not at all',
      rows: [
        { id: '日本', text: 'x' },
        { id: 'e\u0301e', text: 'y' },
      ],
      lines: ['ID    TEXT', '日本  x', 'e\u0301e    y'],
    },
    {
      name: 'control characters are made harmless',
      rows: [{ id: '\u001b[2Ja', text: 'x\ny' }],
      lines: ['ID     TEXT', '?[2Ja  x?y'],
    },
    {
      name: 'what may be cut gives way at 100 columns',
      rows: [{ id: 'a'.repeat(60), text: 'word '.repeat(20) }],
      lines: [`ID${' '.repeat(60)}TEXT`, `${'a'.repeat(60)}  word word word word word word word wo…`],
    },
    {
      name: 'what may not is whole, however long',
      rows: [{ id: 'a'.repeat(150), text: 'b'.repeat(50) }],
      lines: [`ID${' '.repeat(150)}TEXT`, `${'a'.repeat(150)}  ${'b'.repeat(11)}…`],
    },
  ])('$name', ({ rows, lines }) => {
    expect(table(rows, COLUMNS)).toBe(lines.map((line) => `${line}\n`).join(''))
  })
  test('a coloured cell is as wide as without', () => {
    const painted = table(
      [{ id: 'a', text: 'x' }],
      [
        { title: 'LONG', of: ({ id }) => id, paint: (_, cell) => `<${cell}>` },
        { title: 'TEXT', of: ({ text }) => text },
      ],
    )
    expect(painted).toBe('LONG  TEXT\n<a>     x\n')
  })
  test('the issuer is a column where there are several', () => {
    expect(issuerColumn([{ issuer: 'a' }, { issuer: 'a' }])).toEqual([])
    expect(issuerColumn([{ issuer: 'a' }, { issuer: 'b' }])).toMatchObject([{ title: 'ISSUER' }])
  })
  test('a sheet leaves out what is undefined', () => {
    expect(
      sheet([
        ['id', 'a'],
        ['gone', undefined],
        ['reason', 'b\nc'],
      ]),
    ).toBe('id      a\nreason  b?c\n')
  })
})

describe('printable', () => {
  test.each([
    '\u0000',
    '\u001b',
    '\u007f',
    '\u009b',
    '\n',
    '\r',
    '\t',
    '\u202e',
    '\u200b',
    '\u2028',
    '\ud800',
  ])('no %j', (character) => {
    expect(printable(`a${character}b`)).toBe('a?b')
  })
  test('line ends stay in texts of several lines, a lone carriage return does not', () => {
    expect(printableLines('a\nb\r\nc\rd\u001b')).toBe('a\nb\r\nc?d?')
  })
  test('JSON is the same to who reads it', () => {
    const value = { a: '\u009b\u202e\u{e0001}\ud800é' }
    const text = printableJson(value)
    expect(text).toBe('{"a":"\\u009b\\u202e\\udb40\\udc01\\ud800é"}')
    expect(JSON.parse(text)).toEqual(value)
  })
})
