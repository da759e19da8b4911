import { type Analysis, TOLERANCE_MS } from '../audit/anomaly/analysis.js'
import type { Detector } from '../audit/anomaly/detector.js'
import type { AnomalyOptions } from '../audit/anomaly/options.js'
import { number, timeText } from './anomaly-text.js'

export type Analysed = {
  readonly analysis: Analysis
  readonly detector: Detector
  readonly thresholds: AnomalyOptions
  /** Lines that could not be read. */
  readonly skipped: number
  /** A source tells where clients are. */
  readonly hasPlaces: boolean
}

/** Everything that keeps a report from being complete. */
export function notesOf({ analysis, detector, thresholds, skipped, hasPlaces }: Analysed): string[] {
  const { late, withdrawn, withdrawnLate, report, fromMs = 0, toMs = 0 } = analysis
  const { missed, learningUntilMs = 0 } = detector
  const notes: string[] = []
  const count = (many: number, text: string): void => {
    if (many > 0) notes.push(`${number(many)} ${text}`)
  }
  count(skipped, 'lines could not be read and were passed over')
  count(late, `events are more than ${TOLERANCE_MS / 1000} s out of order and were passed over`)
  count(withdrawn, 'events were withdrawn and do not count')
  count(withdrawnLate, 'withdrawals belong to events that counted already, or that are not there')
  count(
    missed.subjects,
    `users and workloads were forgotten for others (maxSubjects ${thresholds.maxSubjects})`,
  )
  count(missed.edges, `calls on edges could not be remembered (maxEdges ${thresholds.maxEdges})`)
  count(missed.targets, 'calls went to more targets in one window than are told apart')
  count(report.leftOut, 'less severe findings are left out')
  if (thresholds.firstSeenEdge.enabled && learningUntilMs > fromMs) {
    const until = timeText(learningUntilMs)
    notes.push(
      learningUntilMs > toMs
        ? `no first-seen edge can be found: what is new is learned until ${until} (--learn, --baseline)`
        : `first-seen edges are told from ${until} on (--learn, --baseline)`,
    )
  }
  if (thresholds.impossibleTravel.enabled && !hasPlaces) {
    notes.push('nothing tells where clients are (--geo): impossible travel is known by its risk factor alone')
  }
  if (thresholds.offHours.enabled && thresholds.offHours.zone === undefined) {
    notes.push(
      'no time zone is given (--zone): hours are those of UTC, and users without history are not judged by them',
    )
  }
  return notes
}
