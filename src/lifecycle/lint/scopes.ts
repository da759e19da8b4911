import type { Tell } from './finding.js'
import type { Issuers, LintedMesh, LintedService } from './linted-mesh.js'

/** Workload scopes that nobody can hold, and granted ones that nothing asks for. */
export function findScopes(mesh: LintedMesh, issuers: Issuers | undefined, tell: Tell): void {
  const claimable = issuers && new ClaimableScopes(issuers)
  for (const service of mesh.services.values()) {
    const asking = service.compiled.endpoints.some(({ workloadScopes }) => workloadScopes.length > 0)
    if (asking && claimable) findUnheld(service, claimable, tell)
    findUnneeded(service, tell)
  }
}

function findUnheld({ document, compiled }: LintedService, claimable: ClaimableScopes, tell: Tell): void {
  const { rules = [], endpoints = [] } = document.spec
  const meshWide = new Set(compiled.baseline.allow.flatMap(({ grantScopes }) => grantScopes))
  for (const [index, { name, workloadScopes = [] }] of endpoints.entries()) {
    for (const [place, scope] of workloadScopes.entries()) {
      const granted = rules.some(
        ({ to, grantScopes = [] }) =>
          grantScopes.includes(scope) && (to?.some((element) => element.endpoints.includes(name)) ?? true),
      )
      if (granted || meshWide.has(scope) || claimable.has(scope)) continue
      tell(document.source, ['spec', 'endpoints', index, 'workloadScopes', place], {
        severity: 'warning',
        code: 'unheld-scope',
        message: `nobody can hold ${scope}, which ${name} asks for: no rule for it grants it, and no issuer of service tokens may claim it`,
      })
    }
  }
}

function findUnneeded({ document, compiled }: LintedService, tell: Tell): void {
  for (const [index, { name, to, grantScopes = [] }] of (document.spec.rules ?? []).entries()) {
    if (grantScopes.length === 0) continue
    const reached = to && new Set(to.flatMap(({ endpoints }) => endpoints))
    for (const [place, scope] of grantScopes.entries()) {
      const asked = compiled.endpoints.some(
        (endpoint) => (reached?.has(endpoint.name) ?? true) && endpoint.workloadScopes.includes(scope),
      )
      if (asked) continue
      tell(document.source, ['spec', 'rules', index, 'grantScopes', place], {
        severity: 'warning',
        code: 'unneeded-scope',
        message: `the rule ${name} grants ${scope}, which none of its endpoints asks for`,
      })
    }
  }
}

/** Source: FORMATS 2 `serviceTokens.issuers[].scopes`: exact, or `prefix*`. */
class ClaimableScopes {
  readonly #exact = new Set<string>()
  readonly #prefixes = new Set<string>()

  constructor({ services }: Issuers) {
    for (const scope of services.flatMap(({ scopes }) => scopes)) {
      if (scope.endsWith('*')) this.#prefixes.add(scope.slice(0, -1))
      else this.#exact.add(scope)
    }
  }

  has(scope: string): boolean {
    if (this.#exact.has(scope)) return true
    for (const prefix of this.#prefixes) if (scope.startsWith(prefix)) return true
    return false
  }
}
