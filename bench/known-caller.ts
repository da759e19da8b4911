import { connect, type ClientHttp2Session } from 'node:http2'
import { CHECK_PATH } from '../test/support/http2-frames.js'
import type { Target } from './attacks.js'

const CALL = Buffer.from([0, 0, 0, 0, 1, 1])

/** A client as Envoy is: one connection that lives on, calls at a steady rate. */
export class KnownCaller {
  readonly #session: ClientHttp2Session

  constructor({ port, tls }: Target) {
    this.#session = connect(`${tls ? 'https' : 'http'}://127.0.0.1:${port}`, {
      ...tls,
      checkServerIdentity: () => undefined,
    })
    this.#session.on('error', () => undefined)
  }

  /** Latencies in milliseconds from when a call was due, sorted. Rejects where one has no answer. */
  async call(perSecond: number, seconds: number): Promise<Float64Array> {
    const total = Math.round(perSecond * seconds)
    const latenciesMs = new Float64Array(total)
    const startedMs = performance.now()
    const pending: Promise<Error | undefined>[] = []
    for (let sent = 0; sent < total;) {
      const due = Math.min(total, Math.floor(((performance.now() - startedMs) * perSecond) / 1000) + 1)
      for (; sent < due; sent++)
        pending.push(this.#one(latenciesMs, sent, startedMs + (sent * 1000) / perSecond))
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    for (const failure of await Promise.all(pending)) if (failure) throw failure
    return latenciesMs.sort()
  }

  close(): void {
    this.#session.destroy()
  }

  #one(latenciesMs: Float64Array, index: number, dueMs: number): Promise<Error | undefined> {
    return new Promise((resolve) => {
      const stream = this.#session.request({
        ':method': 'POST',
        ':path': CHECK_PATH,
        'content-type': 'application/grpc',
      })
      let answered = false
      stream.on('data', () => {
        answered = true
      })
      stream.on('error', () => undefined)
      stream.on('close', () => {
        latenciesMs[index] = performance.now() - dueMs
        resolve(answered ? undefined : new Error(`a known caller got no answer (${stream.rstCode})`))
      })
      stream.end(CALL)
    })
  }
}
