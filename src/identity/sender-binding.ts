import type { Refusal } from '../decision/decision.js'
import { decodeBase64url } from './base64url.js'
import { readText } from './claims.js'
import type { WorkloadPrincipal } from './principal.js'
import { isJsonObject, type JsonObject } from './strict-json.js'

/** `None`: a token is taken from anyone. `Optional`: a bound one only from its holder. `Required`: only bound ones. */
export type SenderConstraint = 'None' | 'Optional' | 'Required'

/** Whom a token says that it must come from. Source: RFC 8705 3.1, RFC 9449 6.1, RFC 8693 4.1. */
export type SenderBinding = {
  /** Of the caller's certificate: SHA-256 of its DER, lower-case hex. From `cnf.x5t#S256`. */
  readonly certificateSha256: string | undefined
  /** RFC 7638 SHA-256 thumbprint of the key that must sign a proof. From `cnf.jkt`. */
  readonly keyThumbprint: string | undefined
  /** Who acts for the user now: the `sub` of the outermost `act`; '' where it has none. */
  readonly actor: string | undefined
  /** False: nothing of this is asked of the caller. */
  readonly enforced: boolean
}

export type ReadSenderBinding =
  | { readonly ok: true; readonly binding: SenderBinding }
  | { readonly ok: false; readonly reason?: 'sender-constraint'; readonly problem: string }

/** Actors behind one another; the outermost counts, the others are history. */
const MAX_ACTORS = 8

const UNBOUND: SenderBinding = {
  certificateSha256: undefined,
  keyThumbprint: undefined,
  actor: undefined,
  enforced: true,
}

/**
 * Reads `cnf` and `act`. What is malformed is refused under every constraint; so is, unless the constraint is None,
 * a binding of a kind that nobody here can check, for an unchecked binding is none.
 */
export function readSenderBinding(claims: JsonObject, constraint: SenderConstraint): ReadSenderBinding {
  const actor = readActor(claims['act'])
  if (actor === false) return { ok: false, problem: '`act` is not an actor' }
  const enforced = constraint !== 'None'
  const cnf = claims['cnf']
  if (cnf === undefined) {
    if (constraint === 'Required') return constrained('it is bound to no key, and its issuer must bind it')
    return { ok: true, binding: actor === undefined && enforced ? UNBOUND : { ...UNBOUND, actor, enforced } }
  }
  const { 'x5t#S256': certificate, jkt } = isJsonObject(cnf) ? cnf : {}
  const keyThumbprint = typeof jkt === 'string' ? jkt : undefined
  if (!enforced) return { ok: true, binding: { ...UNBOUND, keyThumbprint, actor, enforced } }
  const certificateBytes = certificate === undefined ? undefined : sha256Of(certificate)
  if (certificateBytes === false || (jkt !== undefined && sha256Of(jkt) === false)) {
    return constrained('it is bound by something that is no SHA-256')
  }
  if (certificateBytes === undefined && keyThumbprint === undefined) {
    return constrained('it is bound in a way that can not be checked here')
  }
  const certificateSha256 = certificateBytes?.toString('hex')
  return { ok: true, binding: { certificateSha256, keyThumbprint, actor, enforced } }
}

/** What is known of the caller at once; a proof of the key is asked for afterwards. */
export function checkSender(
  binding: SenderBinding,
  scheme: 'bearer' | 'dpop',
  workload: WorkloadPrincipal | undefined,
): Refusal | undefined {
  const { certificateSha256, keyThumbprint, actor } = binding
  if (scheme === 'dpop' && keyThumbprint === undefined) {
    return refuse('it is bound to no key, so the scheme DPoP proves nothing')
  }
  if (!binding.enforced) return undefined
  if (certificateSha256 !== undefined && certificateSha256 !== workload?.certificateSha256) {
    return refuse("it is bound to a certificate that is not the caller's")
  }
  if (actor !== undefined && actor !== workload?.spiffeId.text) {
    return refuse('its actor is not the calling workload')
  }
  if (keyThumbprint !== undefined && scheme === 'bearer') {
    return { ...refuse('it is bound to a key, so it must come with a DPoP proof'), dpop: INVALID_TOKEN }
  }
  return undefined
}

const INVALID_TOKEN = { error: 'invalid_token', nonce: undefined } as const

/** False when malformed. Source: RFC 8693 4.1. */
function readActor(act: unknown): string | undefined | false {
  if (act === undefined) return undefined
  let actor: unknown = act
  for (let depth = 0; actor !== undefined; depth++) {
    if (depth === MAX_ACTORS || !isJsonObject(actor) || readText(actor, 'sub', 2048) === 'wrong') return false
    actor = actor['act']
  }
  const sub = isJsonObject(act) ? readText(act, 'sub', 2048) : undefined
  return sub === 'wrong' ? false : (sub?.text ?? '')
}

function sha256Of(value: unknown): Buffer | false {
  const bytes = typeof value === 'string' ? decodeBase64url(value) : undefined
  return bytes?.length === 32 ? bytes : false
}

function constrained(problem: string): ReadSenderBinding {
  return { ok: false, reason: 'sender-constraint', problem }
}

function refuse(message: string): Refusal {
  return { reason: 'sender-constraint', message }
}
