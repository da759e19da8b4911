import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** Ends every process whose id was written to it, once nobody can write to it any more. */
const REAPER = `trap '' INT TERM HUP
pids=
while read -r pid; do pids="$pids $pid"; done
[ -z "$pids" ] || { kill -TERM $pids; sleep 1; kill -KILL $pids; } 2>/dev/null`

/** Time from SIGTERM to SIGKILL, milliseconds. */
const GRACE_MS = 8000

export type Running = {
  readonly name: string
  readonly pid: number
  readonly logFile: string
  /** Undefined while it runs. */
  ended(): string | undefined
  kill(signal: NodeJS.Signals): void
  /** Resolves when it is gone. */
  readonly exit: Promise<void>
}

export type ProcessOptions = {
  readonly environment?: Readonly<Record<string, string>>
  /** Gets standard output line by line; it is in the log file all the same. */
  readonly onLine?: (line: string) => void
}

/**
 * The processes of one mesh. They end with `stop`, and if this process dies without calling it, a shell that
 * waits for that ends them.
 */
export class Processes {
  readonly #logDirectory: string
  readonly #running = new Set<Running>()
  readonly #reaper: ChildProcess

  constructor(logDirectory: string) {
    this.#logDirectory = logDirectory
    this.#reaper = spawn('/bin/sh', ['-c', REAPER], { stdio: ['pipe', 'ignore', 'ignore'] })
    const lifeline = this.#reaper.stdin
    lifeline?.on('error', () => undefined)
    if (lifeline instanceof Socket) lifeline.unref()
    this.#reaper.unref()
  }

  /** Output goes to `<name>.log`. Throws when the program can't be started. */
  async start(
    name: string,
    program: string,
    args: readonly string[],
    options: ProcessOptions = {},
  ): Promise<Running> {
    const logFile = join(this.#logDirectory, `${name}.log`)
    const log = createWriteStream(logFile, { flags: 'a' })
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.environment },
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
    const pid = child.pid
    if (pid === undefined) throw new Error(`${name} has no process id`)
    this.#reaper.stdin?.write(`${pid}\n`)
    child.stdout.pipe(log, { end: false })
    child.stderr.pipe(log, { end: false })
    if (options.onLine) createInterface({ input: child.stdout }).on('line', options.onLine)
    let ended: string | undefined
    const exit = new Promise<void>((resolve) => {
      child.once('close', (code, signal) => {
        ended = `${name} ended with ${signal ?? `exit code ${code}`}`
        log.end(resolve)
      })
    })
    const running: Running = {
      name,
      pid,
      logFile,
      exit,
      ended: () => ended,
      kill: (signal) => void child.kill(signal),
    }
    this.#running.add(running)
    return running
  }

  /** Throws with the end of its log when one of them is gone that should be there. */
  assertRunning(...processes: readonly Running[]): void {
    for (const one of processes) {
      const ended = one.ended()
      if (ended !== undefined) throw new Error(`${ended}:\n${tail(one.logFile)}`)
    }
  }

  /** Ends all of them, the latest first, and returns when they are gone. */
  async stop(): Promise<void> {
    const all = [...this.#running].toReversed()
    for (const one of all) one.kill('SIGTERM')
    const late = setTimeout(() => all.forEach((one) => one.kill('SIGKILL')), GRACE_MS)
    await Promise.all(all.map((one) => one.exit))
    clearTimeout(late)
    this.#reaper.kill('SIGKILL')
  }
}

function tail(file: string): string {
  return readFileSync(file, 'utf8').split('\n').slice(-15).join('\n')
}
