import { randomInt } from 'node:crypto'
import { type Poll, startPoll, type Taken } from '../adapters/ssf/poll.js'
import {
  type FindPusher,
  type Push,
  type PushAnswer,
  type Pusher,
  pushReceiver,
} from '../adapters/ssf/push.js'
import type { Config } from '../config/config.js'
import type { TransmitterConfig } from '../config/ssf.js'
import { parseJwt } from '../identity/jwt.js'
import type { ClaimMapping } from '../identity/user-claims.js'
import {
  MAX_SET_BYTES,
  type Received,
  receiveSet,
  type ReceiverParts,
  type StreamStatus,
  type Transmitter,
} from '../signals/receive.js'
import type { LiveKeys } from './live-keys.js'
import { type Log, messageOf } from './log.js'
import { tokenFile } from './token-file.js'

/** A signal that was taken for the first time, for the record. */
export type SignalRecord = {
  readonly atMs: number
  readonly action: 'signal'
  /** The transmitter's `iss`. */
  readonly transmitter: string
  /** URI of the event's type. */
  readonly eventType: string
  /** Whom it is about, for people; '' where nobody here. */
  readonly subject: string
  readonly jti: string
  /** False: nothing here depends on it. */
  readonly effective: boolean
}

export type TransmitterHealth = {
  readonly delivery: 'push' | 'poll'
  readonly stream: StreamStatus
  /** Why its signals may be missing; undefined: nothing known. */
  readonly problem: string | undefined
  readonly accepted: number
  /** Of those accepted: what nothing here depends on, and what came before. */
  readonly ignored: number
  readonly repeated: number
  readonly refused: number
  readonly unavailable: number
  readonly lastReceivedMs: number | undefined
}

export type LiveSsf = {
  /** Undefined: nobody pushes. */
  readonly push: ((push: Push) => Promise<PushAnswer>) | undefined
  /** By the transmitter's issuer. */
  readonly health: () => ReadonlyMap<string, TransmitterHealth>
  /** Settles once nothing is under way any more. */
  close(): Promise<void>
}

type Live = {
  readonly config: TransmitterConfig
  readonly receive: (text: string) => Promise<Received>
  readonly health: { -readonly [Name in keyof TransmitterHealth]: TransmitterHealth[Name] }
}

const RANDOM_STEPS = 2 ** 32
/** Refusals of one kind are logged this often; all are counted. */
const TELL_AGAIN_MS = 10_000
const NO_MAPPING: ClaimMapping = { claims: new Map(), roles: [] }

/** Starts receiving from every transmitter that is configured. Throws StartFailure when a token can't be read. */
export function openSsf(
  { ssf, userTokens }: Pick<Config, 'ssf' | 'userTokens'>,
  keys: Pick<LiveKeys, 'of'>,
  store: ReceiverParts['store'],
  { log, audit }: { readonly log: Log; readonly audit: (signal: SignalRecord) => void },
  nowMs: () => number,
): LiveSsf {
  const mappings = new Map(userTokens.issuers.map(({ issuer, claims, roles }) => [issuer, { claims, roles }]))
  const parts: ReceiverParts = {
    store,
    times: { eventMaxAgeMs: ssf.eventMaxAgeMs, clockSkewMs: ssf.clockSkewMs },
    mappingOf: (issuer) => mappings.get(issuer) ?? NO_MAPPING,
  }
  const tokens = ssf.transmitters.map(({ delivery }, index) =>
    delivery.tokenFile === undefined
      ? undefined
      : tokenFile(delivery.tokenFile, `ssf.transmitters.${index}.${delivery.kind}.tokenFile`),
  )
  const all = ssf.transmitters.map((config) => openTransmitter(config, keys, parts, { log, audit }, nowMs))
  const pushers = new Map<string, Pusher>()
  const polls: Poll[] = []
  const problems = new Map<Live, Poll>()
  for (const [index, live] of all.entries()) {
    const { delivery, issuer } = live.config
    const token = tokens[index]
    if (delivery.kind === 'push') pushers.set(issuer, { token, receive: live.receive })
    else if (token) {
      const poll = startPoll({
        url: delivery.url,
        token,
        intervalMs: delivery.intervalMs,
        take: async (text) => takenOf(await live.receive(text)),
        random: () => randomInt(RANDOM_STEPS) / RANDOM_STEPS,
        warn: (problem) => log('warn', 'signals can not be fetched', { transmitter: issuer, problem }),
      })
      polls.push(poll)
      problems.set(live, poll)
    }
  }
  return {
    push: pushers.size === 0 ? undefined : pushReceiver((text) => pusherOf(text, pushers)),
    health: () =>
      new Map(
        all.map((live) => {
          const { stream } = live.health
          const problem = stream === 'enabled' ? problems.get(live)?.problem() : `the stream is ${stream}`
          return [live.config.issuer, { ...live.health, problem }]
        }),
      ),
    close: async () => {
      await Promise.all(polls.map((poll) => poll.close()))
    },
  }
}

