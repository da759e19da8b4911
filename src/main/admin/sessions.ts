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
      if (allEnded !== undefined) {
        sessions.push({ issuer, subject, state: 'ended', ...given({ endedAt: timeOf(allEnded) }) })
      }
      for (const { sessionId, lastSeenMs } of knownSessions(record)) {
        const session = await store.read(sessionKey(issuer, subject, sessionId), atMs)
        if (session === 'unavailable') return AWAY
        const ended = endedAtMs(session)
        const { firstMs, lastMs } = seenTimes(session)
        const told = await written(sessionKey(issuer, subject, sessionId))
        sessions.push(
          given({
            issuer,
            subject,
            sessionId,
            state: ended === undefined ? ('active' as const) : ('ended' as const),
            startedAt: timeOf(firstMs),
            lastSeenAt: timeOf(lastMs ?? lastSeenMs),
            endedAt: timeOf(told?.endedAtMs ?? ended),
            endedBy: told?.endedBy,
            reason: told?.reason,
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
      const committed = await store.commit([{ key, ops: terminationOps(atMs), expiresAtMs }])
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

  async function written(key: string): Promise<EndedSession | undefined> {
    const stored = await documents.get('sessions', key)
    return stored === undefined || stored === 'unavailable' ? undefined : parseEnded(stored.text)
  }
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
