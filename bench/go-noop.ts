import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { MeasuredServer } from './measured-process.js'

/** Modules may have to be fetched first. */
const BUILD_MS = 120_000

/** A server on grpc-go that decides nothing, or why there is none here. */
export type GoNoop =
  { readonly server: MeasuredServer; readonly version: string } | { readonly missing: string }

/** Builds bench/go-noop into `folder` and starts it. */
export async function startGoNoop(folder: string): Promise<GoNoop> {
  const binary = join(folder, 'go-noop')
  const options = { cwd: fileURLToPath(new URL('go-noop', import.meta.url)), timeout: BUILD_MS }
  let version
  try {
    version = (await promisify(execFile)('go', ['env', 'GOVERSION'], options)).stdout.trim()
  } catch {
    return { missing: 'Go not found' }
  }
  try {
    await promisify(execFile)('go', ['build', '-o', binary, '.'], options)
  } catch (error) {
    process.stderr.write(`${String(error)}\n`)
    return { missing: `${version} could not build it` }
  }
  const child = spawn(binary, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  const answers: ((line: string) => void)[] = []
  lines.on('line', (line) => answers.shift()?.(line))
  const line = (): Promise<string> => new Promise((resolve) => answers.push(resolve))
  const address = await line()
  return {
    version,
    server: {
      address,
      async usage() {
        const answer = line()
        child.stdin.write('\n')
        const [cpuUs = Number.NaN, rssBytes = Number.NaN] = (await answer).split(' ').map(Number)
        return { cpuUs, rssBytes }
      },
      async stop() {
        const exited = once(child, 'exit')
        child.stdin.end()
        await exited
      },
    },
  }
}
