import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Metrics } from '../adapters/telemetry/metrics.js'
import { type DecidedCheck, writeRecordedCheck } from '../audit/recorded-check.js'
import { authorize, type Lookups, type PolicyInForce, type Question } from '../authorize.js'
import type { RecordConfig } from '../config/audit.js'
import type { Decision } from '../decision/decision.js'
import { andThen, type Eventually } from '../identity/eventually.js'
import { type Log, messageOf } from './log.js'
import { RotatingFile } from './rotating-file.js'

/** Checks that wait to be written; more are dropped and counted, so that a slow disk holds nobody up. */
const MAX_WAITING = 10_000
const MAX_WAITING_BYTES = 64 * 1024 * 1024
/** Lines that are made in one turn of the event loop. */
const LINES_A_TURN = 32

export type Recorder = {
  /** As `authorize`, remembering what it looked up. */
  readonly authorize: (question: Question, policy: PolicyInForce, lookups: Lookups) => Eventually<Decision>
  /** Takes a decision that was sent; `bytes` long was its question. Never waits. */
  readonly record: (decision: Decision, decisionId: string, bytes: number) => void
  /** Writes what is waiting. */
  readonly close: () => Promise<void>
}

type Seen = { -readonly [Part in keyof DecidedCheck]: DecidedCheck[Part] }

/** Records Checks behind the answers; undefined where the configuration asks for none. */
export function openRecorder(
  config: RecordConfig | undefined,
  serviceTokenHeader: string,
  metrics: Pick<Metrics, 'register'>,
  log: Log,
): Recorder | undefined {
  if (!config) return undefined
  const { file, maxBytes, files, sample } = config
  const output = new RotatingFile(file, maxBytes, files)
  const decided = new WeakMap<Decision, Omit<Seen, 'decisionId'>>()
  let waiting: { readonly check: DecidedCheck; readonly bytes: number }[] = []
  let waitingBytes = 0
  let writing: Promise<void> | undefined
  let [written, dropped] = [0, 0]
  let told = ''

  metrics.register({
    name: 'portcullis_recorded_checks_total',
    help: 'Checks recorded for replay.',
    type: 'counter',
    read: () => written,
  })
  metrics.register({
    name: 'portcullis_recorded_checks_dropped_total',
    help: 'Checks that were to be recorded and are lost.',
    type: 'counter',
    read: () => dropped,
  })

  /** The same loss is told once, until writing goes well again. */
  function drop(count: number, problem: string): void {
    dropped += count
    if (told === problem) return
    told = problem
    log('warn', 'recorded Checks are lost', { file, problem })
  }

  async function writeAll(): Promise<void> {
    while (waiting.length > 0) {
      await nextTurn()
      const batch = waiting.slice(0, LINES_A_TURN)
      waiting = waiting.slice(LINES_A_TURN)
      for (const { bytes } of batch) waitingBytes -= bytes
      try {
        const lines = batch.map(({ check }) => `${writeRecordedCheck(check, serviceTokenHeader)}\n`)
        await output.append(lines.join(''))
        written += batch.length
        if (waiting.length === 0) told = ''
      } catch (error) {
        drop(batch.length, messageOf(error))
      }
    }
    writing = undefined
  }

  return {
    authorize: (question, policy, lookups) => {
      if (sample < 1 && Math.random() >= sample) return authorize(question, policy, lookups)
      const seen = { ...question, identified: undefined, known: undefined, located: undefined }
      return remembering(question, policy, lookups, seen, decided)
    },
    record: (decision, decisionId, bytes) => {
      const seen = decided.get(decision)
      if (!seen) return
      if (waiting.length >= MAX_WAITING || waitingBytes + bytes > MAX_WAITING_BYTES) {
        return drop(1, 'they come faster than they can be written')
      }
      waiting.push({ check: { ...seen, decisionId }, bytes })
      waitingBytes += bytes
      writing ??= writeAll()
    },
    close: async () => {
      await writing
      await output.close()
    },
  }
}

function remembering(
  question: Question,
  policy: PolicyInForce,
  lookups: Lookups,
  seen: Omit<Seen, 'decision' | 'decisionId'>,
  decided: WeakMap<Decision, Omit<Seen, 'decisionId'>>,
): Eventually<Decision> {
  const watched: Lookups = {
    ...lookups,
    identify: (asked, target, matrix) =>
      andThen(lookups.identify(asked, target, matrix), (identified) => {
        seen.identified = identified
        return identified
      }),
    recall: (keys, nowMs) =>
      andThen(lookups.recall(keys, nowMs), (known) => {
        seen.known = known
        return known
      }),
    locate: (asked, identity) => (seen.located = lookups.locate(asked, identity)),
  }
  return andThen(authorize(question, policy, watched), (decision) => {
    decided.set(decision, { ...seen, decision })
    return decision
  })
}
