import { compiledService, type CompiledService, type PermitRule } from '../../segmentation/compiled.js'
import { rulesFor } from '../../segmentation/consent.js'
import { matchFrom } from '../../segmentation/from.js'
import type { Matrix } from '../../segmentation/matrix.js'
import type { TrafficEvent } from '../traffic.js'
import { eventFacts } from './event-facts.js'
import type { Addition } from './propose.js'
import { ANYONE, USERS } from './seen.js'

/** A new endpoint that a rule which was written before opens to somebody who did not use it. */
export type Opened = {
  /** `namespace/name`, USERS, ANYONE. */
  readonly caller: string
  readonly target: string
  readonly endpoint: string
  readonly rule: string
}

/**
 * What the new endpoints give to others than those who used them: a rule without `to` is for every endpoint, those that
 * come later too. `matrix` has the additions. Conditions of a rule count as met.
 */
export function opensAlso(additions: readonly Addition[], matrix: Matrix): readonly Opened[] {
  const found: Opened[] = []
  for (const { id, endpoints } of additions) {
    const service = compiledService(matrix.services.get(id))
    const wide = service?.rules.filter((rule) => rule.endpoints === undefined) ?? []
    if (!service || wide.length === 0 || endpoints.length === 0) continue
    const used = new Map(endpoints.map(({ name, from }) => [name, from]))
    const fresh = service.endpoints.filter(({ name }) => used.has(name))
    for (const { caller, rule, called } of callersBy(wide, service, matrix)) {
      for (const { name, index } of fresh) {
        if (!called(index) || used.get(name)?.includes(caller) === true) continue
        found.push({ caller, target: id, endpoint: name, rule: rule.name })
      }
    }
  }
  return found
}

type Caller = {
  readonly caller: string
  readonly rule: PermitRule
  readonly called: (endpoint: number) => boolean
}

function* callersBy(
  rules: readonly PermitRule[],
  service: CompiledService,
  matrix: Matrix,
): Generator<Caller> {
  for (const caller of matrix.services.values()) {
    const own = compiledService(caller)
    const row = own && [...matrix.calls.rowOf(own.index)].find(({ target }) => target === service.index)
    if (!own || !row) continue
    const facts = eventFacts({ ...AN_EVENT, callerService: own.id }, matrix)
    const concerned = new Set(rulesFor(service, own))
    const rule = rules.find(
      (each) => concerned.has(each) && each.from.some((element) => matchFrom(element, facts) === true),
    )
    if (rule) yield { caller: own.id, rule, called: (index) => row.endpoints?.includes(index) ?? true }
  }
  for (const rule of rules) {
    if (rule.from.some(({ users, workload }) => users && !workload)) {
      yield { caller: USERS, rule, called: () => true }
    }
    if (rule.from.some(({ any }) => any)) yield { caller: ANYONE, rule, called: () => true }
  }
}

/** A call of a workload on behalf of somebody, of which nothing else is known. */
const AN_EVENT: TrafficEvent = {
  decisionId: '',
  atMs: 0,
  workloadId: undefined,
  callerService: undefined,
  targetService: undefined,
  endpoint: undefined,
  protocol: undefined,
  requestMethod: undefined,
  requestPath: undefined,
  requestHost: undefined,
  grpcMethod: undefined,
  destinationPort: undefined,
  userId: 'somebody',
  userIssuer: undefined,
  userRoles: [],
  decision: 'allow',
  decisionReason: '',
  message: undefined,
  rule: undefined,
  ruleSource: undefined,
  mode: undefined,
  wouldBeDecision: undefined,
  wouldBeReason: undefined,
  riskScore: undefined,
  policyRevision: undefined,
  fields: {},
}
