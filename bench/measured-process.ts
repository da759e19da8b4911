import { type ChildProcess, fork, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** CPU used so far, user and system, microseconds, and resident memory in bytes. */
export type Usage = { readonly cpuUs: number; readonly rssBytes: number }

/** A server in a process of its own, so that its CPU is its own. */
export type MeasuredServer = {
  readonly address: string
  /** Of its Node.js; undefined for another program. */
  readonly node?: string
  usage(): Promise<Usage>
  stop(): Promise<void>
}

type Message =
  { readonly address: string; readonly node: string; readonly health: string | undefined } | Usage

/** The Node.js that servers run on: the bench's own, or that of BENCH_NODE. */
export const SERVER_NODE = process.env['BENCH_NODE'] ?? process.execPath

/** In the measured process: says where it listens and answers each `usage` with what it has used so far. */
export function serveMeasurements(address: string, stop: () => Promise<void>, health?: string): void {
  process.send?.({ address, node: process.version, health } satisfies Message)
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.({ cpuUs: user + system, rssBytes: process.memoryUsage.rss() } satisfies Message)
  })
  process.on('disconnect', () => {
    void stop().finally(() => process.exit(0))
  })
}

export class MeasuredProcess implements MeasuredServer {
  readonly #child: ChildProcess
  readonly #reader: ChildProcess
  readonly address: string
  readonly node: string
  /** `host:port` of the health server, where there is one. */
  readonly health: string | undefined

  private constructor(child: ChildProcess, reader: ChildProcess, first: Exclude<Message, Usage>) {
    this.#child = child
    this.#reader = reader
    this.address = first.address
    this.node = first.node
    this.health = first.health
  }

  /** Starts `bench/<script>`; throws when it ends before it says where it listens. */
  static async start(
    script: string,
    args: readonly string[],
    execPath: string = SERVER_NODE,
  ): Promise<MeasuredProcess> {
    // Standard output is a pipe that another process empties, as a container runtime does.
    const reader = spawn('cat', { stdio: ['pipe', 'ignore', 'inherit'] })
    const child = fork(fileURLToPath(new URL(script, import.meta.url)), args, {
      execPath,
      execArgv: ['--import', fileURLToPath(new URL('../test/support/ts.js', import.meta.url))],
      stdio: ['ignore', reader.stdin, 'inherit', 'ipc'],
    })
    const message = await next(child)
    if (!('address' in message)) throw new Error(`${script} said no address`)
    return new MeasuredProcess(child, reader, message)
  }

  get pid(): number {
    return this.#child.pid ?? Number.NaN
  }

  async usage(): Promise<Usage> {
    const answer = next(this.#child)
    this.#child.send('usage')
    const message = await answer
    if (!('cpuUs' in message)) throw new Error('something else where usage was asked for')
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
