import type { Ask } from './asks.js'
import type { Tell } from './finding.js'
import type { Setup } from './setup.js'

/** What every rule looks at. */
export type Examined = {
  readonly setup: Setup
  readonly asks: readonly Ask[]
  /** Names of the clusters that are Portcullis. */
  readonly portcullis: ReadonlySet<string>
  /** `trustedHops` of the Portcullis listener that is asked. */
  readonly trustedHops: number
  readonly tell: Tell
  /** Takes the name of what is there and can't be read here. */
  readonly unread: (what: string) => void
}

export type Rule = (examined: Examined) => void
