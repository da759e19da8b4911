import { describe, expect, test } from '@jest/globals'
import { Analysis, type AnalysisOptions } from '../../../../src/audit/anomaly/analysis.js'
import { writeAnomaly } from '../../../../src/audit/anomaly/anomaly-event.js'
import { Detector } from '../../../../src/audit/anomaly/detector.js'
import { userName } from '../../../../src/audit/anomaly/facts.js'
import type { Finding } from '../../../../src/audit/anomaly/finding.js'
import { Reorder } from '../../../../src/audit/anomaly/reorder.js'
import { FindingReport } from '../../../../src/audit/anomaly/report.js'
import { restoreLine, snapshotLines } from '../../../../src/audit/anomaly/snapshot.js'
import { writeWithdrawal } from '../../../../src/audit/withdrawal-event.js'
import {
  brief,
  calls,
  DAY_MS,
  event,
  findingsOf,
  HOUR_MS,
  MONDAY_MS,
  options,
  placeOf,
  refused,
  SECOND_MS,
} from '../../../support/anomaly.js'

const ANY: AnalysisOptions = { proxies: new Set(), sinceMs: -Infinity, untilMs: Infinity, least: 'Low' }

const line = (atMs: number, decisionId: string, over: object = {}): string =>
  JSON.stringify({
    timestamp: new Date(atMs).toISOString(),
    eventType: 'authorization',
    decisionId,
    workloadId: 'spiffe://cluster.local/ns/shop/sa/web',
    targetService: 'shop/pay',
    decision: 'deny',
    decisionReason: 'call-not-allowed',
    ...over,
  })

describe('memory is bounded, and says so', () => {
  test('subjects: who was not seen for longest goes', () => {
    const detector = new Detector(options({ maxSubjects: 10 }), placeOf)
    for (let at = 0; at < 1000; at++) {
      // One that comes again and again stays.
      detector.note(event(MONDAY_MS + at * 61 * SECOND_MS, { workload: 'a/often' }))
      detector.note(
        event(MONDAY_MS + at * 61 * SECOND_MS, { workload: `a/w${at}`, user: userName(`u${at}`, undefined) }),
      )
    }
    expect(detector.sizes).toMatchObject({ users: 10, workloads: 10, edges: 10 })
    expect(detector.missed.subjects).toBe(990 + 991)
    expect([...detector.subjects()].some((each) => each.kind === 'workload' && each.id === 'a/often')).toBe(
      true,
    )
  })

  test('edges: without room nothing is new, and calls are counted', () => {
    const detector = new Detector(options({ maxEdges: 5, learnMs: 0 }, 'firstSeenEdge'), placeOf)
    const events = Array.from({ length: 8 }, (_, at) => event(MONDAY_MS + at, { target: `a/t${at}` }))
    expect(findingsOf([...events, ...events], options(), detector).length).toBeLessThanOrEqual(2)
    expect(detector.sizes.edges).toBe(5)
    expect(detector.missed.edges).toBe(6)
  })

  test('targets of one window', () => {
    const detector = new Detector(options({}, 'fanOut'), placeOf)
    for (let at = 0; at < 2000; at++) detector.note(event(MONDAY_MS + at, { target: `a/t${at}` }))
    expect(detector.missed.targets).toBe(2000 - 1024)
  })

  test('refusals: 100,000 targets name 20 events and count the others', () => {
    const found = findingsOf(Array.from({ length: 100_000 }, (_, at) => refused(MONDAY_MS + at, `a/t${at}`)))
    const critical = found.find(({ severity }) => severity === 'Critical')
    expect(critical?.events.decisionIds).toHaveLength(20)
    expect(critical?.events.count).toBe(100_000)
  })

  test('findings of a report: the least severe are left out', () => {
    const report = new FindingReport()
    const finding = (at: number): Finding => ({
      rule: 'fan-out',
      severity: at % 10 === 0 ? 'High' : 'Low',
      subject: { kind: 'workload', id: 'a/b' },
      atMs: at,
      fromMs: at,
      observed: 1,
      baseline: 0,
      unit: 'targets',
      message: '',
      events: { decisionIds: [], count: 0 },
    })
    for (let at = 0; at < 25_000; at++) report.add(finding(at))
    const all = report.all()
    expect(all).toHaveLength(10_000)
    expect(all.filter(({ severity }) => severity === 'High')).toHaveLength(2500)
    expect(report.leftOut).toBe(15_000)
  })
})

