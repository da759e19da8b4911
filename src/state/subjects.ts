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
  /** The user's device, where an inventory is kept or signals are received. */
  readonly device: string | undefined
  /** Grants to the user, where the policy asks for any. */
  readonly grants: string | undefined
  /** The user by a verified e-mail address, where signals are received. */
  readonly email: string | undefined
  /** The session by its issuer and name alone, where signals are received. */
  readonly named: string | undefined
}

export const NO_SUBJECTS: SubjectKeys = {
  user: undefined,
  session: undefined,
  workload: undefined,
  proxy: undefined,
  address: undefined,
  device: undefined,
  grants: undefined,
  email: undefined,
  named: undefined,
}

type UserKeys = { readonly user: string; readonly grants: string } & Pick<
  SubjectKeys,
  'session' | 'device' | 'email' | 'named'
>

/** A verified principal serves many requests: its keys are made once and forgotten with it. */
const ofUsers = new WeakMap<UserPrincipal, UserKeys>()
const ofWorkloads = new WeakMap<SpiffeId, string>()

/** Users and sessions are keyed by issuer and subject, sessions by their name too. Source: FORMATS 2. */
export function userKeys(user: UserPrincipal): UserKeys {
  let keys = ofUsers.get(user)
  if (!keys) {
    const { issuer, subject, sessionId, deviceId, email } = user
    keys = {
      user: userKey(issuer, subject),
      session: sessionId === undefined ? undefined : sessionKey(issuer, subject, sessionId),
      device: deviceId === undefined ? undefined : deviceKey(issuer, deviceId),
      grants: grantsKey(issuer, subject),
      email: email === undefined ? undefined : emailKey(issuer, email),
      named: sessionId === undefined ? undefined : namedSessionKey(issuer, sessionId),
    }
    ofUsers.set(user, keys)
  }
  return keys
}

export function userKey(issuer: string, subject: string): string {
  return stateKey('u', issuer, subject)
}

export function sessionKey(issuer: string, subject: string, sessionId: string): string {
  return stateKey('s', issuer, subject, sessionId)
}

/** A session that somebody names without saying whose it is. */
export function namedSessionKey(issuer: string, sessionId: string): string {
  return stateKey('n', issuer, sessionId)
}

/** Devices are keyed by the issuer of the tokens that name them. */
export function deviceKey(issuer: string, deviceId: string): string {
  return stateKey('d', issuer, deviceId)
}

export function grantsKey(issuer: string, subject: string): string {
  return stateKey('g', issuer, subject)
}

/** A verified address; case, blanks around it and how its accents are written don't tell two apart. */
export function emailKey(issuer: string, email: string): string {
  return stateKey('e', issuer, email.trim().toLowerCase().normalize('NFC'))
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
