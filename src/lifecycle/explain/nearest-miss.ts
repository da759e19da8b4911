import type { Pointer } from '../../schema/problem.js'
import { compiledEndpoint, compiledService } from '../../segmentation/compiled.js'
import type { Facts } from '../../segmentation/facts.js'
import { type From, matchFrom } from '../../segmentation/from.js'
import { matchRequest } from '../../segmentation/to.js'
import { conditionParts } from './condition-parts.js'
import { type DraftPolicy, placeOf } from './draft-policy.js'
import { flowText } from './flow-text.js'
import type { Part } from './part.js'

type WrittenRule = {
  readonly name: string
  readonly from: readonly { readonly services?: string[] }[]
  readonly to?: unknown
  readonly when?: Parameters<typeof conditionParts>[0]
  readonly grantScopes?: readonly string[]
}

/** A rule that could have let a call in, taken apart. */
export type RuleMiss = {
  /** Of the target, or of the platform team's baseline. */
  readonly kind: 'rule' | 'allow'
  readonly name: string
  readonly place: { readonly document: number; readonly at: Pointer; readonly namespace: string | undefined }
  readonly written: WrittenRule
  readonly parts: readonly Part[]
}

type Compiled = {
  readonly source: string
  readonly from: readonly From[]
  readonly reaches: boolean
}

/** Every rule that could let the call in, the one with the fewest unmet parts first; in the order they are written where even. */
export function missesOf(draft: DraftPolicy, facts: Facts): RuleMiss[] {
  const service = compiledService(facts.target.service)
  const endpoint = compiledEndpoint(facts.endpoint)
  const { allow } = service?.baseline ?? draft.matrix.baselineOfUnknown
  const own = (endpoint && service?.rules) ?? []
  const misses = [
    ...own.map((rule) =>
      missOf(
        'rule',
        { ...rule, reaches: !rule.endpoints || rule.endpoints.includes(endpoint?.index ?? -1) },
        draft,
        facts,
      ),
    ),
    ...allow.map((rule) =>
      missOf(
        'allow',
        { ...rule, reaches: !rule.to || rule.to.some((to) => matchRequest(to, facts)) },
        draft,
        facts,
      ),
    ),
  ].filter((miss) => miss !== undefined)
  const unmet = new Map(misses.map((miss) => [miss, distance(miss)]))
  return misses.sort((a, b) => (unmet.get(a) ?? 0) - (unmet.get(b) ?? 0))
}

/** A rule for other callers is further away than one for others of their requests. */
function distance({ parts }: RuleMiss): number {
  return parts.reduce((sum, { met, part }) => sum + (met === true ? 0 : part === 'from' ? 1.5 : 1), 0)
}

function missOf(
  kind: RuleMiss['kind'],
  { source, from, reaches }: Compiled,
  draft: DraftPolicy,
  facts: Facts,
): RuleMiss | undefined {
  const place = placeOf(source)
  const document = place && draft.documents.get(place.document)
  const written = document && place && ruleAt(document.spec, place.at)
  if (!place || !document || !written) return undefined
  const namespace = document.kind === 'ServicePolicy' ? (document.metadata.namespace ?? 'default') : undefined
  const found = new Set(from.map((element) => matchFrom(element, facts)))
  const parts: Part[] = [
    {
      part: 'from',
      asks: flowText(written.from),
      met: found.has(true) ? true : found.has(undefined) ? undefined : false,
      found: callerWords(facts),
    },
  ]
  if (written.to)
    parts.push({ part: 'to', asks: flowText(written.to), met: reaches, found: facts.endpoint?.name })
  parts.push(...conditionParts(written.when ?? [], facts, { ...draft.around, namespace }))
  const scopes = scopesPart(written, facts)
  if (scopes) parts.push(scopes)
  return { kind, name: written.name, place: { ...place, namespace }, written, parts }
}

function ruleAt(
  spec: { readonly rules?: readonly WrittenRule[]; readonly allow?: readonly WrittenRule[] },
  [, list, index]: Pointer,
): WrittenRule | undefined {
  const rules = list === 'rules' ? spec.rules : list === 'allow' ? spec.allow : undefined
  return typeof index === 'number' ? rules?.[index] : undefined
}

function callerWords({ identity, caller }: Facts): string {
  const { workload, user } = identity
  const words = [
    workload && (caller?.id ?? workload.spiffeId.text),
    user && `user ${user.subject}${user.roles.length > 0 ? ` (${user.roles.join(', ')})` : ''}`,
  ].filter((word) => word !== undefined)
  return words.length > 0 ? words.join(', ') : 'nobody'
}

function scopesPart(
  { grantScopes = [] }: WrittenRule,
  { endpoint: chosen, identity }: Facts,
): Part | undefined {
  const wanted = compiledEndpoint(chosen)?.workloadScopes ?? []
  if (wanted.length === 0) return undefined
  const held = identity.serviceToken?.scopes ?? grantScopes
  const whose = identity.serviceToken ? 'the service token holds' : 'the rule grants'
  return {
    part: 'scopes',
    asks: wanted.join(', '),
    met: wanted.every((scope) => held.includes(scope)),
    found: `${whose} ${held.length > 0 ? held.join(', ') : 'none'}`,
  }
}
