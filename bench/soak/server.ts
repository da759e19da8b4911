import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { until } from './until.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const STARTS_WITHIN_MS = 30_000
/** More than it takes to drain (20 s). */
const STOPS_WITHIN_MS = 40_000

/** What the process holds and has used: bytes, microseconds, counts. */
export type Usage = {
  readonly rss: number
  readonly heapUsed: number
  readonly external: number
  /** Heap and external memory just after a collection of all garbage; absent where none was asked for. */
  readonly live?: number
  readonly cpuUs: number
  readonly handles: number
  readonly fds: number
}

type Told = Omit<Usage, 'rss' | 'fds'>

/** `portcullis serve` in a process of its own. */
export class Server {
  readonly directory: string
  readonly ports: { readonly health: number; readonly admin: number; readonly public: number }
  /** By listener: host:port. */
  readonly addresses = new Map<string, string>()
  /** Events that it wrote, by type. */
  readonly events = new Map<string, number>()
  readonly log: string[] = []
  readonly #process: ChildProcess
  #exit: Promise<number | null>
  hasEnded = false

  private constructor(directory: string, ports: Server['ports'], child: ChildProcess) {
    this.directory = directory
    this.ports = ports
    this.#process = child
    this.#exit = new Promise((ended) => {
      child.once('exit', (code) => {
        this.hasEnded = true
        ended(code)
      })
    })
  }

  /** Files by name below `directory`. Throws with the log when it isn't ready in time. */
  static async start(
    dist: string,
    directory: string,
    files: Readonly<Record<string, string | Buffer>>,
    configuration: (ports: Server['ports']) => object,
  ): Promise<Server> {
    const ports = { health: await freePort(), admin: await freePort(), public: await freePort() }
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(directory, name)), { recursive: true })
      await writeFile(join(directory, name), content)
    }
    const file = join(directory, 'portcullis.yaml')
    await writeFile(file, stringify(configuration(ports)))
    const probe = fileURLToPath(new URL('usage-probe.js', import.meta.url))
    const script = resolve(ROOT, dist, 'cli/portcullis.js')
    const child = spawn(process.execPath, ['--import', probe, script, 'serve', '--config', file], {
      cwd: directory,
      env: { PATH: process.env['PATH'] },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    const server = new Server(directory, ports, child)
    server.#read()
    await until(
      'the server ready',
      STARTS_WITHIN_MS,
      () => server.hasEnded || server.addresses.size > 0,
    ).catch(() => server.stop())
    if (server.hasEnded) throw new Error(`the server did not start: ${server.log.join('\n')}`)
    return server
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  /** Lays a file in place of the old one at one blow. */
  async replace(name: string, content: string | Buffer): Promise<void> {
    const path = join(this.directory, name)
    const next = join(this.directory, `.next-${name.replaceAll('/', '-')}`)
    await writeFile(next, content)
    await rename(next, path)
  }

  remove(name: string): Promise<void> {
    return rm(join(this.directory, name))
  }

  /** What it is now, after a collection of garbage with `live`; throws when the process is gone. */
  async usage(asked: 'usage' | 'live'): Promise<Usage> {
    const told = await new Promise<Told>((answered, failed) => {
      if (this.hasEnded) return failed(new Error('the server ended'))
      const onExit = (): void => failed(new Error('the server ended'))
      this.#process.once('exit', onExit)
      this.#process.once('message', (message) => {
        this.#process.off('exit', onExit)
        answered(message as Told)
      })
      this.#process.send(asked)
    })
    const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1]
    return { ...told, rss: Number(rss) * 1024, fds: readdirSync(`/proc/${this.pid}/fd`).length }
  }

  /** By SIGTERM; the exit code, or null where it had to be killed. */
  async stop(): Promise<number | null> {
    if (!this.hasEnded) this.#process.kill('SIGTERM')
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOPS_WITHIN_MS)
    const code = await this.#exit
    clearTimeout(timer)
    return code
  }

  #read(): void {
    const { stdout, stderr } = this.#process
    if (!stdout || !stderr) throw new Error('no pipes')
    createInterface({ input: stderr }).on('line', (line) => {
      this.log.push(line)
      const listeners = /"message":"ready".*"listeners":\[([^\]]*)\]/.exec(line)?.[1] ?? ''
      for (const [, name = '', address = ''] of listeners.matchAll(/"(\S+) ([^"]+)"/g))
        this.addresses.set(name, address)
    })
    createInterface({ input: stdout }).on('line', (line) => {
      const type = /"eventType":"([^"]+)"/.exec(line)?.[1] ?? 'none'
      this.events.set(type, (this.events.get(type) ?? 0) + 1)
    })
  }
}

function freePort(): Promise<number> {
  return new Promise((found, failed) => {
    const probe = createServer()
    probe.once('error', failed)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() =>
        address !== null && typeof address === 'object' ? found(address.port) : failed(new Error('no port')),
      )
    })
  })
}
