import type { Algorithm } from '../../identity/jwt.js'
import { parseKeySet, type Key, type KeySetProblem } from '../../identity/key-set.js'
import { findIn, type KeyAnswer, type KeySource } from '../../identity/key-source.js'
import { identityOf, stillListed } from './key-identity.js'

/**
 * Keys of a file whose text somebody else reads and watches. A text that can't be used adds nothing and is the
 * returned problem; the keys that served before go on serving, unless it is a key set that no longer lists them.
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
    if (parsed.ok) this.#take(parsed.keys)
    else if (parsed.listed) this.#take(stillListed(this.#keys, parsed.listed))
    return parsed.ok ? undefined : parsed
  }

  #take(keys: readonly Key[]): void {
    const identity = identityOf(keys)
    if (identity !== this.#identity) this.#generation += 1
    this.#keys = keys
    this.#identity = identity
  }

  find(kid: string | undefined, algorithm: Algorithm): KeyAnswer {
    return findIn(this.#keys, kid, algorithm)
  }

  get generation(): number {
    return this.#generation
  }
}
