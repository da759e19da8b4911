import type { ApiClient, Failure } from './api-client.js'

/** What is kept of one object. */
export type Kept<Item> = { readonly key: string; readonly item: Item }

export type CollectionOptions<Item> = {
  readonly client: Pick<ApiClient, 'get' | 'stream'>
  /** Of the list: `/apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL`. */
  readonly path: string
  /** Takes an object apart, or says what it is instead of one. */
  readonly read: (
    object: unknown,
  ) => { readonly ok: true; readonly kept: Kept<Item> } | { readonly ok: false; readonly problem: string }
  /** Something is other than it was: an item, or the health. Must not throw. */
  readonly changed: () => void
  readonly nowMs: () => number
  /** 0 to 1, for jitter. */
  readonly random: () => number
  readonly limits?: Partial<CollectionLimits>
}

export type CollectionLimits = {
  readonly pageSize: number
  readonly pageTimeoutMs: number
  /** Until a watch begins. */
  readonly openTimeoutMs: number
  readonly maxPageBytes: number
  readonly maxObjectBytes: number
  readonly maxItems: number
  /** Of all items as JSON. */
  readonly maxBytes: number
  /** How long one watch lasts; then it is resumed, so that a dead connection is noticed soon. */
  readonly watchSeconds: number
  /** Silent for so much longer than that, the connection is dead. */
  readonly graceMs: number
  readonly leastBackoffMs: number
  readonly mostBackoffMs: number
}

/** `problem`: why it is not known to be current; `sinceMs`: since when, milliseconds since the epoch. */
export type CollectionHealth = {
  /** It was listed whole at least once. */
  readonly listed: boolean
  readonly problem: string | undefined
  readonly sinceMs: number | undefined
  /** HTTP status of the refusal, where there was one. */
  readonly status: number | undefined
}

const LIMITS: CollectionLimits = {
  pageSize: 250,
  pageTimeoutMs: 30_000,
  openTimeoutMs: 10_000,
  maxPageBytes: 64 * 1024 * 1024,
  maxObjectBytes: 4 * 1024 * 1024,
  maxItems: 50_000,
  maxBytes: 256 * 1024 * 1024,
  watchSeconds: 50,
  graceMs: 10_000,
  leastBackoffMs: 200,
  mostBackoffMs: 10_000,
}
type Stored<Item> = { readonly item: Item; readonly bytes: number }

/**
 * All objects of one kind, as an API server has them: a list, then a watch from there, resumed where it ended. What
 * was read stays while the server is away. Memory is bounded: with more, nothing more is taken and the problem told.
 * Source: Kubernetes API concepts, "Efficient detection of changes", "Retrieving large result sets in chunks".
 */
export class Collection<Item> {
  readonly #options: CollectionOptions<Item>
  readonly #limits: CollectionLimits
  readonly #abort = new AbortController()
  #items = new Map<string, Stored<Item>>()
  #bytes = 0
  /** Where the watch goes on; undefined: what is there must be listed. */
  #version: string | undefined
  #listed = false
  #failure: Failure | undefined = { problem: 'never listed' }
  #sinceMs: number | undefined
  #failures = 0

  constructor(options: CollectionOptions<Item>) {
    this.#options = options
    this.#limits = { ...LIMITS, ...options.limits }
    this.#sinceMs = options.nowMs()
  }

  /** Follows the server until `close`. */
  start(): void {
    void this.#follow()
  }

  *items(): Iterable<Item> {
    for (const { item } of this.#items.values()) yield item
  }

  get health(): CollectionHealth {
    const { problem, status } = this.#failure ?? {}
    return { listed: this.#listed, problem, status, sinceMs: this.#sinceMs }
  }

  close(): void {
    this.#abort.abort()
  }

  async #follow(): Promise<void> {
    const { signal } = this.#abort
    while (!signal.aborted) {
      const startedMs = performance.now()
      const watches = this.#version !== undefined
      const failure = watches ? await this.#watch() : await this.#list()
      if (signal.aborted) return
      if (failure) this.#fail(failure)
      // A server that ends every watch at once must not be asked in a circle.
      const isHasty = watches && performance.now() - startedMs < this.#limits.leastBackoffMs
      if (failure) await this.#pause(this.#backoffMs())
      else if (isHasty) await this.#pause(this.#limits.leastBackoffMs)
    }
  }

  async #list(): Promise<Failure | undefined> {
    const { client, path } = this.#options
    const { pageSize, pageTimeoutMs, maxPageBytes, maxItems, maxBytes } = this.#limits
    const items = new Map<string, Stored<Item>>()
    let bytes = 0
    let more = ''
    for (;;) {
      const after = more === '' ? '' : `&continue=${encodeURIComponent(more)}`
      const reply = await client.get(`${path}?limit=${pageSize}${after}`, {
        timeoutMs: pageTimeoutMs,
        maxBytes: maxPageBytes,
        signal: this.#abort.signal,
      })
      if (!reply.ok) return reply
      const page = pageOf(reply.text)
      if (!page) return { problem: 'answered what is no list' }
      bytes += reply.text.length
      const size = Math.ceil(reply.text.length / Math.max(1, page.items.length))
      for (const object of page.items) {
        const read = this.#options.read(object)
        if (!read.ok) return { problem: `answered ${read.problem}` }
        items.set(read.kept.key, { item: read.kept.item, bytes: size })
      }
      if (items.size > maxItems) return { problem: `there are more than ${maxItems} objects` }
      if (bytes > maxBytes) return { problem: `the objects have more than ${maxBytes} bytes` }
      more = page.more
      if (more === '') {
        this.#items = items
        this.#bytes = bytes
        this.#version = page.version
        this.#listed = true
        this.#recover()
        this.#options.changed()
        return undefined
      }
    }
  }

