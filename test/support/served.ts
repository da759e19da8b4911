import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { stringify } from 'yaml'
import { builtProgram } from './built.js'
import { eventually } from './eventually.js'

/** What a test that broke off has left running ends with its process; workers end with their supervisor. */
const leftOver = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of leftOver) child.kill('SIGKILL')
})

export type LogLine = Readonly<Record<string, unknown>>

/** A `portcullis serve` in a process of its own, with its files in a folder of its own. */
export class Served {
  readonly directory: string
  readonly child: ChildProcess
  readonly exit: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  #stdout = ''
  #stderr = ''

  private constructor(directory: string, child: ChildProcess) {
    this.directory = directory
    this.child = child
    leftOver.add(child)
    child.stdout?.on('data', (chunk: Buffer) => (this.#stdout += chunk.toString()))
    child.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()))
    this.exit = once(child, 'close').then(([code, signal]) => {
      leftOver.delete(child)
      return { code: code as number | null, signal: signal as NodeJS.Signals | null }
    })
  }

  /** Files by relative name; `configuration` is that of portcullis.yaml. */
  static async start(
    files: Readonly<Record<string, string>>,
    configuration: Readonly<Record<string, unknown>>,
    args: readonly string[],
  ): Promise<Served> {
    const directory = await mkdtemp(join(tmpdir(), 'served-'))
    const text = stringify({
      apiVersion: 'portcullis.dev/v1beta1',
      kind: 'Configuration',
      policy: { directory: './policy' },
      ...configuration,
    })
    for (const [name, content] of Object.entries({ ...files, 'portcullis.yaml': text })) {
      await mkdir(dirname(join(directory, name)), { recursive: true })
      await writeFile(join(directory, name), content)
    }
    const child = spawn(
      process.execPath,
      [builtProgram(), 'serve', '--config', join(directory, 'portcullis.yaml'), ...args],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_OPTIONS: '' } },
    )
    return new Served(directory, child)
  }

  get stdout(): string {
    return this.#stdout
  }

  get stderr(): string {
    return this.#stderr
  }

  /** Lines of the operational log. */
  log(): LogLine[] {
    return this.#stderr
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as LogLine)
  }

  /** Once it says that it is ready: addresses by name of their listener. */
  async ready(component = 'workers', withinMs = 60_000): Promise<ReadonlyMap<string, string>> {
    let found: readonly string[] = []
    const ended = this.exit.then(({ code }) => {
      throw new Error(`it ended with ${code}: ${this.#stderr}`)
    })
    const told = eventually(() => {
      const line = this.log().find((each) => each['component'] === component && each['message'] === 'ready')
      if (!line) throw new Error(`it is not ready: ${this.#stderr}`)
      found = line['listeners'] as readonly string[]
    }, withinMs)
    await Promise.race([told, ended])
    ended.catch(() => undefined)
    return new Map(found.map((text) => [text.split(' ')[0] ?? '', text.split(' ')[1] ?? '']))
  }

  /** Process ids of the processes that this one made. */
  workers(): number[] {
    const { pid } = this.child
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter(Boolean)
      .map(Number)
  }

  /** Ends it now, where it has not ended, and removes its folder. */
  async discard(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.exit
    await rm(this.directory, { recursive: true, force: true })
  }
}

export function isRunning(pid: number): boolean {
  try {
    // A process that nobody has waited for yet is none that runs.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
