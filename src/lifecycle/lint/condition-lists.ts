import type { PolicyDocument } from '../../policy/read-documents.js'
import type { Pointer } from '../../schema/problem.js'
import type { WrittenWhen } from './linted-mesh.js'

/** The conditions of one rule; `pointer` is the rule's. */
export type ConditionList = {
  readonly pointer: Pointer
  readonly name: string
  readonly when: WrittenWhen
  /** What can't be evaluated is no for a permit, and yes for a forbid and an adaptive rule. */
  readonly permits: boolean
}

/** Every list of conditions in a document that isn't empty. */
export function conditionLists(document: PolicyDocument): ConditionList[] {
  const { kind, spec } = document
  switch (kind) {
    case 'ServicePolicy':
      return [...listsOf(spec.rules, 'rules', true), ...listsOf(spec.forbid, 'forbid', false)]
    case 'BaselinePolicy':
      return [...listsOf(spec.allow, 'allow', true), ...listsOf(spec.forbid, 'forbid', false)]
    case 'AdaptivePolicy':
      return listsOf(spec.rules, 'rules', false)
    case 'DataPolicy':
    case 'DevicePolicy':
    case 'RiskPolicy':
    default:
      return []
  }
}

function listsOf(
  rules: readonly { readonly name: string; readonly when?: WrittenWhen | undefined }[] | undefined,
  list: string,
  permits: boolean,
): ConditionList[] {
  return (rules ?? []).flatMap(({ name, when }, index) =>
    when && when.length > 0 ? [{ pointer: ['spec', list, index], name, when, permits }] : [],
  )
}
