import type { Algorithm } from '../../identity/jwt.js'
import { parseKeySet, type Key, type KeySetProblem } from '../../identity/key-set.js'
import { findIn, type KeyAnswer, type KeySource } from '../../identity/key-source.js'
import { identityOf } from './key-identity.js'

/**
 * Keys of a file whose text somebody else reads and watches. A text that can't be used changes nothing and is the
 * returned problem, so the keys that served before go on serving.
 */
export class FileKeySource implements KeySource {
  #keys: readonly Key[] = []
  #identity = ''
  #generation = 0

  static parse(text: string): { readonly ok: true; readonly source: FileKeySource } | KeySetProblem {
    const source = new FileKeySource()
    const problem = source.replace(text)
    return problem ?? { ok: true, source }
  }

  replace(text: string): KeySetProblem | undefined {
    const parsed = parseKeySet(text)
    if (!parsed.ok) return parsed
    const identity = identityOf(parsed.keys)
    if (identity !== this.#identity) this.#generation += 1
    this.#keys = parsed.keys
    this.#identity = identity
    return undefined
  }

  find(kid: string | undefined, algorithm: Algorithm): KeyAnswer {
    return findIn(this.#keys, kid, algorithm)
  }

  get generation(): number {
    return this.#generation
  }
}
