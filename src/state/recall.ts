import { andThen, type Eventually } from '../identity/eventually.js'
import { EMPTY_RECORD, type StateRecord } from './record.js'
import type { ReadAnswer, Standing, StateStore } from './store.js'
import { NO_SUBJECTS, type SubjectKeys } from './subjects.js'

/** What is known of everyone behind a call. A subject that isn't there has an empty record. */
export type Recalled = {
  readonly keys: SubjectKeys
  readonly user: StateRecord
  /** Undefined where the token names no session. */
  readonly session: StateRecord | undefined
  readonly workload: StateRecord
  readonly proxy: StateRecord
  readonly address: StateRecord
  readonly device: StateRecord
  readonly grants: StateRecord
  readonly email: StateRecord
  readonly named: StateRecord
  readonly standing: Exclude<Standing, 'unavailable'>
  /** What was known of sessions from before then is lost; milliseconds since the epoch. */
  readonly lostBeforeMs: number | undefined
}

/** Of nobody anything is known. */
export const NOTHING_KNOWN: Recalled = {
  keys: NO_SUBJECTS,
  user: EMPTY_RECORD,
  session: undefined,
  workload: EMPTY_RECORD,
  proxy: EMPTY_RECORD,
  address: EMPTY_RECORD,
  device: EMPTY_RECORD,
  grants: EMPTY_RECORD,
  email: EMPTY_RECORD,
  named: EMPTY_RECORD,
  standing: 'current',
  lostBeforeMs: undefined,
}

type Answers = readonly [
  user: ReadAnswer,
  session: ReadAnswer,
  workload: ReadAnswer,
  proxy: ReadAnswer,
  address: ReadAnswer,
  device: ReadAnswer,
  grants: ReadAnswer,
  email: ReadAnswer,
  named: ReadAnswer,
]

type Eventual<A extends readonly unknown[]> = { readonly [Index in keyof A]: Eventually<A[Index]> }
type Pending = Eventual<Answers>

/**
 * Reads the records of all subjects. No promise where every one of them is here. One that can't be told makes the
 * whole answer `unavailable`.
 */
export function recall(
  keys: SubjectKeys,
  store: Pick<StateStore, 'read' | 'health'>,
  nowMs: number,
): Eventually<Recalled | 'unavailable'> {
  const { user: u, workload: w, address: a } = keys
  // Everything else belongs to a user or a workload.
  if (u === undefined && w === undefined && a === undefined) return NOTHING_KNOWN
  const read = (key: string | undefined): Eventually<ReadAnswer> =>
    key === undefined ? EMPTY_RECORD : store.read(key, nowMs)
  const answers = [
    read(u),
    read(keys.session),
    read(w),
    read(keys.proxy),
    read(a),
    read(keys.device),
    read(keys.grants),
    read(keys.email),
    read(keys.named),
  ] as const
  const here = allHere(answers)
  return here ? gather(keys, here, store) : andThen(settled(answers), (known) => gather(keys, known, store))
}

async function settled(answers: Pending): Promise<Answers> {
  const [user, session, workload, proxy, address, device, grants, email, named] = answers
  return [
    await user,
    await session,
    await workload,
    await proxy,
    await address,
    await device,
    await grants,
    await email,
    await named,
  ]
}

/** The answers where none of them has to be waited for. */
function allHere(answers: readonly Eventually<ReadAnswer>[]): Answers | undefined {
  return areHere(answers) ? answers : undefined
}

function areHere(answers: readonly Eventually<ReadAnswer>[]): answers is Answers {
  return !answers.some((answer) => answer instanceof Promise)
}

function gather(
  keys: SubjectKeys,
  answers: Answers,
  store: Pick<StateStore, 'health'>,
): Recalled | 'unavailable' {
  const { standing, lostBeforeMs } = store.health()
  if (standing === 'unavailable' || !areKnown(answers)) return 'unavailable'
  const [user, session, workload, proxy, address, device, grants, email, named] = answers
  return {
    keys,
    user,
    session: keys.session === undefined ? undefined : session,
    workload,
    proxy,
    address,
    device,
    grants,
    email,
    named,
    standing,
    lostBeforeMs,
  }
}

type Known<A> = { readonly [Index in keyof A]: StateRecord }

function areKnown(answers: Answers): answers is Known<Answers> {
  return !answers.includes('unavailable')
}
