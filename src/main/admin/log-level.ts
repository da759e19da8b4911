import type { AdminPorts } from '../../admin/ports.js'
import type { LogLevelAnswer, LogLevelName } from '../../admin/schemas/log-level.js'
import type { LevelStatus, LiveLog, LogLevel } from '../log.js'
import type { Others } from '../workers/team.js'
import { found, given, timeOf } from './answers.js'

const NAMES = { debug: 'Debug', info: 'Info', warn: 'Warn', error: 'Error' } as const satisfies Readonly<
  Record<LogLevel, LogLevelName>
>
const LEVELS = { Debug: 'debug', Info: 'info', Warn: 'warn', Error: 'error' } as const satisfies Readonly<
  Record<LogLevelName, LogLevel>
>

/** The level of the operational log of this process and of the others that answer together with it. */
export function logLevelPort(
  log: Pick<LiveLog, 'status' | 'setLevel'>,
  others: Pick<Others, 'setLogLevel'> | undefined,
): AdminPorts['logLevel'] {
  return {
    get: async () => Promise.resolve(found(answerOf(log.status()))),
    set: async (level, forMs) => {
      others?.setLogLevel(LEVELS[level], forMs)
      return Promise.resolve(found(answerOf(log.setLevel(LEVELS[level], forMs))))
    },
  }
}

function answerOf({ level, configured, untilMs }: LevelStatus): LogLevelAnswer {
  return given({ level: NAMES[level], configured: NAMES[configured], until: timeOf(untilMs) })
}
