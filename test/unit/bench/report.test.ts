import { describe, expect, test } from '@jest/globals'
import { lines, median, spread, table, withSection } from '../../../bench/report.js'

const ORDER = ['first', 'second', 'third']
const REPORT = `# Measurements

<!-- section: first -->

## First

1

<!-- section: third -->

## Third

3
`

describe('the report', () => {
  test('that has a section twice is not written to', () => {
    expect(() => withSection(`${REPORT}\n<!-- section: first -->\n`, 'first', 'x', ORDER)).toThrow('twice')
  })

  test.each([
    { name: 'a section is replaced, others stay', of: 'first', order: ['first', 'third'] },
    { name: 'a new one comes where the order says', of: 'second', order: ['first', 'second', 'third'] },
    { name: 'one that the order lacks comes last', of: 'other', order: ['first', 'third', 'other'] },
  ])('$name', ({ of, order }) => {
    const written = withSection(REPORT, of, '## New\n\nnew\n', ORDER)
    expect(Array.from(written.matchAll(/section: (\w+)/g), ([, name]) => name)).toEqual(order)
    expect(written).toContain(`<!-- section: ${of} -->\n\n## New\n\nnew\n`)
    expect(written).toContain('## Third\n\n3\n')
    expect(written.startsWith('# Measurements\n\n')).toBe(true)
  })

  test('is the same after the same is written again', () => {
    const once = withSection(REPORT, 'second', '## Second\n', ORDER)
    expect(withSection(once, 'second', '## Second\n', ORDER)).toBe(once)
  })

  test('has paragraphs in lines of 120 characters, tables as they are', () => {
    const row = 'x'.repeat(200)
    const text = lines('word '.repeat(60).trim(), table(['', 'n'], [[row, 1]]))
    const long = text.split('\n').filter((line) => line.length > 120)
    expect(long).toEqual([`| ${row} | 1 |`])
  })
})

describe('figures', () => {
  test('a median of nothing is no number', () => {
    expect(median([])).toBeNaN()
  })

  test('one value has no spread', () => {
    expect(spread([3], 1)).toBe('3.0')
  })

  test('a spread is median, least and greatest', () => {
    expect(spread([3, 1, 2, 10], 1)).toBe('3.0 (1.0 to 10.0)')
  })
})
