import type { PolicyInForce } from '../../decide.js'
import type { PolicyDocument } from '../../policy/read-documents.js'
import type { Pointer } from '../../schema/problem.js'
import { compileMatrix } from '../../segmentation/compile.js'
import { Directory, type Surroundings } from '../../segmentation/directory.js'
import { type Condition, keysOf } from '../../segmentation/when/condition.js'
import { compileAdaptive } from '../../session/compile-adaptive.js'
import type { ReplayableCheck } from './read-record.js'
import { isUnknown, mayBeUnknown } from './unknown-values.js'

/** What a Check's decision lies between, where its record lacks what conditions look at. */
export type Extremes = {
  /** Conditions on it hold where they let in, and don't where they keep out. */
  readonly best: PolicyInForce
  /** The reverse. */
  readonly worst: PolicyInForce
}

/** Undefined: the record has all that conditions of the candidate look at. */
export type ExtremesOf = (check: ReplayableCheck) => Extremes | undefined

/** Sets of unknown keys for which a policy is compiled; beyond them any of the keys counts as unknown. */
const MAX_SETS = 8

/**
 * The candidate as it decides at best and at worst for the caller. Where both agree, that is the decision for whatever
 * body or withheld value. Undefined where no condition looks at any.
 */
export function extremesOf(
  policy: PolicyInForce,
  sources: readonly PolicyDocument[],
  around: Surroundings,
): ExtremesOf | undefined {
  const keys = [...new Set(sources.flatMap(conditionsOf).flatMap(keysOf))].filter(mayBeUnknown)
  if (keys.length === 0) return undefined
  const compiled = new Map<string, Extremes>()
  return (check) => {
    let unknown = keys.filter((key) => isUnknown(key, check))
    if (unknown.length === 0) return undefined
    let name = unknown.join('\n')
    if (!compiled.has(name) && compiled.size >= MAX_SETS) {
      unknown = keys
      name = keys.join('\n')
    }
    let extremes = compiled.get(name)
    if (!extremes) {
      const set = new Set(unknown)
      const is = (condition: Condition): boolean => keysOf(condition).some((key) => set.has(key))
      const [best, worst] = [
        { letIn: HOLDS, keepOut: FAILS },
        { letIn: FAILS, keepOut: HOLDS },
      ].map((constants) => compiledWith(policy, sources, around, is, constants))
      if (!best || !worst) throw new TypeError('two were asked for')
      extremes = { best, worst }
      compiled.set(name, extremes)
    }
    return extremes
  }
}

type Constants = { readonly letIn: Condition; readonly keepOut: Condition }

function compiledWith(
  policy: PolicyInForce,
  sources: readonly PolicyDocument[],
  around: Surroundings,
  is: (condition: Condition) => boolean,
  constants: Constants,
): PolicyInForce {
  const documents = sources.map((document) => withConstants(document, is, constants))
  const directory = new Directory(around, policy.classifications)
  for (const { kind, metadata } of documents) {
    if (kind !== 'ServicePolicy') continue
    const id = `${metadata.namespace ?? 'default'}/${metadata.name}`
    if (directory.indexOf(id) === undefined) directory.add(id)
  }
  const faults: string[] = []
  const matrix = compileMatrix({
    ...around,
    documents: documents.flatMap((document, index) =>
      document.kind === 'ServicePolicy' || document.kind === 'BaselinePolicy'
        ? [{ ...document, index, sourceOf: sourceOf(document) }]
        : [],
    ),
    dataPolicies: policy.classifications,
    revision: policy.revision,
  })
  const adaptive = compileAdaptive(
    documents.flatMap((document) => {
      if (document.kind !== 'AdaptivePolicy') return []
      const { metadata, spec } = document
      const report = (_: Pointer, message: string): void => void faults.push(message)
      return [{ metadata, spec, sourceOf: sourceOf(document), report }]
    }),
    directory,
  )
  if (!matrix.ok || faults.length > 0)
    throw new TypeError('a policy that compiles does so with plainer conditions')
  return { ...policy, matrix: matrix.matrix, adaptive }
}

/** Constants stand in their place, so that every other part of the document keeps its own. */
const HOLDS: Condition = { cel: 'true' }
const FAILS: Condition = { cel: 'false' }

type Conditional = { readonly when?: Condition[] | undefined }

function conditionsOf(document: PolicyDocument): readonly Condition[] {
  const lists: readonly (readonly Conditional[] | undefined)[] =
    document.kind === 'ServicePolicy'
      ? [document.spec.rules, document.spec.forbid]
      : document.kind === 'BaselinePolicy'
        ? [document.spec.allow, document.spec.forbid]
        : document.kind === 'AdaptivePolicy'
          ? [document.spec.rules]
          : []
  return lists.flatMap((rules = []) => rules.flatMap(({ when = [] }) => when))
}

function withConstants(
  document: PolicyDocument,
  is: (condition: Condition) => boolean,
  constants: Constants,
): PolicyDocument {
  const letIn = <Rule extends Conditional>(rules: readonly Rule[]): Rule[] =>
    rules.map((rule) => withConstant(rule, is, constants.letIn))
  const keepOut = <Rule extends Conditional>(rules: readonly Rule[]): Rule[] =>
    rules.map((rule) => withConstant(rule, is, constants.keepOut))
  if (document.kind === 'ServicePolicy') {
    const { rules = [], forbid = [], ...rest } = document.spec
    return { ...document, spec: { ...rest, rules: letIn(rules), forbid: keepOut(forbid) } }
  }
  if (document.kind === 'BaselinePolicy') {
    const { allow = [], forbid = [], ...rest } = document.spec
    return { ...document, spec: { ...rest, allow: letIn(allow), forbid: keepOut(forbid) } }
  }
  if (document.kind === 'AdaptivePolicy') {
    const { rules = [], ...rest } = document.spec
    return { ...document, spec: { ...rest, rules: keepOut(rules) } }
  }
  // The others have no conditions.
  return document
}

function withConstant<Rule extends Conditional>(
  rule: Rule,
  is: (condition: Condition) => boolean,
  instead: Condition,
): Rule {
  if (!rule.when) return rule
  return { ...rule, when: rule.when.map((condition) => (is(condition) ? instead : condition)) }
}

function sourceOf({ source }: PolicyDocument): (pointer: Pointer) => string {
  return (pointer) => {
    const { file, line, column } = source.positionOf(pointer)
    return `${file}:${line}:${column}`
  }
}
