import { createHash } from 'node:crypto'
import { andThen } from '../identity/eventually.js'
import { type Algorithm, type Jwt, mediaTypeOf, parseJwt } from '../identity/jwt.js'
import type { KeySource } from '../identity/key-source.js'
import { type ReplayGuard, replayKey } from '../identity/replay.js'
import { verifySignature } from '../identity/signature.js'
import type { ClaimMapping } from '../identity/user-claims.js'
import { EMPTY_RECORD, type StateDelta, type StateRecord } from '../state/record.js'
import type { StateStore } from '../state/store.js'
import { bareSubject, effectOf, needsRecords } from './effects.js'
import { isOpening } from './event-type.js'
import { readSet, type SecurityEvent, type SetTimes } from './parse-set.js'
import { refuseSet, type SetRefusal } from './set-refusal.js'
import { ENDED } from './signal-fields.js'
import { type Named, readSubject, type SubjectScope } from './subject-identifier.js'

/** Who sends SETs, and about whom. */
export type Transmitter = SubjectScope & {
  /** The exact `iss`. */
  readonly issuer: string
  readonly audiences: readonly string[]
  readonly keys: KeySource
  readonly algorithms: readonly Algorithm[]
  /** Events about the stream must name this one; undefined: any. */
  readonly streamId: string | undefined
}

export type ReceiverParts = {
  readonly store: Pick<StateStore, 'read' | 'commit' | 'documents'> & { readonly claims: ReplayGuard }
  readonly times: SetTimes
  /** How claims of an issuer's user tokens are read. */
  readonly mappingOf: (issuer: string) => ClaimMapping
}

export type StreamStatus = 'enabled' | 'paused' | 'disabled'

/** `unavailable`: it may be right, and has to be sent again. */
export type Received =
  | {
      readonly status: 'accepted'
      /** False: it came before. Its effect was made sure of again. */
      readonly first: boolean
      readonly issuer: string
      readonly jti: string
      /** When it happened, milliseconds since the epoch. */
      readonly atMs: number
      /** The type's URI. */
      readonly type: string
      /** Whom it is about, for people; '' where nobody here. */
      readonly subject: string
      /** False: nothing here depends on such an event or subject. */
      readonly effective: boolean
      readonly stream: StreamStatus | undefined
    }
  | ({ readonly status: 'refused' } & Omit<SetRefusal, 'ok'>)
  | { readonly status: 'unavailable'; readonly problem: string }

/** Bytes of a whole SET. */
export const MAX_SET_BYTES = 64 * 1024

/**
 * Takes one SET from a transmitter: signature, claims, subject; then what it changes is committed, durable on every
 * replica, before it is accepted. Never throws for bad input. Source: RFC 8417, RFC 8935, SSF 1.0, REQUIREMENTS R10.
 */
export async function receiveSet(
  text: string,
  transmitter: Transmitter,
  parts: ReceiverParts,
  nowMs: number,
): Promise<Received> {
  const parsed = parseJwt(text, MAX_SET_BYTES)
  if (!parsed.ok) return refused(refuseSet('invalid_request', parsed.problem))
  const wrong = await verify(parsed.jwt, transmitter)
  if (wrong) return wrong
  const read = readSet(parsed.jwt.claims, transmitter.audiences, parts.times, nowMs)
  if (!read.ok) return refused(read)
  const { event } = read
  if (event.name === 'verification' || event.name === 'stream-updated') {
    return ofStream(event, text, transmitter, parts, nowMs)
  }
  if (event.name === undefined) return accept(event, text, { subject: '', effective: false }, parts, nowMs)
  const subject = readSubject(
    event.subject,
    bareSubject(event),
    transmitter,
    !isOpening(event.name, event.payload),
  )
  if (!subject.ok) return refused(subject)
  const records = new Map<string, StateRecord>()
  if (needsRecords(event)) {
    for (const { key } of subject.named) {
      const record = await andThen(parts.store.read(key, nowMs), (answer) => answer)
      if (record === 'unavailable') return STORE_AWAY
      records.set(key, record)
    }
  }
  const deltas = effectOf(event, subject.named, {
    mappingOf: parts.mappingOf,
    recordOf: (key) => records.get(key) ?? EMPTY_RECORD,
    nowMs,
  })
  if (!deltas)
    return refused(refuseSet('invalid_request', 'an event of this type says nothing about such a subject'))
  if (deltas.length > 0 && (await parts.store.commit(deltas)) === 'unavailable') return STORE_AWAY
  if (!(await listEnded(event, subject.named, deltas, parts))) return STORE_AWAY
  return accept(event, text, { subject: subject.words, effective: deltas.length > 0 }, parts, nowMs)
}

