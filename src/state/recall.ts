import { andThen, type Eventually } from '../identity/eventually.js'
import { EMPTY_RECORD, type StateRecord } from './record.js'
import type { ReadAnswer, Standing, StateStore } from './store.js'
import type { SubjectKeys } from './subjects.js'

/** What is known of everyone behind a call. A subject that isn't there has an empty record. */
export type Recalled = {
  readonly keys: SubjectKeys
  readonly user: StateRecord
  /** Undefined where the token names no session. */
  readonly session: StateRecord | undefined
  readonly workload: StateRecord
  readonly proxy: StateRecord
  readonly address: StateRecord
  readonly standing: Exclude<Standing, 'unavailable'>
  /** What was known of sessions from before then is lost; milliseconds since the epoch. */
  readonly lostBeforeMs: number | undefined
}

/** Of nobody anything is known. */
export const NOTHING_KNOWN: Recalled = {
  keys: { user: undefined, session: undefined, workload: undefined, proxy: undefined, address: undefined },
  user: EMPTY_RECORD,
  session: undefined,
  workload: EMPTY_RECORD,
  proxy: EMPTY_RECORD,
  address: EMPTY_RECORD,
  standing: 'current',
  lostBeforeMs: undefined,
}

/**
 * Reads the records of all subjects. No promise where every one of them is here. One that can't be told makes the
 * whole answer `unavailable`.
 */
export function recall(
  keys: SubjectKeys,
  store: Pick<StateStore, 'read' | 'health'>,
  nowMs: number,
): Eventually<Recalled | 'unavailable'> {
  const { user: u, session: s, workload: w, address: a } = keys
  if (u === undefined && s === undefined && w === undefined && a === undefined) return NOTHING_KNOWN
  const read = (key: string | undefined): Eventually<ReadAnswer> =>
    key === undefined ? EMPTY_RECORD : store.read(key, nowMs)
  const user = read(keys.user)
  const session = read(keys.session)
  const workload = read(keys.workload)
  const proxy = read(keys.proxy)
  const address = read(keys.address)
  if (
    !(user instanceof Promise) &&
    !(session instanceof Promise) &&
    !(workload instanceof Promise) &&
    !(proxy instanceof Promise) &&
    !(address instanceof Promise)
  ) {
    return gather(keys, [user, session, workload, proxy, address], store)
  }
  return andThen(Promise.all([user, session, workload, proxy, address]), (answers) =>
    gather(keys, answers, store),
  )
}

type Answers = readonly [
  user: ReadAnswer,
  session: ReadAnswer,
  workload: ReadAnswer,
  proxy: ReadAnswer,
  address: ReadAnswer,
]

function gather(
  keys: SubjectKeys,
  [user, session, workload, proxy, address]: Answers,
  store: Pick<StateStore, 'health'>,
): Recalled | 'unavailable' {
  if (
    user === 'unavailable' ||
    session === 'unavailable' ||
    workload === 'unavailable' ||
    proxy === 'unavailable' ||
    address === 'unavailable'
  ) {
    return 'unavailable'
  }
  const { standing, lostBeforeMs } = store.health()
  if (standing === 'unavailable') return 'unavailable'
  return {
    keys,
    user,
    session: keys.session === undefined ? undefined : session,
    workload,
    proxy,
    address,
    standing,
    lostBeforeMs,
  }
}
