import { InvalidArgumentError } from 'commander'
import { availableCores } from '../main/workers/cores.js'

/** Further ones would not share a machine but crowd it. */
export const MOST_WORKERS = 128

/** `auto`: one a core that this process may use. Throws InvalidArgumentError. */
export function parseWorkers(text: string): number {
  if (text === 'auto') return Math.min(MOST_WORKERS, availableCores())
  if (!/^[1-9][0-9]{0,2}$/.test(text) || Number(text) > MOST_WORKERS) {
    throw new InvalidArgumentError(`give a number from 1 to ${MOST_WORKERS}, or auto for one a core.`)
  }
  return Number(text)
}
