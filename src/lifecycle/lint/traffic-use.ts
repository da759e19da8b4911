import type { TrafficEvent } from '../traffic.js'
import type { Tell } from './finding.js'
import { lintedMesh, qualified, type Loaded, type LintedMesh } from './linted-mesh.js'

/**
 * Which rules and edges of a policy recorded traffic used. It counts what the policy names and nothing else, so
 * its size is the policy's, however long the record.
 */
export class TrafficUse {
  readonly #mesh: LintedMesh
  readonly #rules = new Set<string>()
  readonly #edges = new Set<string>()
  readonly #baseline: ReadonlySet<string>
  readonly #adaptive: ReadonlySet<string>
  #events = 0
  #firstMs = Infinity
  #lastMs = -Infinity

  constructor(loaded: Pick<Loaded, 'policy' | 'sources'>) {
    this.#mesh = lintedMesh(loaded)
    const names = (list: readonly { readonly name: string }[] | undefined): string[] =>
      (list ?? []).map(({ name }) => name)
    this.#baseline = new Set(
      loaded.sources.flatMap((document) =>
        document.kind === 'BaselinePolicy'
          ? [...names(document.spec.allow), ...names(document.spec.forbid)]
          : [],
      ),
    )
    this.#adaptive = new Set(
      loaded.sources.flatMap((document) =>
        document.kind === 'AdaptivePolicy' ? names(document.spec.rules) : [],
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
    const { callerService: caller, targetService: target, rule } = event
    const service = target === undefined ? undefined : this.#mesh.services.get(target)
    if (caller !== undefined && service && this.#mesh.services.has(caller))
      this.#edges.add(`${caller} ${service.id}`)
    if (rule === undefined) return
    const reasons = [event.decisionReason, event.wouldBeReason]
    const { rules = [], forbid = [] } = service?.document.spec ?? {}
    if (reasons.includes('forbidden')) {
      if (service && forbid.some(({ name }) => name === rule)) this.#rules.add(`${service.id} forbid ${rule}`)
      else if (this.#baseline.has(rule)) this.#rules.add(`baseline ${rule}`)
    } else if (service && rules.some(({ name }) => name === rule))
      this.#rules.add(`${service.id} rules ${rule}`)
    else if (this.#baseline.has(rule)) this.#rules.add(`baseline ${rule}`)
    if (this.#adaptive.has(rule)) this.#rules.add(`adaptive ${rule}`)
  }

  /** Rules that decided no event and edges that no event went over. Silent without any event. */
  tellUnused(tell: Tell): void {
    if (this.#events === 0) return
    const within = `in ${this.#events} events from ${this.#dayOf(this.#firstMs)} to ${this.#dayOf(this.#lastMs)}`
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
        check('allow', 'baseline', spec.allow)
        check('forbid', 'baseline', spec.forbid)
      }
      if (kind !== 'ServicePolicy') continue
      const namespace = document.metadata.namespace ?? 'default'
      const id = `${namespace}/${document.metadata.name}`
      check('rules', `${id} rules`, spec.rules)
      check('forbid', `${id} forbid`, spec.forbid)
      for (const [index, { service }] of (spec.calls ?? []).entries()) {
        const target = qualified(service, namespace)
        if (this.#edges.has(`${id} ${target}`)) continue
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
