import { describe, expect, test } from '@jest/globals'
import { type LineChart, lineChart } from '../../../bench/plot/line-chart.js'
import { tagRows } from '../../../bench/plot/rows.js'
import { niceStep, scaleOf } from '../../../bench/plot/scale.js'

const chart = (over: Partial<LineChart> = {}): string =>
  lineChart({
    title: 'Latency',
    x: { label: 'minutes' },
    y: { label: 'milliseconds' },
    series: [
      {
        name: 'p50',
        points: [
          [0, 1],
          [1, 2],
          [2, 3],
        ],
      },
    ],
    ...over,
  })
const paths = (svg: string): string[] => [...svg.matchAll(/<path [^>]*d="([^"]*)"/g)].map(([, d = '']) => d)

describe('a line chart', () => {
  test.each([[[]], [[[1, Number.NaN]]], [[[1, 1]]]] as const)(
    'of the points %j is still a chart',
    (points) => {
      const svg = chart({ series: [{ name: 'one', points }] })
      expect(svg).not.toMatch(/="[^"]*(?:NaN|Infinity|undefined)/)
      expect(svg).toContain('milliseconds')
    },
  )

  test.each(['linear', 'log'] as const)('on a %s axis has no place that is no number', (scale) => {
    const points = [0, -1, 1e-9, 5, 1e12, Number.POSITIVE_INFINITY, Number.NaN].map(
      (value, index): readonly [number, number] => [index, value],
    )
    expect(chart({ y: { label: 'y', scale }, series: [{ name: 'wild', points }] })).not.toMatch(
      /="[^"]*(?:NaN|Infinity|undefined)/,
    )
  })

  test('escapes what it is told', () => {
    const svg = chart({ title: '<script>&"', events: [{ x: 1, name: 'a<b' }] })
    expect(svg).not.toMatch(/<script>|a<b/)
    expect(svg).toContain('&#60;script&#62;&#38;&#34;')
  })

  test('breaks a line where there is no value', () => {
    const points = [1, 2, Number.NaN, 4, 5].map((y, x): readonly [number, number] => [x, y])
    expect(paths(chart({ series: [{ name: 'one', points }] }))[0]?.match(/M/g)).toHaveLength(2)
  })

  test('has title, axes with units, a legend, and light and dark colours', () => {
    const svg = chart()
    for (const text of ['Latency', 'minutes', 'milliseconds', 'p50', 'prefers-color-scheme:dark']) {
      expect(svg).toContain(text)
    }
    expect(svg.startsWith('<svg xmlns="http://www.w3.org/2000/svg"')).toBe(true)
  })

  test('marks events by a letter each, the same name by the same letter, those outside not at all', () => {
    const svg = chart({
      events: [
        { x: 0.5, name: 'reload' },
        { x: 1, until: 1.5, name: 'outage' },
        { x: 1.7, name: 'reload' },
        { x: 9, name: 'later' },
      ],
    })
    expect(svg.match(/class="event"/g)).toHaveLength(3)
    expect(svg.match(/class="span"/g)).toHaveLength(1)
    expect(svg.match(/>A<\/text>/g)).toHaveLength(2)
    expect(svg).toContain('A  reload')
    expect(svg).toContain('B  outage')
  })

  test('keeps every mark on its paper', () => {
    const svg = chart({ width: 500, height: 300 })
    for (const [, x = ''] of svg.matchAll(/ (?:x|x1|x2|cx)="([\d.-]+)"/g)) {
      expect(Number(x)).toBeGreaterThanOrEqual(0)
      expect(Number(x)).toBeLessThanOrEqual(500)
    }
  })
})

test.each([
  [100, 5, 20],
  [1, 5, 0.2],
  [7, 5, 2],
  [0.003, 4, 0.001],
])('a range of %d in %d steps goes by %d', (range, count, step) => {
  expect(niceStep(range, count)).toBeCloseTo(step, 9)
})

test('a logarithmic axis names powers of ten, and parts of them where few fit', () => {
  const texts = (low: number, high: number): string[] => {
    const { ticks, text } = scaleOf('log', { low, high, from: 0, to: 100, count: 5 })
    return ticks.map(text)
  }
  expect(texts(10, 100_000)).toEqual(['10', '100', '1,000', '10,000', '100,000'])
  expect(texts(0.5, 10)).toEqual(['0.5', '1', '2', '5', '10'])
})

test('tags of neighbours stand in different rows', () => {
  expect(tagRows([0, 5, 10, 100], 11)).toEqual({ rows: [0, 1, 2, 0], height: 3 })
})
