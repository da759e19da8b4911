import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { writeWithdrawal } from '../../../src/audit/withdrawal-event.js'
import { runCli } from '../../support/cli.js'

const MONDAY_MS = Date.parse('2026-03-02T00:00:00Z')
const DAY_MS = 24 * 3_600_000
let folder = ''
const at = (name: string): string => join(folder, name)
const analyze = (...args: string[]) => runCli(['audit', 'analyze', ...args])

let decisions = 0
function line(atMs: number, over: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    schemaVersion: '1.0',
    timestamp: new Date(MONDAY_MS + atMs).toISOString(),
    eventType: 'authorization',
    decisionId: `d${++decisions}`,
    workloadId: 'spiffe://cluster.local/ns/shop/sa/web',
    callerService: 'shop/web',
    targetService: 'shop/pay',
    endpoint: 'Read',
    decision: 'allow',
    decisionReason: 'allowed',
    mode: 'Enforce',
    ...over,
  })
}

const denied = (atMs: number, target: string, over: Readonly<Record<string, unknown>> = {}): string =>
  line(atMs, {
    targetService: target,
    decision: 'deny',
    decisionReason: 'call-not-allowed',
    endpoint: undefined,
    ...over,
  })

function write(name: string, lines: readonly string[]): string {
  writeFileSync(at(name), lines.map((each) => `${each}\n`).join(''))
  return at(name)
}

const tries = (atMs: number, targets: number, over: Readonly<Record<string, unknown>> = {}): string[] =>
  Array.from({ length: targets }, (_, n) => denied(atMs + n * 1000, `ns/t${n}`, over))

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'analyze-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('refused with exit code 2', () => {
  test.each<[string, () => string[], string]>([
    ['no file', () => [], "missing required argument 'events'"],
    ['a file that is not there', () => [at('nowhere')], "can't be read: no such file"],
    ['a folder', () => [folder], 'is a folder: name the files of security events in it'],
    ['nothing to look at', () => [write('empty', [''])], 'no security event of a decision in'],
    [
      'a severity that is none',
      () => [write('a', [line(0)]), '--severity', 'Bad'],
      'Allowed choices are Low, Medium, High, Critical',
    ],
    [
      'a window that is no duration',
      () => [write('a', [line(0)]), '--window', '5'],
      'give a duration from 1m to 90d',
    ],
    ['a time that is none', () => [write('a', [line(0)]), '--since', 'yesterday'], 'give a time such as'],
    [
      'a zone that is none',
      () => [write('a', [line(0)]), '--zone', 'Mars/Base'],
      'there is no time zone Mars/Base',
    ],
    [
      'places that are not there',
      () => [write('a', [line(0)]), '--geo', at('none.csv')],
      "none.csv can't be read",
    ],
    [
      'a baseline that is not there',
      () => [write('a', [line(0)]), '--baseline', at('none')],
      "none can't be read",
    ],
    [
      'a baseline that is none',
      () => [write('a', [line(0)]), '--baseline', write('b', ['{}'])],
      'b:1: no baseline',
    ],
    [
      'a place for the baseline that is none',
      () => [write('a', [line(0)]), '--save-baseline', at('no/where')],
      'ENOENT',
    ],
    [
      'a configuration with problems',
      () => [write('a', [line(0)]), '-c', write('c', ['kind: Other'])],
      'kind',
    ],
    [
      'encrypted events alone',
      () => [write('e', ['{"classification":"restricted","jwe":"e30..a.b.c","chain":{}}'])],
      'e:1: skipped, encrypted: open it with `portcullis audit decrypt` first',
    ],
  ])('%s', async (_name, args, says) => {
    const { exitCode, stdout, stderr } = await analyze(...args())
    expect(stderr).toContain(says)
    expect(stdout).toBe('')
    expect(exitCode).toBe(2)
  })
})

