import type { Mode } from '../decision/mode.js'
import type { Pointer } from '../schema/problem.js'
import { readScopes } from './compile-endpoints.js'
import type { BaselineDocument, Report } from './compile-problem.js'
import type { Baseline, BaselineAllow, BaselineForbid, CompiledService } from './compiled.js'
import type { Directory } from './directory.js'
import { compileFrom, type From } from './from.js'
import type { Requirement } from './matrix.js'
import { compileTo, type To } from './to.js'
import { type CompiledConditions, compileConditions } from './when/condition.js'
import { flatText } from './flat-text.js'

type Placed<T> = { readonly rule: Omit<T, 'to'>; readonly to: readonly To[] | undefined }

/** What all BaselinePolicy documents say together. */
export type BaselineRules = {
  readonly allow: readonly Placed<BaselineAllow>[]
  readonly forbid: readonly Placed<BaselineForbid>[]
}

export type ReportFor = (document: { readonly index: number }) => Report

const BUILT_IN: { readonly mode: Mode; readonly require: Requirement } = {
  mode: 'Enforce',
  require: 'Workload',
}

/** The defaults of the mesh: the built-in ones unless a document says otherwise; two that do are an error. */
export function readDefaults(documents: readonly BaselineDocument[], reportFor: ReportFor): typeof BUILT_IN {
  const found: { mode?: Mode | undefined; require?: Requirement | undefined } = {}
  for (const document of documents) {
    const { mode, require } = document.spec.defaults ?? {}
    if ((mode && found.mode) || (require && found.require)) {
      const message = 'another BaselinePolicy sets the same default'
      reportFor(document)(['spec', 'defaults'], message, 'duplicate-default')
    }
    found.mode ??= mode
    found.require ??= require
  }
  return { mode: found.mode ?? BUILT_IN.mode, require: found.require ?? BUILT_IN.require }
}

/** Compiles allow and forbid of all documents, in their order. */
export function compileBaseline(
  documents: readonly BaselineDocument[],
  directory: Directory,
  reportFor: ReportFor,
): BaselineRules {
  const names = new Set<string>()
  return {
    allow: documents.flatMap((document) => {
      const report = reportFor(document)
      if (names.has(document.metadata.name)) {
        const message = `there is a BaselinePolicy \`${document.metadata.name}\` already`
        report(['metadata', 'name'], message, 'duplicate-name')
      }
      names.add(document.metadata.name)
      reportDuplicates(document.spec.allow, ['spec', 'allow'], report)
      return (document.spec.allow ?? []).map((written, index): Placed<BaselineAllow> => {
        const at = ['spec', 'allow', index]
        const grantScopes = readScopes(written.grantScopes, [...at, 'grantScopes'], directory, report)
        const from = compileElements(written.from, at, directory, report)
        const { to, when } = compileRest(written, false, at, directory, report)
        return {
          rule: { name: written.name, source: flatText(document.sourceOf(at)), from, when, grantScopes },
          to,
        }
      })
    }),
    forbid: documents.flatMap((document) => {
      const report = reportFor(document)
      reportDuplicates(document.spec.forbid, ['spec', 'forbid'], report)
      return (document.spec.forbid ?? []).map((written, index): Placed<BaselineForbid> => {
        const at = ['spec', 'forbid', index]
        const { name, message, mode } = written
        const from = written.from && compileElements(written.from, at, directory, report)
        const { to, when } = compileRest(written, true, at, directory, report)
        return { rule: { name, source: flatText(document.sourceOf(at)), from, when, message, mode }, to }
      })
    }),
  }
}

type Elements = Parameters<typeof compileFrom>[0][]
type Written = {
  readonly to?: Parameters<typeof compileTo>[0][]
  readonly when?: Parameters<typeof compileConditions>[0]
}

function compileElements(written: Elements, at: Pointer, directory: Directory, report: Report): From[] {
  const writer = { namespace: undefined, directory, report }
  return written.map((element, index) => compileFrom(element, [...at, 'from', index], writer))
}

function compileRest(
  written: Written,
  folded: boolean,
  at: Pointer,
  directory: Directory,
  report: Report,
): { to: readonly To[] | undefined; when: CompiledConditions | undefined } {
  const scope = directory.conditionScope(undefined)
  const conditions = written.when ?? []
  return {
    to: written.to?.map((element, index) =>
      compileTo(element, folded, [...at, 'to', index], directory, report),
    ),
    when: conditions.length > 0 ? compileConditions(conditions, [...at, 'when'], report, scope) : undefined,
  }
}

function reportDuplicates(
  rules: readonly { readonly name: string }[] | undefined,
  at: Pointer,
  report: Report,
): void {
  const names = new Set<string>()
  for (const [index, { name }] of (rules ?? []).entries()) {
    if (names.has(name))
      report([...at, index, 'name'], `there is a rule \`${name}\` already`, 'duplicate-name')
    names.add(name)
  }
}

/** Hands every service the baseline rules that can concern it; services that share them share one list. */
export class BaselineOf {
  readonly #rules: BaselineRules
  readonly #known = new Map<string, Baseline>()

  constructor(rules: BaselineRules) {
    this.#rules = rules
  }

  /** `undefined`: of a target that no document names. What can't be known of it binds forbids and opens nothing. */
  of(service: Pick<CompiledService, 'index' | 'namespace' | 'labels'> | undefined): Baseline {
    const allow = this.#rules.allow.map(({ to }) => concerned(to, service, (known) => known === true))
    const forbid = this.#rules.forbid.map(({ to }) => concerned(to, service, (known) => known !== false))
    const key = JSON.stringify([allow, forbid])
    let baseline = this.#known.get(key)
    if (!baseline) {
      baseline = { allow: select(this.#rules.allow, allow), forbid: select(this.#rules.forbid, forbid) }
      this.#known.set(key, baseline)
    }
    return baseline
  }
}

/** Which elements concern a target; null: the rule asks nothing. */
function concerned(
  to: readonly To[] | undefined,
  service: Parameters<To['concerns']>[0],
  counts: (known: boolean | undefined) => boolean,
): number[] | null {
  if (!to) return null
  return to.flatMap((element, index) => (counts(element.concerns(service)) ? [index] : []))
}

function select<T extends BaselineAllow | BaselineForbid>(
  rules: readonly Placed<T>[],
  chosen: readonly (number[] | null)[],
): (Omit<T, 'to'> & Pick<T, 'to'>)[] {
  return rules.flatMap(({ rule, to }, at) => {
    const elements = chosen[at]
    if (elements?.length === 0) return []
    const requests =
      elements && to?.filter((_, index) => elements.includes(index)).map(({ request }) => request)
    return [{ ...rule, to: requests ?? undefined }]
  })
}
