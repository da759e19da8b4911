import {
  type Collection,
  type DocumentPage,
  type DocumentStore,
  MAX_DOCUMENT,
  MAX_DOCUMENT_NAME,
} from '../../state/store.js'

/** However long its texts are, a page of so many fits a frame. */
const MAX_PAGE = 50

/** One trip: what the supervisor answers, or `unavailable`. */
export type Trip = (name: string, ...parts: readonly unknown[]) => Promise<unknown>

/** Documents of the supervisor's store. */
export class LocalDocuments implements DocumentStore {
  readonly #trip: Trip

  constructor(trip: Trip) {
    this.#trip = trip
  }

  async put(collection: Collection, name: string, text: string): Promise<'stored' | 'unavailable'> {
    if (!isName(name)) throw new TypeError(`the name of a document has ${name.length} characters`)
    if (text.length > MAX_DOCUMENT) throw new TypeError(`a document has ${text.length} characters`)
    return (await this.#trip('put', collection, name, text)) === 'stored' ? 'stored' : 'unavailable'
  }

  async get(
    collection: Collection,
    name: string,
  ): Promise<{ readonly text: string } | undefined | 'unavailable'> {
    if (!isName(name)) return undefined
    const answer = await this.#trip('get', collection, name)
    if (answer === null) return undefined
    return isDocument(answer) ? { text: answer.text } : 'unavailable'
  }

  async remove(collection: Collection, name: string): Promise<boolean | 'unavailable'> {
    if (!isName(name)) return false
    const answer = await this.#trip('remove', collection, name)
    return typeof answer === 'boolean' ? answer : 'unavailable'
  }

  async list(
    collection: Collection,
    cursor: string | undefined,
    limit: number,
  ): Promise<DocumentPage | 'unavailable'> {
    const size = Math.min(MAX_PAGE, Math.max(1, Math.trunc(limit) || 1))
    const answer = await this.#trip('list', collection, cursor ?? null, size)
    return isPage(answer) ? { documents: answer.documents, next: answer.next ?? undefined } : 'unavailable'
  }
}

function isName(name: string): boolean {
  return name.length >= 1 && name.length <= MAX_DOCUMENT_NAME
}

function isDocument(value: unknown): value is { readonly text: string } {
  return typeof value === 'object' && value !== null && 'text' in value && typeof value.text === 'string'
}

function isPage(value: unknown): value is DocumentPage {
  if (typeof value !== 'object' || value === null || !('documents' in value)) return false
  const { documents } = value
  if (!Array.isArray(documents)) return false
  const isNext = !('next' in value) || typeof value.next === 'string'
  const all: readonly unknown[] = documents
  return isNext && all.every((one) => isDocument(one) && 'name' in one && typeof one.name === 'string')
}
