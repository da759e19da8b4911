import type { Pointer } from '../schema/problem.js'
import type { EffectiveConfiguration } from './schema.js'

type Tell = (pointer: Pointer, code: string, message: string, what?: 'key' | 'value') => void

/** A zone that exists, and hours that are some. Durations are bounded with all others. */
export function checkDetector({ audit: { detector } }: EffectiveConfiguration, tell: Tell): void {
  const { zone, from, to } = detector.offHours
  const at: Pointer = ['audit', 'detector', 'offHours']
  if (zone !== undefined && !isZone(zone)) {
    tell([...at, 'zone'], 'unknown-zone', `there is no time zone \`${zone}\`; give one such as Europe/Berlin`)
  }
  if (from === to) {
    tell([...at, 'to'], 'without-effect', '`from` and `to` are the same time: no hour lies between them')
  }
}

function isZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
