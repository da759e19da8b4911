import type { Pointer } from '../../schema/problem.js'
import type { Tell } from './finding.js'
import type { LintedMesh, WrittenFrom } from './linted-mesh.js'

/** Whole trust domains by the usual path. Other patterns without a name are told when a policy is loaded. */
const EVERYBODY = /^spiffe:\/\/([^/]+)\/ns\/\*\/sa\/\*$/

/** Permits that let a whole trust domain in, and elements of them that nobody can be. */
export function findWideCallers(mesh: LintedMesh, tell: Tell): void {
  for (const document of mesh.documents) {
    const { kind, spec, source } = document
    const check = (list: string, rules: readonly Named[] = [], namespace?: string): void => {
      for (const [index, { name, from }] of rules.entries()) {
        const nobody = from.map((element) => meansNobody(element, namespace))
        for (const [place, element] of from.entries()) {
          const at: Pointer = ['spec', list, index, 'from', place]
          const domains = wholeDomains(element)
          if (domains) {
            const user = element.users ? ' that brings a user' : ''
            const message = `the rule ${name} lets every workload of ${domains.join(', ')}${user} in, those to come included`
            tell(source, at, { severity: 'warning', code: 'over-broad', message })
          }
          if (!nobody[place]) continue
          const what = nobody.every(Boolean)
            ? `the rule ${name} never matches`
            : `a part of the rule ${name} never matches`
          const message = `${what}: notNamespaces has each of its namespaces`
          tell(source, at, { severity: 'warning', code: 'unmeetable-condition', message })
        }
      }
    }
    if (kind === 'ServicePolicy') check('rules', spec.rules, document.metadata.namespace ?? 'default')
    if (kind === 'BaselinePolicy') check('allow', spec.allow)
  }
}

type Named = { readonly name: string; readonly from: readonly WrittenFrom[] }

/** Trust domains that the element means without any further word on the workload. */
function wholeDomains(element: WrittenFrom): readonly string[] | undefined {
  const { identities, trustDomains, services, namespaces, notNamespaces, selector } = element
  if (services || namespaces || notNamespaces || selector) return undefined
  if (!identities) return trustDomains
  const domains = identities.flatMap((id) => EVERYBODY.exec(id)?.[1] ?? [])
  const asked = trustDomains ? domains.filter((domain) => trustDomains.includes(domain)) : domains
  return asked.length > 0 ? asked : undefined
}

/** A selector without namespaces means those of the writing document's. */
function meansNobody(
  { namespaces, notNamespaces, selector }: WrittenFrom,
  namespace: string | undefined,
): boolean {
  const meant = namespaces ?? (selector && namespace !== undefined ? [namespace] : undefined)
  return (
    meant !== undefined && notNamespaces !== undefined && meant.every((each) => notNamespaces.includes(each))
  )
}
