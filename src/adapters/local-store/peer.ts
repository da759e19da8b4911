import type { Socket } from 'node:net'
import { MAX_NAME, type StateDelta } from '../../state/record.js'
import {
  COLLECTIONS,
  type Collection,
  MAX_DOCUMENT,
  MAX_DOCUMENT_NAME,
  type LimitedUse,
} from '../../state/store.js'
import { BATCH_BYTES, FrameReader, KINDS, MAX_BODY } from './frames.js'
import { Outbox } from './outbox.js'
import type { Hub } from './server.js'
import {
  decodeDeltas,
  decodeMessages,
  encodeDeltas,
  FORMAT,
  isKey,
  isNumber,
  isText,
  recordParts,
} from './wire.js'

/** Bytes that a worker may leave unread. The largest answers fit. */
const MAX_BACKLOG = 2 * MAX_BODY
/** Questions of one worker that wait for the store. A worker asks no more than half as many. */
const MAX_OPEN = 20_000

/** The supervisor's side of one connection. What is not to be understood ends it. */
export class Peer {
  readonly socket: Socket
  readonly outbox: Outbox
  readonly #hub: Hub
  #open = 0
  /** Of the process there; undefined until it has said so. */
  instance: string | undefined

  constructor(socket: Socket, hub: Hub) {
    this.socket = socket
    this.#hub = hub
    this.outbox = new Outbox(socket, MAX_BACKLOG, () => {
      if (!socket.destroyed) hub.warn('a worker does not take what it is told and was disconnected')
      socket.destroy()
    })
    const reader = new FrameReader((kind, body) => this.#take(kind, body))
    socket.on('data', (chunk: Buffer) => {
      if (socket.destroyed) return
      if (reader.push(chunk)) return this.outbox.flush()
      hub.warn('what came over a connection for workers can not be read; it was closed')
      socket.destroy()
    })
    // Its end is told by `close`.
    socket.on('error', () => undefined)
  }

  #take(kind: number, body: Buffer): boolean {
    if (kind === KINDS.changes) return this.#change(body)
    const messages = kind === KINDS.messages ? decodeMessages(body) : undefined
    return messages?.every((message) => this.#hear(message)) === true
  }

  #hear(message: readonly unknown[]): boolean {
    const [name, id] = message
    if (name === 'hello') return this.#welcome(message)
    if (this.instance === undefined || !isNumber(id)) return false
    switch (name) {
      case 'ping':
        this.outbox.send(['pong', id, this.#health()])
        return true
      case 'read':
        return this.#read(id, message[2])
      case 'claim':
        return this.#claim(id, message)
      case 'consume':
        return this.#consume(id, message)
      default:
        return this.#ofDocuments(id, message)
    }
  }

  #welcome([, format, instance]: readonly unknown[]): boolean {
    if (format !== FORMAT || !isKey(instance) || this.instance !== undefined) return false
    this.instance = instance
    this.#hub.introduce(this)
    this.outbox.send(['welcome', this.#health()])
    return true
  }

  #health(): unknown {
    const { standing, problem, lostBeforeMs } = this.#hub.store.health()
    return [standing === 'current', problem ?? null, lostBeforeMs ?? null]
  }

  #read(id: number, key: unknown): boolean {
    if (!isKey(key)) return false
    const found = this.#hub.store.lookUp(key, this.#hub.now())
    if (found === 'unavailable') this.outbox.send(['answer', id, found])
    else this.outbox.send(['answer', id, 'record', ...recordParts(found)])
    return true
  }

  #claim(id: number, [, , key, issuedAtMs, expiresAtMs, nowMs]: readonly unknown[]): boolean {
    if (!isKey(key) || !isNumber(issuedAtMs) || !isNumber(expiresAtMs) || !isNumber(nowMs)) return false
    const { claims } = this.#hub.store
    this.outbox.send(['answer', id, claims.claim({ key, issuedAtMs, expiresAtMs }, nowMs)])
    return true
  }

  #change(body: Buffer): boolean {
    const { instance } = this
    if (instance === undefined || body.length < BATCH_BYTES) return false
    const number = body.readDoubleLE(0)
    const isDurable = body[8] === 1
    const changes = body.subarray(BATCH_BYTES)
    const deltas = decodeDeltas(changes)
    if (!deltas || !Number.isSafeInteger(number)) return false
    const { store } = this.#hub
    const isNew = this.#hub.isNew(instance, number)
    const lostBefore = store.health().lost
    const committed = isDurable ? store.commit(isNew ? deltas : []) : undefined
    if (!isDurable && isNew) store.note(deltas)
    const lost = store.health().lost - lostBefore
    if (isNew) this.#hub.tell(changes, this)
    if (!committed) this.outbox.send(['written', number, true, lost])
    else {
      return this.#later(committed, (answer) =>
        this.outbox.send(['written', number, answer === 'committed' && lost === 0, lost]),
      )
    }
    return true
  }

  /** Who asked is told of the change before the answer, so that its copy has it then. */
  #consume(id: number, [, , key, field, limit, expiresAtMs]: readonly unknown[]): boolean {
    if (!isKey(key) || !isText(field, MAX_NAME) || !isNumber(limit) || !isNumber(expiresAtMs)) return false
    const use: LimitedUse = { key, field, limit, expiresAtMs }
    const before = this.#count(use)
    const consumed = this.#hub.store.consume(use)
    if (this.#count(use) !== before) {
      const counted: StateDelta = { key, ops: [['add', field, 1]], expiresAtMs }
      this.#hub.tell(encodeDeltas([counted]))
    }
    return this.#later(consumed, (answer) => this.outbox.send(['answer', id, answer]))
  }

  #count({ key, field }: LimitedUse): number | string | undefined {
    const found = this.#hub.store.lookUp(key, this.#hub.now())
    return found === 'unavailable' ? undefined : found.record.get(field)
  }

  #ofDocuments(id: number, [name, , collection, ...parts]: readonly unknown[]): boolean {
    const [first, second] = parts
    if (!isCollection(collection)) return false
    const { documents } = this.#hub.store
    const answer = (value: unknown): void => this.outbox.send(['answer', id, value ?? null])
    if (name === 'list') {
      if ((first !== null && typeof first !== 'string') || !isNumber(second)) return false
      return this.#later(documents.list(collection, first ?? undefined, second), answer)
    }
    if (!isText(first, MAX_DOCUMENT_NAME) || first === '') return false
    switch (name) {
      case 'put':
        if (!isText(second, MAX_DOCUMENT)) return false
        return this.#later(documents.put(collection, first, second), answer)
      case 'get':
        return this.#later(documents.get(collection, first), answer)
      case 'remove':
        return this.#later(documents.remove(collection, first), answer)
      default:
        return false
    }
  }

  /** False: it waits for too much already. */
  #later<T>(promise: Promise<T>, then: (value: T) => void): boolean {
    const done = (value: T): void => {
      this.#open--
      then(value)
    }
    promise.then(done, (error: unknown) => {
      this.#hub.warn(
        `the store failed for a worker: ${error instanceof Error ? error.message : String(error)}`,
      )
      this.socket.destroy()
    })
    return ++this.#open <= MAX_OPEN
  }
}

function isCollection(value: unknown): value is Collection {
  return COLLECTIONS.some((collection) => collection === value)
}