  async #watch(): Promise<Failure | undefined> {
    const { client, path, random } = this.#options
    const { watchSeconds, graceMs, maxObjectBytes, openTimeoutMs } = this.#limits
    const seconds = Math.ceil(watchSeconds * (0.8 + 0.4 * random()))
    const query = `watch=1&allowWatchBookmarks=true&timeoutSeconds=${seconds}&resourceVersion=${encodeURIComponent(this.#version ?? '')}`
    const end = await client.stream(
      `${path}?${query}`,
      (line) => this.#take(line),
      {
        timeoutMs: openTimeoutMs,
        idleMs: seconds * 1000 + graceMs,
        maxLineBytes: maxObjectBytes,
        signal: this.#abort.signal,
      },
      () => this.#recover(),
    )
    // What was missed is no longer kept there: list again.
    if (end?.status === 410) {
      this.#version = undefined
      return undefined
    }
    if (end?.missed) this.#version = undefined
    return end
  }

  /** One event. What is given ends the watch. */
  #take(line: string): Failure | undefined {
    const event = parsed(line)
    const object = fieldOf(event, 'object')
    const type = fieldOf(event, 'type')
    if (type === 'ERROR') {
      const code = fieldOf(object, 'code')
      const message = fieldOf(object, 'message')
      const problem = `ended the watch: ${typeof message === 'string' ? message.slice(0, 500) : 'no reason'}`
      return { problem, status: typeof code === 'number' ? code : undefined }
    }
    const version = fieldOf(fieldOf(object, 'metadata'), 'resourceVersion')
    if (typeof version !== 'string') return garbage('what is no event')
    if (type === 'BOOKMARK') {
      this.#version = version
      return undefined
    }
    if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED') return garbage('an unknown event')
    const read = this.#options.read(object)
    if (!read.ok) return garbage(read.problem)
    const { key, item } = read.kept
    const before = this.#items.get(key)
    const bytes = this.#bytes - (before?.bytes ?? 0) + (type === 'DELETED' ? 0 : line.length)
    const count = this.#items.size + (before ? 0 : 1)
    if (type !== 'DELETED' && (bytes > this.#limits.maxBytes || count > this.#limits.maxItems)) {
      return garbage('more than is kept')
    }
    if (type === 'DELETED') this.#items.delete(key)
    else this.#items.set(key, { item, bytes: line.length })
    this.#bytes = bytes
    this.#version = version
    this.#options.changed()
    return undefined
  }

  #fail(failure: Failure): void {
    this.#failures++
    this.#failure = failure
    this.#sinceMs ??= this.#options.nowMs()
    this.#options.changed()
  }

  #recover(): void {
    this.#failures = 0
    if (this.#failure === undefined || !this.#listed) return
    this.#failure = undefined
    this.#sinceMs = undefined
    this.#options.changed()
  }

  /** The first time soon, since most breaks are short; then doubled, each with jitter. */
  #backoffMs(): number {
    const { leastBackoffMs, mostBackoffMs } = this.#limits
    const ceiling = Math.min(mostBackoffMs, leastBackoffMs * 2 ** Math.min(this.#failures - 1, 20))
    return ceiling * (0.5 + 0.5 * this.#options.random())
  }

  #pause(ms: number): Promise<void> {
    const { signal } = this.#abort
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms)
      function done(): void {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      signal.addEventListener('abort', done)
    })
  }
}

function garbage(what: string): Failure {
  return { problem: `sent ${what}`, missed: true }
}

type Page = { readonly items: readonly unknown[]; readonly version: string; readonly more: string }

function pageOf(text: string): Page | undefined {
  const page = parsed(text)
  const items = fieldOf(page, 'items')
  const metadata = fieldOf(page, 'metadata')
  const version = fieldOf(metadata, 'resourceVersion')
  const more = fieldOf(metadata, 'continue') ?? ''
  return Array.isArray(items) && typeof version === 'string' && version !== '' && typeof more === 'string'
    ? { items, version, more }
    : undefined
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined
}
