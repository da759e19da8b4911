import { generator } from '../../test/support/naive-mesh.js'
import { type CallKind, chooseKind } from './calls.js'
import type { Prepared } from './prepared.js'
import type { Clients } from './clients.js'
import { compare, type Given, type Verdict } from './compare.js'
import type { Recorder } from './recorder.js'
import { NO_ANSWER, rightAnswers } from './reference.js'
import type { World } from './world.js'

/** One answer that was not right, with all that is needed to ask again. */
export type Wrong = {
  readonly verdict: Exclude<Verdict, 'right'>
  readonly kind: string
  readonly door: string
  readonly sentMs: number
  readonly answeredMs: number
  readonly given: Given
  readonly right: readonly string[]
  /** The CheckRequest. */
  readonly message: Buffer
  /** The call as the reference was asked about it. */
  readonly asked: object
}

export type LoadParts = {
  readonly world: World
  readonly clients: Clients
  readonly recorder: Recorder
  readonly seed: number
  /** Milliseconds since the start. */
  readonly now: () => number
  /** Runs before an answer is judged. */
  readonly beforeJudging: () => void
  readonly onWrong: (wrong: Wrong) => void
}

const TICK_MS = 4
/** What this process could not send in time it leaves out, for a burst would be another load. */
const MOST_AT_ONCE = 16
/** Calls under way beyond which none is sent. */
const MOST_UNDER_WAY = 500

/** Sends calls of all kinds at a steady rate, whether or not earlier ones are answered; settles when all are. */
export async function sendMixed(parts: LoadParts, rate: number, forMs: number): Promise<void> {
  const random = generator(parts.seed ^ 0x5eed)
  const startedMs = parts.now()
  const underWay = new Set<Promise<void>>()
  let dealt = 0
  while (parts.now() - startedMs < forMs) {
    const due = Math.floor(((parts.now() - startedMs) * rate) / 1000)
    dealt = Math.max(dealt, due - MOST_AT_ONCE)
    for (; dealt < due && underWay.size < MOST_UNDER_WAY; dealt++) {
      const one = ask(chooseKind(random)).finally(() => underWay.delete(one))
      underWay.add(one)
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS))
  }
  await Promise.all(underWay)

  async function ask(kind: CallKind): Promise<void> {
    const { world, clients, recorder, now, beforeJudging, onWrong } = parts
    const prepared: Prepared = await kind.make(world, random, now())
    const { door, message, asking, onAllowed } = prepared
    const sentMs = now()
    const given = await clients.check(door, message)
    const answeredMs = now()
    const answer = 'failure' in given ? NO_ANSWER : given.reason
    recorder.answered(answeredMs, kind.name, answer, answeredMs - sentMs)
    beforeJudging()
    const right = rightAnswers(asking, world.surroundings, sentMs, answeredMs)
    const verdict = compare(given, right)
    if (verdict === 'right') {
      const isAway = world.surroundings.storeAway.during(sentMs, answeredMs).includes(true)
      const isExcused =
        answer === 'overloaded' || answer === NO_ANSWER || (answer === 'state-unavailable' && !isAway)
      if (isExcused) recorder.excused++
      if (answer === 'allowed') onAllowed?.()
      return
    }
    const { asked } = asking
    onWrong({
      verdict,
      kind: kind.name,
      door,
      sentMs,
      answeredMs,
      given,
      right: [...right],
      message,
      asked,
    })
  }
}
