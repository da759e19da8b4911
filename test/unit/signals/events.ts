import { EMPTY_RECORD, applyOps, type StateDelta, type StateRecord } from '../../../src/state/record.js'
import { NOTHING_KNOWN, type Recalled } from '../../../src/state/recall.js'
import { userKeys } from '../../../src/state/subjects.js'
import { readUserPrincipal } from '../../../src/identity/user-claims.js'
import type { UserPrincipal } from '../../../src/identity/principal.js'

export const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
export const RISC = 'https://schemas.openid.net/secevent/risc/event-type/'
export const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/'
export const IDP = 'https://idp.example'
export const AUDIENCE = 'https://portcullis.example/ssf'
/** Seconds. */
export const NOW = 1_800_000_000
export const NOW_MS = NOW * 1000

export const ALICE = { format: 'iss_sub', iss: IDP, sub: 'alice' }

/** Claims of a SET with one event; what is undefined is left out. */
export function claimsOf(
  type: string,
  payload: object = {},
  overrides: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    iss: IDP,
    jti: 'jti-1',
    iat: NOW,
    aud: AUDIENCE,
    sub_id: ALICE,
    events: { [type]: payload },
    ...overrides,
  }
}

/** Alice by a token as it is read from its claims. */
export function alice(claims: Readonly<Record<string, unknown>> = {}): UserPrincipal {
  const raw = Object.assign(Object.create(null), {
    iss: IDP,
    sub: 'alice',
    email: 'alice@shop.example',
    email_verified: true,
    iat: NOW - 100,
    auth_time: NOW - 200,
    session_id: 's1',
    device_id: 'd1',
    ...claims,
  })
  for (const name of Object.keys(raw)) if (raw[name] === undefined) delete raw[name]
  const read = readUserPrincipal(raw, { claims: new Map(), roles: [] })
  if (!read.ok) throw new Error(read.problem)
  return read.principal
}

/** What a call by this user recalls once the changes were made, in this order. */
export function recalledBy(user: UserPrincipal, deltas: readonly StateDelta[]): Recalled {
  const keys = userKeys(user)
  const recordOf = (key: string | undefined): StateRecord =>
    deltas
      .filter((delta) => delta.key === key)
      .reduce((record, { ops }) => applyOps(record, ops), EMPTY_RECORD)
  return {
    ...NOTHING_KNOWN,
    user: recordOf(keys.user),
    session: keys.session === undefined ? undefined : recordOf(keys.session),
    device: recordOf(keys.device),
    email: recordOf(keys.email),
    named: recordOf(keys.named),
  }
}
