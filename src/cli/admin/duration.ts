import { InvalidArgumentError } from 'commander'
import { parseDurationMs } from '../../schema/units.js'

/** Takes `1h`, `30m` and the like as they are written, for a body that says it in the same words. */
export function durationText(text: string): string {
  if ((parseDurationMs(text) ?? 0) > 0) return text
  throw new InvalidArgumentError('give a duration, for example 1h or 30m.')
}
