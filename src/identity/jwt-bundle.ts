import type { Algorithm } from './jwt.js'
import { type Key, MAX_KEY_SET_BYTES, parseKeySet } from './key-set.js'
import { findIn, type KeyAnswer, type KeySource } from './key-source.js'
import { isJsonObject, parseStrictJson } from './strict-json.js'

export type ParsedJwtBundle =
  { readonly ok: true; readonly keys: readonly Key[] } | { readonly ok: false; readonly problem: string }

/**
 * The keys of a SPIFFE bundle that verify JWT-SVIDs: those with `use` jwt-svid and a `kid`. None is a bundle that
 * verifies nothing. In the Workload API's JWT bundles `use` may be left out, `useOptional`: all keys are for that there.
 * Limits and refusals are those of parseKeySet. Source: SPIFFE Trust Domain and Bundle 4, SPECS 3.5.
 */
export function parseJwtBundle(text: string, useOptional = false): ParsedJwtBundle {
  if (text.length > MAX_KEY_SET_BYTES) return { ok: false, problem: `longer than ${MAX_KEY_SET_BYTES} bytes` }
  const parsed = parseStrictJson(text)
  if (!parsed.ok) return { ok: false, problem: `not strict JSON: ${parsed.problem}` }
  const keys = isJsonObject(parsed.value) ? parsed.value['keys'] : undefined
  if (!Array.isArray(keys)) return { ok: false, problem: 'JSON, but no JWK Set with `keys`' }
  const chosen = (keys as readonly unknown[]).flatMap((key) => {
    if (!isJsonObject(key) || typeof key['kid'] !== 'string' || key['kid'] === '') return []
    const { use, ...rest } = key
    return use === 'jwt-svid' || (useOptional && use === undefined) ? [rest] : []
  })
  if (chosen.length === 0) return { ok: true, keys: [] }
  const set = parseKeySet(JSON.stringify({ keys: chosen }))
  return set.ok ? { ok: true, keys: set.keys } : set
}

/** The keys of one trust domain's JWT-SVIDs, as its bundle has them now. */
export class JwtBundleKeys implements KeySource {
  #keys: readonly Key[] | undefined
  #generation = 0

  /** Undefined: there is no bundle, so nothing can be told. */
  set(keys: readonly Key[] | undefined): void {
    if (identityOf(keys) === identityOf(this.#keys)) return
    this.#keys = keys
    this.#generation += 1
  }

  find(kid: string | undefined, algorithm: Algorithm): KeyAnswer {
    return this.#keys === undefined ? UNAVAILABLE : findIn(this.#keys, kid, algorithm)
  }

  get generation(): number {
    return this.#generation
  }
}

const UNAVAILABLE: KeyAnswer = { found: 'unavailable', message: 'the trust domain has no bundle of JWT keys' }

function identityOf(keys: readonly Key[] | undefined): string {
  if (keys === undefined) return 'none'
  const lines = keys.map(({ kid, algorithms, key }) => {
    const der = key.export({ format: 'der', type: 'spki' }).toString('base64')
    return `${JSON.stringify(kid ?? null)} ${algorithms.join()} ${der}`
  })
  return lines.sort().join('\n')
}
