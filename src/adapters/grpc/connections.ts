import { constants, type Http2Session } from 'node:http2'
import type { Admission } from './asker.js'
import { ByteBudget } from './byte-budget.js'
import { type Closed, type ClosedFor, isExcess } from './closing.js'
import type { Arrival, Entrance } from './entrance.js'
import { FloodWatch, type TooMuch } from './flood-watch.js'
import type { GrpcLimits } from './limits.js'
import type { Turns } from './turns.js'

/** One HTTP/2 connection. Times are monotonic milliseconds. */
export type Connection = {
  readonly session: Http2Session
  readonly arrival: Arrival | undefined
  readonly admission: Admission
  readonly budget: ByteBudget
  readonly watch: FloodWatch
  readonly openedMs: number
  /** When it is to be told to go whatever happens; Infinity: never. */
  readonly agedMs: number
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
  /** Whether it is being closed, whatever its peer does. */
  over: boolean
}

/** The highest stream id: a GOAWAY that only announces the end, so calls already on their way are still served. */
const LAST_STREAM_ID = 2 ** 31 - 1
/** Longest wait for a peer's word that it has read the announcement. */
const NOTICE_MS = 1000
/** A peer is told to go this long before its certificate ends, so that it comes back with the next one in time. */
const EARLY_MS = 30_000
/** A peer that doesn't read what ends its connection is cut off after this long. */
const CUT_OFF_MS = 1000
/** Connections that began together don't end together. */
const AGE_SPREAD = 0.1

/**
 * The open connections of one listener. Ends those that stay silent, that don't answer to PING any more, that are
 * old, that send too much of what is no call, whose client certificate ends, or whose roots are no longer trusted.
 */
export class Connections {
  readonly #limits: GrpcLimits
  readonly #turns: Turns
  readonly #entrance: Entrance
  readonly #onClosed: (closed: Closed) => void
  readonly #open = new Map<Http2Session, Connection>()
  readonly #watch: NodeJS.Timeout
  /** Until then connections may come whose handshake began with other roots. */
  #renewUntilMs = -Infinity
  #ending = false
  #whenGone: (() => void) | undefined

  constructor(limits: GrpcLimits, turns: Turns, entrance: Entrance, onClosed: (closed: Closed) => void) {
    this.#limits = limits
    this.#turns = turns
    this.#entrance = entrance
    this.#onClosed = onClosed
    this.#watch = setInterval(() => this.#look(), limits.lookEveryMs).unref()
  }

  get count(): number {
    return this.#open.size
  }