describe('nothing found, exit code 0', () => {
  test('a quiet day; what could not be looked at is noted', async () => {
    const { exitCode, stdout } = await analyze(
      write(
        'quiet',
        Array.from({ length: 100 }, (_, n) => line(n * 60_000)),
      ),
    )
    expect(stdout).toBe(`nothing found in 100 events from 2026-03-02 00:00:00Z to 2026-03-02 01:39:00Z
note: no first-seen edge can be found: what is new is learned until 2026-03-09 00:00:00Z (--learn, --baseline)
note: nothing tells where clients are (--geo): impossible travel is known by its risk factor alone
note: no time zone is given (--zone): hours are those of UTC, and users without history are not judged by them
`)
    expect(exitCode).toBe(0)
  })

  test('below the severity that is asked for, before --since, after --until', async () => {
    const file = write('some', [...tries(0, 5), line(DAY_MS)])
    expect((await analyze(file)).exitCode).toBe(1)
    expect((await analyze(file, '--severity', 'High')).exitCode).toBe(0)
    expect((await analyze(file, '--since', '2026-03-02T01:00:00Z')).exitCode).toBe(0)
    expect((await analyze(file, '--until', '2026-03-02T00:00:03Z')).exitCode).toBe(0)
  })

  test('a trusted proxy speaks for others', async () => {
    const config = write('portcullis.yaml', [
      stringify({
        apiVersion: 'portcullis.dev/v1beta1',
        kind: 'Configuration',
        listeners: [
          {
            name: 'mesh',
            address: '127.0.0.1:0',
            trustedProxies: [{ identity: 'spiffe://cluster.local/ns/edge/sa/gate', self: true }],
          },
        ],
        trustDomains: { 'cluster.local': { bundle: { file: 'ca.pem' } } },
      }),
    ])
    const file = write(
      'proxy',
      tries(0, 9, { workloadId: 'spiffe://cluster.local/ns/edge/sa/gate', callerService: undefined }),
    )
    expect((await analyze(file)).exitCode).toBe(1)
    expect(await analyze(file, '-c', config)).toMatchObject({ exitCode: 0, stderr: '' })
  })
})

