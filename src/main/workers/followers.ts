import type { RecentDecisions } from '../../admin/recent-decisions.js'
import type { Log } from '../log.js'
import type { FromWorker } from './protocol.js'

/** Security events on their way to the first worker at most; more are passed over and told in the log. */
const MAX_UNDER_WAY = 2000

/** Sends each security event to the first worker while somebody there wants them. */
export class FollowedEvents {
  readonly #send: (message: FromWorker, sent: () => void) => void
  readonly #log: Log
  #leave: (() => void) | undefined
  #underWay = 0
  #passedOver = 0

  /** `send` calls `sent` once the message is on its way. */
  constructor(send: (message: FromWorker, sent: () => void) => void, log: Log) {
    this.#send = send
    this.#log = log
  }

  follow(recent: Pick<RecentDecisions, 'follow'> | undefined): void {
    this.#leave ??= recent?.follow((line) => {
      if (this.#underWay >= MAX_UNDER_WAY) {
        this.#passedOver++
        return
      }
      this.#underWay++
      this.#send({ kind: 'event', line }, () => {
        this.#underWay--
      })
    })
  }

  stop(): void {
    this.#leave?.()
    this.#leave = undefined
    if (this.#passedOver > 0) {
      this.#log('warn', 'followers of the admin API missed security events', { events: this.#passedOver })
    }
    this.#passedOver = 0
  }
}
