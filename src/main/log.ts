/** One operational log line. Fields hold names, counts and problems; never a credential. */
export type Log = (
  level: 'info' | 'warn' | 'error',
  message: string,
  fields?: Readonly<Record<string, string | number | readonly string[]>>,
) => void

/** JSON lines, so that collectors keep fields apart. `write` gets whole lines. */
export function jsonLog(write: (line: string) => void, nowMs: () => number): Log {
  return (level, message, fields) =>
    write(`${JSON.stringify({ time: new Date(nowMs()).toISOString(), level, message, ...fields })}\n`)
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
