import { lineChart, type Event, type Series } from '../plot/line-chart.js'
import { escaped } from '../plot/ink.js'
import type { TrendRow } from './findings.js'
import type { Wrong } from './load.js'
import type { Recorder, Summary } from './recorder.js'
import type { Usage } from './server.js'

/** A change as it happened; milliseconds from the start. */
export type Happened = {
  readonly kind: string
  readonly fromMs: number
  readonly untilMs: number
  /** Absent where it went as it must. */
  readonly problem?: string
}

export type Outcome = {
  readonly command: string
  readonly about: readonly (readonly [string, string])[]
  /** Empty: passed. */
  readonly failures: readonly string[]
  readonly summaries: readonly Summary[]
  readonly recorder: Recorder
  readonly trends: readonly TrendRow[]
  readonly happened: readonly Happened[]
  /** The first ones; `wrongs` files have them all up to a bound. */
  readonly wrong: readonly Wrong[]
}

const MIB = 1024 * 1024
/** Reasons with a line of their own; the others share one. */
const MOST_REASONS = 6
/** Shaded where it lasted; others are a line. */
const LASTING = /^Redis|stalls|^quarantine|^grant|flood|half-open/

const STYLE =
  'body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#14181d;background:#f6f7f9}' +
  'table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .9em .25em 0;text-align:left;border-bottom:1px solid #d5dae0}' +
  'td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}svg{max-width:100%;height:auto;margin:.6em 0;display:block}' +
  '.bad{color:#b3261e;font-weight:600}.good{color:#0a7a4f;font-weight:600}' +
  '@media(prefers-color-scheme:dark){body{color:#e6eaf0;background:#0d1014}td,th{border-color:#2a313a}.bad{color:#ff8a80}.good{color:#4fd8a0}}'

/** The charts by file name. */
export function charts({ summaries, happened, recorder }: Outcome): ReadonlyMap<string, string> {
  const inMinutes = (summaries.at(-1)?.atMs ?? 0) >= 180_000
  const unitMs = inMinutes ? 60_000 : 1000
  const end = ((summaries.at(-1)?.atMs ?? 0) + recorder.stretchMs) / unitMs
  const x = { label: inMinutes ? 'minutes from the start' : 'seconds from the start', min: 0, max: end }
  const events = happened.map(({ kind, fromMs, untilMs }): Event => ({
    name: kind,
    x: fromMs / unitMs,
    ...(LASTING.test(kind) && { until: untilMs / unitMs }),
  }))
  const line = (name: string, of: (summary: Summary, index: number) => number): Series => ({
    name,
    points: summaries.map((summary, index) => [
      (summary.atMs + recorder.stretchMs / 2) / unitMs,
      of(summary, index),
    ]),
    hasDots: false,
  })
  /** Where nobody looked there is no point, and no gap either. */
  const known = (series: Series): Series => ({
    ...series,
    points: series.points.filter(([, y]) => Number.isFinite(y)),
  })
  const usageLine = (name: string, pick: (usage: Usage) => number | undefined): Series =>
    known(line(name, ({ usage }) => (usage && pick(usage)) ?? Number.NaN))
  const seconds = recorder.stretchMs / 1000
  const rate = (answer: string) => (summary: Summary) => (summary.answers.get(answer) ?? 0) / seconds
  const [first = [], rest = []] = reasonsOf(summaries)
  return new Map([
    [
      'latency.svg',
      lineChart({
        title: 'Latency of a Check, at the caller',
        x,
        y: { label: 'milliseconds', scale: 'log' },
        series: [
          line('p50', ({ p50Ms }) => p50Ms),
          line('p99', ({ p99Ms }) => p99Ms),
          { ...line('slowest', ({ slowestMs }) => slowestMs), isDashed: true },
        ],
        events,
        height: 440,
      }),
    ],
    [
      'memory.svg',
      lineChart({
        title: 'Memory of Portcullis',
        x,
        y: { label: 'MiB', min: 0 },
        series: [
          usageLine('resident', ({ rss }) => rss / MIB),
          usageLine('heap used', ({ heapUsed }) => heapUsed / MIB),
          usageLine('live: heap and external after a collection', ({ live }) => live && live / MIB),
          usageLine('external', ({ external }) => external / MIB),
        ],
        events,
        height: 440,
      }),
    ],
    [
      'handles.svg',
      lineChart({
        title: 'Open files and active handles of Portcullis',
        x,
        y: { label: 'count', min: 0 },
        series: [
          usageLine('open files', ({ fds }) => fds),
          usageLine('active handles', ({ handles }) => handles),
        ],
        events,
        height: 380,
      }),
    ],
    [
      'decisions.svg',
      lineChart({
        title: 'Decisions by outcome and reason',
        x,
        y: { label: 'decisions per second', min: 0 },
        series: [
          ...first.map((reason) =>
            line(reason === 'allowed' ? 'allowed' : `refused: ${reason}`, rate(reason)),
          ),
          ...(rest.length > 0
            ? [
                line('refused: other reasons', (summary) =>
                  rest.reduce((sum, reason) => sum + rate(reason)(summary), 0),
                ),
              ]
            : []),
        ],
        events,
        height: 460,
      }),
    ],
    [
      'cpu.svg',
      lineChart({
        title: 'CPU of Portcullis per Check, everything that it does included',
        x,
        y: { label: 'microseconds', min: 0 },
        series: [known(line('CPU per Check', (_, index) => cpuPerCheck(summaries, index)))],
        events,
        height: 400,
      }),
    ],
  ])
}

