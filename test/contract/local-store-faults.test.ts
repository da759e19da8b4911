import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type EmbeddedStore, openEmbeddedStore } from '../../src/adapters/embedded-store/store.js'
import { header, KINDS } from '../../src/adapters/local-store/frames.js'
import { type LocalStoreServer, serveLocalStore } from '../../src/adapters/local-store/server.js'
import { openLocalStore, type LocalStoreOptions } from '../../src/adapters/local-store/store.js'
import { type StateDelta, type StateOp, stateKey } from '../../src/state/record.js'
import type { StateStore } from '../../src/state/store.js'
import { eventually } from '../support/eventually.js'
import { readFields } from './replicas.js'

const ROOT = join(import.meta.dirname, '../..')
const LONG_MS = 40_000
let folder = ''
let directory = ''
let warnings: string[] = []
const ends: (() => Promise<unknown> | void)[] = []
let subjects = 0

const subject = (): string => stateKey('u', `local-${process.pid}-${subjects++}`)
const change = (key: string, ...ops: StateOp[]): StateDelta => ({
  key,
  ops,
  expiresAtMs: Date.now() + 3_600_000,
})
const warn = (message: string): void => void warnings.push(message)

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'portcullis-local-'))
  directory = folder
  warnings = []
})
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end()
  await rm(folder, { recursive: true, force: true })
}, LONG_MS)

async function serve(): Promise<{ readonly store: EmbeddedStore; readonly server: LocalStoreServer }> {
  const store = await openEmbeddedStore({ directory, startedAtMs: Date.now() - 2000, now: Date.now, warn })
  ends.push(() => store.close(Date.now()))
  const server = await serveLocalStore(store, { directory, now: Date.now, warn })
  ends.push(() => server.close())
  return { store, server }
}

async function worker(path: string, more: Partial<LocalStoreOptions> = {}): Promise<StateStore> {
  const store = await openLocalStore({ path, onUnavailable: { mode: 'Deny' }, now: Date.now, warn, ...more })
  ends.push(() => store.close(Date.now()))
  return store
}

/** One line of what the program prints first. */
async function run(...args: string[]): Promise<{ readonly child: ChildProcess; readonly line: string }> {
  const program = join(ROOT, 'test/support/local-store-program.ts')
  const env = { ...process.env, NODE_OPTIONS: '' }
  const child = spawn(process.execPath, ['--import', join(ROOT, 'test/support/ts.js'), program, ...args], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env,
  })
  ends.push(() => void child.kill('SIGKILL'))
  for await (const line of createInterface({ input: child.stdout })) return { child, line }
  throw new Error('it has said nothing')
}

