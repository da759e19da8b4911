import { describe, expect, test } from '@jest/globals'
import { ATTACKS } from '../../bench/attacks.js'
import { measureFlood } from '../../bench/floods.js'

/** Windows of each kind, and how long each is, seconds. */
const WINDOWS = 4
const SECONDS = 0.75

/** One of each kind that costs the listener most; `make bench` measures all. */
const NAMES = [
  'whole calls, each reset at once',
  'SETTINGS that change the window under 1,000 calls',
  'PING',
  'headers by reference into a full table',
  'messages of one byte a frame',
  'TLS connections opened and dropped',
]

describe('known callers beside a flood from another process', () => {
  test.each(NAMES)(
    '%s',
    async (name) => {
      const attack = ATTACKS.find((each) => each.name === name)
      if (!attack) throw new Error(`there is no attack named ${name}`)
      // Every known call is answered, or this rejects.
      const { quiet, beside, rss } = await measureFlood(attack, WINDOWS, SECONDS)
      const usual = quiet.map(({ p99 }) => p99).toSorted((a, b) => a - b)[WINDOWS / 2] ?? Number.NaN
      expect(Math.min(...beside.map(({ p99 }) => p99))).toBeLessThan(usual * 3 + 5)
      expect(rss[1] - rss[0]).toBeLessThan(150)
    },
    60_000,
  )
})
