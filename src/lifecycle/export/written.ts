import type { RuleSource } from '../../decision/decision.js'
import type { PolicyDocument } from '../../policy/read-documents.js'
import type { BaselinePolicy } from '../../segmentation/baseline-policy.js'
import type { ServicePolicy } from '../../segmentation/service-policy.js'

export type WrittenForbid = NonNullable<BaselinePolicy['spec']['forbid']>[number]
export type WrittenAllow = NonNullable<BaselinePolicy['spec']['allow']>[number]
export type WrittenSpec = ServicePolicy['spec']

type Placed<Rule> = { readonly rule: Rule; readonly place: string }

/** The documents that a matrix was compiled from: what the compiled form no longer tells is read there. */
export type Written = {
  /** By `namespace/name`. */
  readonly services: ReadonlyMap<string, WrittenSpec>
  readonly allow: readonly Placed<WrittenAllow>[]
  readonly forbid: readonly Placed<WrittenForbid>[]
}

export function writtenOf(sources: readonly PolicyDocument[]): Written {
  const services = new Map<string, WrittenSpec>()
  const allow: Placed<WrittenAllow>[] = []
  const forbid: Placed<WrittenForbid>[] = []
  for (const document of sources) {
    if (document.kind === 'ServicePolicy') {
      services.set(`${document.metadata.namespace ?? 'default'}/${document.metadata.name}`, document.spec)
    }
    if (document.kind !== 'BaselinePolicy') continue
    const placeOf = (list: string, index: number): string => {
      const { file, line, column } = document.source.positionOf(['spec', list, index])
      return `${file}:${line}:${column}`
    }
    const { spec } = document
    spec.allow?.forEach((rule, index) => allow.push({ rule, place: placeOf('allow', index) }))
    spec.forbid?.forEach((rule, index) => forbid.push({ rule, place: placeOf('forbid', index) }))
  }
  return { services, allow, forbid }
}

/** The rule as written at the place that the compiled rule names. Throws where the documents are not the matrix's. */
export function writtenAt<Rule>(
  rules: readonly Placed<Rule>[],
  { name, source }: { readonly name: string; readonly source: RuleSource },
): Rule {
  const found = rules.find(({ place }) => place === source || place.endsWith(`/${source}`))
  if (!found) throw new TypeError(`no document has the rule ${name} of ${source}`)
  return found.rule
}

/** Services that `*` in `identities` gives names which no list could hold. */
export function patternedServices({ services }: Pick<Written, 'services'>): ReadonlySet<string> {
  const found = new Set<string>()
  for (const [id, { identities }] of services)
    if (identities?.some((text) => text.includes('*'))) found.add(id)
  return found
}
