import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from '@jest/globals'
import { createLineSink } from '../../../src/adapters/line-sink.js'
import type { Overflow } from '../../../src/audit/event-sink.js'
import { createTrail } from '../../../src/audit/trail.js'

type Reader = ChildProcessByStdio<Writable, Readable, null>
const readers: Reader[] = []

/** A process at the other end of a real pipe. */
function reader(script: string): Reader {
  const child = spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'ignore'], detached: true })
  readers.push(child)
  return child
}

afterEach(() => {
  for (const { pid, stdin, stdout } of readers.splice(0)) {
    stdin.destroy()
    stdout.destroy()
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL')
    } catch {
      // ESRCH: the whole group has ended by itself.
    }
  }
})

/** More than a pipe holds on its own, so that the next write waits for the reader. */
const FILL = 'f'.repeat(4 * 1024 * 1024)

/** One sink behind its trail, with lines for events. */
function trailOf(stream: Writable, bufferLines: number, overflow: Overflow) {
  const sink = createLineSink({ name: 'Stdout 0', stream, bufferLines, render: ({ line }) => line })
  const trail = createTrail({ sinks: [{ sink, overflow }], nowMs: () => 0 })
  const eventOf = (line: string) => ({ line, classification: undefined, atMs: 0 })
  const figures = () => {
    const found = trail.figures().get('Stdout 0')
    if (!found) throw new Error('no figures')
    return found
  }
  return {
    accept: (line: string, waitMs: number) => trail.accept(eventOf(line), waitMs),
    acceptKept: (line: string, waitMs: number) => trail.acceptKept(eventOf(line), waitMs),
    drain: (withinMs?: number) => trail.drain(withinMs),
    get pending() {
      return figures().pending
    },
    get dropped() {
      return figures().dropped
    },
    get refused() {
      return figures().refused
    },
    get broken() {
      return figures().problem
    },
  }
}

async function fill(stream: Writable, bufferLines: number, overflow: Overflow) {
  const sink = trailOf(stream, bufferLines, overflow)
  expect(sink.accept(FILL, 0)).toBe('accepted')
  await new Promise(setImmediate)
  for (let i = 1; i < bufferLines; i++) expect(sink.accept(`held ${i}`, 0)).toBe('accepted')
  return sink
}

describe('a full buffer', () => {
  test.each([
    { overflow: 'FailClosed', waitMs: 1000, answer: 'refused', dropped: 0, refused: 1 },
    { overflow: 'Block', waitMs: 0, answer: 'refused', dropped: 0, refused: 1 },
    { overflow: 'Drop', waitMs: 1000, answer: 'accepted', dropped: 1, refused: 0 },
  ] as const)('$overflow with $waitMs ms to wait answers $answer at once', async (row) => {
    const sink = await fill(reader('sleep 10').stdin, 3, row.overflow)
    expect(sink.accept('one too many', row.waitMs)).toBe(row.answer)
    expect([sink.dropped, sink.refused, sink.pending]).toEqual([row.dropped, row.refused, 3])
  })

  test('what must not be lost is refused under Drop too, and taken again once there is room', async () => {
    const child = reader('sleep 0.2; cat')
    const sink = await fill(child.stdin, 3, 'Drop')
    expect(sink.acceptKept('who did what', 1000)).toBe('refused')
    expect([sink.dropped, sink.refused, sink.pending]).toEqual([0, 1, 3])
    const written = text(child.stdout)
    while (sink.pending > 0) await sleep(10)
    expect(sink.acceptKept('who did what again', 0)).toBe('accepted')
    await sink.drain()
    child.stdin.end()
    expect((await written).split('\n').slice(3, 4)).toEqual(['who did what again'])
  })

  test('Block gives up after the wait, and what gave up is never written', async () => {
    const child = reader('sleep 0.2; cat')
    const sink = await fill(child.stdin, 1, 'Block')
    const startedMs = performance.now()
    await expect(sink.accept('withdrawn', 50)).resolves.toBe('refused')
    expect(performance.now() - startedMs).toBeLessThan(180)
    const written = text(child.stdout)
    await sink.drain()
    child.stdin.end()
    expect(await written).not.toContain('withdrawn')
    expect([sink.dropped, sink.refused]).toEqual([0, 1])
  })

  test('Block lets the waiting in, in their order, once the reader reads', async () => {
    const child = reader('sleep 0.1; cat')
    const sink = await fill(child.stdin, 2, 'Block')
    const written = text(child.stdout)
    const answers = await Promise.all([1, 2, 3, 4, 5].map(async (i) => sink.accept(`waited ${i}`, 5000)))
    expect(answers).toEqual(Array(5).fill('accepted'))
    await sink.drain()
    child.stdin.end()
    expect((await written).split('\n').slice(1)).toEqual([
      'held 1',
      'waited 1',
      'waited 2',
      'waited 3',
      'waited 4',
      'waited 5',
      '',
    ])
  })
})

