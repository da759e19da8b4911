import { createHash } from 'node:crypto'
import type { Database } from 'lmdb'
import {
  type Collection,
  type DocumentPage,
  type DocumentStore,
  MAX_DOCUMENT,
  MAX_DOCUMENT_NAME,
} from '../../state/store.js'
import { checksumOf } from './encoding.js'

/** Before every key of a document. Keys of subjects begin with a letter, and so come after them all. */
const DOCUMENTS = '!doc:'
/** The first key that can be no document's. */
export const AFTER_DOCUMENTS = '!doc;'
const MAX_PAGE = 1000
/** SHA-256 in base64url. A cursor is the last one of its page. */
const HASH = /^[A-Za-z0-9_-]{43}$/

type Options = {
  readonly db: Database<string, string>
  /** Whether it may still be used. */
  readonly isOpen: () => boolean
  readonly onFailure: (error: unknown) => void
}

/**
 * Documents in the file of the subjects, in the order of the hashes of their names: a key of LMDB takes neither every
 * text nor one of every length. A value has its checksum, its name and its text.
 */
export class LmdbDocuments implements DocumentStore {
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
  }

  async put(collection: Collection, name: string, text: string): Promise<'stored' | 'unavailable'> {
    if (!isName(name)) throw new TypeError(`the name of a document has ${name.length} characters`)
    if (text.length > MAX_DOCUMENT) throw new TypeError(`a document has ${text.length} characters`)
    const { db } = this.#options
    return this.#guard(async () => {
      await db.put(keyOf(collection, name), encode(name, text))
      await db.flushed
      return 'stored' as const
    })
  }

  async get(
    collection: Collection,
    name: string,
  ): Promise<{ readonly text: string } | undefined | 'unavailable'> {
    if (!isName(name)) return undefined
    return this.#guard(() => {
      const stored = this.#options.db.get(keyOf(collection, name))
      return stored === undefined ? undefined : { text: decode(stored).text }
    })
  }

  async remove(collection: Collection, name: string): Promise<boolean | 'unavailable'> {
    if (!isName(name)) return false
    const { db } = this.#options
    const key = keyOf(collection, name)
    return this.#guard(async () => {
      const wasThere = await db.transaction(() => {
        const isThere = db.doesExist(key)
        if (isThere) void db.remove(key)
        return isThere
      })
      await db.flushed
      return wasThere
    })
  }

  async list(
    collection: Collection,
    cursor: string | undefined,
    limit: number,
  ): Promise<DocumentPage | 'unavailable'> {
    const none: DocumentPage = { documents: [], next: undefined }
    if (cursor !== undefined && !HASH.test(cursor)) return none
    return this.#guard(() => {
      const prefix = prefixOf(collection)
      const size = Math.min(MAX_PAGE, Math.max(1, Math.trunc(limit) || 1))
      const found = [
        ...this.#options.db.getRange({
          // A key is its own smallest successor with one more byte.
          start: cursor === undefined ? prefix : `${prefix}${cursor}\0`,
          end: `${prefix}~`,
          limit: size + 1,
        }),
      ]
      const page = found.slice(0, size)
      return {
        documents: page.map(({ value }) => decode(value)),
        next: found.length > size ? page.at(-1)?.key.slice(prefix.length) : undefined,
      }
    })
  }

  /** What it comes to, `unavailable` where that fails or the store is closed. */
  async #guard<T>(work: () => T | Promise<T>): Promise<T | 'unavailable'> {
    if (!this.#options.isOpen()) return 'unavailable'
    try {
      return await work()
    } catch (error) {
      this.#options.onFailure(error)
      return 'unavailable'
    }
  }
}

function isName(name: string): boolean {
  return name.length >= 1 && name.length <= MAX_DOCUMENT_NAME
}

function prefixOf(collection: Collection): string {
  return `${DOCUMENTS}${collection}:`
}

/** UTF-16 units are hashed, so that two names never become one. */
function keyOf(collection: Collection, name: string): string {
  return prefixOf(collection) + createHash('sha256').update(Buffer.from(name, 'utf16le')).digest('base64url')
}

function encode(name: string, text: string): string {
  const value = JSON.stringify([name, text])
  return checksumOf(value) + value
}

function decode(stored: string): { readonly name: string; readonly text: string } {
  const value = stored.slice(8)
  if (checksumOf(value) !== stored.slice(0, 8)) {
    throw new Error('a document is damaged; restart to have the file looked at')
  }
  const [name, text]: [string, string] = JSON.parse(value)
  return { name, text }
}
