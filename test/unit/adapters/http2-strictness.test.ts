import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type GrpcListener, startGrpcListener } from '../../../src/adapters/grpc/listener.js'
import { CHECK_SERVERS } from '../../support/check-servers.js'
import { DEMANDS, STREAMS } from '../../support/http2-demands.js'
import { outcomeOf } from '../../support/http2-outcome.js'

describe.each(CHECK_SERVERS)('HTTP/2 before %s', (checkServer) => {
  let listener: GrpcListener
  let port: number
  beforeAll(async () => {
    listener = await startGrpcListener({
      address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      check: (message) => message,
      checkServer,
      maxMessageBytes: 1024 * 1024,
      deadlineMs: 1000,
      limits: { streams: STREAMS },
    })
    port = Number(listener.address.split(':').at(-1))
  })
  afterAll(() => listener.close())

  test.each(DEMANDS)('$section $peer: $gets', async (demand) => {
    expect(demand.gets.split(' or ')).toContain(await outcomeOf(port, demand))
  })
})