describe('found, exit code 1', () => {
  test('the most severe first, a block each', async () => {
    decisions = 0
    const first = line(0)
    const low = Array.from({ length: 2 }, (_, n) => line(8 * DAY_MS + n, { endpoint: `New${n}` }))
    const { exitCode, stdout, stderr } = await analyze(
      write('found', [first, ...low, ...tries(8 * DAY_MS + 60_000, 25)]),
    )
    expect(stderr).toBe('')
    expect(stdout.split('\nnote:')[0]).toBe(`CRITICAL lateral-movement  workload shop/web
  refused by 20 different targets: ns/t0, ns/t1, ns/t2, ns/t3, ns/t4 and 15 more
  2026-03-10 00:01:00Z to 2026-03-10 00:01:19Z, observed 20 targets, usual 0
  25 events: d4, d5, d6 and 22 more

LOW      first-seen-edge  workload shop/web
  let pass where it never called before: shop/pay:New0
  2026-03-10 00:00:00Z to 2026-03-10 00:00:00Z, observed 1 edges, usual 0
  2 events: d2, d3

2 findings (1 Critical, 1 Low) in 28 events from 2026-03-02 00:00:00Z to 2026-03-10 00:01:24Z`)
    expect(exitCode).toBe(1)
  })

  test('as JSON: the lines that alert sinks get', async () => {
    const { stdout } = await analyze(write('json', tries(0, 5)), '-o', 'json')
    expect(JSON.parse(stdout)).toMatchObject({
      findings: [
        {
          eventType: 'anomaly',
          rule: 'lateral-movement',
          severity: 'MEDIUM',
          callerService: 'shop/web',
          observed: 5,
          eventCount: 5,
        },
      ],
      events: 5,
      from: '2026-03-02T00:00:00.000Z',
      withdrawn: 0,
      late: 0,
      skipped: 0,
      missed: { subjects: 0, edges: 0, targets: 0, findings: 0 },
    })
  })

  test('places of a table', async () => {
    const places = write('places.csv', ['203.0.113.1/32,FR,48.86,2.35', '203.0.113.2/32,JP,35.68,139.69'])
    const user = {
      workloadId: undefined,
      callerService: undefined,
      userId: 'alice',
      userIssuer: 'https://idp.example',
    }
    const file = write('travel', [
      line(0, { ...user, clientIp: '203.0.113.1' }),
      line(60_000, { ...user, clientIp: '203.0.113.2' }),
    ])
    expect((await analyze(file)).exitCode).toBe(0)
    const { stdout } = await analyze(file, '--geo', places)
    expect(stdout).toContain(
      'HIGH     impossible-travel  user alice of https://idp.example\n  calls from 203.0.113.1 (FR)',
    )
  })

  test('what hides in the files of two replicas, given in any order', async () => {
    const all = tries(0, 8)
    const half = (odd: number) => all.filter((_, n) => n % 2 === odd)
    const first = write('replica0.jsonl', [line(-DAY_MS), ...half(0), line(DAY_MS)])
    const second = write('replica1.jsonl', [line(-DAY_MS), ...half(1), line(DAY_MS)])
    const { stdout } = await analyze(second, first)
    expect(stdout).toContain('8 events: ')
    expect(stdout).not.toContain('out of order')
    expect((await analyze(first)).exitCode).toBe(0)
  })

  test('rotated files of one log in any order', async () => {
    const names = [2, 0, 1].map((day) =>
      write(`day${day}.jsonl`, [line(day * DAY_MS), ...tries(day * DAY_MS + 1000, 5)]),
    )
    const { stdout } = await analyze(...names)
    expect(stdout).not.toContain('out of order')
    expect(stdout).toContain('in 18 events from 2026-03-02 00:00:00Z to 2026-03-04 00:00:05Z')
  })

  test('what can not be read is told and passed over; names can not repaint the terminal', async () => {
    const evil = { callerService: 'shop/\u001b[2Jw\u202eeb\n' }
    const file = write('bad', [
      'garbage',
      ...tries(0, 5, evil),
      writeWithdrawal('other', MONDAY_MS),
      line(-DAY_MS),
      '{"eventType":"auth',
    ])
    writeFileSync(file, readFileSync(file, 'utf8').trimEnd())
    const { exitCode, stdout, stderr } = await analyze(file)
    expect(stderr).toContain(`${file}:1: skipped, no JSON object`)
    expect(stderr).toContain(`${file}:9: skipped, no JSON object (the last line is cut off)`)
    expect(stdout).toContain('workload shop/?[2Jw?eb?\n')
    expect(stdout).toContain('note: 2 lines could not be read and were passed over')
    expect(stdout).toContain(
      'note: 1 withdrawals belong to events that counted already, or that are not there',
    )
    expect(exitCode).toBe(1)
  })

  test('an event that is far out of order is told', async () => {
    const { stdout } = await analyze(write('late', [line(0), line(DAY_MS), line(2 * DAY_MS), line(1000)]))
    expect(stdout).toContain('note: 1 events are more than 60 s out of order and were passed over')
  })
})

test('what was learned is kept, for its owner alone, and begun with', async () => {
  const kept = at('learned')
  await analyze(
    write(
      'week1',
      Array.from({ length: 8 * 24 }, (_, hour) => line(hour * 3_600_000)),
    ),
    '--save-baseline',
    kept,
  )
  expect(statSync(kept).mode & 0o777).toBe(0o600)
  const week2 = write('week2', [line(9 * DAY_MS), line(9 * DAY_MS + 1, { endpoint: 'Refund' })])
  expect((await analyze(week2)).exitCode).toBe(0)
  const { exitCode, stdout } = await analyze(week2, '--baseline', kept)
  expect(stdout).toContain('let pass where it never called before: shop/pay:Refund')
  expect(exitCode).toBe(1)
})

test('a pipe can be read', async () => {
  const pipe = at('pipe')
  execFileSync('mkfifo', [pipe])
  const feeding = spawn('sh', ['-c', 'cat "$1" > "$2"', 'sh', write('piped', tries(0, 5)), pipe], {
    stdio: 'ignore',
  })
  try {
    expect(await analyze(pipe)).toMatchObject({ exitCode: 1 })
  } finally {
    feeding.kill()
  }
})
