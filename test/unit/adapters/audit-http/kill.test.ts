import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from '@jest/globals'
import { openSpool } from '../../../../src/adapters/audit-http/spool.js'
import { status } from '../../../support/collector.js'
import { eventually } from '../../../support/eventually.js'
import { collect, endAll, numbersIn, sinkTo } from './sinks.js'

const ROUNDS = 4
const FLUSH_MS = 50
/** Compressing, writing and flushing a batch, on a machine that does other things too. */
const WRITING_MS = 250
const CHILD = join(import.meta.dirname, 'killed-sink.ts')
const LOADER = join(import.meta.dirname, '../../../support/ts.js')

afterEach(endAll)

test('kill -9 under load: what is missing was taken within the flush interval, all else is delivered', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'portcullis-spool-'))
  const taken = new Map<number, number>()
  const killedAtMs: number[] = []
  try {
    const away = await collect(status(503))
    for (let round = 0; round < ROUNDS; round++) {
      const first = 1 + Math.max(0, ...taken.keys())
      const args = ['--import', LOADER, CHILD, directory, away.url, `${first}`, `${FLUSH_MS}`]
      const child = spawn(process.execPath, args, { env: {}, stdio: ['ignore', 'pipe', 'inherit'] })
      let output = ''
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
      await eventually(() => expect(output.split('\n').length).toBeGreaterThan(200 + 37 * round), 20_000)
      const ended = once(child, 'close')
      killedAtMs.push(Date.now())
      child.kill('SIGKILL')
      await ended
      for (const [, n, atMs] of output.matchAll(/^(\d+) (\d+)$/gm)) taken.set(Number(n), Number(atMs))
    }
    const opened = await openSpool({ directory, maxBytes: 64 * 1024 * 1024, key: undefined })
    if (!opened.ok) throw new Error(opened.problem)
    const collector = await collect()
    const sink = sinkTo(collector.url, { spool: opened.spool })
    await eventually(() => expect(sink.figures().pending).toBe(0))
    expect(sink.figures().lost).toBe(0)
    const delivered = collector.posted.flatMap(({ records }) => numbersIn(records)).map(Number)
    expect(delivered).toEqual(delivered.toSorted((left, right) => left - right))
    const missing = [...taken].filter(([n]) => !delivered.includes(n))
    for (const [, atMs] of missing) {
      const killedMs = killedAtMs.find((each) => each >= atMs) ?? Infinity
      expect(killedMs - atMs).toBeLessThan(FLUSH_MS + WRITING_MS)
    }
    expect(delivered.length).toBeGreaterThan(taken.size / 2)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}, 60_000)
