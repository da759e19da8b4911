import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type GrpcListener, startGrpcListener } from '../../src/adapters/grpc/listener.js'
import type { Check } from '../../src/ext-authz/check.js'
import { CHECK_SERVERS, type CheckServer } from '../support/check-servers.js'

const REPOSITORY = join(import.meta.dirname, '../..')
const PROGRAM = join(import.meta.dirname, 'programs/grpc-go-client')
/** Modules may have to be fetched first. */
const BUILD_MS = 180_000
const STEP_MS = 60_000

let client: string
beforeAll(() => {
  const go = execFileSync(join(REPOSITORY, 'scripts/setup-go.sh'), {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim()
  client = join(REPOSITORY, '.cache/grpc-go-client')
  execFileSync(go, ['build', '-o', client, '.'], { cwd: PROGRAM, timeout: BUILD_MS, stdio: 'inherit' })
}, BUILD_MS)

const running: GrpcListener[] = []
afterAll(() => Promise.all(running.map((listener) => listener.close())))

/** Does what the message says. */
const check: Check = (message, { deadlineMs = Number.NaN, asker, traceparent }) => {
  const text = message.toString('latin1')
  const leftMs = deadlineMs - Date.now()
  switch (text) {
    case 'never':
      return new Promise(() => undefined)
    case 'soon':
      return new Promise((resolve) => setTimeout(resolve, 5, message))
    case 'deadline':
      return Buffer.from(leftMs > 1200 && leftMs <= 1500 ? '1500 ms' : `${leftMs} ms`)
    case 'told':
      return Buffer.from(`${asker.spiffeId ?? 'nobody'} ${traceparent ?? ''}`)
    case 'echo':
      return message
    default:
      return Buffer.from(`${message.length} bytes`)
  }
}

async function listen(checkServer: CheckServer): Promise<GrpcListener> {
  const listener = await startGrpcListener({
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    check,
    checkServer,
    maxMessageBytes: 1024 * 1024,
    deadlineMs: 5000,
  })
  listener.setServing(true)
  running.push(listener)
  return listener
}

type Seen = { readonly step: string; readonly seen: unknown }

/** Runs one step of the client: what it saw. `heard` is told each line, and may let it go on. */
async function run(
  step: string,
  listeners: readonly GrpcListener[],
  heard: (seen: Seen, goOn: () => void) => void = () => undefined,
): Promise<readonly Seen[]> {
  const child = spawn(client, [step, ...listeners.map(({ address }) => address)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: STEP_MS,
  })
  const seen: Seen[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    const each = JSON.parse(line) as Seen
    seen.push(each)
    heard(each, () => child.stdin.end('\n'))
  })
  const [code] = (await once(child, 'close')) as [number | null]
  expect([step, code]).toEqual([step, 0])
  return seen
}

/** What grpc-go sees of every server. */
const EXPECTED: Readonly<Record<string, readonly Seen[]>> = {
  unary: [
    { step: 'unary', seen: 'echo' },
    { step: 'content-type', seen: ['application/grpc+proto'] },
    { step: 'bytes 0', seen: '0 bytes' },
    { step: 'bytes 1', seen: '1 bytes' },
    { step: 'bytes 65535', seen: '65535 bytes' },
    { step: 'bytes 1048576', seen: '1048576 bytes' },
  ],
  metadata: [{ step: 'metadata', seen: 'nobody 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' }],
  deadline: [
    { step: 'deadline as Check is told', seen: '1500 ms' },
    { step: 'deadline exceeded', seen: 'DeadlineExceeded' },
    { step: 'deadline exceeded in time', seen: true },
  ],
  cancel: [
    { step: 'cancelled', seen: 'Canceled' },
    { step: 'after it', seen: 'echo' },
    { step: '200 that run out', seen: 200 },
    { step: 'after them', seen: 'echo' },
  ],
  compressed: [
    { step: 'gzip', seen: 'Unimplemented' },
    { step: 'after it', seen: 'echo' },
  ],
  health: [
    { step: 'health of ', seen: 'SERVING' },
    { step: 'health of envoy.service.auth.v3.Authorization', seen: 'SERVING' },
    { step: 'health of nobody', seen: 'NotFound' },
    { step: 'watch', seen: 'SERVING' },
  ],
  reflection: [
    { step: 'reflection', seen: 'envoy.service.auth.v3.Authorization' },
    { step: 'reflection', seen: 'grpc.health.v1.Health' },
    { step: 'reflection ends', seen: true },
    { step: 'unknown method', seen: 'Unimplemented' },
  ],
}

describe.each(CHECK_SERVERS)('grpc-go and Check on %s', (server) => {
  test.each(Object.entries(EXPECTED))('%s', async (step, expected) => {
    const listener = await listen(server)
    expect(await run(step, [listener])).toEqual(expected)
  })

  test('a message over the limit: Http2 decides, GrpcJs is ResourceExhausted', async () => {
    const seen = { Http2: '0 bytes', GrpcJs: 'ResourceExhausted' }[server]
    expect(await run('too-much', [await listen(server)])).toEqual([
      { step: 'over the limit', seen },
      { step: 'after it', seen: 'echo' },
    ])
  })

  test('of all calls while its listener drains and the next one takes over none fails', async () => {
    const [first, second] = [await listen(server), await listen(server)]
    const seen = await run('drained', [first, second], ({ step }, goOn) => {
      if (step !== 'calling') return
      setTimeout(() => {
        void first.drain({ delayMs: 100, timeoutMs: 5000 }).then(() => setTimeout(goOn, 500))
      }, 500)
    })
    expect(seen).toEqual([
      { step: 'calling', seen: true },
      { step: 'failed calls', seen: {} },
      { step: 'many calls', seen: true },
    ])
    expect(second.connections()).toBeLessThanOrEqual(1)
  })
})

test(
  'keepalive as often as it can is no reason to go away, and no call makes a second connection',
  async () => {
    const listeners = await Promise.all(CHECK_SERVERS.map(listen))
    const most: number[] = []
    const look = setInterval(() => most.push(...listeners.map((each) => each.connections())), 100)
    const seen = await Promise.all(listeners.map((listener) => run('idle', [listener])))
    clearInterval(look)
    const expected = [
      { step: 'before', seen: 'echo' },
      { step: 'connection lost', seen: false },
      { step: 'after two pings', seen: 'echo' },
    ]
    expect(seen).toEqual([expected, expected])
    expect(Math.max(...most)).toBe(1)
  },
  STEP_MS,
)
