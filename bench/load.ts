import { CheckConnection, type Outcome } from './raw-load.js'

/** What one round of load measured on the client's side; latencies in milliseconds. */
export type LoadResult = {
  readonly answered: number
  readonly allowed: number
  readonly wallMs: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** A connection that takes calls. */
export type Sender = {
  /** Calls `done` once. */
  send(message: Buffer, done: (outcome: Outcome) => void): void
  close(): void
}

/**
 * Sends `total` Checks with `inFlight` of them open at a time over one connection, as one busy Envoy does, and counts
 * the answers that allow. `nextMessage` gives the encoded request of each call. What one read brings makes room for
 * calls that go out in one write. Throws when a call gets no answer.
 */
export async function sendLoad(
  address: string,
  total: number,
  inFlight: number,
  nextMessage: (index: number) => Buffer,
): Promise<LoadResult> {
  return keepBusy(await CheckConnection.open(address), total, inFlight, nextMessage)
}

/** The same over any connection, which it closes. */
export async function keepBusy(
  connection: Sender,
  total: number,
  inFlight: number,
  nextMessage: (index: number) => Buffer,
): Promise<LoadResult> {
  const latencies = new Float64Array(total)
  let sent = 0
  let answered = 0
  let allowed = 0
  const startedMs = performance.now()
  await new Promise<void>((resolve, reject) => {
    const one = (): void => {
      const index = sent++
      if (index >= total) return
      const callStartedMs = performance.now()
      connection.send(nextMessage(index), (outcome) => {
        latencies[index] = performance.now() - callStartedMs
        if (outcome === 'failed') return reject(new Error(`call ${index} got no answer`))
        if (outcome === 'allowed') allowed++
        if (++answered === total) return resolve()
        one()
      })
    }
    for (let open = 0; open < Math.min(inFlight, total); open++) one()
  }).finally(() => connection.close())
  const wallMs = performance.now() - startedMs
  latencies.sort()
  return { answered, allowed, wallMs, p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) }
}

/** Of sorted values. */
export function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
