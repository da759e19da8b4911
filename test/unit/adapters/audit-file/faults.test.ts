import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { readAuditLog } from '../../../support/audit-log.js'
import { eventOf, openLog, until } from '../../../support/file-log.js'

let folder = ''
let isMounted = false
const mount = (...options: string[]): void => void execFileSync('mount', options, { stdio: 'pipe' })

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'audit-'))
})
afterEach(async () => {
  if (isMounted) execFileSync('umount', ['-l', folder])
  isMounted = false
  await rm(folder, { recursive: true, force: true })
})

function smallDisk(size: string): void {
  mount('-t', 'tmpfs', '-o', `size=${size}`, 'none', folder)
  isMounted = true
}

const numbers = (events: readonly Readonly<Record<string, unknown>>[]): unknown[] => events.map(({ n }) => n)
const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1)
const TEXT = 'x'.repeat(400)
const CAP_SYS_ADMIN = 21n

/** Who may mount has a disk of its own for the test; everybody has the limit on the size of files, below. */
function mayMount(): boolean {
  if (process.platform !== 'linux') return false
  const [, effective] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return effective !== undefined && ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n
}

const onOwnDisk = (name: string, tests: () => void): void => {
  if (!mayMount()) throw new Error('these tests mount small disks: run them as root, or with CAP_SYS_ADMIN')
  describe(name, tests)
}

onOwnDisk('a disk', () => {
  test.each(['Never', 'Interval', 'Always'] as const)(
    'that is full, %s: nothing is lost, doubled or torn',
    async (fsync) => {
      smallDisk('128k')
      await writeFile(join(folder, 'ballast'), Buffer.alloc(64 * 1024))
      const { sink, problems } = await openLog(folder, { fsync, bufferEvents: 400, maxBytes: 1e6 })
      const settled: unknown[] = []
      let n = 0
      const take = (): void => {
        n++
        void sink
          .take(eventOf(n, n % 5 === 0 ? 'restricted' : undefined, TEXT))
          ?.then((outcome) => settled.push(outcome))
      }
      const fill = async (): Promise<void> => {
        while (sink.hasRoom()) {
          for (let i = 0; i < 20 && sink.hasRoom(); i++) take()
          await new Promise((resolve) => {
            setTimeout(resolve, 2)
          })
        }
      }
      await fill()
      expect(sink.figures()).toMatchObject({
        // Answers that wait for the disk get no room in memory while it is full.
        pending: fsync === 'Always' ? expect.any(Number) : 400,
        lost: 0,
        problem: expect.stringContaining('ENOSPC'),
      })
      expect(sink.hasRoom()).toBe(false)
      expect(problems).toHaveLength(1)
      const whileFull = await readAuditLog(folder, 'events')
      expect(whileFull.problems).toEqual([])
      await rm(join(folder, 'ballast'))
      mount('-o', 'remount,size=1m', folder)
      await until(() => sink.figures().pending === 0)
      expect(problems.at(-1)).toBe('ok')
      expect(sink.figures()).toMatchObject({ written: n, lost: 0, problem: undefined })
      take()
      await sink.drain()
      const plain = await readAuditLog(folder, 'events')
      const restricted = await readAuditLog(folder, 'events.restricted')
      expect([...plain.problems, ...restricted.problems]).toEqual([])
      expect(numbers(plain.events)).toEqual(upTo(n).filter((each) => each % 5 !== 0))
      expect(numbers(restricted.events)).toEqual(upTo(n).filter((each) => each % 5 === 0))
      if (fsync === 'Always') expect(settled).toEqual(upTo(n).map(() => 'kept'))
    },
    20_000,
  )

  test('that has no room for the next file: the log waits between two files', async () => {
    smallDisk('64k')
    const { sink } = await openLog(folder, { fsync: 'Always', maxBytes: 6000 })
    const taken: unknown[] = []
    const take = (n: number) => sink.take(eventOf(n, undefined, TEXT))?.then((outcome) => taken.push(outcome))
    let n = 0
    while (sink.figures().problem === undefined) await Promise.race([take(++n), sleep(20)])
    expect(sink.figures().problem).toContain('ENOSPC')
    while (n < 200) void take(++n)
    mount('-o', 'remount,size=1m', folder)
    await until(() => taken.length === 200)
    await sink.drain()
    const { events, files, problems } = await readAuditLog(folder, 'events')
    expect([numbers(events), problems]).toEqual([upTo(200), []])
    expect(files.length).toBeGreaterThan(1)
  }, 20_000)

  test('that is read-only: the log is not opened, and is once it can be written', async () => {
    smallDisk('1m')
    mount('-o', 'remount,ro', folder)
    await expect(openLog(folder)).rejects.toThrow('EROFS')
    mount('-o', 'remount,rw', folder)
    const { sink } = await openLog(folder, { fsync: 'Always' })
    expect(await sink.take(eventOf(1))).toBe('kept')
    await sink.drain()
    mount('-o', 'remount,ro', folder)
    await expect(openLog(folder)).rejects.toThrow('EROFS')
    expect(numbers((await readAuditLog(folder, 'events')).events)).toEqual([1])
  })

  test('that stays full is given up at the end of the time, and what was held counts as lost', async () => {
    smallDisk('64k')
    const { sink } = await openLog(folder, { fsync: 'Always' })
    const taken = upTo(300).map(async (n) => sink.take(eventOf(n, undefined, TEXT)))
    const startMs = performance.now()
    await sink.drain(300)
    expect(performance.now() - startMs).toBeLessThan(2500)
    const outcomes = await Promise.all(taken)
    const kept = outcomes.filter((outcome) => outcome === 'kept').length
    expect(sink.figures()).toMatchObject({ written: kept, lost: 300 - kept, pending: 0 })
    expect(kept).toBeLessThan(300)
    const { events } = await readAuditLog(folder, 'events')
    expect(numbers(events).slice(0, kept)).toEqual(upTo(kept))
  })
})