function openTransmitter(
  config: TransmitterConfig,
  keys: Pick<LiveKeys, 'of'>,
  parts: ReceiverParts,
  { log, audit }: { readonly log: Log; readonly audit: (signal: SignalRecord) => void },
  nowMs: () => number,
): Live {
  const transmitter: Transmitter = { ...config, keys: keys.of(config.keys) }
  const health: Live['health'] = {
    delivery: config.delivery.kind,
    stream: 'enabled',
    problem: undefined,
    accepted: 0,
    ignored: 0,
    repeated: 0,
    refused: 0,
    unavailable: 0,
    lastReceivedMs: undefined,
  }
  let streamAtMs = -Infinity
  const toldAtMs = new Map<string, number>()
  const receive = async (text: string): Promise<Received> => {
    const atMs = nowMs()
    const received = await receiveSet(text, transmitter, parts, atMs).catch((error: unknown): Received => {
      log('error', 'a signal could not be taken', { transmitter: config.issuer, problem: messageOf(error) })
      return { status: 'unavailable', problem: 'a signal could not be taken' }
    })
    if (received.status === 'unavailable') {
      health.unavailable += 1
      return received
    }
    if (received.status === 'refused') {
      health.refused += 1
      const { err, description } = received
      // Anybody may post what is refused, so it does not fill the log.
      if (atMs - (toldAtMs.get(err) ?? -Infinity) >= TELL_AGAIN_MS) {
        toldAtMs.set(err, atMs)
        log('warn', 'signal refused', { transmitter: config.issuer, err, problem: description })
      }
      return received
    }
    health.accepted += 1
    health.lastReceivedMs = atMs
    if (!received.first) health.repeated += 1
    else {
      const { type, subject, jti, effective } = received
      if (!effective) health.ignored += 1
      audit({
        atMs,
        action: 'signal',
        transmitter: config.issuer,
        eventType: type,
        subject,
        jti,
        effective,
      })
    }
    if (received.stream && received.atMs >= streamAtMs) {
      streamAtMs = received.atMs
      if (received.stream !== health.stream) {
        const level = received.stream === 'enabled' ? 'info' : 'warn'
        log(level, 'stream of signals changed', { transmitter: config.issuer, status: received.stream })
      }
      health.stream = received.stream
    }
    return received
  }
  return { config, receive, health }
}

function takenOf(received: Received): Taken {
  if (received.status === 'accepted') return { outcome: 'taken', first: received.first }
  if (received.status === 'unavailable') return { outcome: 'later', problem: received.problem }
  return { outcome: 'refused', err: received.err, description: received.description }
}

/** By whom a SET says it is from; nothing of it is proved. */
function pusherOf(text: string, pushers: ReadonlyMap<string, Pusher>): ReturnType<FindPusher> {
  const parsed = parseJwt(text, MAX_SET_BYTES)
  if (!parsed.ok) return { problem: parsed.problem }
  const { iss } = parsed.jwt.claims
  return typeof iss === 'string' ? pushers.get(iss) : undefined
}
