import { constants, type Http2SecureServer, type Http2Server, type Http2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { Admission } from './asker.js'
import { ByteBudget } from './byte-budget.js'
import type { GrpcLimits } from './limits.js'

/** One HTTP/2 connection. Times are monotonic milliseconds. */
export type Connection = {
  readonly session: Http2Session
  readonly admission: Admission
  readonly budget: ByteBudget
  readonly openedMs: number
  /** Calls without an end of their own put here how they end; called once, when the peer knows that it must go. */
  readonly farewells: Set<() => void>
  /** Whether it knows. */
  leaving: boolean
  /** Whether a first frame came. */
  greeted: boolean
  /** When a PING was sent that has no answer yet. */
  pingedMs: number | undefined
  /** When its last PING was answered. */
  answeredMs: number
  /** When it was told to go. */
  toldMs: number | undefined
}

/** The highest stream id: a GOAWAY that only announces the end, so calls already on their way are still served. */
const LAST_STREAM_ID = 2 ** 31 - 1
/** Longest wait for a peer's word that it has read the announcement. */
const NOTICE_MS = 1000
/** A peer is told to go this long before its certificate ends, so that it comes back with the next one in time. */
const EARLY_MS = 30_000

/**
 * The connections of one listener, from accepting to closing. Ends those that stay silent, that don't answer to
 * PING any more, whose client certificate ends, or whose roots are no longer trusted.
 */
export class Connections {
  readonly #limits: GrpcLimits
  readonly #sockets = new Set<Socket>()
  readonly #open = new Map<Http2Session, Connection>()
  readonly #watch: NodeJS.Timeout
  /** Until then connections may come whose handshake began with other roots. */
  #renewUntilMs = -Infinity
  #ending = false
  #whenGone: (() => void) | undefined

  constructor(server: Http2Server | Http2SecureServer, limits: GrpcLimits) {
    this.#limits = limits
    server.maxConnections = limits.connections
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    this.#watch = setInterval(() => this.#look(), limits.lookEveryMs).unref()
  }

  get count(): number {
    return this.#open.size
  }

  add(session: Http2Session, admission: Admission): void {
    const nowMs = performance.now()
    const connection: Connection = {
      session,
      admission,
      budget: new ByteBudget(this.#limits.connectionBytes, this.#limits.held),
      openedMs: nowMs,
      farewells: new Set(),
      leaving: false,
      greeted: false,
      pingedMs: undefined,
      answeredMs: nowMs,
      toldMs: undefined,
    }
    this.#open.set(session, connection)
    session.once('remoteSettings', () => {
      connection.greeted = true
    })
    session.once('close', () => {
      this.#open.delete(session)
      if (this.#open.size === 0) this.#whenGone?.()
    })
    // Its handshake was under way when the end began.
    if (this.#ending) {
      sayFarewell(connection)
      session.close()
    }
  }

  of(session: Http2Session | undefined): Connection | undefined {
    return session && this.#open.get(session)
  }

  /** The roots of the clients changed: connections from before, and handshakes from before, have to come again. */
  renew(): void {
    const nowMs = performance.now()
    this.#renewUntilMs = nowMs + this.#limits.silentMs
    for (const connection of this.#open.values()) tellToGo(connection, nowMs)
  }

  /** Tells every peer that new calls belong elsewhere, and still serves them until all know, at most `timeoutMs`. */
  async announceEnd(timeoutMs: number): Promise<void> {
    const waitMs = Math.min(NOTICE_MS, timeoutMs)
    await Promise.all(Array.from(this.#open.values(), (connection) => announce(connection, waitMs)))
  }

  /** Takes no more calls and waits for those under way, at most `timeoutMs`. */
  async end(timeoutMs: number): Promise<void> {
    this.#ending = true
    for (const connection of this.#open.values()) {
      sayFarewell(connection)
      connection.session.close()
    }
    if (this.#open.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#whenGone = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Ends everything now, connections whose handshake isn't done included. */
  destroy(): void {
    clearInterval(this.#watch)
    for (const session of this.#open.keys()) session.destroy()
    for (const socket of this.#sockets) socket.destroy()
  }

  #look(): void {
    const nowMs = performance.now()
    const renewed = this.#renewUntilMs <= nowMs ? this.#renewUntilMs : -Infinity
    if (renewed > -Infinity) this.#renewUntilMs = -Infinity
    for (const connection of this.#open.values()) {
      if (connection.openedMs < renewed || expires(connection, nowMs)) tellToGo(connection, nowMs)
      if (this.#isLost(connection, nowMs)) connection.session.destroy()
    }
  }

  /** Whether nothing more is to be expected of it; asks the peer where that isn't known. */
  #isLost(connection: Connection, nowMs: number): boolean {
    const { silentMs, pingAfterMs, pingWaitMs, farewellMs } = this.#limits
    const { greeted, openedMs, toldMs, pingedMs, answeredMs } = connection
    if (toldMs !== undefined && nowMs - toldMs >= farewellMs) return true
    if (!greeted) return nowMs - openedMs >= silentMs
    if (pingedMs !== undefined) return nowMs - pingedMs >= pingWaitMs
    if (nowMs - answeredMs >= pingAfterMs) ping(connection, nowMs)
    return false
  }
}

/** A connection that began with a certificate about to end is let be until the end. */
function expires({ admission, openedMs }: Connection, nowMs: number): boolean {
  if (!admission.ok) return false
  const leftMs = admission.untilMs - Date.now()
  return leftMs < 0 || (leftMs < EARLY_MS && nowMs - openedMs > EARLY_MS)
}

function tellToGo(connection: Connection, nowMs: number): void {
  if (connection.toldMs !== undefined) return
  connection.toldMs = nowMs
  void announce(connection, NOTICE_MS).then(() => connection.session.close())
}

/** Settles once the peer has read it: it answers the PING after it, and all calls from before come before that. */
async function announce(connection: Connection, waitMs: number): Promise<void> {
  const { session } = connection
  if (session.closed || session.destroyed) return
  session.goaway(constants.NGHTTP2_NO_ERROR, LAST_STREAM_ID)
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, waitMs)
    session.ping(() => {
      clearTimeout(timer)
      resolve()
    })
  })
  sayFarewell(connection)
}

function sayFarewell(connection: Connection): void {
  connection.leaving = true
  for (const farewell of connection.farewells) farewell()
}

function ping(connection: Connection, nowMs: number): void {
  if (connection.session.closed || connection.session.destroyed) return
  connection.pingedMs = nowMs
  connection.session.ping(() => {
    connection.pingedMs = undefined
    connection.answeredMs = performance.now()
  })
}
