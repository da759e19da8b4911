import type { Socket } from 'node:net'
import { Allowance, type Allowed } from './allowance.js'
import type { Excess } from './closing.js'
import type { GrpcLimits } from './limits.js'

/** A connection from accepting on. */
export type Arrival = {
  /** Of TCP, under TLS where there is TLS. */
  readonly socket: Socket
  /** Undefined on a Unix socket. */
  readonly address: string | undefined
}

type Neighbour = { open: number; readonly fresh: Allowance }

export type EntranceTerms = {
  readonly limits: GrpcLimits
  /** Whether a handshake follows, which costs more than most calls. */
  readonly tls: boolean
  /** Begins the connection. */
  readonly enter: (arrival: Arrival) => void
  readonly refused: (reason: Excess, address: string | undefined) => void
}

/**
 * Lets connections in: so many at once, so many of one IP address at once and a second, and few handshakes a turn of the event loop,
 * of all addresses by turns, so that calls on open connections are answered in between. What is refused is closed without a
 * byte.
 */
export class Entrance {
  readonly #terms: EntranceTerms
  readonly #fresh: Allowed
  readonly #sockets = new Set<Socket>()
  readonly #inside = new Map<string, Arrival>()
  readonly #neighbours = new Map<string, Neighbour>()
  readonly #waiting = new Map<string, Arrival[]>()
  /** Without TLS a session begins while its connection is let in. */
  #entering: Arrival | undefined
  #turn: NodeJS.Immediate | undefined

  constructor(terms: EntranceTerms) {
    this.#terms = terms
    const { connectionsPerAddress, newConnectionsPerAddress } = terms.limits
    this.#fresh = { burst: connectionsPerAddress, perSecond: newConnectionsPerAddress }
  }

  arrive(socket: Socket): void {
    if (this.#sockets.size >= this.#terms.limits.connections) {
      this.#terms.refused('connections', socket.remoteAddress)
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    // One that waits or has no session yet has nobody else who listens.
    socket.on('error', ignore)
    const address = socket.remoteAddress
    const arrival = { socket, address }
    // What comes without an address came through a Unix socket, or is gone already.
    if (address !== undefined && !this.#counts(arrival, address)) return
    // One that is being read already would lose what comes while it waits.
    if (!this.#terms.tls || socket.readableFlowing !== false) return this.#enter(arrival)
    const line = this.#waiting.get(address ?? '')
    if (line) line.push(arrival)
    else this.#waiting.set(address ?? '', [arrival])
    this.#turn ??= setImmediate(() => this.#letIn())
  }

  /** The connection under an HTTP/2 session; undefined for TLS on a Unix socket, which can't be told from another. */
  arrivalOf(socket: Ends): Arrival | undefined {
    return socket.remoteAddress === undefined ? this.#entering : this.#inside.get(endsOf(socket))
  }

  /** Counts as new connections of that address. */
  charge(address: string | undefined, connections: number): void {
    if (address !== undefined) this.#neighbours.get(address)?.fresh.owe(connections, performance.now())
  }

  /** Forgets addresses that are as if they had never come. */
  sweep(nowMs: number): void {
    for (const [address, { open, fresh }] of this.#neighbours) {
      if (open === 0 && fresh.isWhole(nowMs)) this.#neighbours.delete(address)
    }
  }

  /** Ends every connection now, those whose handshake isn't done included. */
  destroy(): void {
    clearImmediate(this.#turn)
    this.#turn = undefined
    this.#waiting.clear()
    for (const socket of this.#sockets) socket.destroy()
  }

  #counts({ socket }: Arrival, address: string): boolean {
    const { limits, refused } = this.#terms
    const nowMs = performance.now()
    let neighbour = this.#neighbours.get(address)
    if (!neighbour) {
      neighbour = { open: 0, fresh: new Allowance(this.#fresh, nowMs) }
      this.#neighbours.set(address, neighbour)
    }
    const tooMany = neighbour.open >= limits.connectionsPerAddress
    if (tooMany || !neighbour.fresh.take(1, nowMs)) {
      socket.destroy()
      refused(tooMany ? 'connections-of-address' : 'new-connections-of-address', address)
      return false
    }
    const counted = neighbour
    counted.open++
    socket.once('close', () => counted.open--)
    return true
  }

  #letIn(): void {
    this.#turn = undefined
    for (let begun = 0; begun < this.#terms.limits.handshakesPerTurn; begun++) {
      const [first] = this.#waiting
      if (!first) return
      const [address, line] = first
      const arrival = line.shift()
      this.#waiting.delete(address)
      if (line.length > 0) this.#waiting.set(address, line)
      if (arrival && !arrival.socket.destroyed) this.#enter(arrival)
    }
    if (this.#waiting.size > 0) this.#turn = setImmediate(() => this.#letIn())
  }

  #enter(arrival: Arrival): void {
    if (arrival.address !== undefined) {
      const ends = endsOf(arrival.socket)
      this.#inside.set(ends, arrival)
      arrival.socket.once('close', () => {
        if (this.#inside.get(ends) === arrival) this.#inside.delete(ends)
      })
    }
    this.#entering = arrival
    this.#terms.enter(arrival)
    this.#entering = undefined
  }
}

function ignore(): void {
  // It closes then.
}

type Ends = Pick<Socket, 'remoteAddress' | 'remotePort' | 'localAddress'>

const endsOf = ({ remoteAddress, remotePort, localAddress }: Ends): string =>
  `${remoteAddress} ${remotePort} ${localAddress}`