  add(session: Http2Session, arrival: Arrival | undefined, admission: Admission): void {
    const nowMs = performance.now()
    const { connectionAgeMs } = this.#limits
    const connection: Connection = {
      session,
      arrival,
      admission,
      budget: new ByteBudget(this.#limits.connectionBytes, this.#limits.held),
      watch: new FloodWatch(
        { limits: this.#limits, turns: this.#turns },
        nowMs,
        arrival?.socket.bytesRead ?? 0,
        (reason) => this.#judge(connection, reason),
      ),
      openedMs: nowMs,
      agedMs: nowMs + connectionAgeMs * (1 - AGE_SPREAD + Math.random() * 2 * AGE_SPREAD),
      farewells: new Set(),
      leaving: false,
      greeted: false,
      pingedMs: undefined,
      answeredMs: nowMs,
      toldMs: undefined,
      over: false,
    }
    this.#open.set(session, connection)
    session.on('remoteSettings', () => {
      connection.greeted = true
      connection.watch.settings()
    })
    session.once('error', (error) => {
      if (isOfProtocol(error)) this.#close(connection, 'protocol-error')
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
    for (const connection of this.#open.values()) this.#tellToGo(connection, 'roots', nowMs)
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

  /** Ends everything now. */
  destroy(): void {
    clearInterval(this.#watch)
    for (const session of this.#open.keys()) session.destroy()
  }

  #look(): void {
    const nowMs = performance.now()
    const renewed = this.#renewUntilMs <= nowMs ? this.#renewUntilMs : -Infinity
    if (renewed > -Infinity) this.#renewUntilMs = -Infinity
    this.#entrance.sweep(nowMs)
    for (const connection of this.#open.values()) {
      if (connection.over) continue
      if (connection.session.destroyed) {
        // It waits for a peer that is gone, or that takes nothing any more.
        this.#cutOff(connection)
        continue
      }
      connection.watch.look(connection.arrival?.socket.bytesRead ?? 0, nowMs)
      if (connection.openedMs < renewed) this.#tellToGo(connection, 'roots', nowMs)
      else if (expires(connection, nowMs)) this.#tellToGo(connection, 'certificate', nowMs)
      else if (connection.agedMs <= nowMs) this.#tellToGo(connection, 'age', nowMs)
      this.#endLost(connection, nowMs)
    }
  }

  /** Ends one from which nothing more is to be expected; asks the peer where that isn't known. */
  #endLost(connection: Connection, nowMs: number): void {
    const { silentMs, pingAfterMs, pingWaitMs, farewellMs } = this.#limits
    const { greeted, openedMs, toldMs, pingedMs, answeredMs } = connection
    if (toldMs !== undefined && nowMs - toldMs >= farewellMs) this.#close(connection, undefined)
    else if (!greeted) {
      if (nowMs - openedMs >= silentMs) this.#close(connection, 'silent')
    } else if (pingedMs !== undefined) {
      if (nowMs - pingedMs >= pingWaitMs) this.#close(connection, 'lost')
    } else if (nowMs - answeredMs >= pingAfterMs) ping(connection, nowMs)
  }

  #tellToGo(connection: Connection, reason: ClosedFor, nowMs: number): void {
    if (connection.toldMs !== undefined || connection.over) return
    connection.toldMs = nowMs
    this.#onClosed({ reason, peer: peerOf(connection) })
    void announce(connection, NOTICE_MS).then(() => connection.session.close())
  }

  #judge(connection: Connection, reason: TooMuch): void {
    if (reason === 'resets') this.#tellToGo(connection, reason, performance.now())
    else this.#close(connection, reason)
  }

  /** At once, calls under way included. Undefined: why was told before. */
  #close(connection: Connection, reason: ClosedFor | undefined): void {
    if (connection.over) return
    connection.over = true
    const { session, arrival } = connection
    if (reason) this.#onClosed({ reason, peer: peerOf(connection) })
    if (reason && isExcess(reason)) {
      this.#entrance.charge(arrival?.address, this.#limits.floods.price)
      session.destroy(new Error(reason), constants.NGHTTP2_ENHANCE_YOUR_CALM)
    } else session.destroy()
    this.#cutOff(connection)
  }

  /** A session that is destroyed waits until its last frames are taken. */
  #cutOff(connection: Connection): void {
    connection.over = true
    setTimeout(() => connection.arrival?.socket.destroy(), CUT_OFF_MS).unref()
  }
}

/** Not one of the TCP connection, which is the peer's to end. */
function isOfProtocol(error: Error): boolean {
  return 'code' in error && typeof error.code === 'string' && error.code.startsWith('ERR_HTTP2_')
}

function peerOf({ admission, arrival }: Connection): string | undefined {
  return (admission.ok ? admission.asker.spiffeId : undefined) ?? arrival?.address
}

/** A connection that began with a certificate about to end is let be until the end. */
function expires({ admission, openedMs }: Connection, nowMs: number): boolean {
  if (!admission.ok) return false
  const leftMs = admission.untilMs - Date.now()
  return leftMs < 0 || (leftMs < EARLY_MS && nowMs - openedMs > EARLY_MS)
}

/** Settles once the peer has read it: it answers the PING after it, and all calls from before come before that. */
async function announce(connection: Connection, waitMs: number): Promise<void> {
  const { session } = connection
  if (session.closed || session.destroyed) return
  session.goaway(constants.NGHTTP2_NO_ERROR, LAST_STREAM_ID)
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      session.off('close', done)
      resolve()
    }
    const timer = setTimeout(done, waitMs)
    session.once('close', done)
    session.ping(done)
  })
  sayFarewell(connection)
}

function sayFarewell(connection: Connection): void {
  connection.leaving = true
  for (const farewell of connection.farewells) farewell()
}

/** Finds those too whose session broke the protocol: it reads nothing any more, and tells nobody here. */
function ping(connection: Connection, nowMs: number): void {
  if (connection.session.closed || connection.session.destroyed) return
  connection.pingedMs = nowMs
  connection.session.ping((failure) => {
    if (failure) return
    connection.pingedMs = undefined
    connection.answeredMs = performance.now()
  })
}
