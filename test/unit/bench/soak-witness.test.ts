import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, expect, test } from '@jest/globals'
import { Timeline } from '../../../bench/soak/timeline.js'
import { Witness } from '../../../bench/soak/witness.js'
import { eventually } from '../../support/eventually.js'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

/** Takes pings; answers them while `answers` is true. */
async function redisLike(state: { answers: boolean }): Promise<number> {
  const sockets: Socket[] = []
  const server: Server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', () => state.answers && socket.write('+PONG\r\n'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server does not listen')
  return address.port
}

function witnessOf(redisPort: number, isStoreAway = false) {
  const stalled = new Timeline(false)
  const now = (): number => performance.now()
  const witness = new Witness({ redisPort, pid: process.pid, now, stalled, isStoreAway: () => isStoreAway })
  closing.push(() => witness.close())
  return { witness, stalled }
}

test('a Redis that does not answer is a stall', async () => {
  const { witness, stalled } = witnessOf(await redisLike({ answers: false }))
  await eventually(() => {
    witness.look()
    expect(stalled.latest).toBe(true)
  }, 3000)
  expect(witness.stalls[0]?.why).toBe('Redis answers late')
})

test('a process without turns is one, from when it had none', async () => {
  const { witness, stalled } = witnessOf(await redisLike({ answers: true }))
  await new Promise((resolve) => setTimeout(resolve, 150))
  const fromMs = performance.now()
  while (performance.now() - fromMs < 500);
  witness.look()
  expect(stalled.during(fromMs + 1, fromMs + 2)).toContain(true)
})

test('a Redis that is made to hang is none', async () => {
  const { witness } = witnessOf(await redisLike({ answers: false }), true)
  await new Promise((resolve) => setTimeout(resolve, 600))
  witness.look()
  expect(witness.stalls.filter(({ why }) => why === 'Redis answers late')).toEqual([])
})
