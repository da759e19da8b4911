import type { RefusalReason } from '../decision/reason.js'
import { readTexts } from '../identity/claims.js'
import { parseJwt, type Jwt } from '../identity/jwt.js'
import { chooseKey, parseKeySet } from '../identity/key-set.js'
import { NO_KEY } from '../identity/key-source.js'
import { checkServiceTokenTime, readServiceToken } from '../identity/service-token.js'
import { verifySignature } from '../identity/signature.js'
import type { NormalisedClaims } from '../identity/signed-token.js'
import { checkUserTokenTime, readUserToken } from '../identity/user-token.js'

export type TokenFinding = { readonly reason: RefusalReason; readonly message: string }

/** What a token says and what would be refused about it. Never holds its signature. */
export type TokenReport = {
  readonly header: { readonly alg: string; readonly kid?: string; readonly typ?: string } | undefined
  readonly claims: Readonly<Record<string, unknown>> | undefined
  readonly signature: 'valid' | 'invalid' | 'not checked'
  readonly findings: readonly TokenFinding[]
}

export type Inspection = {
  readonly as: 'service' | 'user'
  /** Text of the issuer's public keys; undefined: the signature is not checked. */
  readonly keys: string | undefined
  readonly maxLifetimeMs: number
  readonly nowMs: number
}

/**
 * Looks into a token by the verification that the server does, as far as it needs no caller, target or
 * configuration: any issuer, audience and scope passes. Throws when `keys` is not a key set.
 */
export async function inspectToken(text: string, inspection: Inspection): Promise<TokenReport> {
  const kind = `${inspection.as}-token` as const
  const parsed = parseJwt(text)
  if (!parsed.ok) {
    const reason =
      parsed.fault === 'algorithm' ? (`${kind}-signature` as const) : (`${kind}-malformed` as const)
    return {
      header: undefined,
      claims: undefined,
      signature: 'not checked',
      findings: [{ reason, message: parsed.problem }],
    }
  }
  const { jwt } = parsed
  const findings: TokenFinding[] = []
  const signature = inspection.keys === undefined ? 'not checked' : await checkSignature(jwt, inspection.keys)
  if (signature === 'invalid') {
    findings.push({ reason: `${kind}-signature`, message: 'no given key made its signature' })
  }
  const finding = inspection.as === 'service' ? serviceFinding(jwt, inspection) : userFinding(jwt, inspection)
  if (finding) findings.push(finding)
  return {
    header: {
      alg: jwt.algorithm,
      ...(jwt.kid === undefined ? {} : { kid: jwt.kid }),
      ...(jwt.typ === undefined ? {} : { typ: jwt.typ }),
    },
    claims: jwt.claims,
    signature,
    findings,
  }
}

async function checkSignature(jwt: Jwt, text: string): Promise<'valid' | 'invalid'> {
  const parsed = parseKeySet(text)
  if (!parsed.ok) throw new Error(`the key file can't be used: ${parsed.problem}`)
  const key = chooseKey(parsed.keys, jwt.kid, jwt.algorithm)
  return key && (await verifySignature(jwt, key)) ? 'valid' : 'invalid'
}

/** As `userTokens.clockSkew` unless configured otherwise. */
const CLOCK_SKEW_MS = 5_000
const NO_KEYS = { find: () => NO_KEY, generation: 0 }

function serviceFinding(jwt: Jwt, { maxLifetimeMs, nowMs }: Inspection): TokenFinding | undefined {
  const read = readServiceToken(jwt, { service: '', keys: NO_KEYS, scopes: ['*'] })
  return read.ok
    ? checkServiceTokenTime(read.value, maxLifetimeMs, nowMs)
    : problemOf(read, 'service-token-malformed')
}

function userFinding(jwt: Jwt, { nowMs }: Inspection): TokenFinding | undefined {
  const own = readTexts(jwt.claims, 'aud')
  const read = readUserToken(jwt.claims, {
    audiences: own === 'wrong' || own === undefined ? [] : own,
    mapping: { claims: new Map(), roles: [] },
    senderConstraint: 'None',
  })
  return read.ok
    ? checkUserTokenTime(read.value, CLOCK_SKEW_MS, nowMs)
    : problemOf(read, 'user-token-malformed')
}

function problemOf(
  read: NormalisedClaims<unknown> & { readonly ok: false },
  otherwise: RefusalReason,
): TokenFinding {
  return { reason: read.reason ?? otherwise, message: read.problem }
}
