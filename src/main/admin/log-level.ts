import type { AdminPorts } from '../../admin/ports.js'
import type { LogLevelAnswer, LogLevelName } from '../../admin/schemas/log-level.js'
import type { LevelStatus, LiveLog, LogLevel } from '../log.js'
import { found, given, timeOf } from './answers.js'

const NAMES = { debug: 'Debug', info: 'Info', warn: 'Warn', error: 'Error' } as const satisfies Readonly<
  Record<LogLevel, LogLevelName>
>
const LEVELS = { Debug: 'debug', Info: 'info', Warn: 'warn', Error: 'error' } as const satisfies Readonly<
  Record<LogLevelName, LogLevel>
>

/** The level of this process' operational log. */
export function logLevelPort(log: Pick<LiveLog, 'status' | 'setLevel'>): AdminPorts['logLevel'] {
  return {
    get: async () => Promise.resolve(found(answerOf(log.status()))),
    set: async (level, forMs) => Promise.resolve(found(answerOf(log.setLevel(LEVELS[level], forMs)))),
  }
}

function answerOf({ level, configured, untilMs }: LevelStatus): LogLevelAnswer {
  return given({ level: NAMES[level], configured: NAMES[configured], until: timeOf(untilMs) })
}
