import { type Command, InvalidArgumentError, Option } from 'commander'
import { Analysis } from '../audit/anomaly/analysis.js'
import { writeAnomaly } from '../audit/anomaly/anomaly-event.js'
import { Detector } from '../audit/anomaly/detector.js'
import { type Finding, SEVERITIES, type Severity } from '../audit/anomaly/finding.js'
import type { Config } from '../config/config.js'
import { defaultDetector, type DetectorConfig } from '../config/detector.js'
import type { GeoConfig } from '../config/signals.js'
import { readBaseline, writeBaseline } from '../main/baseline-file.js'
import { openPlaces } from '../main/live-place.js'
import { StartFailure } from '../main/log.js'
import type { Place } from '../request/place.js'
import { parseDurationMs } from '../schema/units.js'
import { printable, printableJson } from './admin/printable.js'
import { notesOf } from './analysis-notes.js'
import { countText, findingsText, number, timeText } from './anomaly-text.js'
import { candidateConfig } from './candidate-policy.js'
import { parseTime } from './check-options.js'
import type { CliIo } from './io.js'
import { mergedLines } from './merged-lines.js'
import { progressOf, unusableFile } from './record-lines.js'

type Options = {
  readonly config?: string
  readonly geo?: string
  readonly zone?: string
  readonly since?: number
  readonly until?: number
  readonly window?: number
  readonly learn?: number
  readonly baseline?: string
  readonly saveBaseline?: string
  readonly severity: Severity
  readonly output: 'text' | 'json'
}

/** Lines that can't be read are told one by one up to so many. */
const MAX_TOLD = 5

/** `portcullis audit analyze`. */
export function register(audit: Command, io: CliIo): void {
  audit
    .command('analyze')
    .description('look for anomalies in security events')
    .argument('<events...>', 'files of security events, JSON lines; several are read as one log, by time')
    .option('-c, --config <file>', 'portcullis.yaml: its thresholds, places and trusted proxies')
    .option('--geo <file>', 'where clients are: a database (.mmdb) or a table of places')
    .option('--zone <name>', 'time zone of the usual hours, for example Europe/Berlin')
    .option('--since <time>', 'tell what is found from then on; earlier events are learned from', parseTime)
    .option('--until <time>', 'pass over later events', parseTime)
    .option('--window <duration>', 'of volume, fan-out and new edges', duration(60_000, '1m'))
    .option('--learn <duration>', 'how long is learned before what is new is told', duration(0, '0s'))
    .option('--baseline <file>', 'begin with what was learned before')
    .option('--save-baseline <file>', 'keep what is learned')
    .addOption(
      new Option('--severity <least>', 'tell from this severity on').choices(SEVERITIES).default('Low'),
    )
    .addOption(
      new Option('-o, --output <format>', 'form of the answer').choices(['text', 'json']).default('text'),
    )
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing found, 1 findings, 2 nothing could be read or wrong usage.\n\nExample:\n  portcullis audit analyze --config portcullis.yaml --severity Medium audit/events*.jsonl',
    )
    .action((events: string[], options: Options) => run(events, options, io))
}

async function run(files: readonly string[], options: Options, io: CliIo): Promise<void> {
  const problem = await analyze(files, options, io)
  if (problem === undefined) return
  io.stderr(`error: ${printable(problem)}\n`)
  io.exitCode = 2
}

/** Gives what kept it from working, unless that is told already. */
async function analyze(files: readonly string[], options: Options, io: CliIo): Promise<string | undefined> {
  const config = await candidateConfig(options, io)
  if (config === false) return undefined
  const unusable = await unusableFile(files, 'security event')
  if (unusable !== undefined) return unusable
  const thresholds = thresholdsOf(config?.audit.detector ?? defaultDetector(), options)
  const { zone } = thresholds.offHours
  if (zone !== undefined && !isZone(zone)) return `there is no time zone ${zone}`
  const places = await placesOf(geoOf(options, config))
  if ('problem' in places) return places.problem
  const detector = new Detector(thresholds, places.placeOf)
  if (options.baseline !== undefined) {
    const refused = await readBaseline(options.baseline, detector)
    if (refused !== undefined) return refused
  }
  const analysis = new Analysis(detector, {
    proxies: new Set(config?.listeners.flatMap(({ trustedProxies }) => Array.from(trustedProxies.keys()))),
    sinceMs: options.since ?? -Infinity,
    untilMs: options.until ?? Infinity,
    least: options.severity,
  })
  const skipped = await readAll(files, analysis, io)
  if (analysis.events === 0) return `no security event of a decision in ${files.join(', ')}`
  if (options.saveBaseline !== undefined) await writeBaseline(options.saveBaseline, detector)
  const notes = notesOf({ analysis, detector, thresholds, skipped, hasPlaces: places.known })
  const findings = analysis.report.all()
  tell(findings, { analysis, skipped, detector, notes }, options, io)
  if (findings.length > 0) io.exitCode = 1
  return undefined
}

