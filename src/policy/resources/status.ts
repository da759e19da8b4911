import type { Problem } from '../../schema/problem.js'
import { keyOf, type Resource } from './resource.js'
import type { Verdict } from './settle.js'
import {
  observedGeneration,
  programmedGeneration,
  type StoredCondition,
  storedConditions,
} from './stored-status.js'

export const CONDITION_TYPES = ['Accepted', 'ResolvedRefs', 'Programmed'] as const

export type Condition = {
  readonly type: (typeof CONDITION_TYPES)[number]
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
  readonly observedGeneration: number
  /** RFC 3339. */
  readonly lastTransitionTime: string
}

/** What is written back to a resource. `null` takes a field out. */
export type ResourceStatus = {
  readonly observedGeneration: number
  readonly programmedGeneration: number | null
  /** Of the first policy that this version was in force in. */
  readonly revision: string | null
  readonly conditions: readonly Condition[]
}

/** Problems told at most, and characters of all. */
const MAX_TOLD = 20
const MAX_MESSAGE = 8192

/** The status that tells a verdict. A condition that stands as it stood keeps its time. */
export function statusOf(verdict: Verdict, revision: string, now: string): ResourceStatus {
  const { resource } = verdict
  const stored = storedConditions(resource)
  const { generation } = resource
  const conditions = conditionsOf(verdict).map(({ type, status, reason, message }): Condition => {
    const before = stored.get(type)
    const since = before?.status === status ? before.lastTransitionTime : ''
    const lastTransitionTime = since === '' ? now : since
    return { type, status, reason, message, observedGeneration: generation, lastTransitionTime }
  })
  const inForce = verdict.inForce === 'closed' ? programmedGeneration(resource) : verdict.generation
  return {
    observedGeneration: generation,
    programmedGeneration: inForce ?? null,
    revision: inForce === undefined ? null : revision,
    conditions,
  }
}

/** Whether the stored status says the same. The revision of every policy since would be news of nothing. */
export function isToldAlready(resource: Resource, status: ResourceStatus): boolean {
  const stored = storedConditions(resource)
  return (
    observedGeneration(resource) === status.observedGeneration &&
    (programmedGeneration(resource) ?? null) === status.programmedGeneration &&
    status.conditions.every((condition) => isSame(stored.get(condition.type), condition))
  )
}

function isSame(stored: StoredCondition | undefined, condition: Condition): boolean {
  return (
    stored?.status === condition.status &&
    stored.reason === condition.reason &&
    stored.message === condition.message &&
    stored.observedGeneration === condition.observedGeneration
  )
}

type Told = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>

function conditionsOf(verdict: Verdict): Told[] {
  const accepted = verdict.inForce === 'this'
  return [
    accepted
      ? { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'the policy is sound' }
      : { type: 'Accepted', status: 'False', reason: 'Invalid', message: told(verdict.problems, verdict) },
    resolvedRefs(verdict),
    programmed(verdict),
  ]
}

function resolvedRefs(verdict: Verdict): Told {
  const type = 'ResolvedRefs'
  const { unresolved, inForce } = verdict
  if (inForce !== 'this') {
    const message = 'looked for once the policy is accepted'
    return { type, status: 'Unknown', reason: 'NotAccepted', message }
  }
  if (unresolved.length === 0) {
    return { type, status: 'True', reason: 'Resolved', message: 'every name is there' }
  }
  return { type, status: 'False', reason: 'NotFound', message: told(unresolved, verdict) }
}

function programmed({ inForce, generation, resource }: Verdict): Told {
  const type = 'Programmed'
  switch (inForce) {
    case 'this':
      return { type, status: 'True', reason: 'Programmed', message: 'decisions are made by it' }
    case 'earlier': {
      const message = `decisions are made by generation ${generation}`
      return { type, status: 'False', reason: 'EarlierVersion', message }
    }
    case 'closed': {
      const message = `generation ${programmedGeneration(resource)} was in force; a replica that does not know it refuses the calls of this service and to it`
      return { type, status: 'False', reason: 'Closed', message }
    }
    case 'nothing':
    default:
      return { type, status: 'False', reason: 'NotInForce', message: 'no version of it was in force' }
  }
}

/** `field: message` of each; a problem with another resource names that. */
export function told(problems: readonly Problem[], { resource }: Pick<Verdict, 'resource'>): string {
  const key = keyOf(resource)
  const lines = problems.slice(0, MAX_TOLD).map(({ message, position }) => {
    const place = position?.file === key ? (position.field ?? '') : (position?.file ?? '')
    return place === '' ? message : `${place}: ${message}`
  })
  const more = problems.length - lines.length
  const text = [...lines, ...(more > 0 ? [`and ${more} more`] : [])].join('; ')
  return text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE - 1)}…` : text
}