describe('the order of events', () => {
  test('within the tolerance they are put in order; later ones are refused', () => {
    const order = new Reorder<{ atMs: number; name: string }>(10, 100)
    const out: string[] = []
    const took = [5, 3, 4, 3, 20, 9, 12, 30, 1].map((atMs, at) =>
      order.take({ atMs, name: `${atMs}.${at}` }, ({ name }) => out.push(name)),
    )
    order.end(({ name }) => out.push(name))
    expect(out).toEqual(['3.1', '3.3', '4.2', '5.0', '9.5', '12.6', '20.4', '30.7'])
    expect(took).toEqual([true, true, true, true, true, true, true, true, false])
  })

  test('any order of many comes out sorted', () => {
    const order = new Reorder<{ atMs: number }>(Infinity, 10_000)
    const out: number[] = []
    for (let at = 0; at < 5000; at++) order.take({ atMs: (at * 7919) % 5003 }, ({ atMs }) => out.push(atMs))
    order.end(({ atMs }) => out.push(atMs))
    expect(out).toEqual(out.toSorted((a, b) => a - b))
    expect(out).toHaveLength(5000)
  })

  test('no more are held than may be', () => {
    const order = new Reorder<{ atMs: number }>(Infinity, 3)
    const out: number[] = []
    for (const atMs of [5, 4, 3, 2, 1]) order.take({ atMs }, (each) => out.push(each.atMs))
    expect(out).toEqual([2])
  })

  test('a withdrawn decision does not count, wherever within a minute its withdrawal stands', () => {
    const analysis = new Analysis(new Detector(options(), placeOf), ANY)
    for (let at = 0; at < 5; at++) {
      analysis.take(line(MONDAY_MS + at, `d${at}`, { targetService: `a/t${at}` }))
    }
    analysis.take(writeWithdrawal('d3', MONDAY_MS + SECOND_MS))
    analysis.end()
    expect(analysis).toMatchObject({ events: 4, withdrawn: 1, withdrawnLate: 0 })
    expect(analysis.report.all()).toEqual([])
  })

  test('a withdrawal that comes too late is told, as are events far out of order', () => {
    const analysis = new Analysis(new Detector(options(), placeOf), ANY)
    analysis.take(line(MONDAY_MS, 'd0'))
    analysis.take(line(MONDAY_MS + HOUR_MS, 'd1'))
    analysis.take(line(MONDAY_MS + 2 * HOUR_MS, 'd2'))
    analysis.take(line(MONDAY_MS + 1, 'd3'))
    analysis.take(writeWithdrawal('d0', MONDAY_MS + 2 * HOUR_MS))
    analysis.end()
    expect(analysis).toMatchObject({ events: 3, late: 1, withdrawn: 0, withdrawnLate: 1 })
  })
})

describe('lines that are no events', () => {
  test.each([
    ['garbage', 'no JSON object'],
    ['[1]', 'no JSON object'],
    ['null', 'no JSON object'],
    ['{}', 'no security event: `eventType` is missing'],
    [
      '{"classification":"restricted","jwe":"e30..a.b.c","chain":{}}',
      'encrypted: open it with `portcullis audit decrypt` first',
    ],
    ['{"eventType":"authorization"}', 'no whole security event'],
    [line(MONDAY_MS, 'd', { timestamp: 'yesterday' }), 'no whole security event'],
    [line(MONDAY_MS, 'd', { decision: 'perhaps' }), 'no whole security event'],
    ['{"eventType":"withdrawal"}', 'a withdrawal without `decisionId`'],
    [`"${'x'.repeat(300_000)}"`, 'longer than'],
  ])('%.40s', (text, problem) => {
    expect(new Analysis(new Detector(options(), placeOf), ANY).take(text)).toContain(problem)
  })

  test.each(['', '  ', '{"eventType":"audit-checkpoint"}', '{"eventType":"anomaly"}'])(
    '%j is none to count',
    (text) => {
      const analysis = new Analysis(new Detector(options(), placeOf), ANY)
      expect(analysis.take(text)).toBeUndefined()
      expect(analysis.events).toBe(0)
    },
  )
})

