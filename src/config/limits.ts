import { parseDurationMs, parseSizeBytes } from '../schema/units.js'
import type { EffectiveConfiguration } from './schema.js'

export type LimitsConfig = {
  readonly maxMessageBytes: number
  readonly deadlineMs: number
  /** Of each listener. */
  readonly listener: ListenerLimits
}

export type ListenerLimits = {
  readonly connections: number
  readonly connectionsPerAddress: number
  readonly newConnectionsPerAddress: number
  readonly streams: number
  readonly headerBytes: number
  readonly headers: number
  /** Infinity: never told to end. */
  readonly connectionAgeMs: number
  readonly farewellMs: number
  readonly pingAfterMs: number
  readonly pingWaitMs: number
}

export function limitsOf({ limits }: EffectiveConfiguration): LimitsConfig {
  const ms = (text: string): number => parseDurationMs(text) ?? Number.NaN
  const bytes = (text: string): number => parseSizeBytes(text) ?? Number.NaN
  const { connections, connectionsPerAddress, newConnectionsPerAddress, streams, headers } = limits
  return {
    maxMessageBytes: bytes(limits.maxMessageSize),
    deadlineMs: ms(limits.deadline),
    listener: {
      connections,
      connectionsPerAddress,
      newConnectionsPerAddress,
      streams,
      headerBytes: bytes(limits.headerSize),
      headers,
      connectionAgeMs: ms(limits.connectionAge) || Infinity,
      farewellMs: ms(limits.connectionGrace),
      pingAfterMs: ms(limits.pingAfter),
      pingWaitMs: ms(limits.pingWait),
    },
  }
}
