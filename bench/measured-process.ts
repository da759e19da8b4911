import { type ChildProcess, fork, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** CPU used so far, user and system, microseconds, and resident memory in bytes. */
export type Usage = { readonly cpuUs: number; readonly rssBytes: number }

type Message = { readonly address: string } | Usage

/** In the measured process: says where it listens and answers each `usage` with what it has used so far. */
export function serveMeasurements(address: string, stop: () => Promise<void>): void {
  process.send?.({ address } satisfies Message)
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.({ cpuUs: user + system, rssBytes: process.memoryUsage.rss() } satisfies Message)
  })
  process.on('disconnect', () => {
    void stop().finally(() => process.exit(0))
  })
}

/** A server in a process of its own, so that its CPU is its own. */
export class MeasuredProcess {
  readonly #child: ChildProcess
  readonly #reader: ChildProcess
  readonly address: string

  private constructor(child: ChildProcess, reader: ChildProcess, address: string) {
    this.#child = child
    this.#reader = reader
    this.address = address
  }

  /** Starts `bench/<script>`; throws when it ends before it says where it listens. */
  static async start(script: string, args: readonly string[]): Promise<MeasuredProcess> {
    // Standard output is a pipe that another process empties, as a container runtime does.
    const reader = spawn('cat', { stdio: ['pipe', 'ignore', 'inherit'] })
    const child = fork(fileURLToPath(new URL(script, import.meta.url)), args, {
      execArgv: ['--import', fileURLToPath(new URL('../test/support/ts.js', import.meta.url))],
      stdio: ['ignore', reader.stdin, 'inherit', 'ipc'],
    })
    const message = await next(child)
    if (!('address' in message)) throw new Error(`${script} said no address`)
    return new MeasuredProcess(child, reader, message.address)
  }

  async usage(): Promise<Usage> {
    const answer = next(this.#child)
    this.#child.send('usage')
    const message = await answer
    if ('address' in message) throw new Error('an address where usage was asked for')
    return message
  }

  async stop(): Promise<void> {
    const exited = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.disconnect()
    await exited
    this.#reader.stdin?.end()
  }
}

function next(child: ChildProcess): Promise<Message> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`the measured process ended with ${code}`))
    child.once('exit', ended)
    child.once('message', (message) => {
      child.off('exit', ended)
      resolve(message as Message)
    })
  })
}