/** The most frequent answers, and the others; what tells of the server's own trouble always has its line. */
function reasonsOf(summaries: readonly Summary[]): readonly (readonly string[])[] {
  const totals = new Map<string, number>()
  for (const { answers } of summaries)
    for (const [answer, count] of answers) totals.set(answer, (totals.get(answer) ?? 0) + count)
  const own = ['allowed', 'state-unavailable', 'overloaded', 'internal-error', 'no answer']
  const rank = (answer: string): number => (own.includes(answer) ? Infinity : (totals.get(answer) ?? 0))
  const sorted = [...totals.keys()].toSorted((a, b) => rank(b) - rank(a) || own.indexOf(a) - own.indexOf(b))
  return [sorted.slice(0, MOST_REASONS), sorted.slice(MOST_REASONS)]
}

/** Microseconds, over up to five stretches. */
function cpuPerCheck(summaries: readonly Summary[], index: number): number {
  const from = summaries[Math.max(0, index - 5)]
  const to = summaries[index]
  if (!from?.usage || !to?.usage || from === to) return Number.NaN
  const checks = summaries
    .slice(Math.max(0, index - 5) + 1, index + 1)
    .reduce((sum, summary) => sum + summary.checks, 0)
  return (to.usage.cpuUs - from.usage.cpuUs) / checks
}

export function reportPage(outcome: Outcome): string {
  const { failures, about, trends, recorder, happened, wrong } = outcome
  const passed = failures.length === 0
  return [
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Soak</title>',
    '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">',
    `<style>${STYLE}</style>`,
    `<h1>Soak: <span class="${passed ? 'good' : 'bad'}">${passed ? 'passed' : 'failed'}</span></h1>`,
    passed ? '' : `<ul>${failures.map((text) => `<li class="bad">${escaped(text)}</li>`).join('')}</ul>`,
    table(['', ''], about),
    `<p>Again: <code>${escaped(outcome.command)}</code></p>`,
    '<h2>Over time</h2>',
    ...charts(outcome).values(),
    '<h2>Memory and handles</h2>',
    '<p>Medians of the second and the last quarter. A trend fails beyond both bounds.</p>',
    table(['', '2nd quarter', 'last quarter', 'growth', 'bounds', ''], trends.map(trendCells)),
    '<h2>By minute</h2>',
    table(
      ['minute', 'Checks', 'p50 ms', 'p99 ms'],
      recorder.minutes.map(({ checks, p50Ms, p99Ms }, index) => [
        `${index + 1}`,
        `${checks}`,
        p50Ms.toFixed(2),
        p99Ms.toFixed(2),
      ]),
    ),
    '<h2>Calls and their answers</h2>',
    table(
      ['kind of call', 'answers'],
      [...recorder.byKind].map(([kind, answers]) => [
        kind,
        [...answers]
          .toSorted(([, a], [, b]) => b - a)
          .map(([answer, count]) => `${answer} ${count}`)
          .join(', '),
      ]),
    ),
    '<h2>What happened</h2>',
    table(
      ['from', 'took', 'what', ''],
      happened.map(({ kind, fromMs, untilMs, problem }) => [
        `${(fromMs / 1000).toFixed(1)} s`,
        `${((untilMs - fromMs) / 1000).toFixed(1)} s`,
        kind,
        problem ?? '',
      ]),
    ),
    wrong.length === 0 ? '' : '<h2>Wrong answers</h2><p>Each with its request in <code>wrong/</code>.</p>',
    wrong.length === 0
      ? ''
      : table(
          ['at', 'verdict', 'kind', 'given', 'right'],
          wrong.map(({ answeredMs, verdict, kind, given, right }) => [
            `${(answeredMs / 1000).toFixed(2)} s`,
            verdict,
            kind,
            'failure' in given ? given.failure : given.reason,
            right.join(' or '),
          ]),
        ),
    '</html>\n',
  ].join('\n')
}

function trendCells({ name, unit, before, after, bound, isFlat, isJudged }: TrendRow): readonly string[] {
  const amount = (value: number): string => `${value.toFixed(1)} ${unit}`.trim()
  return [
    name,
    amount(before),
    amount(after),
    `${amount(after - before)} (${(((after - before) / before) * 100).toFixed(1)} %)`,
    `${amount(bound.absolute)}, ${bound.share * 100} %`,
    isJudged ? (isFlat ? 'level' : 'GROWS') : 'too short to tell',
  ]
}

/** Below heads, cells that are numbers stand to the right. */
function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const hasHeads = heads.some((text) => text !== '')
  const cell = (tag: string, text: string): string =>
    `<${tag}${hasHeads && /^-?[\d.]+( (MiB|s))?$/.test(text) ? ' class="n"' : ''}>${escaped(text)}</${tag}>`
  const head = hasHeads ? `<tr>${heads.map((text) => cell('th', text)).join('')}</tr>` : ''
  return `<table>${head}${rows.map((row) => `<tr>${row.map((text) => cell('td', text)).join('')}</tr>`).join('')}</table>`
}
