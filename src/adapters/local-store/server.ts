import { chmod } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import type { ClaimAnswer, Claim } from '../../identity/replay.js'
import type { Loaded } from '../../state/local-copies.js'
import type { StateStore } from '../../state/store.js'
import { KINDS } from './frames.js'
import { Peer } from './peer.js'
import { makePlace } from './place.js'

/** A store that answers reads and claims at once, and applies changes before it waits for anything. */
export type SharedStore = StateStore & {
  lookUp(key: string, nowMs: number): Loaded | 'unavailable'
  readonly claims: { claim(claim: Claim, nowMs: number): ClaimAnswer }
}

export type LocalStoreServerOptions = {
  /** The store's own, in which no other process serves one. */
  readonly directory: string
  readonly now: () => number
  readonly warn: (message: string) => void
}

export type LocalStoreServer = {
  /** Of the socket. */
  readonly path: string
  /** Ends all connections. The store stays open. */
  close(): Promise<void>
}

/** Processes whose last batch is remembered. */
const MAX_INSTANCES = 1024

/**
 * Serves the store to worker processes over a socket that only this user can reach. From here on all changes must come
 * through it, because copies of the workers live on being told of each one.
 *
 * Order is what makes them right. A frame is worked off without a wait in between, so all changes have one order: that
 * in which the store takes them. Each is put behind what the other workers were sent already, and a record that was
 * asked for is sent as it is at that place in the order. So a worker has, with every record, exactly the changes
 * before it, and is told of exactly those after it.
 *
 * A worker that doesn't read is disconnected, and comes back with its copies in doubt. Rejects when no socket can be made.
 */
export async function serveLocalStore(
  store: SharedStore,
  options: LocalStoreServerOptions,
): Promise<LocalStoreServer> {
  const place = await makePlace(options.directory)
  const hub = new Hub(store, options)
  const server = createServer((socket) => hub.add(new Peer(socket, hub)))
  try {
    await listen(server, place.path)
    await chmod(place.path, 0o600)
  } catch (error) {
    server.close()
    await place.remove()
    throw error
  }
  return {
    path: place.path,
    close: async () => {
      hub.close()
      await new Promise((resolve) => server.close(resolve))
      await place.remove()
    },
  }
}

/** What the connections have in common. */
export class Hub {
  readonly store: SharedStore
  readonly now: () => number
  readonly warn: (message: string) => void
  readonly #peers = new Set<Peer>()
  /** The last batch taken of each process, by its name; the least lately heard of first. */
  readonly #lastBatches = new Map<string, number>()

  constructor(store: SharedStore, { now, warn }: LocalStoreServerOptions) {
    this.store = store
    this.now = now
    this.warn = warn
  }

  add(peer: Peer): void {
    this.#peers.add(peer)
    peer.socket.once('close', () => this.#peers.delete(peer))
  }

  /** A process has one connection: what an earlier one may still hold comes again over this one. */
  introduce(peer: Peer): void {
    for (const other of this.#peers) {
      if (other !== peer && other.instance === peer.instance) other.socket.destroy()
    }
  }

  /** Whether the batch was not taken before; it is from now on. */
  isNew(instance: string, number: number): boolean {
    const last = this.#lastBatches.get(instance) ?? 0
    this.#lastBatches.delete(instance)
    this.#lastBatches.set(instance, Math.max(last, number))
    if (this.#lastBatches.size > MAX_INSTANCES) {
      for (const oldest of this.#lastBatches.keys()) {
        this.#lastBatches.delete(oldest)
        break
      }
    }
    return number > last
  }

  tell(changes: Buffer, except?: Peer): void {
    for (const peer of this.#peers) {
      if (peer !== except && peer.instance !== undefined) peer.outbox.sendFrame(KINDS.told, changes)
    }
  }

  close(): void {
    for (const peer of this.#peers) peer.socket.destroy()
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      server.on('error', () => undefined)
      resolve()
    })
  })
}
