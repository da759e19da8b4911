import * as grpc from '@grpc/grpc-js'
import { readAnswer } from '../../test/support/portcullis.js'
import { AUTHORIZATION } from '../../test/support/envoy-wire.js'
import type { Authority } from '../../test/support/certificate-authority.js'
import type { Door } from './prepared.js'
import type { Given } from './compare.js'
import { spiffeIdOf } from './world.js'

/** Name in the server's certificate. */
export const SERVER_NAME = 'portcullis.test'
/** A check has to be answered within it. */
const DEADLINE_MS = 5000
const CONNECTS_WITHIN_MS = 20_000
const DRAIN_MS = DEADLINE_MS + 500
const EACH = 2
const CERTIFICATE_SECONDS = 30 * 86_400

export type Credentials = { readonly ca: Buffer; readonly key: Buffer; readonly certificate: Buffer }

/** Connections as Envoys have them: each with the certificate of its own workload. */
export class Clients {
  readonly credentials = new Map<Door, Credentials>()
  readonly #addresses: ReadonlyMap<string, string>
  readonly #clients = new Map<Door, grpc.Client[]>()
  readonly #closing = new Map<grpc.Client, NodeJS.Timeout>()
  #turn = 0

  constructor(doors: readonly Door[], authority: Authority, addresses: ReadonlyMap<string, string>) {
    this.#addresses = addresses
    for (const door of doors) {
      const spiffeId = spiffeIdOf(door === 'gateway' ? 'edge/gateway' : door)
      const issued = authority.issueSvid({ spiffeId, ttlSeconds: CERTIFICATE_SECONDS })
      this.credentials.set(door, {
        ca: Buffer.from(authority.certificatePem),
        key: Buffer.from(issued.keyPem),
        certificate: Buffer.from(issued.chainPem),
      })
      this.#clients.set(
        door,
        Array.from({ length: EACH }, () => this.#open(door)),
      )
    }
  }

  addressOf(door: Door): string {
    const address = this.#addresses.get(door === 'gateway' ? 'edge' : 'mesh')
    if (address === undefined) throw new Error('no such listener')
    return address
  }

  credentialsOf(door: Door): Credentials {
    const credentials = this.credentials.get(door)
    if (!credentials) throw new Error(`nobody asks at ${door}`)
    return credentials
  }

  /** Settles when all are connected. */
  async connect(): Promise<void> {
    const all = [...this.#clients.values()].flat()
    await Promise.all(
      all.map(
        (client) =>
          new Promise<void>((resolve, reject) =>
            client.waitForReady(Date.now() + CONNECTS_WITHIN_MS, (error) =>
              error ? reject(error) : resolve(),
            ),
          ),
      ),
    )
  }

  /** Never throws. */
  check(door: Door, message: Buffer): Promise<Given> {
    const clients = this.#clients.get(door) ?? []
    const client = clients[this.#turn++ % clients.length]
    return new Promise((resolve) => {
      if (!client) return resolve({ failure: `nobody asks at ${door}` })
      client.makeUnaryRequest(
        AUTHORIZATION.path,
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        message,
        { deadline: Date.now() + DEADLINE_MS },
        (error, reply) => {
          if (error || !reply) return resolve({ failure: error?.message ?? 'no reply' })
          try {
            const { outcome, reason } = readAnswer(reply)
            resolve({ outcome, reason })
          } catch (problem) {
            resolve({ failure: String(problem) })
          }
        },
      )
    })
  }

  /** New connections for all; the old ones end when what is under way is answered. */
  replace(): void {
    for (const [door, clients] of this.#clients) {
      for (const [index, old] of clients.entries()) {
        clients[index] = this.#open(door)
        const timer = setTimeout(() => {
          old.close()
          this.#closing.delete(old)
        }, DRAIN_MS)
        this.#closing.set(old, timer)
      }
    }
  }

  close(): void {
    for (const [old, timer] of this.#closing) {
      clearTimeout(timer)
      old.close()
    }
    for (const clients of this.#clients.values()) for (const client of clients) client.close()
  }

  #open(door: Door): grpc.Client {
    const { ca, key, certificate } = this.credentialsOf(door)
    return new grpc.Client(this.addressOf(door), grpc.credentials.createSsl(ca, key, certificate), {
      'grpc.ssl_target_name_override': SERVER_NAME,
      'grpc.default_authority': SERVER_NAME,
      'grpc.use_local_subchannel_pool': 1,
    })
  }
}
