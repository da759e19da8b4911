import { keysOf } from '../../segmentation/when/condition.js'
import type { TrafficEvent } from '../traffic.js'
import { conditionLists } from './condition-lists.js'
import type { Tell } from './finding.js'
import { lintedMesh, qualified, type Loaded, type LintedMesh } from './linted-mesh.js'
import { notePossible, type RuleKey } from './possible-rules.js'
import { readCall, type RecordedCall } from './recorded-call.js'

/** Keys that an event holds just as the decision saw them. Lists are cut, paths too, and claims are not in it. */
const RECORDED: ReadonlySet<string> = new Set([
  'time.hour',
  'time.weekday',
  'time.date',
  'time.ofDay',
  'request.method',
  'destination.port',
])

/** Where the rule that is named is the only one that the matrix could name. */
const BY_ITS_NAME: ReadonlySet<string> = new Set([
  'allowed',
  'forbidden',
  'rule-not-matched',
  'call-not-allowed',
  'caller-unknown',
  'endpoint-not-exposed',
  'target-unknown',
])

/** A caller that an event has and nobody can tell. */
const ANYBODY = '*'

/**
 * Which rules and edges of a policy recorded traffic used. Events of this very policy name the rule that decided; those
 * of another (an empty one, in the beginning) count for every rule that could have. It counts what the policy names
 * and nothing else, so its size is the policy's, however long the record.
 */
export class TrafficUse {
  readonly #mesh: LintedMesh
  readonly #rules = new Set<RuleKey>()
  readonly #edges = new Set<string>()
  /** Rules whose conditions look at no more than RECORDED. */
  readonly #recorded: ReadonlySet<RuleKey>
  readonly #baseline: { readonly allow: ReadonlySet<string>; readonly forbid: ReadonlySet<string> }
  readonly #adaptive: ReadonlySet<string>
  #events = 0
  #unplaced = 0
  #firstMs = Infinity
  #lastMs = -Infinity

  constructor(loaded: Pick<Loaded, 'policy' | 'sources'>) {
    this.#mesh = lintedMesh(loaded)
    const named = (kind: string, list: string): ReadonlySet<string> =>
      new Set(
        loaded.sources.flatMap((document) => {
          if (document.kind !== kind) return []
          const rules: unknown = Object.entries(document.spec).find(([field]) => field === list)?.[1]
          return Array.isArray(rules) ? rules.map(({ name }: Named) => name) : []
        }),
      )
    this.#baseline = { allow: named('BaselinePolicy', 'allow'), forbid: named('BaselinePolicy', 'forbid') }
    this.#adaptive = named('AdaptivePolicy', 'rules')
    this.#recorded = new Set(
      loaded.sources.flatMap((document) =>
        conditionLists(document).flatMap(({ pointer, name, when }) => {
          if (!when.flatMap(keysOf).every((key) => RECORDED.has(key))) return []
          const list = String(pointer[1])
          if (document.kind === 'AdaptivePolicy') return [`adaptive ${name}`]
          if (document.kind === 'BaselinePolicy') return [`baseline ${list} ${name}`]
          if (document.kind !== 'ServicePolicy') return []
          return [`${document.metadata.namespace ?? 'default'}/${document.metadata.name} ${list} ${name}`]
        }),
      ),
    )
  }

  get events(): number {
    return this.#events
  }

  add(event: TrafficEvent): void {
    this.#events++
    this.#firstMs = Math.min(this.#firstMs, event.atMs)
    this.#lastMs = Math.max(this.#lastMs, event.atMs)
    const { policy } = this.#mesh
    const call = readCall(event, policy.matrix)
    if (call.unplaced) this.#unplaced++
    for (const { caller, service, anyCaller } of call.readings)
      if (service && (caller || anyCaller)) this.#edges.add(`${caller?.id ?? ANYBODY} ${service.id}`)
    this.#addNamed(event, call)
    const isOfThis = event.policyRevision === policy.revision && event.wouldBeReason === undefined
    if (isOfThis && BY_ITS_NAME.has(event.decisionReason)) return
    notePossible(call, policy, {
      isRecorded: (key) => this.#recorded.has(key),
      has: (key) => this.#rules.has(key),
      add: (key) => this.#rules.add(key),
    })
  }

  #addNamed({ rule, decisionReason, wouldBeReason }: TrafficEvent, { readings }: RecordedCall): void {
    if (rule === undefined) return
    const list = decisionReason === 'forbidden' || wouldBeReason === 'forbidden' ? 'forbid' : 'rules'
    const owner = readings.find(({ service }) => {
      const spec = service && this.#mesh.services.get(service.id)?.document.spec
      return spec?.[list]?.some(({ name }) => name === rule)
    })?.service
    const inBaseline = list === 'forbid' ? 'forbid' : 'allow'
    if (owner) this.#rules.add(`${owner.id} ${list} ${rule}`)
    else if (this.#baseline[inBaseline].has(rule)) this.#rules.add(`baseline ${inBaseline} ${rule}`)
    if (this.#adaptive.has(rule)) this.#rules.add(`adaptive ${rule}`)
  }

  /** Rules that decided no event and edges that no event went over. Silent without any event. */
  tellUnused(tell: Tell): void {
    if (this.#events === 0) return
    const unplaced = this.#unplaced > 0 ? ` (of ${this.#unplaced} nobody can tell what they were for)` : ''
    const within = `in ${this.#events} events from ${this.#dayOf(this.#firstMs)} to ${this.#dayOf(this.#lastMs)}${unplaced}`
    for (const document of this.#mesh.documents) {
      const { kind, spec, source } = document
      const check = (list: string, key: string, rules: readonly Named[] = []): void => {
        for (const [index, { name, then }] of rules.entries()) {
          if (then === 'Allow' || this.#rules.has(`${key} ${name}`)) continue
          const message = `the rule ${name} decided nothing ${within}`
          tell(source, ['spec', list, index], { severity: 'warning', code: 'unused-rule', message })
        }
      }
      if (kind === 'AdaptivePolicy') check('rules', 'adaptive', spec.rules)
      if (kind === 'BaselinePolicy') {
        check('allow', 'baseline allow', spec.allow)
        check('forbid', 'baseline forbid', spec.forbid)
      }
      if (kind !== 'ServicePolicy') continue
      const namespace = document.metadata.namespace ?? 'default'
      const id = `${namespace}/${document.metadata.name}`
      check('rules', `${id} rules`, spec.rules)
      check('forbid', `${id} forbid`, spec.forbid)
      for (const [index, { service }] of (spec.calls ?? []).entries()) {
        const target = qualified(service, namespace)
        if ([id, ANYBODY].some((caller) => this.#edges.has(`${caller} ${target}`))) continue
        const message = `${id} never called ${target} ${within}`
        tell(source, ['spec', 'calls', index], { severity: 'warning', code: 'unused-edge', message })
      }
    }
  }

  #dayOf(atMs: number): string {
    return new Date(atMs).toISOString().slice(0, 10)
  }
}

/** An adaptive rule that only allows is never what an event names. */
type Named = { readonly name: string; readonly then?: string }
