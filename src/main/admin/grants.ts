import type { AdminPorts, Outcome } from '../../admin/ports.js'
import type { GrantAnswer } from '../../admin/schemas/grants.js'
import { createGrant, type GrantLimits } from '../../grants/create-grant.js'
import { type Grant, type GrantRequest, grantState, readGrant } from '../../grants/grant.js'
import { idsOfGrants, revokeOps } from '../../grants/grant-record.js'
import { recordKeptUntilMs, useOf } from '../../grants/grant-use.js'
import { replayKey } from '../../identity/replay.js'
import type { StateRecord } from '../../state/record.js'
import type { StateStore } from '../../state/store.js'
import { grantsKey } from '../../state/subjects.js'
import { AWAY, cursorIn, cursorOf, found, given, problem, refused, timeOf } from './answers.js'

export type GrantParts = {
  readonly store: Pick<StateStore, 'read' | 'commit' | 'documents' | 'claims'>
  readonly limits: GrantLimits
  /** What is wrong with the service, its endpoints and the roles by the policy in force; undefined: nothing. */
  readonly checkTarget: (
    request: Pick<GrantRequest, 'service' | 'endpoints' | 'roles'>,
  ) => Outcome<never> | undefined
  /** Told of a break-glass grant at once. */
  readonly alert: (grant: Grant) => void
  readonly review: AdminPorts['grants']['review']
  readonly nowMs: () => number
}

/**
 * Grants over the store: documents tell, records decide. What opens is written down before it counts, and what closes
 * counts before it is written down, so that a failure in between leaves nothing open that nobody sees.
 */
