import { conditionLists } from './condition-lists.js'
import { contradictionsOf } from './contradictions.js'
import type { Tell } from './finding.js'
import type { LintedMesh, LintedService } from './linted-mesh.js'
import { coversText } from './text-sets.js'

/** Rules whose conditions no request can meet, or no request to the endpoints that they are for. */
export function findUnmeetable(mesh: LintedMesh, nowMs: number, tell: Tell): void {
  for (const document of mesh.documents) {
    for (const { pointer, name, when, permits } of conditionLists(document)) {
      for (const { index, key, why, expired } of contradictionsOf(when, nowMs)) {
        tell(document.source, [...pointer, 'when', index], {
          severity: 'warning',
          code: expired ? 'expired-condition' : 'unmeetable-condition',
          message: `${never(name, permits)}: \`${key}\`: ${why}`,
        })
      }
    }
  }
  for (const service of mesh.services.values()) findForeignValues(service, tell)
}

/** `values` that a key can't have for the endpoints of a rule. */
function findForeignValues({ document, compiled, namespace, id }: LintedService, tell: Tell): void {
  for (const list of ['rules', 'forbid'] as const) {
    for (const [index, { name, to, when }] of (document.spec[list] ?? []).entries()) {
      if (!when || when.length === 0) continue
      const reached = to && new Set(to.flatMap(({ endpoints }) => endpoints))
      const endpoints = compiled.endpoints.filter((endpoint) => reached?.has(endpoint.name) ?? true)
      const possible = (key: string): readonly string[] | undefined => {
        if (key === 'target.namespace') return [namespace]
        if (key === 'target.service') return [id]
        if (key === 'target.endpoint') return endpoints.map((endpoint) => endpoint.name)
        if (key === 'target.sensitivity') return endpoints.map(({ sensitivity }) => sensitivity)
        const http = endpoints.every(({ protocol, methods }) => protocol === 'HTTP' && methods.length > 0)
        if (key === 'request.method' && list === 'rules' && http)
          return endpoints.flatMap(({ methods }) => methods)
        const ported = endpoints.every(({ ports }) => ports.length > 0)
        return key === 'destination.port' && list === 'rules' && ported
          ? endpoints.flatMap(({ ports }) => ports.map(String))
          : undefined
      }
      for (const [place, { key, values }] of when.entries()) {
        const real = key === undefined || !values ? undefined : possible(key)
        if (!real || !values || real.length === 0) continue
        const spelt = values.map((value) =>
          key === 'target.service' && !value.includes('/') && value !== '*' ? `${namespace}/${value}` : value,
        )
        if (spelt.some((value) => real.some((one) => coversText(value, one)))) continue
        tell(document.source, ['spec', list, index, 'when', place, 'values'], {
          severity: 'warning',
          code: 'unmeetable-condition',
          message: `${never(name, list === 'rules')}: \`${key}\` can only be ${listed(real)} here`,
        })
      }
    }
  }
}

/** Where its conditions can't be evaluated, a forbid matches all the same. */
function never(name: string, permits: boolean): string {
  return permits ? `the rule ${name} never matches` : `the conditions of ${name} never hold`
}

function listed(words: readonly string[]): string {
  const different = Array.from(new Set(words))
  const shown = different.slice(0, 5).join(', ')
  return different.length > 5 ? `${shown} and ${different.length - 5} more` : shown
}
