import type { UserPrincipal, WorkloadPrincipal } from '../identity/principal.js'
import { stateKey } from './record.js'

/** Names of the records that a call looks at; undefined where there is no such subject. */
export type SubjectKeys = {
  readonly user: string | undefined
  /** The session that the token names; without a name the user's own record stands for it. */
  readonly session: string | undefined
  readonly workload: string | undefined
  /** The client's network address, where strangers come from: Gateway listeners, and callers without identity. */
  readonly address: string | undefined
}

type UserKeys = { readonly user: string; readonly session: string | undefined }

/** A verified principal serves many requests: its keys are made once and forgotten with it. */
const ofUsers = new WeakMap<UserPrincipal, UserKeys>()
const ofWorkloads = new WeakMap<WorkloadPrincipal, string>()

/** Users and sessions are keyed by issuer and subject or session. Source: FORMATS 2. */
export function userKeys(user: UserPrincipal): UserKeys {
  let keys = ofUsers.get(user)
  if (!keys) {
    keys = {
      user: stateKey('u', user.issuer, user.subject),
      session: user.sessionId === undefined ? undefined : stateKey('s', user.issuer, user.sessionId),
    }
    ofUsers.set(user, keys)
  }
  return keys
}

export function workloadKey(workload: WorkloadPrincipal): string {
  let key = ofWorkloads.get(workload)
  if (key === undefined) {
    key = stateKey('w', workload.spiffeId.text)
    ofWorkloads.set(workload, key)
  }
  return key
}

/** `address` in its canonical textual form. */
export function addressKey(address: string): string {
  return stateKey('a', address)
}
