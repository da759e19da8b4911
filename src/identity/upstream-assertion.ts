import type { Decision } from '../decision/decision.js'
import type { AssertionKey } from './assertion-key.js'

export type AssertionOptions = {
  /** `iss`. */
  readonly issuer: string
  readonly lifetimeMs: number
  /**
   * How long one assertion serves calls of the same caller, user, target, endpoint and obligations, milliseconds.
   * 0: every call gets its own, which names its decision.
   */
  readonly reuseMs: number
  readonly signer: (nowMs: number) => Pick<AssertionKey, 'kid' | 'algorithm' | 'sign'>
}

/** The assertion for an allowed call; undefined where no name of the target is known that it could be meant for. */
export type MintAssertion = (decision: Decision, decisionId: string, nowMs: number) => string | undefined

export const ASSERTION_TYPE = 'portcullis-assertion+jwt'
/** Of the whole token. More would break the upstream's limit on headers, so the call is refused by an exception. */
const MAX_LENGTH = 16 * 1024
/** Assertions remembered for reuse, at most; a few hundred bytes each. */
const MAX_REMEMBERED = 10_000

/**
 * Mints the assertions that tell an upstream, in a form it can verify, who was let in to what. Who was verified stands
 * in `workload` and `user`; `sub` is the user's subject, else the workload's SPIFFE ID. Synchronous: a signature costs
 * about 40 µs.
 */
export function assertionMinter(options: AssertionOptions): MintAssertion {
  const remembered = new Remembered(MAX_REMEMBERED)
  let header: { readonly kid: string; readonly encoded: string } | undefined

  const mint = (who: string, decisionId: string, nowMs: number): string => {
    const key = options.signer(nowMs)
    if (header?.kid !== key.kid) {
      const fields = JSON.stringify({ typ: ASSERTION_TYPE, alg: key.algorithm, kid: key.kid })
      header = { kid: key.kid, encoded: Buffer.from(fields).toString('base64url') }
    }
    const times = `"iat":${Math.floor(nowMs / 1000)},"exp":${Math.floor((nowMs + options.lifetimeMs) / 1000)}`
    const decision = options.reuseMs === 0 ? `,"decision_id":${JSON.stringify(decisionId)}` : ''
    const payload = `{${times},"jti":${JSON.stringify(decisionId)}${decision},${who.slice(1)}`
    const signed = `${header.encoded}.${Buffer.from(payload).toString('base64url')}`
    const token = `${signed}.${key.sign(Buffer.from(signed)).toString('base64url')}`
    if (token.length > MAX_LENGTH) throw new Error(`an assertion would be longer than ${MAX_LENGTH} bytes`)
    return token
  }

  return (decision, decisionId, nowMs) => {
    if (decision.target === undefined) return undefined
    const who = JSON.stringify(claimsOf(decision, options.issuer))
    if (options.reuseMs === 0) return mint(who, decisionId, nowMs)
    const known = remembered.get(who)
    if (known && nowMs < known.untilMs) return known.token
    const token = mint(who, decisionId, nowMs)
    remembered.set(who, { token, untilMs: nowMs + options.reuseMs })
    return token
  }
}

/** What is the same for every call of these parties; undefined members are left out by JSON. */
function claimsOf(decision: Decision, issuer: string): object {
  const { workload, user, caller, target, endpoint, obligations } = decision
  return {
    iss: issuer,
    aud: target,
    sub: user?.subject ?? workload?.spiffeId.text,
    workload: workload?.spiffeId.text,
    via: workload?.via?.spiffeId.text,
    caller,
    user: user && { iss: user.issuer, sub: user.subject, roles: user.roles },
    endpoint,
    obligations,
  }
}

type Kept = { readonly token: string; readonly untilMs: number }

/** At most `limit` entries: when the young half is full it becomes the old one. */
class Remembered {
  readonly #half: number
  #young = new Map<string, Kept>()
  #old = new Map<string, Kept>()

  constructor(limit: number) {
    this.#half = Math.max(1, Math.floor(limit / 2))
  }

  get(who: string): Kept | undefined {
    return this.#young.get(who) ?? this.#old.get(who)
  }

  set(who: string, kept: Kept): void {
    if (this.#young.size >= this.#half && !this.#young.has(who)) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(who, kept)
  }
}
