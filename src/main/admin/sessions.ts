import { type Static, Type } from '@sinclair/typebox'
import type { AdminPorts } from '../../admin/ports.js'
import type { SessionAnswer } from '../../admin/schemas/subjects.js'
import { Fields } from '../../schema/fields.js'
import { matchesShape } from '../../schema/shape.js'
import { knownSessions } from '../../session/known-sessions.js'
import {
  endedAtMs,
  seenTimes,
  sessionKeptUntilMs,
  type SessionLimits,
  terminationOps,
} from '../../session/session-limits.js'
import type { StateStore } from '../../state/store.js'
import { sessionKey, userKey } from '../../state/subjects.js'
import { AWAY, cursorIn, cursorOf, found, given, timeOf } from './answers.js'

export type SessionParts = {
  readonly store: Pick<StateStore, 'read' | 'commit' | 'documents'>
  readonly limits: () => SessionLimits
  readonly nowMs: () => number
}

/** Clocks of identity providers may be ahead by this; who signs in anew within it is refused still. */
const CLOCK_AHEAD_MS = 5000

/** Who ended what and why; that it is over is in the record alone. */
const EndedSchema = Fields({
  issuer: Type.String(),
  subject: Type.String(),
  sessionId: Type.Optional(Type.String()),
  endedAtMs: Type.Number(),
  endedBy: Type.String(),
  reason: Type.String(),
})
export type EndedSession = Static<typeof EndedSchema>

/** Sessions over the store. One that is ended is refused on its next call, on every replica. */
export function sessionsPort({ store, limits, nowMs }: SessionParts): AdminPorts['sessions'] {
  const { documents } = store
  return {
    ofUser: async ({ issuer, subject }) => {
      const atMs = nowMs()
      const record = await store.read(userKey(issuer, subject), atMs)
      if (record === 'unavailable') return AWAY
      const sessions: SessionAnswer[] = []
      const allEnded = endedAtMs(record)
      const all = allEnded === undefined ? undefined : await toldOf(userKey(issuer, subject), allEnded, atMs)
      if (all === 'unavailable') return AWAY
      if (all) sessions.push(given({ issuer, subject, state: 'ended' as const, ...answerOfEnd(all) }))
      for (const { sessionId, lastSeenMs } of knownSessions(record)) {
        const session = await store.read(sessionKey(issuer, subject, sessionId), atMs)
        if (session === 'unavailable') return AWAY
        const ended = endedAtMs(session)
        const { firstMs, lastMs } = seenTimes(session)
        const seenMs = lastMs ?? lastSeenMs
        // A session that passed after all were ended was begun anew.
        const endOfAll = all && seenMs <= all.endedAtMs ? all : undefined
        const end =
          ended === undefined ? endOfAll : await toldOf(sessionKey(issuer, subject, sessionId), ended, atMs)
        if (end === 'unavailable') return AWAY
        sessions.push(
          given({
            issuer,
            subject,
            sessionId,
            state: end === undefined ? ('active' as const) : ('ended' as const),
            startedAt: timeOf(firstMs),
            lastSeenAt: timeOf(seenMs),
            ...(end && answerOfEnd(end)),
          }),
        )
      }
      return found({ sessions })
    },
    ended: async ({ limit, cursor }) => {
      const page = await documents.list('sessions', cursorIn(cursor), limit)
      if (page === 'unavailable') return AWAY
      const sessions = page.documents.flatMap(({ text }) => {
        const ended = parseEnded(text)
        return ended ? [answerOf(ended)] : []
      })
      return found(given({ sessions, next: cursorOf(page) }))
    },
    terminate: async ({ issuer, subject }, sessionId, reason, actor) => {
      const atMs = nowMs()
      const key = sessionId === undefined ? userKey(issuer, subject) : sessionKey(issuer, subject, sessionId)
      const expiresAtMs = sessionKeptUntilMs(limits(), atMs)
      const committed = await store.commit([{ key, ops: terminationOps(atMs, CLOCK_AHEAD_MS), expiresAtMs }])
      if (committed === 'unavailable') return AWAY
      const ended: EndedSession = {
        issuer,
        subject,
        ...(sessionId !== undefined && { sessionId }),
        endedAtMs: atMs,
        endedBy: actor.name,
        reason,
      }
      return (await documents.put('sessions', key, JSON.stringify(ended))) === 'unavailable'
        ? AWAY
        : found(answerOf(ended))
    },
  }

  /** The end that a record tells of, as it was written down; what signals ended nobody wrote down. */
  async function toldOf(key: string, recordedMs: number, atMs: number): Promise<End | 'unavailable'> {
    const stored = await documents.get('sessions', key)
    if (stored === 'unavailable') return stored
    const ended = stored && parseEnded(stored.text)
    // Records end what is begun by clocks that are ahead too.
    return ended ?? { endedAtMs: Math.min(recordedMs, atMs), endedBy: undefined, reason: undefined }
  }
}

type End = {
  readonly endedAtMs: number
  readonly endedBy: string | undefined
  readonly reason: string | undefined
}

function answerOfEnd({ endedAtMs: ms, endedBy, reason }: End) {
  return { endedAt: timeOf(ms), endedBy, reason }
}

function parseEnded(text: string): EndedSession | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return matchesShape(EndedSchema, value) ? value : undefined
  } catch {
    return undefined
  }
}

function answerOf({ endedAtMs: ms, ...ended }: EndedSession): SessionAnswer {
  return { ...ended, state: 'ended', ...given({ endedAt: timeOf(ms) }) }
}
