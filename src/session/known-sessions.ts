import { latestOf, MAX_TEXT, type StateOp, type StateRecord } from '../state/record.js'

/** In the user's record, by the name of the session's own: its id and when a call of it last passed (`latest`). */
const PREFIX = 'sl:'
const MOST = 8

export type KnownSession = { readonly sessionId: string; readonly lastSeenMs: number }

/** Remembers that the user has this session. Kept are the eight seen last; ids too long for a field are left out. */
export function knownSessionOps(
  user: StateRecord,
  sessionKey: string,
  sessionId: string,
  nowMs: number,
): readonly StateOp[] {
  if (sessionId.length > MAX_TEXT) return []
  const field = PREFIX + sessionKey
  const seen: StateOp = ['latest', field, nowMs, sessionId]
  if (user.has(field)) return [seen]
  const surplus = fieldsOf(user)
    .toSorted((a, b) => b.lastSeenMs - a.lastSeenMs)
    .slice(MOST - 1)
  return [...surplus.map((other) => ['drop', other.field] as const), seen]
}

/** The user's sessions, the one seen last first. */
export function knownSessions(user: StateRecord): readonly KnownSession[] {
  return fieldsOf(user)
    .toSorted((a, b) => b.lastSeenMs - a.lastSeenMs)
    .map(({ sessionId, lastSeenMs }) => ({ sessionId, lastSeenMs }))
}

function fieldsOf(user: StateRecord): (KnownSession & { readonly field: string })[] {
  return [...user.keys()].flatMap((field) => {
    const latest = field.startsWith(PREFIX) ? latestOf(user, field) : undefined
    return latest ? [{ field, sessionId: latest.text, lastSeenMs: latest.atMs }] : []
  })
}
