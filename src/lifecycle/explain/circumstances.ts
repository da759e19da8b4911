import type { ServicePolicy } from '../../segmentation/service-policy.js'
import { type DraftPolicy, rewritten, type Written } from './draft-policy.js'
import type { Edit } from './edit.js'

/**
 * What caller and target alone decide; everything else differs from call to call. What a condition asks of the request
 * line too: no request that stands for others has every path that a condition could name.
 */
const BY_EDGE = /^(?:workload|target)\./

/** So many sets of conditions of the documents concerned are looked at. */
const MOST_SETS = 12

type Condition = NonNullable<NonNullable<ServicePolicy['spec']['forbid']>[number]['when']>[number]
type Conditional = { when?: Condition[] }

/** Two policies under the same circumstances. */
export type Pair = {
  readonly before: DraftPolicy
  readonly after: DraftPolicy
  /** A condition holds that was widened to hold for the asked call. */
  readonly admitsAsked: boolean
}

/**
 * Two policies, one of them the other with edits, as one call sees them and under every other circumstances that can tell
 * them apart: those in which the conditions of one rule hold and no others, and those in which one edited forbid matches
 * and no other that has conditions. A condition that can't be evaluated is one that holds for a forbid and does not for a
 * permit, so nothing more than the two is needed of any. The last pair lets in whatever any of them does. Undefined where one of these is no sound policy, or there are too many.
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
  const forbids = editedForbids(before, after, edits)
  if (sets.size > MOST_SETS || forbids.length > MOST_SETS) return undefined
  const narrower = widened(before, after, edits)
  const changes = [...sets.values()].map((held) => ({
    change: only(held, narrower),
    admitsAsked: [...held].some((text) => narrower.has(text)),
  }))
  for (const held of forbids) changes.push({ change: matched(held), admitsAsked: false })
  changes.push({ change: only(undefined, narrower), admitsAsked: false })
  const pairs: Pair[] = [{ before, after, admitsAsked: true }]
  for (const { change, admitsAsked } of changes) {
    const [then, now] = [rewritten(before, change), rewritten(after, change)]
    if (!then || !now) return undefined
    pairs.push({ before: then, after: now, admitsAsked })
  }
  return pairs
}

/** The policy where all that permits ask of a call is so, and no conditional forbid matches. */
export function kindly(draft: DraftPolicy): DraftPolicy | undefined {
  return rewritten(draft, only(undefined, new Map()))
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

/** Every permit's conditions hold, and of the forbids' these and no others. */
function matched(held: ReadonlySet<string>): Change {
  return (document) =>
    rulesChanged(
      document,
      (rules) => rules.map(withoutDoubt),
      (rules) => rules.filter((rule) => conditionsOf(rule).every((text) => held.has(text))).map(withoutDoubt),
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

/** The conditions of each forbid that is taken out or means fewer calls, so that these can get past it. */
function editedForbids(
  before: DraftPolicy,
  after: DraftPolicy,
  edits: readonly Edit[],
): readonly ReadonlySet<string>[] {
  const found = new Map<string, ReadonlySet<string>>()
  for (const { document, at } of edits) {
    if (at[1] !== 'forbid') continue
    const left = new Set(after.documents.get(document)?.spec.forbid?.map((rule) => JSON.stringify(rule)))
    for (const rule of before.documents.get(document)?.spec.forbid ?? []) {
      const texts = conditionsOf(rule)
      if (!left.has(JSON.stringify(rule))) found.set(texts.sort().join('\n'), new Set(texts))
    }
  }
  return [...found.values()]
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
