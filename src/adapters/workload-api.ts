import { fileURLToPath } from 'node:url'
import {
  Client,
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

/** One identity that the agent gave this process. */
export type OwnSvid = {
  readonly spiffeId: string
  /** Certificates in DER, one after the other, leaf first. */
  readonly certificates: Buffer
  /** PKCS#8 in DER. */
  readonly key: Buffer
  /** Roots of its trust domain in DER, one after the other. */
  readonly bundle: Buffer
}

/** All of what the agent says now; what is not in it is withdrawn. */
export type X509State = {
  /** The first one is the default identity. */
  readonly svids: readonly OwnSvid[]
  /** Revocation lists in DER. */
  readonly crls: readonly Buffer[]
  /** By SPIFFE ID of the trust domain. */
  readonly federatedBundles: ReadonlyMap<string, Buffer>
}

/** JWKS texts by SPIFFE ID of the trust domain. */
export type JwtBundlesState = ReadonlyMap<string, string>

export type StreamHealth = {
  /** Milliseconds since the epoch. */
  readonly lastMessageMs: number | undefined
  /** Why nothing is heard at the moment; undefined while the agent is there. */
  readonly problem: string | undefined
  /** The agent said that asking again is of no use. */
  readonly stopped: boolean
}

export type WorkloadApiOptions = {
  /** For grpc-js: `unix:/path`, `ipv4:127.0.0.1:8081` or `ipv6:[::1]:8081`. */
  readonly target: string
  readonly now: () => number
  /** From 0 to 1, so that a host's processes don't all come back at once. */
  readonly random: () => number
  /** Milliseconds before the first new attempt, and at most. */
  readonly backoffMs?: { readonly first: number; readonly most: number }
}

/** What a stream tells. Neither may throw. */
export type StreamListener<State> = {
  readonly message: (state: State) => void
  readonly failed: (problem: string, stopped: boolean) => void
}

/** An open stream that comes back by itself. */
export type Stream = { readonly health: StreamHealth; close(): void }

const PROTO = fileURLToPath(new URL('../../proto/spiffe/workload.proto', import.meta.url))
const BACKOFF_MS = { first: 500, most: 30_000 }
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024
/** A dead agent behind an open connection is found out within this. */
const KEEPALIVE_MS = 20_000
/** The agent holds the request to be wrong or doesn't know the method: asking again changes nothing. */
const HOPELESS: ReadonlySet<status> = new Set([status.INVALID_ARGUMENT, status.UNIMPLEMENTED])

type WireX509 = {
  readonly svids: readonly {
    readonly spiffe_id: string
    readonly x509_svid: Buffer
    readonly x509_svid_key: Buffer
    readonly bundle: Buffer
  }[]
  readonly crl: readonly Buffer[]
  readonly federated_bundles: Readonly<Record<string, Buffer>>
}
type WireJwtBundles = { readonly bundles: Readonly<Record<string, Buffer>> }

/**
 * A client of the SPIFFE Workload API of one agent. Each stream is opened again when it ends, after a time that
 * doubles up to 30 s with jitter; INVALID_ARGUMENT and UNIMPLEMENTED end it for good. Messages are limited to 32 MiB.
 * Source: SPIFFE Workload API 3 to 6, SPECS 3.7.
 */
export class WorkloadApi {
  readonly #options: WorkloadApiOptions
  readonly #methods: Methods
  readonly #client: Client
  readonly #streams = new Set<Stream>()

  constructor(options: WorkloadApiOptions) {
    this.#options = options
    this.#methods = loadMethods()
    this.#client = new Client(options.target, credentials.createInsecure(), {
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_MS / 2,
      // The sockets of one host need no proxy, whatever the environment says.
      'grpc.enable_http_proxy': 0,
      'grpc.initial_reconnect_backoff_ms': (options.backoffMs ?? BACKOFF_MS).first,
      'grpc.max_reconnect_backoff_ms': (options.backoffMs ?? BACKOFF_MS).most,
    })
  }

  /** Own SVIDs, bundles and revocation lists. */
  watchX509(listener: StreamListener<X509State>): Stream {
    return this.#watch(this.#methods.x509, {
      message: (wire: WireX509) =>
        listener.message({
          svids: wire.svids.map((svid) => ({
            spiffeId: svid.spiffe_id,
            certificates: svid.x509_svid,
            key: svid.x509_svid_key,
            bundle: svid.bundle,
          })),
          crls: wire.crl,
          federatedBundles: new Map(Object.entries(wire.federated_bundles)),
        }),
      failed: listener.failed,
    })
  }

  /** Keys that verify JWT-SVIDs. */
  watchJwtBundles(listener: StreamListener<JwtBundlesState>): Stream {
    return this.#watch(this.#methods.jwtBundles, {
      message: (wire: WireJwtBundles) =>
        listener.message(
          new Map(Object.entries(wire.bundles).map(([domain, jwks]) => [domain, jwks.toString()])),
        ),
      failed: listener.failed,
    })
  }

  close(): void {
    for (const stream of this.#streams) stream.close()
    this.#client.close()
  }

  #watch<Wire>(method: Method<Wire>, listener: StreamListener<Wire>): Stream {
    const { now, random, backoffMs = BACKOFF_MS } = this.#options
    const stream = new LiveStream(() => this.#open(method), listener, { now, random, backoffMs })
    this.#streams.add(stream)
    return stream
  }

  #open<Wire>({ path, requestSerialize, responseDeserialize }: Method<Wire>): ClientReadableStream<Wire> {
    const metadata = new Metadata()
    metadata.set('workload.spiffe.io', 'true')
    return this.#client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {}, metadata)
  }
}