export function grantsPort({
  store,
  limits,
  checkTarget,
  alert,
  review,
  nowMs,
}: GrantParts): AdminPorts['grants'] {
  const { documents } = store
  // One subject's grants are changed one after the other, so that none of two that overlap goes unseen.
  const queue = inTurnBy<Outcome<GrantAnswer>>()
  const recordOf = async ({ subject }: Pick<Grant, 'subject'>): Promise<StateRecord | 'unavailable'> =>
    store.read(grantsKey(subject.issuer, subject.subject), nowMs())
  const load = async (id: string): Promise<Grant | undefined | 'unavailable'> => {
    const stored = await documents.get('grants', id)
    return stored === undefined || stored === 'unavailable' ? stored : readGrant(stored.text)
  }
  const answer = async (grant: Grant): Promise<Outcome<GrantAnswer>> => {
    const record = await recordOf(grant)
    return record === 'unavailable' ? AWAY : found(answerOf(grant, record, nowMs()))
  }
  return {
    review,
    get: async (id) => {
      const grant = await load(id)
      if (grant === 'unavailable') return AWAY
      return grant ? answer(grant) : NO_GRANT
    },
    list: async ({ state, issuer, subject, service, limit, cursor }) => {
      const page = await documents.list('grants', cursorIn(cursor), limit)
      if (page === 'unavailable') return AWAY
      const grants: GrantAnswer[] = []
      for (const { text } of page.documents) {
        const grant = readGrant(text)
        if (!grant) continue
        if (issuer !== undefined && grant.subject.issuer !== issuer) continue
        if (subject !== undefined && grant.subject.subject !== subject) continue
        if (service !== undefined && grant.service !== service) continue
        const record = await recordOf(grant)
        if (record === 'unavailable') return AWAY
        const shown = answerOf(grant, record, nowMs())
        if (state === undefined || shown.state === state) grants.push(shown)
      }
      return found(given({ grants, next: cursorOf(page) }))
    },
    create: (request, actor, id) =>
      queue(grantsKey(request.subject.issuer, request.subject.subject), async () => {
        const unknown = checkTarget(request)
        if (unknown) return unknown
        const atMs = nowMs()
        const key = grantsKey(request.subject.issuer, request.subject.subject)
        const existing = await store.read(key, atMs)
        if (existing === 'unavailable') return AWAY
        const created = createGrant(request, actor, existing, limits, atMs, id)
        if (!created.ok) return refused(created.conflict === undefined ? 400 : 409, ...created.problems)
        const { grant, ops, keptUntilMs, retired } = created
        const turn = await takeTurn(key, existing, atMs)
        if (turn) return turn
        for (const old of retired) {
          const kept = await load(old.id)
          if (kept === 'unavailable') return AWAY
          const { uses, lastUsedMs } = old
          const finalUse = given({ uses, lastUsedAtMs: lastUsedMs })
          if (kept && (await put({ ...kept, finalUse })) === 'unavailable') return AWAY
        }
        if ((await put(grant)) === 'unavailable') return AWAY
        if ((await store.commit([{ key, ops, expiresAtMs: keptUntilMs }])) === 'unavailable') {
          // It may come to count later, so it must not: a revocation wins whatever the order.
          void store.commit([{ key, ops: revokeOps(id, atMs), expiresAtMs: keptUntilMs }])
          const by = { atMs, by: actor.name, reason: 'the store did not take it' }
          await put({ ...grant, revoked: by })
          return AWAY
        }
        if (grant.breakGlass) alert(grant)
        return answer(grant)
      }),
    revoke: async (id, reason, actor) => {
      const grant = await load(id)
      if (grant === 'unavailable') return AWAY
      if (!grant) return NO_GRANT
      if (grant.revoked) return refused(409, problem([], 'revoked-already', 'the grant is revoked already'))
      const atMs = nowMs()
      const key = grantsKey(grant.subject.issuer, grant.subject.subject)
      const ops = revokeOps(id, atMs)
      const expiresAtMs = recordKeptUntilMs(Math.max(grant.expiresAtMs, atMs))
      if ((await store.commit([{ key, ops, expiresAtMs }])) === 'unavailable') return AWAY
      const revoked: Grant = { ...grant, revoked: { atMs, by: actor.name, reason } }
      if ((await put(revoked)) === 'unavailable') return AWAY
      return answer(revoked)
    },
  }

  /**
   * Of those who read the same record, on whichever replica, one alone goes on: two grants that overlap would each have
   * seen none.
   */
  async function takeTurn(
    key: string,
    existing: StateRecord,
    atMs: number,
  ): Promise<Outcome<never> | undefined> {
    const turn = replayKey(`grants of ${key}`, idsOfGrants(existing))
    const claim = { key: turn, issuedAtMs: atMs, expiresAtMs: atMs + TURN_MS }
    const claimed = await store.claims.claim(claim, atMs)
    if (claimed === 'first') return undefined
    // A store that just started can't know who had the turn.
    if (claimed !== 'replayed') return AWAY
    const message = 'another grant of the subject was created at the same moment; look at it, and ask again'
    return refused(409, problem([], 'concurrent-grant', message))
  }

  function put(grant: Grant): Promise<'stored' | 'unavailable'> {
    return documents.put('grants', grant.id, JSON.stringify(grant))
  }
}

/** Longer than any creation takes; after one that failed half-way the next waits as long. */
const TURN_MS = 10_000

const NO_GRANT = refused(404, problem([], 'unknown-grant', 'there is no such grant'))

export function answerOf(grant: Grant, record: StateRecord, nowMs: number): GrantAnswer {
  const { createdAtMs, expiresAtMs, revoked, finalUse: _, ...rest } = grant
  const use = useOf(grant, record)
  return given({
    ...rest,
    state: grantState(grant, use, nowMs),
    createdAt: timeOf(createdAtMs) ?? '',
    expiresAt: timeOf(expiresAtMs) ?? '',
    uses: use?.uses,
    lastUsedAt: timeOf(use?.lastUsedMs),
    revoked: revoked && { at: timeOf(revoked.atMs) ?? '', by: revoked.by, reason: revoked.reason },
  })
}

/** Runs what is about one key one after the other. */
function inTurnBy<Value>(): (key: string, run: () => Promise<Value>) => Promise<Value> {
  const last = new Map<string, Promise<unknown>>()
  return (key, run) => {
    const next = (last.get(key) ?? Promise.resolve()).then(run, run)
    const settled = next.then(
      () => undefined,
      () => undefined,
    )
    last.set(key, settled)
    void settled.then(() => {
      if (last.get(key) === settled) last.delete(key)
    })
    return next
  }
}
