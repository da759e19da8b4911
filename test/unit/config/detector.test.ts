import { describe, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { defaultDetector } from '../../../src/config/detector.js'
import { loadConfig } from '../../../src/config/load.js'
import { formatProblem } from '../../../src/schema/problem.js'

const load = (detector: object) =>
  loadConfig({
    file: '/etc/portcullis/portcullis.yaml',
    text: stringify({
      apiVersion: 'portcullis.dev/v1beta1',
      kind: 'Configuration',
      listeners: [{ name: 'mesh', address: '127.0.0.1:0' }],
      trustDomains: { 'cluster.local': { bundle: { file: 'ca.pem' } } },
      audit: { detector },
    }),
    env: {},
    flags: {},
  })

describe('refused', () => {
  test.each<[object, string]>([
    [{ learn: '91d' }, '`audit.detector.learn` is `91d`, must be from 0s to 90d'],
    [{ window: '59s' }, '`audit.detector.window` is `59s`, must be from 1m to 1d'],
    [{ window: 'long' }, 'duration'],
    [{ lateralMovement: { window: '1s' } }, 'must be from 10s to 1d'],
    [{ lateralMovement: { targets: 1 } }, 'targets'],
    [{ lateralMovement: { targets: 65 } }, 'targets'],
    [{ dataVolume: { times: 1 } }, 'times'],
    [{ fanOut: { leastTargets: 0 } }, 'leastTargets'],
    [{ offHours: { zone: 'Mars/Base' } }, 'there is no time zone `Mars/Base`'],
    [{ offHours: { from: '24:00' } }, 'a time of day such as 06:00'],
    [{ offHours: { from: '06:00' } }, '`from` and `to` are the same time'],
    [{ maxSubjects: 0 }, 'maxSubjects'],
    [{ rules: [] }, 'rules'],
  ])('%j', (detector, says) => {
    const loaded = load(detector)
    expect('problems' in loaded ? loaded.problems.map(formatProblem).join('\n') : '').toContain(says)
  })
})

test('what is not given has its default, the same that holds without a configuration', () => {
  const loaded = load({})
  if ('problems' in loaded) throw new Error('refused')
  expect(loaded.config.audit.detector).toEqual(defaultDetector())
  expect(defaultDetector()).toEqual({
    enabled: true,
    baselineFile: undefined,
    learnMs: 7 * 24 * 3_600_000,
    windowMs: 3_600_000,
    impossibleTravel: { enabled: true, maxSpeedKmh: 1000 },
    dataVolume: { enabled: true, times: 10, leastCalls: 1000, leastAccesses: 100 },
    lateralMovement: { enabled: true, targets: 5, windowMs: 600_000 },
    fanOut: { enabled: true, times: 3, leastTargets: 10 },
    offHours: { enabled: true, fromMinute: 22 * 60, toMinute: 6 * 60, zone: undefined },
    firstSeenEdge: { enabled: true },
    maxSubjects: 20_000,
    maxEdges: 200_000,
  })
})

test('paths start at the folder of the file', () => {
  const loaded = load({ baseline: 'state/baseline.jsonl', offHours: { zone: 'Europe/Berlin' } })
  if ('problems' in loaded) throw new Error('refused')
  expect(loaded.config.audit.detector).toMatchObject({
    baselineFile: '/etc/portcullis/state/baseline.jsonl',
    offHours: { zone: 'Europe/Berlin' },
  })
})
