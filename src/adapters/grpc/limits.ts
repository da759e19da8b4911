import { ByteBudget } from './byte-budget.js'

/** What a listener spends on its peers at most. Times are milliseconds. */
export type GrpcLimits = {
  /** Connections at once; further ones are closed unanswered. */
  readonly connections: number
  /** What one connection may make this process hold at once: its calls under way and their messages. */
  readonly connectionBytes: number
  /** The same for all connections together. */
  readonly held: ByteBudget
  /** Until the TLS handshake is done, and from then until the first HTTP/2 frame. */
  readonly silentMs: number
  /** For the rest of an access log message that has begun. */
  readonly stallMs: number
  /** A connection from which nothing was heard for this long is asked whether it is still there. */
  readonly pingAfterMs: number
  /** It is closed when it does not say so within this time. */
  readonly pingWaitMs: number
  /** Calls under way on a connection that was told to go may go on for this long. */
  readonly farewellMs: number
  /** How often connections are looked at: what the times above are late by, at most. */
  readonly lookEveryMs: number
}

const MIB = 1024 * 1024

/** What all listeners of this process together hold for their peers. */
const HELD_BY_THIS_PROCESS = new ByteBudget(256 * MIB)

/**
 * Sized for a mesh: some thousand Envoys with some connections each, requests of kilobytes that are answered
 * within milliseconds. What is above is no load but an attack or a fault.
 */
export const LIMITS: GrpcLimits = {
  connections: 10_000,
  connectionBytes: 64 * MIB,
  held: HELD_BY_THIS_PROCESS,
  silentMs: 10_000,
  stallMs: 10_000,
  pingAfterMs: 60_000,
  pingWaitMs: 20_000,
  farewellMs: 10_000,
  lookEveryMs: 1000,
}
