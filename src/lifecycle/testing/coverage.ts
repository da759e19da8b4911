import type { DataPolicies } from '../../data/data-policy.js'
import type { Decision } from '../../decision/decision.js'
import type { PolicyDocument } from '../../policy/read-documents.js'
import type { Pointer } from '../../schema/problem.js'
import { showsFactor } from '../../session/step-up.js'
import { placeOf } from './read-cases.js'

/** What cases can reach. `access` is a rule of a DataPolicy. */
export type CoveredKind =
  'permit' | 'forbid' | 'baseline-allow' | 'baseline-forbid' | 'adaptive' | 'access' | 'endpoint'

/** A rule or an endpoint of the policy. */
export type Part = {
  readonly kind: CoveredKind
  readonly name: string
  /** `namespace/name` of the service, or the name of the cluster-wide document. */
  readonly of: string
  /** `file:line:column`. */
  readonly source: string
}

export type Covered = {
  readonly total: number
  readonly covered: number
  /** 0..100, rounded down; 100 where there is nothing to cover. */
  readonly percent: number
  /** In the order of the documents. */
  readonly missed: readonly Part[]
}

export type CoverageReport = { readonly rules: Covered; readonly endpoints: Covered }

/**
 * Which rules decided a call, and which endpoints were chosen. A rule decides where a decision names it: by letting the
 * call pass or by refusing it, also where a mode lets it pass anyway. An adaptive rule with `then: Allow` and the built-in
 * rules decide nothing that a policy's author wrote, and are not counted.
 */
export class Coverage {
  readonly #parts: readonly Part[]
  readonly #classifications: DataPolicies
  readonly #sources = new Set<string>()
  readonly #endpoints = new Set<string>()

  constructor(documents: readonly PolicyDocument[], classifications: DataPolicies) {
    this.#parts = documents.flatMap(partsOf)
    this.#classifications = classifications
  }

  count(decision: Decision): void {
    const { ruleSource, target, endpoint } = decision
    if (ruleSource !== undefined) this.#sources.add(ruleSource)
    if (endpoint !== undefined && target !== undefined) this.#endpoints.add(`${target} ${endpoint}`)
    const access = this.#accessOf(decision)
    if (access !== undefined) this.#sources.add(access)
  }

  report(): CoverageReport {
    const rules = this.#parts.filter(({ kind }) => kind !== 'endpoint')
    const endpoints = this.#parts.filter(({ kind }) => kind === 'endpoint')
    return {
      rules: covered(rules, ({ source }) => this.#sources.has(source)),
      endpoints: covered(endpoints, ({ of, name }) => this.#endpoints.has(`${of} ${name}`)),
    }
  }

  /** Of a call that passed, the access rule that its user met: one that let it pass is named by no decision. */
  #accessOf({ outcome, wouldBe, data, user, operation = 'Write', grantId }: Decision): string | undefined {
    const policy = data && this.#classifications.get(data.name)
    if (!policy || !user || outcome !== 'allow' || wouldBe) return undefined
    return policy.access.find(
      ({ role, operations, needsApproval, needsMfa }) =>
        user.roles.includes(role) &&
        operations.includes(operation) &&
        (!needsApproval || grantId !== undefined) &&
        (!needsMfa || showsFactor(user, 'mfa')),
    )?.source
  }
}

function covered(parts: readonly Part[], reached: (part: Part) => boolean): Covered {
  const missed = parts.filter((part) => !reached(part))
  const total = parts.length
  const count = total - missed.length
  return { total, covered: count, percent: total === 0 ? 100 : Math.floor((count * 100) / total), missed }
}

type Named = readonly { readonly name: string }[] | undefined

function partsOf({ source, ...document }: PolicyDocument): Part[] {
  const { name } = document.metadata
  const at = (pointer: Pointer): string => placeOf(source.positionOf(pointer))
  const list = (kind: CoveredKind, of: string, field: string, rules: Named): Part[] =>
    (rules ?? []).map((rule, index) => ({ kind, name: rule.name, of, source: at(['spec', field, index]) }))
  switch (document.kind) {
    case 'ServicePolicy': {
      const of = `${document.metadata.namespace ?? 'default'}/${name}`
      const { rules, forbid, endpoints } = document.spec
      return [
        ...list('endpoint', of, 'endpoints', endpoints),
        ...list('permit', of, 'rules', rules),
        ...list('forbid', of, 'forbid', forbid),
      ]
    }
    case 'BaselinePolicy':
      return [
        ...list('baseline-allow', name, 'allow', document.spec.allow),
        ...list('baseline-forbid', name, 'forbid', document.spec.forbid),
      ]
    case 'AdaptivePolicy':
      return (document.spec.rules ?? []).flatMap((rule, index) =>
        rule.then === 'Allow'
          ? []
          : [{ kind: 'adaptive' as const, name: rule.name, of: name, source: at(['spec', 'rules', index]) }],
      )
    case 'DataPolicy':
      return (document.spec.access ?? []).map(({ role }, index) => ({
        kind: 'access' as const,
        name: role,
        of: name,
        source: at(['spec', 'access', index]),
      }))
    case 'RiskPolicy':
    case 'DevicePolicy':
    default:
      return []
  }
}
