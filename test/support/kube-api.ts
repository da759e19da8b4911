import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'

type Stored = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Readonly<Record<string, unknown>>
  readonly spec: unknown
  readonly status?: unknown
}
type Event = {
  readonly version: number
  readonly plural: string
  readonly line: string
  readonly namespace: string
}

export type Trouble =
  /** Answers every request so. */
  | { readonly kind: 'status'; readonly status: number; readonly of?: 'list' | 'watch' | 'patch' }
  /** Takes requests and never answers. */
  | { readonly kind: 'hang' }
  /** Text instead of lists, and instead of events. */
  | { readonly kind: 'garbage'; readonly text: string }
  | { readonly kind: 'huge'; readonly bytes: number }
  | { readonly kind: 'slow'; readonly delayMs: number }
  | { readonly kind: 'refuse-connections' }

type Tls = { readonly certificatePem: string; readonly keyPem: string }

const PLURALS: Readonly<Record<string, string>> = {
  ServicePolicy: 'servicepolicies',
  BaselinePolicy: 'baselinepolicies',
  AdaptivePolicy: 'adaptivepolicies',
  RiskPolicy: 'riskpolicies',
  DevicePolicy: 'devicepolicies',
  DataPolicy: 'datapolicies',
}

/**
 * The part of a Kubernetes API server that a watcher of custom resources speaks with: lists in pages, watches with
 * bookmarks, 410 for what is no longer kept, merge patches of statuses with preconditions. On 127.0.0.1 over HTTP.
 */
export class KubeApi {
  readonly #server: Server
  readonly #watches = new Set<{ plural: string; namespace: string; response: ServerResponse }>()
  readonly #objects = new Map<string, Stored>()
  #events: Event[] = []
  #version = 100
  #uids = 0
  /** Resource versions before this one are gone. */
  #oldest = 0
  trouble: Trouble | undefined
  /** Bearer token that is asked for; undefined: none. */
  token: string | undefined
  /** Method and path with query of every request, as they came. */
  readonly requests: string[] = []
  /** Watches stay open and nothing comes. */
  isDeaf = false

  readonly #scheme: 'http' | 'https'

  private constructor(tls: Tls | undefined) {
    const answer = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#answer(request, response)
    this.#scheme = tls ? 'https' : 'http'
    this.#server = tls
      ? createTlsServer({ cert: tls.certificatePem, key: tls.keyPem }, answer)
      : createServer(answer)
  }

  /** With a certificate over TLS. */
  static async start(tls?: Tls): Promise<KubeApi> {
    const api = new KubeApi(tls)
    await new Promise<void>((resolve) => api.#server.listen(0, '127.0.0.1', resolve))
    return api
  }

  get url(): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the server does not listen')
    return `${this.#scheme}://127.0.0.1:${address.port}`
  }

  /** A kubeconfig for it. */
  kubeconfig(tokenFile?: string): string {
    const user = tokenFile === undefined ? '{}' : `{ tokenFile: ${tokenFile} }`
    return `apiVersion: v1
kind: Config
current-context: test
clusters: [{ name: test, cluster: { server: "${this.url}" } }]
users: [{ name: test, user: ${user} }]
contexts: [{ name: test, context: { cluster: test, user: test } }]
`
  }

