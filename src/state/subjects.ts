import type { UserPrincipal, WorkloadPrincipal } from '../identity/principal.js'
import type { SpiffeId } from '../identity/spiffe-id.js'
import { stateKey } from './record.js'

/** Names of the records that a call looks at; undefined where there is no such subject. */
export type SubjectKeys = {
  readonly user: string | undefined
  /** The session that the token names; without a name the user's own record stands for it. */
  readonly session: string | undefined
  readonly workload: string | undefined
  /** The trusted proxy that named the workload. */
  readonly proxy: string | undefined
  /** The client's network address, where strangers come from: Gateway listeners, and callers without identity. */
  readonly address: string | undefined
}

type UserKeys = { readonly user: string; readonly session: string | undefined }

/** A verified principal serves many requests: its keys are made once and forgotten with it. */
const ofUsers = new WeakMap<UserPrincipal, UserKeys>()
const ofWorkloads = new WeakMap<SpiffeId, string>()

/** Users and sessions are keyed by issuer and subject, sessions by their name too. Source: FORMATS 2. */
export function userKeys(user: UserPrincipal): UserKeys {
  let keys = ofUsers.get(user)
  if (!keys) {
    keys = {
      user: stateKey('u', user.issuer, user.subject),
      session:
        user.sessionId === undefined ? undefined : stateKey('s', user.issuer, user.subject, user.sessionId),
    }
    ofUsers.set(user, keys)
  }
  return keys
}

export function workloadKey({ spiffeId }: Pick<WorkloadPrincipal, 'spiffeId'>): string {
  let key = ofWorkloads.get(spiffeId)
  if (key === undefined) {
    key = stateKey('w', spiffeId.text)
    ofWorkloads.set(spiffeId, key)
  }
  return key
}

/** `address` in its canonical textual form. An IPv6 subscriber has a /64, so that is one address. Source: RFC 6177. */
export function addressKey(address: string): string {
  if (!address.includes(':')) return stateKey('a', address)
  const [head = '', tail] = address.split('::')
  const front = head === '' ? [] : head.split(':')
  const zeros = tail === undefined ? 0 : 8 - front.length - (tail === '' ? 0 : tail.split(':').length)
  const words = [
    ...front,
    ...Array.from({ length: Math.max(0, zeros) }, () => '0'),
    ...(tail ?? '').split(':'),
  ]
  return stateKey('a', words.slice(0, 4).join(':'))
}
