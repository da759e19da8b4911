import type { Eventually } from './eventually.js'
import type { Algorithm } from './jwt.js'
import { chooseKey, type Key } from './key-set.js'

/** `unavailable`: whether such a key exists can't be told now, so neither can a signature. */
export type KeyAnswer =
  | { readonly found: 'key'; readonly key: Key }
  | { readonly found: 'none' }
  | { readonly found: 'unavailable'; readonly message: string }

/** Where an issuer's keys come from. Never throws: what can't be reached is `unavailable`. */
export type KeySource = {
  /** The one key that a token with this `kid` and algorithm can mean. */
  find(kid: string | undefined, algorithm: Algorithm): Eventually<KeyAnswer>
  /** Rises whenever a verdict made before may be wrong: keys came, went, or have become too old to be believed. */
  readonly generation: number
}

export const NO_KEY: KeyAnswer = { found: 'none' }

/** Answers out of a key set at hand. */
export function findIn(keys: readonly Key[], kid: string | undefined, algorithm: Algorithm): KeyAnswer {
  const key = chooseKey(keys, kid, algorithm)
  return key ? { found: 'key', key } : NO_KEY
}
