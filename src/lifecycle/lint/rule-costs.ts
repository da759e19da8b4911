import type { PolicyDocument } from '../../policy/read-documents.js'
import type { Position } from '../../schema/problem.js'
import { costOf } from '../../segmentation/when/condition.js'
import { conditionLists } from './condition-lists.js'
import type { Tell } from './finding.js'

/** Steps that the conditions of one rule may take for one request, at most; a step is 100 to 400 ns. */
export type RuleCost = { readonly rule: string; readonly cost: number; readonly position: Position }

/** From here on a rule can be felt: a millisecond or more. */
const COSTLY = 10_000

/** Of every rule with conditions, the dearest first. */
export function ruleCosts(documents: readonly PolicyDocument[]): RuleCost[] {
  return documents
    .flatMap((document) =>
      conditionLists(document).map(({ pointer, name, when }) => ({
        rule: name,
        cost: costOf(when),
        position: document.source.positionOf(pointer),
      })),
    )
    .toSorted((a, b) => b.cost - a.cost)
}

/** Rules whose conditions can take long. */
export function findCostly(documents: readonly PolicyDocument[], tell: Tell): void {
  for (const document of documents) {
    for (const { pointer, name, when } of conditionLists(document)) {
      const cost = when.some(({ cel }) => cel !== undefined) ? costOf(when) : 0
      if (cost < COSTLY) continue
      tell(document.source, [...pointer, 'when'], {
        severity: 'info',
        code: 'costly-rule',
        message: `the conditions of ${name} can take ${cost.toLocaleString('en')} steps for one request, with lists as long as they may be`,
      })
    }
  }
}
