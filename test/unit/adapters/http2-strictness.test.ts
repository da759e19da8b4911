import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type GrpcListener, startGrpcListener } from '../../../src/adapters/grpc/listener.js'
import { CHECK_SERVERS } from '../../support/check-servers.js'
import { type Demand, DEMANDS, STREAMS } from '../../support/http2-demands.js'
import { outcomeOf } from '../../support/http2-outcome.js'

const TOGETHER = 40

describe.each(CHECK_SERVERS)('HTTP/2 before %s', (checkServer) => {
  let listener: GrpcListener
  const outcomes = new Map<Demand, PromiseSettledResult<string>>()
  beforeAll(async () => {
    listener = await startGrpcListener({
      address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      check: (message) => message,
      checkServer,
      maxMessageBytes: 1024 * 1024,
      deadlineMs: 1000,
      limits: { streams: STREAMS, newConnectionsPerAddress: 10_000 },
    })
    const port = Number(listener.address.split(':').at(-1))
    // Most wait for what does not come; each has a connection of its own.
    for (let at = 0; at < DEMANDS.length; at += TOGETHER) {
      const some = DEMANDS.slice(at, at + TOGETHER)
      const settled = await Promise.allSettled(some.map((demand) => outcomeOf(port, demand)))
      for (const [index, demand] of some.entries()) {
        const outcome = settled[index]
        if (outcome) outcomes.set(demand, outcome)
      }
    }
  }, 60_000)
  afterAll(() => listener.close())

  test.each(DEMANDS)('$section $peer: $gets', (demand) => {
    const outcome = outcomes.get(demand)
    if (outcome?.status !== 'fulfilled') throw new Error('it could not be played', { cause: outcome?.reason })
    expect(demand.gets.split(' or ')).toContain(outcome.value)
  })
})
