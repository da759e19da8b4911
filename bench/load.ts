import * as grpc from '@grpc/grpc-js'
import { AUTHORIZATION } from '../test/support/envoy-wire.js'

/** What one round of load measured on the client's side; latencies in milliseconds. */
export type LoadResult = {
  readonly answered: number
  readonly allowed: number
  readonly wallMs: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/**
 * Sends `total` Checks with `inFlight` of them open at a time over one connection, as one Envoy does, and counts
 * the answers that allow. `nextMessage` gives the encoded request of each call.
 */
export async function sendLoad(
  address: string,
  total: number,
  inFlight: number,
  nextMessage: (index: number) => Buffer,
): Promise<LoadResult> {
  const Client = grpc.makeGenericClientConstructor({}, 'Authorization')
  const client = new Client(address, grpc.credentials.createInsecure())
  const latencies = new Float64Array(total)
  let sent = 0
  let allowed = 0
  const startedMs = performance.now()
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const index = sent++
      if (index >= total) return resolve()
      const callStartedMs = performance.now()
      client.makeUnaryRequest(
        AUTHORIZATION.path,
        (message: Buffer) => message,
        (reply: Buffer) => reply,
        nextMessage(index),
        { deadline: Date.now() + 30_000 },
        (error, reply) => {
          if (error) return reject(error)
          latencies[index] = performance.now() - callStartedMs
          if (isAllow(reply ?? Buffer.alloc(0))) allowed++
          resolve(one())
        },
      )
    })
  await Promise.all(Array.from({ length: inFlight }, one))
  client.close()
  latencies.sort()
  const at = (quantile: number): number =>
    latencies[Math.min(total - 1, Math.floor(total * quantile))] ?? Number.NaN
  return { answered: total, allowed, wallMs: performance.now() - startedMs, p50Ms: at(0.5), p99Ms: at(0.99) }
}

/** Field 1 (`status`) present and empty: code 0. */
function isAllow(reply: Buffer): boolean {
  return reply[0] === 0x0a && reply[1] === 0
}
