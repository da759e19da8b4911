import type { Pointer } from '../schema/problem.js'
import { readScopes } from './compile-endpoints.js'
import type { ForbidRule, PermitRule } from './compiled.js'
import type { Directory } from './directory.js'
import { hint } from './directory.js'
import type { Draft } from './draft.js'
import { compileFrom, type From } from './from.js'
import { type CompiledConditions, compileConditions } from './when/condition.js'
import { flatText } from './flat-text.js'

/** With more rules than this a service gets an index of them by caller. */
const FEW_RULES = 8
const NONE: readonly never[] = []

/** Compiles who may call a service. */
export function compileRules(draft: Draft, directory: Directory): readonly PermitRule[] {
  const written = draft.document.spec.rules ?? []
  if (written.length === 0) return NONE
  reportDuplicates(written, ['spec', 'rules'], draft)
  return written.map((rule, index) => {
    const at = ['spec', 'rules', index]
    return {
      name: rule.name,
      source: flatText(draft.document.sourceOf(at)),
      from: compileElements(rule.from, [...at, 'from'], draft, directory),
      endpoints: rule.to && resolveEndpoints(rule.to, [...at, 'to'], draft, directory),
      when: compileWhen(rule.when, [...at, 'when'], draft, directory),
      grantScopes: readScopes(rule.grantScopes, [...at, 'grantScopes'], directory, draft.report),
    }
  })
}

/** Compiles who may not. */
export function compileForbids(draft: Draft, directory: Directory): readonly ForbidRule[] {
  const written = draft.document.spec.forbid ?? []
  if (written.length === 0) return NONE
  reportDuplicates(written, ['spec', 'forbid'], draft)
  return written.map((rule, index) => {
    const at = ['spec', 'forbid', index]
    return {
      name: rule.name,
      source: flatText(draft.document.sourceOf(at)),
      from: rule.from && compileElements(rule.from, [...at, 'from'], draft, directory),
      endpoints: rule.to && resolveEndpoints(rule.to, [...at, 'to'], draft, directory),
      when: compileWhen(rule.when, [...at, 'when'], draft, directory),
      message: rule.message,
      mode: rule.mode,
    }
  })
}

type Elements = Parameters<typeof compileFrom>[0][]

function compileElements(written: Elements, at: Pointer, draft: Draft, directory: Directory): From[] {
  const writer = { namespace: draft.namespace, directory, report: draft.report }
  return written.map((element, index) => compileFrom(element, [...at, index], writer))
}

function resolveEndpoints(
  written: readonly { readonly endpoints: readonly string[] }[],
  at: Pointer,
  draft: Draft,
  directory: Directory,
): number[] {
  const found = new Set<number>()
  for (const [element, { endpoints }] of written.entries()) {
    for (const [index, name] of endpoints.entries()) {
      const endpoint = draft.endpoints.get(name)
      if (endpoint !== undefined) found.add(endpoint)
      else {
        const near = hint(directory.suggest(name, draft.endpoints.keys()))
        const pointer = [...at, element, 'endpoints', index]
        draft.report(pointer, `this document has no endpoint \`${name}\`${near}`, 'unknown-endpoint')
      }
    }
  }
  return Array.from(found)
}

function compileWhen(
  written: Parameters<typeof compileConditions>[0] | undefined,
  at: Pointer,
  draft: Draft,
  directory: Directory,
): CompiledConditions | undefined {
  if (!written || written.length === 0) return undefined
  return compileConditions(written, at, draft.report, directory.conditionScope(draft.namespace))
}

function reportDuplicates(rules: readonly { readonly name: string }[], at: Pointer, draft: Draft): void {
  const names = new Set<string>()
  for (const [index, { name }] of rules.entries()) {
    if (names.has(name))
      draft.report([...at, index, 'name'], `there is a rule \`${name}\` already`, 'duplicate-name')
    names.add(name)
  }
}

/**
 * An endpoint that asks for no identity must be opened on purpose: by a rule for anyone.
 * Source: FORMATS 1, rule 8.
 */
export function checkOpenEndpoints(draft: Draft, rules: readonly PermitRule[]): void {
  const anyone = rules.filter((rule) => rule.from.some((element) => element.any))
  const checked = new Set<number>()
  for (const { index, name, require } of draft.compiled) {
    if (require !== 'None' || checked.has(index)) continue
    checked.add(index)
    if (anyone.some((rule) => rule.endpoints?.includes(index) ?? true)) continue
    const { spec } = draft.document
    const own = spec.endpoints?.[index]?.require
    const at = own
      ? ['spec', 'endpoints', index, 'require']
      : spec.require
        ? ['spec', 'require']
        : ['spec', 'endpoints', index]
    draft.report(
      at,
      `require: None on \`${name}\` needs a rule for it with \`any: true\``,
      'open-without-rule',
    )
  }
}

/** Rules by the caller they name, for services with many; -1 for every caller that none names. */
export function indexRules(
  rules: readonly PermitRule[],
): ReadonlyMap<number, readonly PermitRule[]> | undefined {
  if (rules.length <= FEW_RULES) return undefined
  const others: PermitRule[] = []
  const byCaller = new Map<number, PermitRule[]>()
  const callersOf = rules.map((rule) => {
    const named = rule.from.map((element) => element.workload?.services)
    return named.every((services) => services !== undefined) ? new Set(named.flat()) : undefined
  })
  for (const callers of callersOf) for (const caller of callers ?? []) byCaller.set(caller, [])
  for (const [at, rule] of rules.entries()) {
    const callers = callersOf[at]
    if (callers) for (const caller of callers) byCaller.get(caller)?.push(rule)
    else {
      others.push(rule)
      for (const list of byCaller.values()) list.push(rule)
    }
  }
  return byCaller.set(-1, others)
}
