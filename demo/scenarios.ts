import type { Scenario } from './scenario.js'
import { SERVICE_ATTACKS } from './scenarios/attacks.js'
import { SERVICE_CALLS } from './scenarios/services.js'
import { USER_ATTACKS, USER_CALLS } from './scenarios/users.js'

export type Chapter = { readonly title: string; readonly scenarios: readonly Scenario[] }

/** Everything that is called in the demo and in the end-to-end tests, in order. */
export const CHAPTERS: readonly Chapter[] = [
  { title: 'What services may do', scenarios: SERVICE_CALLS },
  { title: 'What users may do, through the gateway', scenarios: USER_CALLS },
  { title: 'Attacks from inside the mesh', scenarios: SERVICE_ATTACKS },
  { title: 'Attacks from outside', scenarios: USER_ATTACKS },
]
