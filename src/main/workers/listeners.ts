import { createServer, type Server, type Socket } from 'node:net'
import { bind } from '../../adapters/grpc/bind.js'
import type { ListenerConfig } from '../../config/config.js'
import { messageOf, StartFailure } from '../log.js'

/** The listeners of all workers, which the supervisor alone listens for. */
export type SharedListeners = {
  readonly addresses: readonly { readonly name: string; readonly address: string }[]
  /** Takes no more connections of that listener. */
  readonly shut: (listener: string) => void
  readonly close: () => void
}

/**
 * Listens on every address. `arrived` gets each connection, of which nothing was read. Throws StartFailure with the
 * problems of all; then none is open.
 */
export async function openListeners(
  listeners: readonly ListenerConfig[],
  arrived: (listener: string, socket: Socket) => void,
): Promise<SharedListeners> {
  const servers = new Map<string, Server>()
  const addresses: { readonly name: string; readonly address: string }[] = []
  const problems: string[] = []
  const shut = (listener: string): void => {
    const server = servers.get(listener)
    if (server?.listening === true) server.close()
  }
  for (const { name, address } of listeners) {
    const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
      // Whoever went before anybody took the connection is no event.
      socket.on('error', () => undefined)
      arrived(name, socket)
    })
    servers.set(name, server)
    try {
      addresses.push({ name, address: await bind(server, address) })
      server.on('error', () => undefined)
    } catch (error) {
      problems.push(`listener ${name}: ${messageOf(error)}`)
    }
  }
  const close = (): void => {
    for (const name of servers.keys()) shut(name)
  }
  if (problems.length > 0) {
    close()
    throw new StartFailure(problems)
  }
  return { addresses, shut, close }
}
