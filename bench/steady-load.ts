import type { Sender } from './load.js'
import { CheckConnection } from './raw-load.js'

/** Latencies in milliseconds, from the moment a call was due: a sender that falls behind hides nothing. */
export type SteadyResult = {
  /** When the first call was due, on the clock of `performance.now`. */
  readonly startedMs: number
  readonly sent: number
  readonly allowed: number
  readonly refused: number
  /** Answered by an error of the transport instead of a decision. */
  readonly failed: number
  readonly latenciesMs: Float64Array
}

/** Sends calls at a steady rate, whether or not earlier ones have been answered, over each connection in turn. */
export async function sendSteadily(
  address: string,
  messages: readonly Buffer[],
  total: number,
  perSecond: number,
  connections = 1,
): Promise<SteadyResult> {
  const open = Array.from({ length: connections }, () => CheckConnection.open(address))
  return keepPace(await Promise.all(open), messages, total, perSecond)
}

/** The same over any connections, which it closes; at most `total` calls, and no more once `enough` says so. */
export async function keepPace(
  open: readonly Sender[],
  messages: readonly Buffer[],
  total: number,
  perSecond: number,
  enough: () => boolean = () => false,
): Promise<SteadyResult> {
  const latenciesMs = new Float64Array(total)
  const counts = { allowed: 0, refused: 0, failed: 0 }
  const startedMs = performance.now()
  let sent = 0
  let answered = 0
  let most = total
  await new Promise<void>((resolve) => {
    const send = (index: number): void => {
      const dueMs = startedMs + (index * 1000) / perSecond
      open[index % open.length]?.send(messages[index % messages.length] ?? Buffer.alloc(0), (outcome) => {
        latenciesMs[index] = performance.now() - dueMs
        counts[outcome]++
        if (++answered === most) resolve()
      })
    }
    const timer = setInterval(() => {
      const due = Math.min(total, Math.floor(((performance.now() - startedMs) * perSecond) / 1000) + 1)
      while (sent < due) send(sent++)
      if (sent < total && !enough()) return
      clearInterval(timer)
      most = sent
      if (answered === most) resolve()
    }, 1)
  })
  for (const connection of open) connection.close()
  return { startedMs, sent, ...counts, latenciesMs: latenciesMs.subarray(0, sent) }
}
