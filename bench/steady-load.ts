import * as grpc from '@grpc/grpc-js'
import { AUTHORIZATION } from '../test/support/envoy-wire.js'

/** Latencies in milliseconds, from the moment a call was due: a sender that falls behind hides nothing. */
export type SteadyResult = {
  readonly sent: number
  readonly allowed: number
  readonly refused: number
  /** Answered by an error of the transport instead of a decision. */
  readonly failed: number
  readonly latenciesMs: Float64Array
}

const DEADLINE_MS = 30_000

/** Sends calls at a steady rate over one connection, whether or not earlier ones have been answered. */
export async function sendSteadily(
  address: string,
  messages: readonly Buffer[],
  total: number,
  perSecond: number,
): Promise<SteadyResult> {
  const Client = grpc.makeGenericClientConstructor({}, 'Authorization')
  const client = new Client(address, grpc.credentials.createInsecure())
  await new Promise<void>((resolve, reject) =>
    client.waitForReady(Date.now() + DEADLINE_MS, (error) => (error ? reject(error) : resolve())),
  )
  const latenciesMs = new Float64Array(total)
  const counts = { allowed: 0, refused: 0, failed: 0 }
  const startedMs = performance.now()
  let sent = 0
  let answered = 0
  await new Promise<void>((resolve) => {
    const send = (index: number): void => {
      const dueMs = startedMs + (index * 1000) / perSecond
      client.makeUnaryRequest(
        AUTHORIZATION.path,
        (message: Buffer) => message,
        (reply: Buffer) => reply,
        messages[index % messages.length] ?? Buffer.alloc(0),
        { deadline: Date.now() + DEADLINE_MS },
        (error, reply) => {
          latenciesMs[index] = performance.now() - dueMs
          if (error || !reply) counts.failed++
          else if (isAllow(reply)) counts.allowed++
          else counts.refused++
          if (++answered === total) resolve()
        },
      )
    }
    const timer = setInterval(() => {
      const due = Math.min(total, Math.floor(((performance.now() - startedMs) * perSecond) / 1000) + 1)
      while (sent < due) send(sent++)
      if (sent === total) clearInterval(timer)
    }, 1)
  })
  client.close()
  return { sent: total, ...counts, latenciesMs }
}

/** Field 1 (`status`) present and empty: code 0. */
function isAllow(reply: Buffer): boolean {
  return reply[0] === 0x0a && reply[1] === 0
}
