import type { Server, Socket } from 'node:net'
import { bind, type ListenAddress } from './bind.js'

/** Connections that another process takes and hands over. */
export type Arrivals = {
  readonly kind: 'handed'
  /** Where that process listens, for people. */
  readonly address: string
  /** From now on `take` gets every connection. */
  readonly begin: (take: (socket: Socket) => void) => void
  /** Settles once no more come. */
  readonly end: () => Promise<void>
}

/** Where a server's connections come from. */
export type Door = {
  /** As in the configuration, with the port it got. */
  readonly address: string
  /** Takes no more connections. */
  readonly shut: () => Promise<void>
  /** Settles once it is shut and all connections are gone. */
  readonly closed: Promise<void>
}

/** Rejects when it can't listen. */
export async function openDoor(server: Server, from: ListenAddress | Arrivals): Promise<Door> {
  if (from.kind === 'handed') {
    let ended: Promise<void> | undefined
    from.begin((socket) => void server.emit('connection', socket))
    // Handed connections are not counted by the server: whoever keeps them knows when they are gone.
    return { address: from.address, shut: () => (ended ??= from.end()), closed: Promise.resolve() }
  }
  const address = await bind(server, from)
  return {
    address,
    shut: () => {
      if (server.listening) server.close()
      return Promise.resolve()
    },
    closed: new Promise((resolve) => server.once('close', () => resolve())),
  }
}
