import { Room } from './room.js'
import type { TrafficEvent } from '../traffic.js'

/** Users that are told apart, and users of each target; over all of them. */
const MAX_KEPT = 1_000_000

/** The verified users of a recording by number, and which of them each target had. */
export class Users {
  readonly #numbers = new Map<string, number>()
  readonly #ofTarget = new Map<string, Set<number>>()
  readonly #room = new Room(MAX_KEPT)

  /** Its user's number; undefined without a user, or where there is no room for one more. */
  note({ userId, userIssuer, targetService }: TrafficEvent): number | undefined {
    if (userId === undefined || targetService === undefined) return undefined
    const key = JSON.stringify([userIssuer, userId])
    let number = this.#numbers.get(key)
    if (number === undefined) {
      if (!this.#room.take()) return undefined
      this.#numbers.set(key, (number = this.#numbers.size))
    }
    let users = this.#ofTarget.get(targetService)
    if (!users) this.#ofTarget.set(targetService, (users = new Set()))
    if (!users.has(number) && this.#room.take()) users.add(number)
    return number
  }

  /** How many a target had, those whose calls are let pass already too. */
  of(target: string): number {
    return this.#ofTarget.get(target)?.size ?? 0
  }
}