type Retry = {
  readonly now: () => number
  readonly random: () => number
  readonly backoffMs: { readonly first: number; readonly most: number }
}

class LiveStream<Wire> implements Stream {
  readonly #open: () => ClientReadableStream<Wire>
  readonly #listener: StreamListener<Wire>
  readonly #retry: Retry
  #call: ClientReadableStream<Wire> | undefined
  #timer: NodeJS.Timeout | undefined
  #delayMs: number
  #lastMessageMs: number | undefined
  #problem: string | undefined = 'not heard of yet'
  #stopped = false
  #closed = false

  constructor(open: () => ClientReadableStream<Wire>, listener: StreamListener<Wire>, retry: Retry) {
    this.#open = open
    this.#listener = listener
    this.#retry = retry
    this.#delayMs = retry.backoffMs.first
    this.#start()
  }

  get health(): StreamHealth {
    return { lastMessageMs: this.#lastMessageMs, problem: this.#problem, stopped: this.#stopped }
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#call?.cancel()
  }

  #start(): void {
    const call = this.#open()
    this.#call = call
    let ended = false
    const end = (problem: string, hopeless: boolean): void => {
      if (ended || this.#closed) return
      ended = true
      this.#fail(problem, hopeless)
    }
    call.on('data', (wire: Wire) => {
      if (this.#closed) return
      this.#delayMs = this.#retry.backoffMs.first
      this.#lastMessageMs = this.#retry.now()
      this.#problem = undefined
      this.#listener.message(wire)
    })
    call.on('error', ({ code, details }: ServiceError) =>
      end(`${status[code] ?? code}: ${details}`, HOPELESS.has(code)),
    )
    call.on('end', () => end('the agent ended the stream', false))
  }

  #fail(problem: string, hopeless: boolean): void {
    this.#problem = problem
    this.#stopped = hopeless
    if (!hopeless) {
      const { random, backoffMs } = this.#retry
      const waitMs = this.#delayMs * (0.5 + random() / 2)
      this.#delayMs = Math.min(this.#delayMs * 2, backoffMs.most)
      this.#timer = setTimeout(() => this.#start(), waitMs).unref()
    }
    this.#listener.failed(problem, hopeless)
  }
}

type Method<Wire> = Pick<MethodDefinition<object, Wire>, 'path' | 'requestSerialize' | 'responseDeserialize'>
type Methods = { readonly x509: Method<WireX509>; readonly jwtBundles: Method<WireJwtBundles> }

/** The loader's message types say nothing of their fields; ours do. */
function loadMethods(): Methods {
  const loaded = loadPackageDefinition(loadSync(PROTO, { keepCase: true, defaults: true }))
  const api = loaded['SpiffeWorkloadAPI']
  if (typeof api !== 'function') throw new Error(`${PROTO} has no service SpiffeWorkloadAPI`)
  const { service } = api
  const x509 = service['FetchX509SVID'] as Method<WireX509> | undefined
  const jwtBundles = service['FetchJWTBundles'] as Method<WireJwtBundles> | undefined
  if (!x509 || !jwtBundles) throw new Error(`${PROTO} lacks a method`)
  return { x509, jwtBundles }
}