test('a limit on the size of files is a full disk that any user can have', async () => {
  const script = `
    import { openFileLog } from './src/adapters/audit-file/file-sink.ts'
    process.on('SIGXFSZ', () => {})
    const sink = await openFileLog({
      name: 'f', file: ${JSON.stringify(join(folder, 'events.jsonl'))}, render: (event) => event.line, maxBytes: 1e9,
      maxAgeMs: 1e9, fsync: 'Always', flushIntervalMs: 5, checkpointIntervalMs: 1e9, bufferEvents: 1000,
      signer: () => undefined, recipient: () => undefined, keyRotationMs: () => 1e9, retentionMs: () => undefined,
      nowMs: Date.now, warn: console.log, onProblem: (problem) => console.log('problem ' + problem),
    })
    for (let n = 1; n <= 1000; n++) {
      const line = '{"n":' + n + ',"text":"' + 'x'.repeat(400) + '"}'
      const taken = sink.take({ line, classification: undefined, atMs: 0 })
      void taken.then((outcome) => console.log(outcome + ' ' + n))
      if (n % 10 === 0) await Promise.race([taken, new Promise((resolve) => setTimeout(resolve, 5))])
    }
    await sink.drain(200)
    console.log(JSON.stringify(sink.figures()))`
  const command = `ulimit -f 128; exec ${process.execPath} --import ./test/support/ts.js --input-type=module -e "$SCRIPT"`
  const child = spawn('bash', ['-c', command], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, SCRIPT: script, NODE_OPTIONS: '' },
  })
  const lines: string[] = []
  createInterface(child.stdout).on('line', (line) => lines.push(line))
  await once(child, 'exit')
  const kept = lines.filter((line) => line.startsWith('kept ')).map((line) => Number(line.slice(5)))
  expect(lines.find((line) => line.startsWith('problem '))).toContain('EFBIG')
  expect(kept.length).toBeGreaterThan(50)
  expect(kept.length).toBeLessThan(400)
  const { events } = await readAuditLog(folder, 'events')
  expect(numbers(events).slice(0, kept.length)).toEqual(kept)
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({
    written: kept.length,
    lost: 1000 - kept.length,
    pending: 0,
  })
}, 20_000)
