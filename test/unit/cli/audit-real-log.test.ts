import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { FileSinkOptions } from '../../../src/adapters/audit-file/file-sink.js'
import { runCli } from '../../support/cli.js'
import { DAY_MS, eventOf, newRecipient, newSigner, openLog } from '../../support/file-log.js'

const { signer, publicKey } = newSigner()
const { recipient, privateKey } = newRecipient()
let folder = ''
const log = (): string => join(folder, 'log')

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'audit-real-'))
  writeFileSync(join(folder, 'signing.pem'), publicKey.export({ format: 'pem', type: 'spki' }))
  writeFileSync(join(folder, 'open.key'), privateKey.export({ format: 'pem', type: 'pkcs8' }), {
    mode: 0o600,
  })
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const OPTIONS: Partial<FileSinkOptions> = {
  signer: () => signer,
  recipient: (classification) => (classification === undefined ? undefined : recipient),
  maxBytes: 4000,
  checkpointIntervalMs: 10,
  flushIntervalMs: 1,
}

const verify = async (path = log(), ...args: string[]) =>
  runCli(['audit', 'verify', '--key', join(folder, 'signing.pem'), ...args, path])

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Events 1 to `count` of two streams, some at a time. */
async function write(
  options: Partial<FileSinkOptions>,
  count: number,
  meanwhile: (n: number) => Promise<void> = async () => {},
) {
  const { sink } = await openLog(log(), { ...OPTIONS, ...options })
  for (let n = 1; n <= count; n++) {
    void sink.take(eventOf(n, n % 3 === 0 ? 'restricted' : undefined, 'x'.repeat(n % 200)))
    if (n % 10 === 0) {
      await pause(3)
      await meanwhile(n)
    }
  }
  return sink
}

describe('a log that is really written', () => {
  test('is intact after rotations, restarts and ends, and its events can be opened', async () => {
    for (const count of [1, 100, 40]) await (await write({}, count)).drain()
    const { exitCode, stdout } = await verify()
    expect(stdout).toMatch(/intact\n$/)
    expect(exitCode).toBe(0)
    expect(readdirSync(log()).length).toBeGreaterThan(6)
    const opened = await runCli(['audit', 'decrypt', '--key', join(folder, 'open.key'), log()])
    expect(opened.exitCode).toBe(0)
    expect(opened.stdout.trimEnd().split('\n')).toHaveLength(141)
    expect(opened.stderr).toBe('141 events, 46 of them decrypted\n')
  })

  test('is intact at every moment while it is written, with files closed and deleted meanwhile', async () => {
    let day = 0
    const findings: string[] = []
    const clock = { nowMs: () => Date.now() + day * DAY_MS, maxAgeMs: 40 }
    const options = { ...clock, retentionMs: () => 2 * DAY_MS }
    const sink = await write(options, 300, async () => {
      day += 0.5
      const { exitCode, stdout, stderr } = await verify()
      if (exitCode !== 0) findings.push(stdout + stderr)
    })
    await sink.drain()
    expect(findings).toEqual([])
    const { stdout, exitCode } = await verify()
    expect(stdout).toContain('were removed by retention')
    expect(exitCode).toBe(0)
  })

  test('is intact wherever the process was killed, once it runs again', async () => {
    const copies: string[] = []
    const sink = await write({}, 160, async (n) => {
      if (n % 20 !== 0) return
      const copy = join(folder, `copy-${n}`)
      cpSync(log(), copy, { recursive: true, filter: (from) => !/\.lock|\.tmp$/.test(from) })
      copies.push(copy)
    })
    await sink.drain()
    for (const [index, copy] of copies.entries()) {
      for (const name of readdirSync(copy).filter((each) => /^events(?:\.restricted)?\.jsonl$/.test(each))) {
        if (index % 3 === 0) continue
        const torn = ['{"schemaVersion":"1.0","n":7', '\0'.repeat(5000), 'a\n\nb', '\n'][index % 4] ?? ''
        appendFileSync(join(copy, name), torn)
      }
      if (index === 1) expect((await verify(copy)).exitCode).toBe(1)
      const { sink: again } = await openLog(copy, OPTIONS)
      void again.take(eventOf(1))
      void again.take(eventOf(2, 'restricted'))
      await again.drain()
      const { exitCode, stdout } = await verify(copy)
      expect({ index, exitCode, stdout: exitCode === 0 ? '' : stdout }).toEqual({
        index,
        exitCode: 0,
        stdout: '',
      })
      expect(stdout).toMatch(/after an end without a closing checkpoint/)
    }
  })

  test('shows a cut that was made before the process ran again', async () => {
    await (await write({ maxBytes: 1e6 }, 50)).drain()
    const file = join(log(), 'events.jsonl')
    const lines = readFileSync(file, 'utf8').split('\n')
    writeFileSync(file, `${lines.slice(0, 20).join('\n')}\n`)
    await (await write({ maxBytes: 1e6 }, 10)).drain()
    const { exitCode, stdout } = await verify()
    expect(exitCode).toBe(1)
    expect(stdout).toMatch(/events\.jsonl:21: missing: lines 21 to \d+ should stand here/)
  })

  test('shows every line that is changed or removed', async () => {
    await (await write({}, 60)).drain()
    await (await write({}, 10)).drain()
    for (const name of readdirSync(log()).filter((each) => each.endsWith('.jsonl'))) {
      const file = join(log(), name)
      const text = readFileSync(file)
      const lines = text.toString('latin1').split('\n').slice(0, -1)
      for (const [index, line] of lines.entries()) {
        const changed = `${line.slice(0, 30)}#${line.slice(31)}`
        for (const now of [lines.with(index, changed), lines.toSpliced(index, 1)]) {
          writeFileSync(file, now.map((each) => `${each}\n`).join(''), 'latin1')
          const { exitCode, stdout } = await verify()
          expect({ name, index, exitCode }).toEqual({ name, index, exitCode: 1 })
          expect(stdout).toContain(`${file}:${index + 1}`)
        }
      }
      writeFileSync(file, text)
    }
    expect((await verify()).exitCode).toBe(0)
  })
})
