import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  status,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import type { Issued } from './certificate-authority.js'

/** One SVID as the agent hands it out. */
export type ServedSvid = {
  readonly spiffe_id: string
  readonly x509_svid: Buffer
  readonly x509_svid_key: Buffer
  readonly bundle: Buffer
  readonly hint?: string
}

export type ServedX509 = {
  readonly svids?: readonly ServedSvid[]
  readonly crl?: readonly Buffer[]
  readonly federated_bundles?: Readonly<Record<string, Buffer>>
}

type Call = ServerWritableStream<object, object>
type Denial = { readonly code: status; readonly details: string }

/**
 * A SPIFFE agent on a Unix socket that speaks the Workload API: each state goes to every open stream, and to each new
 * one first. Calls without the security header are INVALID_ARGUMENT.
 */
export class WorkloadApiServer {
  readonly #directory: string
  readonly #calls = { x509: new Set<Call>(), jwt: new Set<Call>() }
  #server: Server | undefined
  #x509: ServedX509 | undefined
  #jwtBundles: Readonly<Record<string, Buffer>> | undefined
  /** Instead of an answer to new calls. */
  denial: Denial | undefined
  /** Calls that arrived. */
  calls = 0

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** `listen` false: the agent comes up later, by `resume`. */
  static async start(x509?: ServedX509, listen = true): Promise<WorkloadApiServer> {
    const server = new WorkloadApiServer(await mkdtemp(join(tmpdir(), 'agent-')))
    server.#x509 = x509
    if (listen) await server.resume()
    return server
  }

  get path(): string {
    return join(this.#directory, 'agent.sock')
  }

  /** As in SPIFFE_ENDPOINT_SOCKET. */
  get address(): string {
    return `unix://${this.path}`
  }

  /** Open streams. */
  get open(): number {
    return this.#calls.x509.size + this.#calls.jwt.size
  }

  pushX509(state: ServedX509): void {
    this.#x509 = state
    for (const call of this.#calls.x509) call.write(state)
  }

  pushJwtBundles(bundles: Readonly<Record<string, string>>): void {
    this.#jwtBundles = Object.fromEntries(
      Object.entries(bundles).map(([domain, text]) => [domain, Buffer.from(text)]),
    )
    for (const call of this.#calls.jwt) call.write({ bundles: this.#jwtBundles })
  }

  /** Ends every stream with this status; new calls get an answer again. */
  drop(code: status = status.UNAVAILABLE): void {
    for (const call of [...this.#calls.x509, ...this.#calls.jwt]) {
      call.emit('error', { code, details: 'dropped' })
    }
  }

  /** The agent's process ends: connections break, the socket is gone. */
  async suspend(): Promise<void> {
    this.#server?.forceShutdown()
    this.#server = undefined
    this.#calls.x509.clear()
    this.#calls.jwt.clear()
    await rm(this.path, { force: true })
  }

  /** Resolves to the port, where it is one. */
  async resume(address = `unix:${this.path}`): Promise<number> {
    const server = new Server()
    const api = loadPackageDefinition(loadSync('proto/spiffe/workload.proto', { keepCase: true }))[
      'SpiffeWorkloadAPI'
    ]
    if (typeof api !== 'function') throw new Error('no service')
    server.addService(api.service, {
      FetchX509SVID: (call: Call) => this.#serve(call, this.#calls.x509, this.#x509),
      FetchJWTBundles: (call: Call) =>
        this.#serve(call, this.#calls.jwt, this.#jwtBundles && { bundles: this.#jwtBundles }),
    })
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      )
    })
    this.#server = server
    return port
  }

  async stop(): Promise<void> {
    await this.suspend()
    await rm(this.#directory, { recursive: true, force: true })
  }

  #serve(call: Call, calls: Set<Call>, state: object | undefined): void {
    this.calls += 1
    const header = call.metadata.get('workload.spiffe.io')
    if (header.length !== 1 || header[0] !== 'true') {
      call.emit('error', { code: status.INVALID_ARGUMENT, details: 'security header missing' })
      return
    }
    if (this.denial) {
      call.emit('error', this.denial)
      return
    }
    calls.add(call)
    for (const event of ['close', 'cancelled', 'error', 'finish']) call.on(event, () => calls.delete(call))
    if (state) call.write(state)
  }
}

/** An SVID with its key and chain, and the roots of its trust domain. */
export function servedSvid(spiffeId: string, issued: Issued, roots: readonly Issued[]): ServedSvid {
  const chain = issued.chainPem.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []
  return {
    spiffe_id: spiffeId,
    x509_svid: Buffer.concat(
      chain.map((pem) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')),
    ),
    x509_svid_key: issued.keys.privateKey.export({ format: 'der', type: 'pkcs8' }),
    bundle: derBundle(...roots),
  }
}

export function derBundle(...roots: readonly Issued[]): Buffer {
  return Buffer.concat(roots.map(({ certificateDer }) => certificateDer))
}
