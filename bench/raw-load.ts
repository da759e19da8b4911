import { AUTHORIZATION } from '../test/support/envoy-wire.js'
import { type Answer, H2Connection, openTcp } from './h2-connection.js'

/** What became of a Check. */
export type Outcome = 'allowed' | 'refused' | 'failed'

const CALLS = new WeakMap<Buffer, Buffer>()

/** A connection that asks Check as an Envoy does: one header block for all calls, a deadline, raw messages. */
export class CheckConnection {
  readonly #connection: H2Connection

  private constructor(connection: H2Connection) {
    this.#connection = connection
  }

  static async open(address: string): Promise<CheckConnection> {
    return new CheckConnection(
      new H2Connection(await openTcp(address), [
        [':method', 'POST'],
        [':scheme', 'http'],
        [':path', AUTHORIZATION.path],
        [':authority', 'portcullis'],
        ['te', 'trailers'],
        ['content-type', 'application/grpc'],
        ['grpc-timeout', '30S'],
        ['x-envoy-internal', 'true'],
        ['x-forwarded-for', '127.0.0.1'],
      ]),
    )
  }

  /** Calls `done` once. */
  send(message: Buffer, done: (outcome: Outcome) => void): void {
    this.#connection.send(framed(message), (answer) => done(outcomeOf(answer)))
  }

  close(): void {
    this.#connection.close()
  }
}

/** With gRPC's prefix; the same bytes are framed once. */
function framed(message: Buffer): Buffer {
  const known = CALLS.get(message)
  if (known) return known
  const call = Buffer.allocUnsafe(5 + message.length)
  call[0] = 0
  call.writeUInt32BE(message.length, 1)
  message.copy(call, 5)
  CALLS.set(message, call)
  return call
}

function outcomeOf(answer: Answer | undefined): Outcome {
  return answer?.ok && answer.data.length >= 5 ? outcomeOfReply(answer.data.subarray(5)) : 'failed'
}

/** A reply that begins with field 1 (`status`) present and empty has code 0, which allows. */
export function outcomeOfReply(reply: Buffer): Outcome {
  return reply[0] === 0x0a && reply[1] === 0 ? 'allowed' : 'refused'
}
