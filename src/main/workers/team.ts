import type { Arrivals } from '../../adapters/grpc/door.js'
import type { PublishedKey } from '../live-assertions.js'
import type { LogLevel } from '../log.js'

/** What a worker has from those that it answers together with; for all else it is a Portcullis of its own. */
export type Team = {
  /** From 1. What must be done once is done by the first. */
  readonly number: number
  /** Connections of the listener of that name, which somebody else listens for. */
  readonly arrivals: (listener: string) => Arrivals
  /** 32 bytes: every worker takes the nonces of all. */
  readonly dpopNonceKey: Buffer
  /** Path of the socket where the supervisor serves its store; undefined: the worker opens the store itself. */
  readonly storePath: string | undefined
  /** What the first asks the others. */
  readonly others: Others
}

export type Others = {
  /** Recent decisions of each, newest first; `silent` are those that did not answer in time. */
  readonly decisions: () => Promise<{
    readonly lines: readonly (readonly string[])[]
    readonly silent: readonly number[]
  }>
  /** Public keys of assertions of those that answer in time. */
  readonly keys: () => Promise<readonly PublishedKey[]>
  /** Tells their security events as they are made, until the returned function is called. */
  readonly follow: (listener: (line: string) => void) => () => void
  /** `forMs` undefined: until the next change. */
  readonly setLogLevel: (level: LogLevel, forMs: number | undefined) => void
}
