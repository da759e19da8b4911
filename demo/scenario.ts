import type { Answer } from './calls.js'
import type { SecurityEvent } from './audit-trail.js'
import type { CallableMesh } from './mesh.js'

/** One call through the mesh and what must come of it. */
export type Scenario = {
  readonly caller: string
  readonly target: string
  /** What is asked, with what is remarkable about it. */
  readonly request: string
  readonly call: (mesh: CallableMesh) => Promise<Answer>
  readonly expected: Expected
  /** What else must hold; says what is wrong. */
  readonly also?: (answer: Answer, mesh: CallableMesh) => string | undefined
  /** Raw TCP: no answer carries a decision id, so the event is found by its target. */
  readonly tcp?: true
}

export type Expected = {
  readonly status: string
  /** `none` where Envoy itself refuses and Portcullis is never asked. */
  readonly decision: SecurityEvent['decision'] | 'none'
  readonly reason: string
}

export type Outcome = {
  readonly scenario: Scenario
  readonly status: string
  readonly decision: string
  readonly reason: string
  readonly rule: string
  readonly durationMs: number
  /** What differs from what was expected. */
  readonly difference: string | undefined
}

/** Makes the call and joins its answer with the security event of the decision about it. */
export async function play(scenario: Scenario, mesh: CallableMesh): Promise<Outcome> {
  const position = mesh.trail.length
  const answer = await scenario.call(mesh)
  const event = await eventOf(scenario, answer, mesh, position)
  const decision = event?.decision ?? 'none'
  const reason = event?.decisionReason ?? ''
  return {
    scenario,
    status: answer.status,
    decision,
    reason,
    rule: event?.rule ?? '',
    durationMs: answer.durationMs,
    difference: differenceOf(scenario, answer, mesh, decision, reason),
  }
}

function eventOf(
  scenario: Scenario,
  { decisionId }: Answer,
  { trail }: CallableMesh,
  position: number,
): Promise<SecurityEvent | undefined> | undefined {
  if (decisionId !== undefined) return trail.withId(decisionId)
  if (!scenario.tcp || scenario.expected.decision === 'none') return undefined
  const target = `shop/${scenario.target}`
  return trail.since(position, (event) => event.protocol === 'TCP' && event.targetService === target)
}

function differenceOf(
  { expected, also }: Scenario,
  answer: Answer,
  mesh: CallableMesh,
  decision: string,
  reason: string,
): string | undefined {
  if (answer.status !== expected.status) return `expected status ${expected.status}, got ${answer.status}`
  if (decision !== expected.decision) return `expected decision ${expected.decision}, got ${decision}`
  if (reason !== expected.reason) return `expected reason ${expected.reason}, got ${reason}`
  if (answer.reason !== undefined && answer.reason !== reason) {
    return `the caller was told ${answer.reason}, the event says ${reason}`
  }
  return also?.(answer, mesh)
}
