import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from '@jest/globals'
import { envoyBinary } from '../../demo/envoy-binary.js'
import { REPOSITORY } from '../../demo/lay.js'

/** `make demo ARGS=--stay`, up. */
async function demoThatStays(): Promise<{ readonly demo: ChildProcess; readonly directory: string }> {
  const demo = spawn(process.execPath, ['--import', './test/support/ts.js', 'demo/run.ts', '--stay'], {
    cwd: REPOSITORY,
    env: { ...process.env, NODE_OPTIONS: '', ENVOY_BIN: envoyBinary() },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let directory: string | undefined
  for await (const line of createInterface({ input: demo.stdout })) {
    directory ??= /Logs: (\S+)/.exec(line)?.[1]
    if (line.startsWith('Ctrl-C') && directory !== undefined) return { demo, directory: dirname(directory) }
  }
  throw new Error('the demo ended before it was up')
}

/** Ids of the processes that were started for this run: each has a file of it on its command line. */
function processesOf(directory: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return readFileSync(join('/proc', pid, 'cmdline'), 'utf8').includes(directory)
    } catch {
      return false
    }
  })
}

test.each(['SIGKILL', 'SIGINT', 'SIGTERM'] as const)(
  'the demo leaves no process behind when it gets %s',
  async (signal) => {
    const { demo, directory } = await demoThatStays()
    expect(processesOf(directory)).toHaveLength(12)
    const exit = new Promise((resolve) => demo.once('exit', resolve))
    demo.kill(signal)
    await exit
    const end = Date.now() + 10_000
    while (processesOf(directory).length > 0 && Date.now() < end) await sleep(50)
    expect(processesOf(directory)).toEqual([])
    rmSync(directory, { recursive: true, force: true })
  },
  60_000,
)
