import {
  type Collection,
  type DocumentPage,
  type DocumentStore,
  MAX_DOCUMENT,
  MAX_DOCUMENT_NAME,
} from '../../state/store.js'
import { type Bucket, bucketIndex, documentsKey } from './buckets.js'
import { type Client, runReplicated, within } from './connection.js'
import { PUT_DOCUMENT, REMOVE_DOCUMENT } from './scripts.js'
import { fromBytes, toBytes } from './wire.js'

/** Three bytes a unit at most. */
const MAX_DOCUMENT_BYTES = 3 * MAX_DOCUMENT
const MAX_PAGE = 1000
const MAX_SCAN_CURSOR = 2n ** 64n - 1n

export type RedisDocumentsOptions = {
  readonly client: Client
  readonly prefix: string
  readonly buckets: readonly Bucket[]
  /** For each trip to the store. */
  readonly commandTimeoutMs: number
  readonly replicasToWait: number
  readonly isOpen: () => boolean
  readonly onFailure: (error: unknown) => void
}

/** Where a list goes on: in which bucket, and at which cursor of HSCAN there. */
type Place = { readonly bucket: number; readonly cursor: string }

/**
 * Documents as the fields of hashes, one hash a collection and bucket. They last as long as the store's own data: after a
 * flush they are gone. A list that goes on after another server has taken over may leave some out.
 */
export class RedisDocuments implements DocumentStore {
  readonly #options: RedisDocumentsOptions

  constructor(options: RedisDocumentsOptions) {
    this.#options = options
  }

  async put(collection: Collection, name: string, text: string): Promise<'stored' | 'unavailable'> {
    if (!isName(name)) throw new TypeError(`the name of a document has ${name.length} characters`)
    if (text.length > MAX_DOCUMENT) throw new TypeError(`a document has ${text.length} characters`)
    const { client } = this.#options
    const args = [toBytes(name), toBytes(text)]
    const answer = await this.#trip(() =>
      runReplicated(client, PUT_DOCUMENT, [this.#key(collection, name)], args, this.#replication()),
    )
    return answer === 'unavailable' ? answer : 'stored'
  }

  async get(
    collection: Collection,
    name: string,
  ): Promise<{ readonly text: string } | undefined | 'unavailable'> {
    if (!isName(name)) return undefined
    const key = this.#key(collection, name)
    const found = await this.#trip(() => this.#options.client.hgetBuffer(key, toBytes(name)))
    if (found === 'unavailable') return found
    return found === null ? undefined : { text: fromBytes(found, MAX_DOCUMENT_BYTES) }
  }

  async remove(collection: Collection, name: string): Promise<boolean | 'unavailable'> {
    if (!isName(name)) return false
    const { client } = this.#options
    const keys = [this.#key(collection, name)]
    const answer = await this.#trip(() =>
      runReplicated(client, REMOVE_DOCUMENT, keys, [toBytes(name)], this.#replication()),
    )
    return answer === 'unavailable' ? answer : Number(answer) === 1
  }

  async list(
    collection: Collection,
    cursor: string | undefined,
    limit: number,
  ): Promise<DocumentPage | 'unavailable'> {
    const { client, prefix, buckets } = this.#options
    const size = Math.min(MAX_PAGE, Math.max(1, Math.trunc(limit) || 1))
    let place: Place | undefined =
      cursor === undefined ? { bucket: 0, cursor: '0' } : parsePlace(cursor, buckets.length)
    // A hash gives what it is moving to another place twice.
    const found = new Map<string, string>()
    while (place && found.size < size) {
      const bucket = buckets[place.bucket]
      if (!bucket) break
      const from = place.cursor
      const page = await this.#trip(() =>
        client.hscanBuffer(documentsKey(prefix, bucket, collection), from, 'COUNT', size - found.size),
      )
      if (page === 'unavailable') return page
      const [next, flat] = page
      for (let at = 0; at + 1 < flat.length; at += 2) {
        const [name, text] = [flat[at], flat[at + 1]]
        if (name && text) found.set(fromBytes(name), fromBytes(text, MAX_DOCUMENT_BYTES))
      }
      place = after(place, String(next), buckets.length)
    }
    return {
      documents: [...found].map(([name, text]) => ({ name, text })),
      next: place && `${place.bucket}.${place.cursor}`,
    }
  }

  #key(collection: Collection, name: string): string {
    const { prefix, buckets } = this.#options
    const bucket = buckets[bucketIndex(name, buckets.length)]
    if (!bucket) throw new Error('a store without buckets')
    return documentsKey(prefix, bucket, collection)
  }

  #replication(): { readonly replicas: number; readonly waitMs: number } {
    return { replicas: this.#options.replicasToWait, waitMs: this.#options.commandTimeoutMs }
  }

  async #trip<T>(command: () => Promise<T>): Promise<T | 'unavailable'> {
    const { commandTimeoutMs, isOpen, onFailure } = this.#options
    if (!isOpen()) return 'unavailable'
    try {
      const answer = await within(command(), commandTimeoutMs)
      return answer === 'late' ? 'unavailable' : answer
    } catch (error) {
      onFailure(error)
      return 'unavailable'
    }
  }
}

function isName(name: string): boolean {
  return name.length >= 1 && name.length <= MAX_DOCUMENT_NAME
}

/** Undefined: no list has given such a cursor. */
function parsePlace(text: string, buckets: number): Place | undefined {
  const [, bucket, cursor] = /^([0-9]{1,3})\.([0-9]{1,20})$/.exec(text) ?? []
  if (bucket === undefined || cursor === undefined) return undefined
  if (Number(bucket) >= buckets || BigInt(cursor) > MAX_SCAN_CURSOR) return undefined
  return { bucket: Number(bucket), cursor }
}

function after({ bucket }: Place, next: string, buckets: number): Place | undefined {
  if (next !== '0') return { bucket, cursor: next }
  return bucket + 1 < buckets ? { bucket: bucket + 1, cursor: '0' } : undefined
}
