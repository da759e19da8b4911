import { joined, readRules, type Reach } from '../../policy/warnings.js'
import type { Tell } from './finding.js'
import { qualified, type LintedMesh, type LintedService } from './linted-mesh.js'

/**
 * Edges that both sides declare, though not for the same endpoints: what only one of them names stays closed.
 * Edges without any common endpoint are told when a policy is loaded.
 */
export function findPartialEdges({ services }: Pick<LintedMesh, 'services'>, tell: Tell): void {
  const sides = new Sides()
  for (const service of services.values()) {
    findUnconsented(service, services, sides, tell)
    findUncalled(service, services, sides, tell)
  }
}

function findUnconsented(
  { id, namespace, document }: LintedService,
  services: LintedMesh['services'],
  sides: Sides,
  tell: Tell,
): void {
  for (const [index, { service, endpoints = [] }] of (document.spec.calls ?? []).entries()) {
    if (endpoints.length < 2) continue
    const target = services.get(qualified(service, namespace))
    if (!target || (target.document.spec.rules ?? []).length === 0) continue
    const { named, unnamed } = sides.consentOf(target)
    const reach = named.has(id) ? named.get(id) : NOTHING
    if (!reach) continue
    const closed = endpoints.filter((name) => !unnamed.has(name) && !reach.has(name))
    if (closed.length === endpoints.length) continue
    for (const name of new Set(closed)) {
      tell(document.source, ['spec', 'calls', index, 'endpoints', endpoints.indexOf(name)], {
        severity: 'warning',
        code: 'one-sided-edge',
        message: `${id} calls ${name} of ${target.id}, which has no rule that lets it in there: that part of the edge stays closed`,
      })
    }
  }
}

const NOTHING: ReadonlySet<string> = new Set()

function findUncalled(
  { id, namespace, document }: LintedService,
  services: LintedMesh['services'],
  sides: Sides,
  tell: Tell,
): void {
  for (const [index, { name, from, to }] of (document.spec.rules ?? []).entries()) {
    if (!to) continue
    const reach = new Set(to.flatMap(({ endpoints }) => endpoints))
    if (reach.size < 2) continue
    for (const [element, { services: callers = [] }] of from.entries()) {
      for (const [place, service] of callers.entries()) {
        const caller = services.get(qualified(service, namespace))
        const calls = caller && sides.callsOf(caller).get(id)
        if (!calls) continue
        const closed = Array.from(reach).filter((endpoint) => !calls.has(endpoint))
        if (closed.length === 0 || closed.length === reach.size) continue
        tell(document.source, ['spec', 'rules', index, 'from', element, 'services', place], {
          severity: 'info',
          code: 'one-sided-edge',
          message: `the rule ${name} lets ${caller.id} call ${closed.join(', ')}, which its \`calls\` to ${id} don't name: that part of the edge stays closed`,
        })
      }
    }
  }
}

type Consent = { readonly named: Map<string, Reach>; readonly unnamed: Set<string> }

/** Both sides of services, read when they are first asked for. */
class Sides {
  readonly #consents = new Map<string, Consent>()
  readonly #calls = new Map<string, ReadonlyMap<string, Reach>>()

  consentOf({ id, namespace, document }: LintedService): Consent {
    let consent = this.#consents.get(id)
    if (!consent) {
      consent = { named: new Map(), unnamed: new Set() }
      readRules({ document, namespace, ...consent })
      this.#consents.set(id, consent)
    }
    return consent
  }

  /** By target. */
  callsOf({ id, namespace, document }: LintedService): ReadonlyMap<string, Reach> {
    const known = this.#calls.get(id)
    if (known) return known
    const calls = new Map<string, Reach>()
    for (const { service, endpoints } of document.spec.calls ?? []) {
      const target = qualified(service, namespace)
      calls.set(target, joined(calls, target, endpoints && new Set(endpoints)))
    }
    this.#calls.set(id, calls)
    return calls
  }
}
