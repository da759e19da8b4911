import { expect, test } from '@jest/globals'
import { writePrometheus } from '../../../../src/adapters/telemetry/exposition.js'
import type { Family } from '../../../../src/adapters/telemetry/family.js'
import { mergedFamilies } from '../../../../src/main/workers/families.js'

const counted = (value: number): Family[] => [
  {
    name: 'a_total',
    help: 'A',
    type: 'counter',
    samples: [{ labels: { reason: 'x' }, value }, { value: 1 }],
  },
  {
    name: 'd_seconds',
    help: 'D',
    type: 'histogram',
    series: [{ buckets: [{ upperBound: Infinity, count: value, exemplar: undefined }], sum: value / 2 }],
  },
]

test('a metric of two types is a bug', () => {
  const gauge: Family = { name: 'd_seconds', help: 'D', type: 'gauge', samples: [] }
  expect(() =>
    mergedFamilies(
      new Map([
        ['1', counted(1)],
        ['2', [gauge]],
      ]),
    ),
  ).toThrow('two types')
})

test('every series says whose it is, and what a metric is is said once', () => {
  const merged = mergedFamilies(
    new Map([
      ['1', counted(3)],
      ['2', counted(4)],
    ]),
  )
  expect(writePrometheus(merged).split('\n')).toEqual([
    '# HELP a_total A',
    '# TYPE a_total counter',
    'a_total{reason="x",worker="1"} 3',
    'a_total{worker="1"} 1',
    'a_total{reason="x",worker="2"} 4',
    'a_total{worker="2"} 1',
    '# HELP d_seconds D',
    '# TYPE d_seconds histogram',
    'd_seconds_bucket{worker="1",le="+Inf"} 3',
    'd_seconds_sum{worker="1"} 1.5',
    'd_seconds_count{worker="1"} 3',
    'd_seconds_bucket{worker="2",le="+Inf"} 4',
    'd_seconds_sum{worker="2"} 2',
    'd_seconds_count{worker="2"} 4',
    '',
  ])
})
