import { lineOf, type LogFields, type LogLevel } from './log-line.js'
import { LineFlood } from './line-flood.js'

export type { LogFields, LogLevel } from './log-line.js'

/** One operational log line. Fields hold names, counts and problems; never a credential. */
export type Log = (level: LogLevel, message: string, fields?: LogFields) => void

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const satisfies readonly LogLevel[]

export type LevelStatus = {
  readonly level: LogLevel
  /** What the configuration says. */
  readonly configured: LogLevel
  /** When it falls back to what is configured; milliseconds since the epoch. */
  readonly untilMs: number | undefined
}

/** The operational log, whose level changes while it runs. */
export type LiveLog = {
  /** Lines of one part of Portcullis. Of lines with the same message most are counted when they flood. */
  readonly of: (component: string) => Log
  /** The same for lines that are bounded where they are made, such as alerts: none is held back. */
  readonly everyLineOf: (component: string) => Log
  readonly isWritten: (level: LogLevel) => boolean
  readonly status: () => LevelStatus
  /** From now on, or for `forMs`. */
  readonly setLevel: (level: LogLevel, forMs: number | undefined) => LevelStatus
  /** To debug, and from there back to what is configured; to info where that is debug. */
  readonly toggleDebug: () => void
  /** Lines that were counted and not written. */
  readonly heldBack: () => number
  /** Writes what was counted and not told yet. */
  close(): void
}

/** JSON lines, so that collectors keep fields apart. `write` gets whole lines. */
export function openLog(
  write: (line: string) => void,
  configured: LogLevel,
  nowMs: () => number,
  /** In every line. */
  own: LogFields = {},
): LiveLog {
  let level = configured
  let untilMs: number | undefined
  let timer: NodeJS.Timeout | undefined
  const put = (lineLevel: LogLevel, component: string, message: string, fields: LogFields): void =>
    write(lineOf({ atMs: nowMs(), level: lineLevel, component, message, fields: { ...own, ...fields } }))
  const flood = new LineFlood(put)
  const isWritten = (asked: LogLevel): boolean => LOG_LEVELS.indexOf(asked) >= LOG_LEVELS.indexOf(level)
  const status = (): LevelStatus => ({ level, configured, untilMs })

  function setLevel(to: LogLevel, forMs: number | undefined): LevelStatus {
    clearTimeout(timer)
    const from = level
    level = to
    untilMs = forMs === undefined ? undefined : nowMs() + forMs
    timer = forMs === undefined ? undefined : setTimeout(() => setLevel(configured, undefined), forMs).unref()
    const until = untilMs === undefined ? {} : { until: new Date(untilMs).toISOString() }
    // Whatever the level is: a log that falls silent says so.
    put('info', 'log', 'log level changed', { from, to, ...until })
    return status()
  }

  return {
    of:
      (component) =>
      (lineLevel, message, fields = {}) => {
        if (!isWritten(lineLevel)) return
        // Whoever asks for every detail gets every line.
        if (lineLevel === 'debug') put(lineLevel, component, message, fields)
        else flood.take(lineLevel, component, message, fields)
      },
    everyLineOf:
      (component) =>
      (lineLevel, message, fields = {}) => {
        if (isWritten(lineLevel)) put(lineLevel, component, message, fields)
      },
    isWritten,
    status,
    setLevel,
    toggleDebug: () => {
      const quiet = configured === 'debug' ? 'info' : configured
      setLevel(level === 'debug' ? quiet : 'debug', undefined)
    },
    heldBack: () => flood.heldBack,
    close: () => {
      clearTimeout(timer)
      flood.close()
    },
  }
}

/** Everything that keeps Portcullis from starting, each with its file or option. Nothing is left running. */
export class StartFailure extends Error {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