describe('what was learned', () => {
  const HEAD = '{"kind":"portcullis-anomaly-baseline","version":1,"startMs":5}'

  test.each<[string, string]>([
    ['garbage', 'expected'],
    ['[]', 'no JSON object'],
    ['{"kind":"other"}', 'no baseline'],
    [HEAD.replace('"version":1', '"version":2'), 'another version'],
    [HEAD.replace('5', '"5"'), '`startMs` is missing'],
  ])('%s begins none', (text, problem) => {
    const told = restoreLine(new Detector(options(), placeOf), text, true)
    if (text === 'garbage') expect(told).toBeDefined()
    else expect(told).toContain(problem)
  })

  test.each([
    '{"workload":"a/b","firstMs":1,"usedMs":1,"edges":{"a/c":[1]}}',
    '{"workload":"a/b","firstMs":-1,"usedMs":1,"edges":{}}',
    '{"workload":"a/b","firstMs":1,"usedMs":1,"edges":{},"calls":[1,2,3]}',
    '{"workload":"a/b","firstMs":1,"usedMs":1}',
    '{"user":"a","firstMs":1,"usedMs":1,"hours":{"seen":"AAAA","days":1,"lastDay":1,"oddDay":0}}',
    '{"user":1,"firstMs":1,"usedMs":1}',
    '{}',
  ])('%s is no subject', (text) => {
    expect(restoreLine(new Detector(options(), placeOf), text, false)).toBe('no subject of a baseline')
  })

  test('a detector that begins with it finds what the first would have found', () => {
    const user = userName('alice', 'https://idp.example')
    const taught = new Detector(options(), placeOf)
    const history = Array.from({ length: 11 }, (_, day) => [
      ...calls(MONDAY_MS + day * DAY_MS + 9 * HOUR_MS, 400, 8 * HOUR_MS, (at) => ({
        user: at % 2 === 0 ? user : undefined,
        workload: 'shop/web',
        target: `a/t${at % 3}`,
      })),
      ...Array.from({ length: 6 }, (__, at) =>
        refused(MONDAY_MS + day * DAY_MS + 9 * HOUR_MS + at, `a/r${at}`, { workload: 'shop/gate' }),
      ),
    ]).flat()
    findingsOf(history, options(), taught)
    const heir = new Detector(options(), placeOf)
    for (const [at, text] of [...snapshotLines(taught)].entries()) {
      expect(restoreLine(heir, text, at === 0)).toBeUndefined()
    }
    expect(heir.sizes).toEqual(taught.sizes)
    const later = MONDAY_MS + 14 * DAY_MS
    const surge = [
      ...calls(later + 3 * HOUR_MS, 3000, HOUR_MS / 2, (at) => ({
        user,
        workload: 'shop/web',
        target: `a/t${at % 40}`,
      })),
      ...Array.from({ length: 6 }, (_, at) =>
        refused(later + 4 * HOUR_MS + at, `a/r${at}`, { workload: 'shop/gate' }),
      ),
    ]
    const found = brief(findingsOf(surge, options(), heir))
    expect(found).toEqual(brief(findingsOf(surge, options(), taught)))
    expect(new Set(found.map((each) => each.split(' ')[0]))).toEqual(
      new Set(['data-volume', 'fan-out', 'off-hours', 'first-seen-edge']),
    )
  })
})

test('a finding is one line of JSON, whatever its names hold', () => {
  const text = writeAnomaly({
    rule: 'lateral-movement',
    severity: 'Critical',
    subject: { kind: 'user', id: 'a"\n\u001b[31m', issuer: undefined },
    atMs: MONDAY_MS,
    fromMs: MONDAY_MS,
    observed: 20,
    baseline: undefined,
    unit: 'targets',
    message: 'x'.repeat(5000),
    events: { decisionIds: ['d\u2028'], count: 1 },
  })
  expect(text).toMatch(/^[\x20-\x7e]+$/)
  expect(JSON.parse(text)).toMatchObject({
    eventType: 'anomaly',
    severity: 'CRITICAL',
    subjectType: 'user',
    userId: 'a"\n\u001b[31m',
    eventCount: 1,
  })
})
