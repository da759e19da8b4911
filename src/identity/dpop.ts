import { createHash } from 'node:crypto'
import type { DpopChallenge, Refusal } from '../decision/decision.js'
import type { HttpCall } from '../request/access-request.js'
import { readDateMs, readText } from './claims.js'
import type { DpopNonces } from './dpop-nonce.js'
import type { Eventually } from './eventually.js'
import { mediaTypeOf, parseJwt, type Jwt } from './jwt.js'
import { holdsSecret, readJwk, useProblem, type Key } from './key-set.js'
import { replayKey, type ClaimAnswer, type ReplayGuard } from './replay.js'
import { verifySignature } from './signature.js'
import { isJsonObject, type JsonObject } from './strict-json.js'
import { normaliseTargetUri } from './target-uri.js'
import type { VerificationQueue } from './verification-queue.js'

export type DpopRules = {
  /**
   * What clients call: `https://host[:port]`, or with a path prefix that was taken off on the way; each without a
   * slash at its end, normalised. Empty: scheme and authority of the request itself.
   */
  readonly origins: readonly string[]
  /** From `iat`. */
  readonly maxAgeMs: number
  /** How far a client's clock may run ahead. */
  readonly clockSkewMs: number
  /** Undefined: none is asked for. */
  readonly nonces: DpopNonces | undefined
  readonly replay: ReplayGuard
  /** Signatures under way at once; beyond it a call is `overloaded`. */
  readonly maxPending: number
  /** Bounds them further, to what is done in time; undefined: nothing does. */
  readonly queue?: Pick<VerificationQueue, 'enter'> | undefined
}

/** What a proof must be made for. */
export type DpopUse = {
  readonly token: string
  /** `cnf.jkt` of the token, whose own signature is right. */
  readonly keyThumbprint: string
  readonly http: HttpCall
  /** Listener's name: each hop of one call takes the same proof once. */
  readonly listener: string
}

const MAX_JTI_LENGTH = 256
/** Keys that tokens were bound to, so that a known client's key is not parsed on every call. */
const MAX_KEYS = 4096

/**
 * Verifies DPoP proofs: form, key, method, URI, time, token, nonce, signature (off the thread), and last that the
 * proof is used for the first time. Nothing is remembered of a proof but that it was used. Source: RFC 9449 4.3.
 */
export class DpopProofs {
  readonly #rules: DpopRules
  readonly #keys = new Map<string, Key>()
  #pending = 0

  constructor(rules: DpopRules) {
    this.#rules = rules
  }

  /** Undefined: the proof is right. */
  verify(use: DpopUse, nowMs: number): Eventually<Refusal | undefined> {
    const { headers } = use.http
    const proof = headers.get('dpop')
    if (proof === undefined) {
      return invalid(
        headers.count('dpop') === 0 ? 'there is no DPoP proof' : 'there is more than one DPoP proof',
      )
    }
    const parsed = parseJwt(proof)
    if (!parsed.ok) return invalid(`the DPoP proof is unusable: ${parsed.problem}`)
    const { jwt } = parsed
    const key = this.#keyOf(jwt, use.keyThumbprint)
    if (typeof key === 'string') return invalid(key)
    const claims = readProof(jwt.claims)
    if (typeof claims === 'string') return invalid(claims)
    const problem = this.#mismatch(claims, use, nowMs)
    if (problem !== undefined) return invalid(problem)
    const { nonces } = this.#rules
    if (nonces && (claims.nonce === undefined || !nonces.accepts(claims.nonce, nowMs))) {
      return refuse('the DPoP proof has no nonce of this server', 'use_dpop_nonce', nonces.issue(nowMs))
    }
    const { maxPending, queue } = this.#rules
    if (this.#pending >= maxPending) return OVERLOADED
    const leave = queue?.enter()
    if (queue && !leave) return OVERLOADED
    return this.#finish(jwt, key, claims, use, nowMs, leave)
  }

  async #finish(
    jwt: Jwt,
    key: Key,
    { jti, htu, issuedAtMs }: Proof,
    { keyThumbprint, listener }: DpopUse,
    nowMs: number,
    leave: (() => void) | undefined,
  ): Promise<Refusal | undefined> {
    this.#pending += 1
    let genuine: boolean
    try {
      genuine = await verifySignature(jwt, key)
    } finally {
      this.#pending -= 1
      leave?.()
    }
    if (!genuine) return invalid('the DPoP proof has a wrong signature')
    const { replay, maxAgeMs, clockSkewMs } = this.#rules
    const answer = await replay.claim(
      {
        key: replayKey('dpop', [listener, keyThumbprint, htu, jti].join('\n')),
        issuedAtMs,
        expiresAtMs: issuedAtMs + maxAgeMs + clockSkewMs,
      },
      nowMs,
    )
    return REPLAY_REFUSALS[answer]
  }