function thresholdsOf(
  detector: DetectorConfig,
  { zone, window: windowMs = detector.windowMs, learn: learnMs = detector.learnMs }: Options,
): DetectorConfig {
  const offHours = { ...detector.offHours, zone: zone ?? detector.offHours.zone }
  return { ...detector, windowMs, learnMs, offHours }
}

function geoOf({ geo }: Options, config: Config | undefined): GeoConfig | undefined {
  if (geo === undefined) return config?.geo
  return { kind: geo.endsWith('.mmdb') ? 'mmdb' : 'table', path: geo }
}

type Places =
  | { readonly placeOf: (ip: string) => Place | undefined; readonly known: boolean }
  | { readonly problem: string }

async function placesOf(geo: GeoConfig | undefined): Promise<Places> {
  if (!geo || geo.kind === 'header') return { placeOf: () => undefined, known: false }
  try {
    const places = await openPlaces({ geo, threats: { files: [] } }, () => undefined)
    // Files don't change while they are read once.
    places.close()
    return { placeOf: (ip) => places.placeOf(ip), known: true }
  } catch (error) {
    if (error instanceof StartFailure) return { problem: error.message }
    throw error
  }
}

/** Gives how many lines could not be read. */
async function readAll(files: readonly string[], analysis: Analysis, io: CliIo): Promise<number> {
  const progress = progressOf(io)
  let [lines, skipped] = [0, 0]
  for await (const { file, number: at, line, complete } of mergedLines(files)) {
    lines++
    const problem = analysis.take(line)
    if (problem !== undefined && skipped++ < MAX_TOLD) {
      const cut = complete ? '' : ' (the last line is cut off)'
      io.stderr(`warning: ${file}:${at}: skipped, ${problem}${cut}\n`)
    }
    if (lines % 1000 === 0) progress.at(`${number(lines)} lines`)
  }
  analysis.end()
  progress.end()
  return skipped
}

type Told = {
  readonly analysis: Analysis
  readonly detector: Detector
  readonly skipped: number
  readonly notes: readonly string[]
}

function tell(findings: readonly Finding[], told: Told, { output }: Options, io: CliIo): void {
  const { analysis, detector, skipped, notes } = told
  const { events, withdrawn, late, fromMs = 0, toMs = 0 } = analysis
  if (output === 'json') {
    const report = {
      findings: findings.map((finding): unknown => JSON.parse(writeAnomaly(finding))),
      events,
      from: new Date(fromMs).toISOString(),
      to: new Date(toMs).toISOString(),
      withdrawn,
      late,
      skipped,
      missed: { ...detector.missed, findings: analysis.report.leftOut },
      notes,
    }
    io.stdout(`${printableJson(report)}\n`)
    return
  }
  io.stdout(
    `${findingsText(findings, io)}${countText(findings)} in ${number(events)} events from ${timeText(fromMs)} to ${timeText(toMs)}\n` +
      notes.map((note) => `note: ${note}\n`).join(''),
  )
}

function isZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

const LONGEST_MS = 90 * 24 * 3_600_000

function duration(leastMs: number, least: string) {
  return (text: string): number => {
    const ms = parseDurationMs(text)
    if (ms !== undefined && ms >= leastMs && ms <= LONGEST_MS) return ms
    throw new InvalidArgumentError(`give a duration from ${least} to 90d, for example 1h.`)
  }
}
