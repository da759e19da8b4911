import { formatTimestamp } from '../../audit/timestamp.js'
import { changes, json, untilOf } from '../asked.js'
import { change, NONE, question, type Route } from '../route.js'
import { LogLevelAnswerSchema, SetLogLevelSchema } from '../schemas/log-level.js'

/** What is to last longer stands in the configuration; timers take no more than 24 days. */
const LONGEST_MS = 7 * 86_400_000

export const LOG_LEVEL_ROUTES: readonly Route[] = [
  question(
    {
      method: 'GET',
      path: '/v1/log-level',
      summary: 'The level of the operational log of this process.',
      params: NONE,
      query: NONE,
      body: NONE,
      answer: { status: 200, schema: LogLevelAnswerSchema },
    },
    ({ ports }) => json(ports.logLevel.get()),
  ),
  change(
    {
      method: 'PUT',
      path: '/v1/log-level',
      action: 'log-level.set',
      summary: 'Changes that level, for a while where `duration` says so; other replicas keep theirs.',
      params: NONE,
      query: NONE,
      body: SetLogLevelSchema,
      answer: { status: 200, schema: LogLevelAnswerSchema },
      example: { level: 'Debug', duration: '10m', reason: 'looking for refused calls of shop/web' },
    },
    ({ body, ports, nowMs }) => {
      const { level, duration, reason } = body
      const until = duration === undefined ? undefined : untilOf({ duration }, LONGEST_MS, nowMs)
      if (until && !until.ok) return until
      const details = { level, ...(until && { until: formatTimestamp(until.value) }) }
      return changes(level, reason, details, () =>
        json(ports.logLevel.set(level, until && until.value - nowMs)),
      )
    },
  ),
]