async function kill(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

async function raw(path: string): Promise<Socket> {
  const socket = connect(path)
  socket.on('error', () => undefined)
  ends.push(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

const messages = (...list: unknown[]): Buffer => {
  const body = Buffer.from(JSON.stringify(list))
  return Buffer.concat([header(KINDS.messages, body.length), body])
}
const changes = (text: string): Buffer => {
  const body = Buffer.concat([Buffer.alloc(9), Buffer.from(text)])
  return Buffer.concat([header(KINDS.changes, body.length), body])
}
const HELLO = messages(['hello', 1, 'raw'])

describe('refuses', () => {
  test.each<{ name: string; bytes: Buffer }>([
    { name: 'what is no frame', bytes: Buffer.from('GET / HTTP/1.1\r\n\r\n') },
    { name: 'a frame without end', bytes: Buffer.from([255, 255, 255, 255, 0]) },
    { name: 'a kind that there is not', bytes: header(9, 0) },
    { name: 'what is no JSON', bytes: Buffer.concat([header(0, 3), Buffer.from('[[}')]) },
    { name: 'a question before a greeting', bytes: messages(['read', 1, 'u:x']) },
    { name: 'changes before a greeting', bytes: changes('[]') },
    { name: 'another format', bytes: messages(['hello', 2, 'raw']) },
    { name: 'two greetings', bytes: Buffer.concat([HELLO, HELLO]) },
    { name: 'a question that there is not', bytes: Buffer.concat([HELLO, messages(['open', 1, 'grants'])]) },
    { name: 'a read of nothing', bytes: Buffer.concat([HELLO, messages(['read', 1, ''])]) },
    { name: 'a claim without times', bytes: Buffer.concat([HELLO, messages(['claim', 1, 'k', null, 1, 1])]) },
    {
      name: 'a use without a limit',
      bytes: Buffer.concat([HELLO, messages(['consume', 1, 'k', 'f', null, 1])]),
    },
    { name: 'another collection', bytes: Buffer.concat([HELLO, messages(['get', 1, 'x', 'name'])]) },
    { name: 'changes that are none', bytes: Buffer.concat([HELLO, changes('[["u:x",1,[["set","f",1]]]]')]) },
    {
      name: 'a change without a number',
      bytes: Buffer.concat([HELLO, changes('[["u:x",1,[["add","f",null]]]]')]),
    },
    {
      name: 'a name that is too long',
      bytes: Buffer.concat([HELLO, changes(`[["u:x",1,[["add","${'f'.repeat(129)}",1]]]]`)]),
    },
  ])('$name, and goes on for others', async ({ bytes }) => {
    const { server } = await serve()
    const other = await worker(server.path)
    const socket = await raw(server.path)
    socket.resume()
    const closed = once(socket, 'close')
    socket.write(bytes)
    await closed
    const key = subject()
    expect(await other.commit([change(key, ['max', 'x', 1])])).toBe('committed')
    expect(await readFields(other, key)).toEqual({ x: 1 })
  })

  test('other users: nobody else can reach the socket', async () => {
    const { server } = await serve()
    expect((await stat(server.path)).mode & 0o777).toBe(0o600)
    expect((await stat(dirname(server.path))).mode & 0o777).toBe(0o700)
  })

  test('everything while nobody serves, and opening it does not fail', async () => {
    const store = await worker(join(directory, 'nobody.sock'))
    expect(store.health()).toMatchObject({ standing: 'unavailable' })
    expect(await store.read(subject(), Date.now())).toBe('unavailable')
    expect(warnings).toHaveLength(1)
  }, 10_000)
})

test('a directory whose path is too long for a socket is no matter', async () => {
  directory = join(directory, 'x'.repeat(120))
  const { server } = await serve()
  expect(Buffer.byteLength(server.path)).toBeLessThan(100)
  expect((await worker(server.path)).health().standing).toBe('current')
})

test(
  'a worker that reads nothing is disconnected, others go on',
  async () => {
    const { server } = await serve()
    const socket = await raw(server.path)
    socket.pause()
    socket.write(HELLO)
    const here = await worker(server.path)
    const text = '\u0800'.repeat(500)
    const keys = Array.from({ length: 100 }, subject)
    await eventually(async () => {
      await here.commit(
        keys.map((key, n) =>
          change(key, ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((f) => ['latest', `f${f}`, n, text] as const)),
        ),
      )
      expect(warnings).toEqual(['a worker does not take what it is told and was disconnected'])
    }, 20_000)
    expect(here.health().standing).toBe('current')
  },
  LONG_MS,
)

test(
  'of two that want the same, one gets it, a thousand times',
  async () => {
    const { server } = await serve()
    const [here, there] = [await worker(server.path), await worker(server.path)]
    for (let n = 0; n < 1000; n++) {
      const nowMs = Date.now()
      const claim = { key: subject().slice(2), issuedAtMs: nowMs, expiresAtMs: nowMs + 30_000 }
      const claimed = [here.claims.claim(claim, nowMs), there.claims.claim(claim, nowMs)]
      const use = { key: subject(), field: 'uses', limit: 1, expiresAtMs: nowMs + 30_000 }
      const used = [here.consume(use), there.consume(use)]
      expect((await Promise.all(claimed.map(async (answer) => answer))).toSorted()).toEqual([
        'first',
        'replayed',
      ])
      expect((await Promise.all(used)).toSorted()).toEqual(['consumed', 'exhausted'])
    }
  },
  LONG_MS,
)

test(
  'copies come to what the store has, whatever crosses',
  async () => {
    const { store, server } = await serve()
    const workers = await Promise.all([1, 2, 3].map(() => worker(server.path, { flushEveryMs: 1 })))
    const keys = Array.from({ length: 5 }, subject)
    let seed = 7
    const random = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below
    for (let round = 0; round < 3000; round++) {
      const by = workers[random(3)]
      const key = keys[random(5)] ?? ''
      const field = `f${random(120)}`
      const ops: StateOp[] = [
        [
          ['add', field, 1] as const,
          ['max', 'm', random(99)] as const,
          ['drop', `f${random(120)}`] as const,
          ['latest', 't', random(50), `${round}`] as const,
        ][random(4)] ?? ['drop', field],
      ]
      if (random(4) === 0) void by?.commit([change(key, ...ops)])
      else by?.note([change(key, ...ops)])
      if (random(3) === 0) void by?.read(key, Date.now())
      if (random(20) === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    for (const key of keys) {
      for (const one of workers) {
        await eventually(async () => {
          expect(one.health().pending).toBe(0)
          expect(await readFields(one, key)).toEqual(await readFields(store, key))
        })
      }
    }
  },
  LONG_MS,
)

test(
  'a commit of a worker that is killed is there for the others',
  async () => {
    const { server } = await serve()
    const here = await worker(server.path)
    const key = subject()
    expect(await readFields(here, key)).toEqual({})
    const { child, line } = await run('commit', server.path, key)
    await kill(child)
    expect(line).toBe('committed')
    expect(await readFields(here, key)).toEqual({ x: 1 })
  },
  LONG_MS,
)

describe('the supervisor', () => {
  test(
    'killed and started again: refused meanwhile, then all is there, also what was noted',
    async () => {
      const first = await run('serve', directory)
      const here = await worker(first.line)
      const key = subject()
      expect(await here.commit([change(key, ['max', 'x', 1])])).toBe('committed')
      await kill(first.child)
      here.note([change(key, ['add', 'calls', 2])])
      const beganAt = performance.now()
      expect(await here.read(subject(), Date.now())).toBe('unavailable')
      expect(
        await here.claims.claim(
          { key: 'k', issuedAtMs: Date.now(), expiresAtMs: Date.now() + 9000 },
          Date.now(),
        ),
      ).toBe('unavailable')
      expect(await here.commit([change(key, ['max', 'y', 1])])).toBe('unavailable')
      expect(performance.now() - beganAt).toBeLessThan(2000)
      await eventually(() => expect(here.health().standing).toBe('unavailable'))
      const second = await run('serve', directory)
      expect(second.line).toBe(first.line)
      await eventually(async () => expect(await readFields(here, key)).toEqual({ x: 1, calls: 2, y: 1 }))
      await eventually(() =>
        expect(here.health()).toMatchObject({ standing: 'current', pending: 0, lost: 0 }),
      )
      expect(await readFields(await worker(second.line), key)).toEqual({ x: 1, calls: 2, y: 1 })
    },
    LONG_MS,
  )

  test.each([
    { mode: { mode: 'Deny' } as const, standing: 'unavailable', known: 'unavailable' },
    { mode: { mode: 'LastKnown', forMs: 60_000 } as const, standing: 'last-known', known: { x: 1 } },
  ])(
    'stopped with $mode.mode: every answer in bounded time, then it goes on',
    async ({ mode, standing, known }) => {
      const { child, line } = await run('serve', directory)
      const here = await worker(line, { onUnavailable: mode })
      const key = subject()
      await readFields(here, key)
      expect(await here.commit([change(key, ['max', 'x', 1])])).toBe('committed')
      child.kill('SIGSTOP')
      const beganAt = performance.now()
      expect(await here.read(subject(), Date.now())).toBe('unavailable')
      expect(
        await here.claims.claim(
          { key: 'k', issuedAtMs: Date.now(), expiresAtMs: Date.now() + 9000 },
          Date.now(),
        ),
      ).toBe('unavailable')
      expect(performance.now() - beganAt).toBeLessThan(1500)
      await eventually(() => expect(here.health().standing).toBe(standing), 2000)
      expect(await readFields(here, key)).toEqual(known)
      here.note([change(key, ['add', 'calls', 1])])
      await new Promise((resolve) => setTimeout(resolve, 3500))
      expect(await here.read(subject(), Date.now())).toBe('unavailable')
      child.kill('SIGCONT')
      await eventually(async () => expect(await readFields(here, key)).toEqual({ x: 1, calls: 1 }))
      await eventually(() =>
        expect(here.health()).toMatchObject({ standing: 'current', pending: 0, lost: 0 }),
      )
    },
    LONG_MS,
  )
})
