import { existsSync } from 'node:fs'
import type { Metrics } from '../adapters/telemetry/metrics.js'
import { writeAnomaly } from '../audit/anomaly/anomaly-event.js'
import { Detector } from '../audit/anomaly/detector.js'
import { type EventFacts, factsOfDecision } from '../audit/anomaly/facts.js'
import { type Finding, RULES, SEVERITIES } from '../audit/anomaly/finding.js'
import type { SecurityEventInput } from '../audit/security-event.js'
import type { DetectorConfig } from '../config/detector.js'
import type { Place } from '../request/place.js'
import { readBaseline, writeBaseline } from './baseline-file.js'
import { type Log, messageOf, StartFailure } from './log.js'

/** Decisions that wait to be looked at; more are passed over and counted. */
const MAX_WAITING = 10_000
/** How long one turn of the event loop may be used for looking, milliseconds. */
const TURN_MS = 2
const WRITE_EVERY_MS = 60_000

export type DetectorParts = {
  /** SPIFFE IDs of trusted proxies: they speak for others. */
  readonly proxies: ReadonlySet<string>
  readonly placeOf: (ip: string) => Place | undefined
  /** Takes a finding as a line of JSON, for the event log and for alert sinks. */
  readonly record: (line: string, atMs: number) => void
  readonly tell: (line: string) => void
  readonly metrics: Pick<Metrics, 'register'>
  readonly log: Log
}

export type LiveDetector = {
  /** Takes a decision whose answer is given. Never throws and never waits: it is looked at later. */
  readonly note: (
    event: Pick<SecurityEventInput, 'decision' | 'decisionId' | 'request' | 'unreadable' | 'nowMs'>,
  ) => void
  /** Looks at what waits, and writes what was learned. */
  readonly drain: () => Promise<void>
  readonly close: () => void
}

/** Undefined where the configuration wants none. Throws StartFailure when what was learned can't be read or kept. */
export async function openDetector(
  config: DetectorConfig,
  parts: DetectorParts,
): Promise<LiveDetector | undefined> {
  if (!config.enabled) return undefined
  const { baselineFile } = config
  const { log } = parts
  const detector = new Detector(config, parts.placeOf)
  await openBaseline(detector, baselineFile)
  let waiting: EventFacts[] = []
  let scheduled = false
  let passedOver = 0
  let [notedAt, writtenAt] = [0, 0]
  let problem: string | undefined
  let writing: Promise<void> | undefined
  const counts = new Map<string, number>()

  function look(): void {
    scheduled = false
    const batch = waiting
    waiting = []
    const startedAt = performance.now()
    for (const [at, facts] of batch.entries()) {
      try {
        for (const finding of detector.note(facts)) tell(finding)
      } catch (error) {
        log('error', 'the detector failed', { problem: messageOf(error) })
      }
      if (at % 32 === 31 && performance.now() - startedAt > TURN_MS && at + 1 < batch.length) {
        waiting = [...batch.slice(at + 1), ...waiting]
        schedule()
        return
      }
    }
  }

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    setImmediate(look)
  }

  function tell(finding: Finding): void {
    const { rule, severity, subject, message } = finding
    const key = `${rule} ${severity}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
    const line = writeAnomaly(finding)
    log('warn', 'anomaly', { rule, severity, subject: `${subject.kind} ${subject.id}`, problem: message })
    parts.record(line, finding.atMs)
    parts.tell(line)
  }

  /** One at a time; what can't be written is told once and tried again. */
  function write(): Promise<void> {
    if (baselineFile === undefined || notedAt === writtenAt) return writing ?? Promise.resolve()
    writing ??= (async () => {
      const upTo = notedAt
      try {
        await writeBaseline(baselineFile, detector)
        writtenAt = upTo
        problem = undefined
      } catch (error) {
        if (problem !== messageOf(error)) {
          problem = messageOf(error)
          log('error', 'what the detector learned can not be written', { path: baselineFile, problem })
        }
      }
      writing = undefined
    })()
    return writing
  }

  const timer = setInterval(() => void write(), WRITE_EVERY_MS).unref()
  registerDetector(parts.metrics, detector, counts, () => passedOver)
  return {
    note: ({ decision, decisionId, request, unreadable, nowMs }) => {
      if (waiting.length >= MAX_WAITING) {
        passedOver++
        return
      }
      try {
        const host = request?.http?.host ?? unreadable?.host
        waiting.push(factsOfDecision(decision, decisionId, host, nowMs, parts.proxies))
        notedAt++
        schedule()
      } catch (error) {
        log('error', 'the detector failed', { problem: messageOf(error) })
      }
    },
    drain: async () => {
      clearInterval(timer)
      while (waiting.length > 0) look()
      await writing
      await write()
    },
    close: () => clearInterval(timer),
  }
}

/** Reads what is there, and makes sure at once that it can be written. */
async function openBaseline(detector: Detector, path: string | undefined): Promise<void> {
  if (path === undefined) return
  if (existsSync(path)) {
    const problem = await readBaseline(path, detector)
    if (problem !== undefined) throw new StartFailure([`audit.detector.baseline: ${problem}`])
  }
  try {
    await writeBaseline(path, detector)
  } catch (error) {
    throw new StartFailure([`audit.detector.baseline: ${messageOf(error)}`])
  }
}

function registerDetector(
  metrics: Pick<Metrics, 'register'>,
  detector: Detector,
  counts: ReadonlyMap<string, number>,
  passedOver: () => number,
): void {
  metrics.register({
    name: 'portcullis_anomalies_total',
    help: 'Anomalies found in decisions, by rule and severity.',
    type: 'counter',
    read: () =>
      RULES.flatMap((rule) =>
        SEVERITIES.map((severity) => ({
          labels: { rule, severity },
          value: counts.get(`${rule} ${severity}`) ?? 0,
        })),
      ),
  })
  metrics.register({
    name: 'portcullis_detector_subjects',
    help: 'Users and workloads that the detector follows.',
    type: 'gauge',
    read: () => {
      const { users, workloads } = detector.sizes
      return [
        { labels: { kind: 'user' }, value: users },
        { labels: { kind: 'workload' }, value: workloads },
      ]
    },
  })
  metrics.register({
    name: 'portcullis_detector_missed_total',
    help: 'What the detector could not follow within its bounds: decisions, subjects, edges, targets.',
    type: 'counter',
    read: () =>
      Object.entries({ decisions: passedOver(), ...detector.missed }).map(([what, value]) => ({
        labels: { what },
        value,
      })),
  })
}
