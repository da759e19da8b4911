import type { WorkloadPrincipal } from '../../identity/principal.js'
import { parseSpiffeId } from '../../identity/spiffe-id.js'
import { identitiesOf, serviceOfIdentity } from '../../segmentation/compile.js'
import { compiledService } from '../../segmentation/compiled.js'
import type { Facts } from '../../segmentation/facts.js'
import { matchFrom } from '../../segmentation/from.js'
import type { Matrix } from '../../segmentation/matrix.js'
import type { ServicePolicy } from '../../segmentation/service-policy.js'
import { type DraftPolicy, placeOf } from './draft-policy.js'
import type { Edit } from './edit.js'
import { SOMEBODY as SAMPLE_USER } from '../somebody.js'

/** Who may ask, by one of its identities. */
export type Caller = {
  readonly name: string
  readonly workload: WorkloadPrincipal | undefined
  readonly gateway: boolean
}
/** Pairs of caller and target that the edits can concern. */
export function* pairsOf(
  before: DraftPolicy,
  after: DraftPolicy,
  edits: readonly Edit[],
  asked: Facts,
): Generator<readonly [Caller, string]> {
  const callers = [...callersOf(after.matrix, asked), ...strangersOf([before, after], asked)]
  const whole = new Set<string>()
  const halves = new Map<string, Set<string>>()
  const forbids: Place[] = []
  for (const edit of edits) {
    const written = before.documents.get(edit.document)
    if (edit.at[1] === 'forbid') forbids.push(placeIn(edits, edit))
    else if (written?.kind === 'BaselinePolicy') for (const id of after.matrix.services.keys()) whole.add(id)
    else if (written) {
      const id = `${written.metadata.namespace ?? 'default'}/${written.metadata.name}`
      if (edit.at[1] !== 'calls') whole.add(id)
      else halves.set(id, new Set([...(halves.get(id) ?? []), ...calledBy(edit, written)]))
    }
  }
  if (asked.target.id !== undefined && !asked.target.service) whole.add(asked.target.id)
  for (const target of whole) for (const caller of callers) yield [caller, target]
  for (const caller of callers) {
    const called = halves.get(caller.name)
    for (const target of after.matrix.services.keys()) {
      if (whole.has(target)) continue
      if (called?.has(target) || forbids.some((place) => isMeantBy(before, place, caller, target, asked)))
        yield [caller, target]
    }
  }
}

/** The services `namespace/name` that an edit of `calls` is about. */
function calledBy(edit: Edit, { metadata, spec }: ServicePolicy): string[] {
  const [, , index] = edit.at
  const written = typeof index === 'number' ? spec.calls?.[index] : undefined
  const values: readonly unknown[] = written ? [written] : edit.op === 'append' ? edit.values : []
  return values.flatMap((value) => {
    const named: unknown = typeof value === 'object' && value ? Reflect.get(value, 'service') : undefined
    if (typeof named !== 'string') return []
    return [named.includes('/') ? named : `${metadata.namespace ?? 'default'}/${named}`]
  })
}

/** A forbid of a document; undefined: any of them. */
type Place = { readonly document: number; readonly rule: string | number | undefined }

/** Of several edits of one document the later count from what the earlier left. */
function placeIn(edits: readonly Edit[], { document, at }: Edit): Place {
  const isAlone = edits.filter((edit) => edit.document === document).length === 1
  return { document, rule: isAlone ? (at[2] ?? 0) : undefined }
}

/** Whether a forbid can mean the caller at the target, by whatever request, user and condition. */
function isMeantBy(
  { matrix }: DraftPolicy,
  { document, rule }: Place,
  { workload, gateway }: Caller,
  target: string,
  asked: Facts,
): boolean {
  const service = compiledService(matrix.services.get(target))
  const identity = { ...asked.identity, workload, user: asked.identity.user ?? SAMPLE_USER }
  const caller = workload && serviceOfIdentity(matrix, workload.spiffeId)
  const facts: Facts = { ...asked, identity, caller, gateway }
  return [...(service?.baseline.forbid ?? []), ...(service?.forbids ?? [])].some(({ source, from }) => {
    const place = placeOf(source)
    if (place?.document !== document || (rule !== undefined && place.at[2] !== rule)) return false
    return !from || from.some((element) => matchFrom(element, facts) !== false)
  })
}

/** Every identity that a document names, one for each pattern, who asked, and those without a workload. */
function callersOf(matrix: Matrix, { identity, caller }: Facts): Caller[] {
  const callers: Caller[] = [
    { name: 'nobody', workload: undefined, gateway: false },
    { name: 'nobody', workload: undefined, gateway: true },
  ]
  const asked = identity.workload
  if (asked) callers.push({ name: caller?.id ?? asked.spiffeId.text, workload: asked, gateway: false })
  for (const service of matrix.services.values())
    for (const spiffeId of identitiesOf(service)) {
      if (spiffeId.text === asked?.spiffeId.text) continue
      callers.push({ name: service.id, workload: { spiffeId, verifiedBy: 'certificate' }, gateway: false })
    }
  return callers
}

/**
 * Workloads that no document names, which a baseline allow alone can let in: one of each namespace and of each pattern
 * that is written anywhere, and one of none of them.
 */
function strangersOf(drafts: readonly DraftPolicy[], { identity }: Facts): Caller[] {
  const texts = new Set<string>()
  for (const { documents, around } of drafts) {
    const written = [...documents.values()]
    if (!written.some(({ kind, spec }) => kind === 'BaselinePolicy' && spec.allow)) continue
    const namespaces = written.map(({ metadata }) =>
      'namespace' in metadata ? metadata.namespace : undefined,
    )
    for (const namespace of [...namespaces, 'sample-x'])
      if (namespace !== undefined)
        texts.add(`spiffe://${around.localTrustDomain}/ns/${namespace}/sa/sample-y`)
    for (const domain of around.trustDomains) texts.add(`spiffe://${domain}/sample-x`)
    for (const { kind, spec } of written) {
      const rules = kind === 'BaselinePolicy' ? (spec.allow ?? []) : (spec.rules ?? [])
      const from = [...rules, ...(spec.forbid ?? [])].flatMap((rule) => rule.from ?? [])
      for (const { identities = [] } of from)
        for (const text of identities) texts.add(text.replaceAll('*', 'sample-x'))
    }
  }
  // Who asked is told by its own name.
  if (identity.workload) texts.delete(identity.workload.spiffeId.text)
  const known = drafts.map(({ matrix }) => matrix)
  return [...texts].slice(0, MOST_STRANGERS).flatMap((text): Caller[] => {
    const parsed = parseSpiffeId(text)
    if (!parsed.ok || known.some((matrix) => serviceOfIdentity(matrix, parsed.id))) return []
    return [{ name: STRANGERS, workload: { spiffeId: parsed.id, verifiedBy: 'certificate' }, gateway: false }]
  })
}

const MOST_STRANGERS = 50
const STRANGERS = 'workloads that no document names'
