import type { Socket } from 'node:net'
import type { Arrivals } from '../../adapters/grpc/door.js'
import type { FromWorker } from './protocol.js'

/** Connections that the supervisor hands to this worker. */
export class Inbox {
  readonly #tell: (message: FromWorker) => void
  readonly #takers = new Map<string, (socket: Socket) => void>()
  readonly #shut = new Map<string, () => void>()

  constructor(tell: (message: FromWorker) => void) {
    this.#tell = tell
  }

  /** Those of one listener. */
  arrivals(listener: string): Arrivals {
    return {
      kind: 'handed',
      address: 'handed over',
      begin: (take) => this.#takers.set(listener, take),
      end: () => {
        this.#tell({ kind: 'shutting', listener })
        return new Promise((resolve) => this.#shut.set(listener, resolve))
      },
    }
  }

  /** Undefined: it ended on its way. */
  receive(listener: string, socket: Socket | undefined): void {
    this.#tell({ kind: 'took' })
    const take = this.#takers.get(listener)
    if (!socket || !take) {
      socket?.destroy()
      this.#tell({ kind: 'left', listener })
      return
    }
    socket.once('close', () => this.#tell({ kind: 'left', listener }))
    take(socket)
  }

  /** No more come. */
  shut(listener: string): void {
    this.#takers.delete(listener)
    this.#shut.get(listener)?.()
  }
}
