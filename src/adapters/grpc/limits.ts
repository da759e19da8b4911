import type { Allowed } from './allowance.js'
import { ByteBudget } from './byte-budget.js'

/** What a listener spends on its peers at most. Times are milliseconds. */
export type GrpcLimits = {
  /** Connections at once; further ones are closed unanswered. */
  readonly connections: number
  /** The same from one IP address. A Unix socket has none. */
  readonly connectionsPerAddress: number
  /** New connections a second from one IP address, after as many at once as it may have. */
  readonly newConnectionsPerAddress: number
  /** TLS handshakes that begin between two looks at what open connections send. */
  readonly handshakesPerTurn: number
  /** Calls at once on one connection, as announced; further ones are refused, and soon the connection is closed. */
  readonly streams: number
  /** Header list of a call as HTTP/2 counts it: names, values and 32 bytes each. Announced; beyond it the call is reset. */
  readonly headerBytes: number
  /** Headers of a call, those of HTTP/2 included. Beyond it the call is reset. */
  readonly headers: number
  /** What one connection may make this process hold at once: its calls under way and their messages. */
  readonly connectionBytes: number
  /** The same for all connections together. */
  readonly held: ByteBudget
  /** Until the TLS handshake is done, and from then until the first HTTP/2 frame. */
  readonly silentMs: number
  /** For the rest of an access log message that has begun, and for an answer to be taken. */
  readonly stallMs: number
  /** A connection is told to go when it is this old, give or take a tenth; Infinity: never. */
  readonly connectionAgeMs: number
  /** A connection from which nothing was heard for this long is asked whether it is still there. */
  readonly pingAfterMs: number
  /** It is closed when it does not say so within this time. */
  readonly pingWaitMs: number
  /** Calls under way on a connection that was told to go may go on for this long. */
  readonly farewellMs: number
  /** How often connections are looked at: what the times above are late by, at most. */
  readonly lookEveryMs: number
  readonly floods: FloodLimits
}

/** Of one connection: what costs its peer nothing to send. More of it is a flood, and the connection is closed. */
export type FloodLimits = {
  /** Calls that are reset in the read that they came in. Each answered call makes good for one. */
  readonly rapidResets: Allowed
  /** Other calls that are reset before their answer. Beyond it the peer is told to go, and nothing fails. */
  readonly resets: Allowed
  readonly settings: Allowed
  /** DATA frames; each KiB of message makes good for one. */
  readonly dataFrames: Allowed
  /** Bytes that are no message, beside those of a call. */
  readonly idleBytes: Allowed
  /** Bytes beside its message that each call may bring: headers, window updates, what fits in its first window. */
  readonly callBytes: number
  /** New connections that a flood counts as. */
  readonly price: number
}

const KIB = 1024
const MIB = 1024 * KIB

/** What all listeners of this process together hold for their peers. */
const HELD_BY_THIS_PROCESS = new ByteBudget(256 * MIB)

/**
 * Sized for a mesh: some thousand Envoys with some connections each, requests of kilobytes that are answered
 * within milliseconds. What is above is no load but an attack or a fault.
 */
export const LIMITS: GrpcLimits = {
  connections: 10_000,
  connectionsPerAddress: 1000,
  newConnectionsPerAddress: 50,
  handshakesPerTurn: 2,
  streams: 1024,
  headerBytes: 64 * KIB,
  headers: 128,
  connectionBytes: 64 * MIB,
  held: HELD_BY_THIS_PROCESS,
  silentMs: 10_000,
  stallMs: 10_000,
  connectionAgeMs: 3_600_000,
  pingAfterMs: 60_000,
  pingWaitMs: 20_000,
  farewellMs: 10_000,
  lookEveryMs: 250,
  floods: {
    rapidResets: { burst: 200, perSecond: 10 },
    // nghttp2 ends a connection after 1000 and 33 a second more, with the calls under way on it.
    resets: { burst: 500, perSecond: 30 },
    settings: { burst: 100, perSecond: 1 },
    dataFrames: { burst: 10_000, perSecond: 100 },
    idleBytes: { burst: 256 * KIB, perSecond: 64 * KIB },
    callBytes: 64 * KIB,
    price: 250,
  },
}
