import type { ServicePolicy } from '../../segmentation/service-policy.js'
import { type DraftPolicy, rewritten, type Written } from './draft-policy.js'
import type { Edit } from './edit.js'

/** What caller, target and request line alone decide; everything else differs from call to call. */
const BY_EDGE = /^(?:workload|target)\.|^request\.(?:method|path|grpc)\b|^destination\.port$/

/** So many sets of conditions of the documents concerned are looked at. */
const MOST_SETS = 12

type Condition = NonNullable<NonNullable<ServicePolicy['spec']['forbid']>[number]['when']>[number]
type Conditional = { when?: Condition[] }

/** Two policies under the same circumstances. */
export type Pair = { readonly before: DraftPolicy; readonly after: DraftPolicy }

/**
 * Two policies, one of them the other with edits, as one call sees them and under every other circumstances that can tell
 * them apart: those in which the conditions of one rule hold and no others, and those in which an edited forbid matches.
 * The last pair lets in whatever any of them does. Undefined where one of these is no sound policy, or there are too many.
 */
export function circumstances(
  before: DraftPolicy,
  after: DraftPolicy,
  edits: readonly Edit[],
  targets: ReadonlySet<number>,
): readonly Pair[] | undefined {
  const sets = new Map<string, ReadonlySet<string>>([['', new Set()]])
  for (const index of targets)
    for (const { documents } of [before, after])
      for (const rule of permitsIn(documents.get(index))) {
        const texts = conditionsOf(rule)
        sets.set(texts.sort().join('\n'), new Set(texts))
      }
  if (sets.size > MOST_SETS) return undefined
  const forbids = editedForbids(edits)
  const narrower = widened(before, after, edits)
  const changes = [...sets.values()].map((held) => only(held, narrower))
  if (forbids.size > 0) changes.push(matched(forbids))
  changes.push(only(undefined, narrower))
  const pairs: Pair[] = [{ before, after }]
  for (const change of changes) {
    const [then, now] = [rewritten(before, change), rewritten(after, change)]
    if (!then || !now) return undefined
    pairs.push({ before: then, after: now })
  }
  return pairs
}

type Change = (document: Written, index: number) => Written

/** Of the permits' conditions these hold and no others, all of them for undefined; no conditional forbid matches. */
function only(held: ReadonlySet<string> | undefined, narrower: ReadonlyMap<string, string>): Change {
  const holds = (rule: Conditional): boolean =>
    !held || conditionsOf(rule).every((text) => held.has(text) || held.has(narrower.get(text) ?? text))
  return (document) =>
    rulesChanged(
      document,
      (rules) => rules.map((rule) => (holds(rule) ? withoutDoubt(rule) : idle(rule))),
      (rules) => rules.filter((rule) => conditionsOf(rule).length === 0),
    )
}

/** Every permit's conditions hold, and those of the forbids of some documents; no other conditional forbid matches. */
function matched(forbids: ReadonlySet<number>): Change {
  return (document, index) =>
    rulesChanged(
      document,
      (rules) => rules.map(withoutDoubt),
      (rules) =>
        rules
          .filter((rule) => forbids.has(index) || conditionsOf(rule).length === 0)
          .map((rule) => (forbids.has(index) ? withoutDoubt(rule) : rule)),
    )
}

function rulesChanged(
  document: Written,
  permits: <Rule extends Conditional>(rules: Rule[]) => Rule[],
  forbids: <Rule extends Conditional>(rules: Rule[]) => Rule[],
): Written {
  if (document.kind === 'ServicePolicy') {
    const { rules, forbid } = document.spec
    const spec = {
      ...document.spec,
      ...(rules && { rules: permits(rules) }),
      ...(forbid && { forbid: forbids(forbid) }),
    }
    return { ...document, spec }
  }
  const { allow, forbid } = document.spec
  const spec = {
    ...document.spec,
    ...(allow && { allow: permits(allow) }),
    ...(forbid && { forbid: forbids(forbid) }),
  }
  return { ...document, spec }
}

function permitsIn(document: Written | undefined): readonly Conditional[] {
  if (!document) return []
  return (document.kind === 'ServicePolicy' ? document.spec.rules : document.spec.allow) ?? []
}

/** Conditions that hold wherever another did, since an edit only added values: theirs, by their own text. */
function widened(before: DraftPolicy, after: DraftPolicy, edits: readonly Edit[]): Map<string, string> {
  const found = new Map<string, string>()
  for (const { document, at } of edits) {
    const [, , rule, when, index] = at
    if (when !== 'when' || typeof rule !== 'number' || typeof index !== 'number') continue
    const [old, now] = [before, after].map(
      ({ documents }) => permitsIn(documents.get(document))[rule]?.when?.[index],
    )
    if (old && now) found.set(JSON.stringify(now), JSON.stringify(old))
  }
  return found
}

/** Documents whose forbids an edit is about. */
function editedForbids(edits: readonly Edit[]): Set<number> {
  return new Set(edits.filter(({ at }) => at[1] === 'forbid').map(({ document }) => document))
}

function withoutDoubt<Rule extends Conditional>(rule: Rule): Rule {
  return rule.when ? { ...rule, when: rule.when.filter(isByEdge) } : rule
}

/** A rule that lets nobody in stays a rule: without any a target would consent to its neighbours. */
function idle<Rule extends Conditional>(rule: Rule): Rule {
  return { ...rule, when: [{ key: 'workload.namespace', values: ['no-such-namespace'] }] }
}

/** Those of a rule that differ from call to call, as text. */
function conditionsOf({ when = [] }: Conditional): string[] {
  return when.filter((condition) => !isByEdge(condition)).map((condition) => JSON.stringify(condition))
}

function isByEdge({ key }: Condition): boolean {
  const written: string | undefined = key
  return written !== undefined && BY_EDGE.test(written)
}