const STORE_AWAY: Received = { status: 'unavailable', problem: 'the store is away' }

/** Type, issuer, algorithm, key, signature. Undefined: all right. */
async function verify(jwt: Jwt, { issuer, algorithms, keys }: Transmitter): Promise<Received | undefined> {
  if (mediaTypeOf(jwt) !== 'secevent+jwt') {
    return refused(refuseSet('invalid_request', 'its `typ` is not secevent+jwt'))
  }
  if (jwt.claims['iss'] !== issuer) {
    return refused(refuseSet('invalid_issuer', "it is not of the stream's issuer"))
  }
  if (!algorithms.includes(jwt.algorithm)) {
    return refused(refuseSet('invalid_key', 'its algorithm is not one of its issuer'))
  }
  const answer = await keys.find(jwt.kid, jwt.algorithm)
  if (answer.found === 'unavailable') return { status: 'unavailable', problem: answer.message }
  if (answer.found === 'none') {
    return refused(refuseSet('invalid_key', 'its issuer has no key of that name for that algorithm'))
  }
  if (await verifySignature(jwt, answer.key)) return undefined
  return refused(refuseSet('authentication_failed', 'its signature is wrong'))
}

/**
 * Writes the sessions that an event ended where people look them up, as far as it says whose they are. In the form of
 * `EndedSession` of main/admin. False: it has to come again, since the store is away.
 */
async function listEnded(
  { issuer, atMs, name }: SecurityEvent,
  subject: readonly Named[],
  deltas: readonly StateDelta[],
  { store }: ReceiverParts,
): Promise<boolean> {
  for (const named of subject) {
    if (named.kind === 'workload' || named.of === undefined) continue
    const ends = deltas.some(({ key, ops }) => key === named.key && ops.some(([, field]) => field === ENDED))
    if (!ends) continue
    const ended = {
      issuer: named.issuer,
      ...named.of,
      endedAtMs: atMs,
      endedBy: issuer,
      reason: (name ?? '').replaceAll('-', ' '),
    }
    const put = await store.documents.put('sessions', named.key, JSON.stringify(ended))
    if (put === 'unavailable') return false
  }
  return true
}

async function ofStream(
  event: SecurityEvent,
  text: string,
  { streamId }: Transmitter,
  parts: ReceiverParts,
  nowMs: number,
): Promise<Received> {
  const { format, id } = event.subject
  if (format !== 'opaque' || typeof id !== 'string' || (streamId !== undefined && id !== streamId)) {
    return refused(refuseSet('invalid_request', 'unknown stream'))
  }
  const { status } = event.payload
  const stream = STATUSES.find((one) => one === status)
  const words = streamId === undefined ? '' : `stream ${streamId}`
  return accept(event, text, { subject: words, effective: false, stream }, parts, nowMs)
}

const STATUSES: readonly StreamStatus[] = ['enabled', 'paused', 'disabled']

/** How long a repetition is told from the first; transmitters repeat what was not acknowledged within that. */
const REMEMBERED_MS = 24 * 3_600_000

/**
 * Whether it is the first is for those who count; its effect never depends on that. Another SET of the same `jti` is no
 * repetition, so that none takes effect unrecorded.
 */
async function accept(
  { issuer, jti, type, atMs }: SecurityEvent,
  text: string,
  {
    subject,
    effective,
    stream,
  }: { readonly subject: string; readonly effective: boolean; readonly stream?: StreamStatus | undefined },
  { store }: ReceiverParts,
  nowMs: number,
): Promise<Received> {
  const claim = {
    key: replayKey(`set ${issuer}`, `${jti}\n${createHash('sha256').update(text).digest('hex')}`),
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + REMEMBERED_MS,
  }
  const first = (await store.claims.claim(claim, nowMs)) !== 'replayed'
  return { status: 'accepted', first, issuer, jti, atMs, type, subject, effective, stream }
}

function refused({ err, description }: SetRefusal): Received {
  return { status: 'refused', err, description }
}
