import type { Readiness } from '../../adapters/http/health.js'
import type { Family } from '../../adapters/telemetry/family.js'
import type { Config } from '../../config/config.js'
import type { PublishedKey } from '../live-assertions.js'
import type { LogLevel } from '../log.js'

/** What a worker is told when it begins. */
export type Beginning = {
  readonly kind: 'begin'
  /** From 1. */
  readonly number: number
  /** Its own. */
  readonly config: Config
  /** 32 bytes. */
  readonly dpopNonceKey: Uint8Array
  /** Path of the socket where the supervisor serves its store; undefined: each worker opens the store itself. */
  readonly storePath: string | undefined
}

export type Question = 'readiness' | 'families' | 'decisions' | 'keys'

export type Answer =
  | { readonly to: 'readiness'; readonly readiness: Readiness }
  | { readonly to: 'families'; readonly families: readonly Family[] }
  | { readonly to: 'decisions'; readonly lines: readonly string[] }
  | { readonly to: 'keys'; readonly keys: readonly PublishedKey[] }

/** `forMs` undefined: until the next change. */
export type LevelChange = {
  readonly kind: 'log-level'
  readonly level: LogLevel
  readonly forMs: number | undefined
}

/** Whether the first worker wants the others' security events as they are made. */
export type Following = { readonly kind: 'following'; readonly on: boolean }

/** A security event on its way to the first worker. */
export type Event = { readonly kind: 'event'; readonly line: string }

/** From the supervisor. */
export type ToWorker =
  | Beginning
  /** With a socket. */
  | { readonly kind: 'connection'; readonly listener: string }
  /** No connections of that listener come after this. */
  | { readonly kind: 'shut'; readonly listener: string }
  | { readonly kind: 'question'; readonly id: number; readonly question: Question }
  /** What the others answered to the question of that id, by their number; undefined: nothing in time. */
  | {
      readonly kind: 'others'
      readonly id: number
      readonly answers: ReadonlyMap<number, Answer | undefined>
    }
  | { readonly kind: 'stop' }
  | LevelChange
  | Following
  | Event

/** To the supervisor. */
export type FromWorker =
  | {
      readonly kind: 'opened'
      readonly admin: string | undefined
      readonly public: string | undefined
    }
  | { readonly kind: 'failed'; readonly problems: readonly string[] }
  /** Told again and again: who doesn't, hangs. */
  | { readonly kind: 'alive'; readonly ready: boolean }
  /** The connection that was handed over last is here; one of that listener has ended. */
  | { readonly kind: 'took' }
  | { readonly kind: 'left'; readonly listener: string }
  /** Wants no more connections of that listener. */
  | { readonly kind: 'shutting'; readonly listener: string }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer }
  /** Of the first alone. */
  | { readonly kind: 'ask-others'; readonly id: number; readonly question: Question }
  | LevelChange
  | Following
  | Event

/** How often a worker says that it is alive. */
export const ALIVE_EVERY_MS = 500

/** Both ends are of one version, so a message that has a kind is one of ours. */
export function isFromWorker(message: unknown): message is FromWorker {
  return typeof message === 'object' && message !== null && 'kind' in message
}

export function isToWorker(message: unknown): message is ToWorker {
  return typeof message === 'object' && message !== null && 'kind' in message
}