describe('a reader that goes away', () => {
  test.each([
    { overflow: 'FailClosed', answer: 'refused' },
    { overflow: 'Block', answer: 'refused' },
    { overflow: 'Drop', answer: 'accepted' },
  ] as const)('$overflow: what was held is counted as lost, the next line is $answer', async (row) => {
    const child = reader('sleep 0.1')
    const sink = await fill(child.stdin, 3, row.overflow)
    await once(child, 'exit')
    await sink.drain()
    expect(sink.broken).toMatch(/EPIPE|ECONNRESET/)
    expect([sink.dropped, sink.pending]).toEqual([3, 0])
    expect(sink.accept('late', 1000)).toBe(row.answer)
  })

  test('those who wait for room are refused then', async () => {
    const child = reader('sleep 0.1')
    const sink = await fill(child.stdin, 1, 'Block')
    await expect(sink.accept('waiting', 5000)).resolves.toBe('refused')
    expect(sink.broken).toBeDefined()
  })
})

test('a reader that has stopped reading is given up in time, and its lines are counted as lost', async () => {
  const sink = await fill(reader('sleep 10').stdin, 3, 'Block')
  const startedMs = performance.now()
  await sink.drain(100)
  expect(performance.now() - startedMs).toBeLessThan(1000)
  expect([sink.dropped, sink.pending, sink.broken]).toEqual([3, 0, 'the reader has stopped reading'])
})

test('after drain nothing is accepted', async () => {
  const sink = trailOf(reader('cat >/dev/null').stdin, 10, 'Block')
  await sink.drain()
  expect(sink.accept('late', 1000)).toBe('refused')
})

test('a slow reader gets every accepted line, once and in order', async () => {
  const child = reader('sleep 0.2; cat')
  const written = text(child.stdout)
  const sink = trailOf(child.stdin, 10_000, 'FailClosed')
  const padding = 'ü'.repeat(500)
  for (let i = 0; i < 10_000; i++) {
    expect(sink.accept(`${i} ${padding}`, 0)).toBe('accepted')
    if (i % 1000 === 0) await sleep(1)
  }
  await sink.drain()
  child.stdin.end()
  const lines = (await written).split('\n')
  expect(lines.pop()).toBe('')
  expect(lines.map((line) => Number.parseInt(line, 10))).toEqual(Array.from({ length: 10_000 }, (_, i) => i))
})

test('lines of one tick go out in one write', async () => {
  const writes: string[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      writes.push(chunk.toString())
      done()
    },
  })
  const sink = trailOf(stream, 100, 'Block')
  expect(['a', 'b', 'c'].map((line) => sink.accept(line, 0))).toEqual(Array(3).fill('accepted'))
  expect(writes).toEqual([])
  await sink.drain()
  expect(writes).toEqual(['a\nb\nc\n'])
})