  /** The proof's own key, when it is the one that the token is bound to; else what is wrong. */
  #keyOf(jwt: Jwt, keyThumbprint: string): Key | string {
    if (mediaTypeOf(jwt) !== 'dpop+jwt') return 'the DPoP proof has another `typ`'
    const jwk = jwt.header['jwk']
    if (!isJsonObject(jwk)) return 'the DPoP proof brings no key'
    if (holdsSecret(jwk)) return 'the DPoP proof brings a private or symmetric key'
    const otherUse =
      useProblem(jwk) ??
      (jwk['alg'] === undefined || jwk['alg'] === jwt.algorithm ? undefined : 'its `alg` is another one')
    if (otherUse !== undefined) return `the DPoP proof's key can not be used: ${otherUse}`
    const members = thumbprintMembers(jwk)
    if (!members || thumbprintOf(members) !== keyThumbprint) {
      return 'the DPoP proof is signed by another key than the token is bound to'
    }
    const known = this.#keys.get(keyThumbprint)
    if (known) return known
    const key = readJwk(members, undefined)
    if (typeof key === 'string') return `the DPoP proof's key can not be used: ${key}`
    const [oldest] = this.#keys.size < MAX_KEYS ? [] : this.#keys.keys()
    if (oldest !== undefined) this.#keys.delete(oldest)
    this.#keys.set(keyThumbprint, key)
    return key
  }

  #mismatch(proof: Proof, { token, http }: DpopUse, nowMs: number): string | undefined {
    const { origins, maxAgeMs, clockSkewMs } = this.#rules
    if (proof.method !== http.method) return 'the DPoP proof is for another method'
    const bases = origins.length > 0 ? origins : ownOrigin(http)
    if (!bases.some((base) => base + http.path === proof.htu)) return 'the DPoP proof is for another URI'
    if (nowMs > proof.issuedAtMs + maxAgeMs) return 'the DPoP proof is too old'
    if (proof.issuedAtMs > nowMs + clockSkewMs) return 'the DPoP proof is from the future'
    const hash = createHash('sha256').update(token, 'latin1').digest('base64url')
    return proof.tokenHash === hash ? undefined : 'the DPoP proof is for another token'
  }
}

type Proof = {
  readonly jti: string
  readonly method: string
  /** Normalised. */
  readonly htu: string
  readonly issuedAtMs: number
  readonly tokenHash: string
  readonly nonce: string | undefined
}

function readProof(claims: JsonObject): Proof | string {
  const jti = readText(claims, 'jti', MAX_JTI_LENGTH)
  const method = readText(claims, 'htm')
  const uri = readText(claims, 'htu', 8192)
  const hash = readText(claims, 'ath')
  const nonce = readText(claims, 'nonce')
  const issuedAtMs = readDateMs(claims, 'iat')
  for (const [name, value] of Object.entries({ jti, htm: method, htu: uri, ath: hash, iat: issuedAtMs })) {
    if (value === undefined || value === 'wrong') return `the DPoP proof has no usable \`${name}\``
  }
  if (nonce === 'wrong') return 'the DPoP proof has no usable `nonce`'
  const htu = normaliseTargetUri(textOf(uri))
  if (htu === undefined) return 'the DPoP proof has an `htu` that is no http URI'
  return {
    jti: textOf(jti),
    method: textOf(method),
    htu,
    issuedAtMs: typeof issuedAtMs === 'number' ? issuedAtMs : NaN,
    tokenHash: textOf(hash),
    nonce: nonce?.text,
  }
}

function textOf(read: { readonly text: string } | undefined | 'wrong'): string {
  return read === undefined || read === 'wrong' ? '' : read.text
}

/** As Envoy tells it: what the client called, unless something in front of Envoy changed it. */
function ownOrigin({ headers, host }: HttpCall): readonly string[] {
  const scheme = headers.get(':scheme')
  const normal = scheme && normaliseTargetUri(`${scheme}://${headers.get(':authority') ?? host}`)
  return normal ? [normal.slice(0, -1)] : []
}

/** The required members of a public key, in the order of their names. Source: RFC 7638 3.2, RFC 8037 2. */
const MEMBERS: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['EC', ['crv', 'kty', 'x', 'y']],
  ['OKP', ['crv', 'kty', 'x']],
  ['RSA', ['e', 'kty', 'n']],
])

function thumbprintMembers(jwk: JsonObject): Readonly<Record<string, string>> | undefined {
  const members: Record<string, string> = {}
  for (const name of MEMBERS.get(jwk['kty']) ?? []) {
    const value = jwk[name]
    if (typeof value !== 'string') return undefined
    members[name] = value
  }
  return members
}

/** RFC 7638 SHA-256 thumbprint. */
function thumbprintOf(members: Readonly<Record<string, string>>): string {
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url')
}

function invalid(message: string): Refusal {
  return refuse(message, 'invalid_dpop_proof', undefined)
}

function refuse(message: string, error: DpopChallenge['error'], nonce: string | undefined): Refusal {
  return { reason: 'sender-constraint', message, dpop: { error, nonce } }
}

const OVERLOADED: Refusal = { reason: 'overloaded', message: 'too many DPoP proofs are being verified' }

const REPLAY_REFUSALS: Readonly<Record<ClaimAnswer, Refusal | undefined>> = {
  first: undefined,
  replayed: invalid('the DPoP proof was used before'),
  'before-start': {
    ...invalid('the DPoP proof is older than this server, which can not know whether it was used'),
    blameless: true,
  },
  unavailable: {
    reason: 'state-unavailable',
    message: 'whether the DPoP proof was used can not be told now',
  },
}