  /** Creates or replaces one, as `kubectl apply` does; gives its generation. */
  put(
    kind: string,
    name: string,
    spec: unknown,
    {
      namespace,
      labels,
    }: { readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> } = {},
  ): number {
    const key = keyOf(kind, namespace, name)
    const before = this.#objects.get(key)
    const earlier = before?.metadata
    const same = before !== undefined && JSON.stringify(before.spec) === JSON.stringify(spec)
    const generation = Number(earlier?.['generation'] ?? 0) + (same ? 0 : 1)
    const object: Stored = {
      apiVersion: 'portcullis.dev/v1beta1',
      kind,
      metadata: {
        name,
        ...(namespace !== undefined && { namespace }),
        uid: earlier?.['uid'] ?? `uid-${++this.#uids}`,
        creationTimestamp:
          earlier?.['creationTimestamp'] ?? new Date(1_700_000_000_000 + this.#uids * 1000).toISOString(),
        generation,
        resourceVersion: String(++this.#version),
        managedFields: [{ manager: 'kubectl', operation: 'Apply' }],
        ...(labels && { labels }),
      },
      spec,
      ...(before?.status !== undefined && { status: before.status }),
    }
    this.#store(key, object, before ? 'MODIFIED' : 'ADDED')
    return generation
  }

  remove(kind: string, name: string, namespace?: string): void {
    const key = keyOf(kind, namespace, name)
    const object = this.#objects.get(key)
    if (!object) throw new Error(`there is no ${key}`)
    this.#objects.delete(key)
    this.#tell(withVersion(object, ++this.#version), 'DELETED')
  }

  /** Status of one, as it is stored. */
  status(kind: string, name: string, namespace?: string): Readonly<Record<string, unknown>> | undefined {
    const status = this.#objects.get(keyOf(kind, namespace, name))?.status
    return typeof status === 'object' && status !== null ? { ...status } : undefined
  }

  /** `True: message` of one condition, or undefined. */
  condition(type: string, kind: string, name: string, namespace?: string): string | undefined {
    const conditions = this.status(kind, name, namespace)?.['conditions']
    const list: readonly unknown[] = Array.isArray(conditions) ? conditions : []
    for (const each of list) {
      if (typeof each !== 'object' || each === null || !('type' in each) || each.type !== type) continue
      return `${'status' in each ? String(each.status) : ''} ${'message' in each ? String(each.message) : ''}`
    }
    return undefined
  }

  /** Stores a status as somebody else would. */
  setStatus(kind: string, name: string, namespace: string | undefined, status: unknown): void {
    const key = keyOf(kind, namespace, name)
    const object = this.#objects.get(key)
    if (!object) throw new Error(`there is no ${key}`)
    this.#store(key, withVersion({ ...object, status }, ++this.#version), 'MODIFIED')
  }

  /** Ends every watch, in order or by breaking the connection. */
  endWatches(how: 'in order' | 'broken'): void {
    for (const { response } of this.#watches) {
      if (how === 'in order') response.end()
      else response.destroy()
    }
    this.#watches.clear()
  }

  /** Events before now are no longer kept: watches from then are answered 410. */
  compact(): void {
    this.#oldest = this.#version
    this.#events = []
  }

  bookmark(): void {
    for (const { plural, response } of this.#watches) {
      const kind = Object.entries(PLURALS).find(([, each]) => each === plural)?.[0]
      const object = { kind, metadata: { resourceVersion: String(this.#version) } }
      response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`)
    }
  }

  /** Writes raw text into every watch of a kind. */
  inject(kind: string, text: string): void {
    for (const { plural, response } of this.#watches) if (plural === PLURALS[kind]) response.write(text)
  }

  get watching(): number {
    return this.#watches.size
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  #store(key: string, object: Stored, type: string): void {
    this.#objects.set(key, object)
    this.#tell(object, type)
  }

  #tell(object: Stored, type: string): void {
    const plural = PLURALS[object.kind] ?? ''
    const { namespace: lies } = object.metadata
    const namespace = typeof lies === 'string' ? lies : ''
    const line = `${JSON.stringify({ type, object })}\n`
    this.#events.push({ version: this.#version, plural, line, namespace })
    for (const watch of this.#watches)
      if (
        !this.isDeaf &&
        watch.plural === plural &&
        (watch.namespace === '' || watch.namespace === namespace)
      )
        watch.response.write(line)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://kube')
    this.requests.push(`${request.method} ${request.url}`)
    const watches = url.searchParams.get('watch') !== null
    const what = request.method === 'PATCH' ? 'patch' : watches ? 'watch' : 'list'
    const { trouble } = this
    if (trouble?.kind === 'refuse-connections') return void response.destroy()
    if (trouble?.kind === 'hang') return
    if (trouble?.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, trouble.delayMs))
    if (trouble?.kind === 'status' && (trouble.of ?? what) === what) {
      return refuse(response, trouble.status, 'as the test wishes')
    }
    if (trouble?.kind === 'garbage' && what !== 'patch') return void response.writeHead(200).end(trouble.text)
    if (trouble?.kind === 'huge' && what !== 'patch') {
      return void response.writeHead(200).end('x'.repeat(trouble.bytes))
    }
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) {
      return refuse(response, 401, 'Unauthorized')
    }
    const found =
      /^\/apis\/portcullis\.dev\/v1beta1(?:\/namespaces\/([^/]+))?\/([^/]+)(?:\/([^/]+)\/status)?$/.exec(
        url.pathname,
      )
    const [, namespace = '', plural = '', name] = found ?? []
    if (!Object.values(PLURALS).includes(plural)) {
      return refuse(response, 404, 'the server could not find the requested resource')
    }
    if (what === 'patch') return this.#patch(await readAll(request), namespace, plural, name ?? '', response)
    if (watches) return this.#watch(url.searchParams, namespace, plural, response)
    return this.#list(url.searchParams, namespace, plural, response)
  }

  #list(query: URLSearchParams, namespace: string, plural: string, response: ServerResponse): void {
    const all = [...this.#objects.values()].filter(
      (object) =>
        PLURALS[object.kind] === plural && (namespace === '' || object.metadata['namespace'] === namespace),
    )
    const from = Number(query.get('continue') ?? 0)
    const to = from + Number(query.get('limit') ?? all.length)
    const metadata = {
      resourceVersion: String(this.#version),
      ...(to < all.length && { continue: String(to) }),
    }
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ kind: 'List', metadata, items: all.slice(from, to) }))
  }

  #watch(query: URLSearchParams, namespace: string, plural: string, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion') ?? 0)
    response.setHeader('content-type', 'application/json')
    if (from < this.#oldest) {
      const object = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' }
      response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`)
      return
    }
    response.flushHeaders()
    for (const event of this.#events) {
      const isMeant = event.plural === plural && (namespace === '' || event.namespace === namespace)
      if (isMeant && event.version > from) response.write(event.line)
    }
    const watch = { plural, namespace, response }
    this.#watches.add(watch)
    const timer = setTimeout(() => this.isDeaf || response.end(), Number(query.get('timeoutSeconds')) * 1000)
    response.on('close', () => {
      clearTimeout(timer)
      this.#watches.delete(watch)
    })
  }

  #patch(body: string, namespace: string, plural: string, name: string, response: ServerResponse): void {
    const kind = Object.entries(PLURALS).find(([, each]) => each === plural)?.[0] ?? ''
    const key = keyOf(kind, namespace === '' ? undefined : namespace, name)
    const object = this.#objects.get(key)
    if (!object) return refuse(response, 404, `${name} not found`)
    const patch: { metadata?: Record<string, unknown>; status?: Record<string, unknown> } = JSON.parse(body)
    for (const [field, value] of Object.entries(patch.metadata ?? {})) {
      if (object.metadata[field] !== value) return refuse(response, 409, 'the object has been modified')
    }
    const merged = { ...Object(object.status), ...patch.status }
    const status = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null))
    const stored = withVersion({ ...object, status }, ++this.#version)
    this.#store(key, stored, 'MODIFIED')
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(stored))
  }
}

function withVersion(object: Stored, version: number): Stored {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } }
}

function keyOf(kind: string, namespace: string | undefined, name: string): string {
  return `${kind} ${namespace ?? ''} ${name}`
}

function refuse(response: ServerResponse, code: number, message: string): void {
  response.writeHead(code, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ kind: 'Status', code, message }))
}

async function readAll(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}
