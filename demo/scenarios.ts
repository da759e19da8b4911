import type { Scenario } from './scenario.js'
import { SERVICE_ATTACKS } from './scenarios/attacks.js'
import { PROBING_WORKLOAD, REFUSED_BEHIND, STOLEN_SESSION } from './scenarios/continuous.js'
import { COMPROMISED_LAPTOP, RESTRICTED_DATA } from './scenarios/just-in-time.js'
import { SERVICE_CALLS } from './scenarios/services.js'
import { USER_ATTACKS, USER_CALLS } from './scenarios/users.js'

export type Chapter = { readonly title: string; readonly scenarios: readonly Scenario[] }

/** Everything that is called in the demo and in the end-to-end tests, in order. */
export const CHAPTERS: readonly Chapter[] = [
  { title: 'What services may do', scenarios: SERVICE_CALLS },
  { title: 'What users may do, through the gateway', scenarios: USER_CALLS },
  { title: 'Attacks from inside the mesh', scenarios: SERVICE_ATTACKS },
  { title: 'Attacks from outside', scenarios: USER_ATTACKS },
  { title: 'A stolen session: what a call reveals changes the next one', scenarios: STOLEN_SESSION },
  { title: 'What the application refuses, told by the Envoys', scenarios: REFUSED_BEHIND },
  { title: 'Restricted data, approved by another person for an hour', scenarios: RESTRICTED_DATA },
  { title: 'A compromised laptop, told by the identity provider', scenarios: COMPROMISED_LAPTOP },
  { title: 'A workload that tries every door', scenarios: PROBING_WORKLOAD },
]
