import { type Problem, sortProblems } from '../schema/problem.js'
import { compileRisk, type RiskDocument } from '../risk/compile-risk.js'
import type { RiskPolicy } from '../risk/risk-policy.js'
import { compileMatrix } from '../segmentation/compile.js'
import { Directory, type Surroundings } from '../segmentation/directory.js'
import type { Matrix } from '../segmentation/matrix.js'
import type { AdaptivePolicy } from '../session/adaptive-policy.js'
import { type AdaptiveDocument, compileAdaptive } from '../session/compile-adaptive.js'
import { type PolicyDocument, type PolicyFile, readDocuments } from './read-documents.js'
import { revisionOf } from './revision.js'
import { policyWarnings } from './warnings.js'

/** Everything that decides, compiled: swapped as a whole, never changed. */
export type Policy = {
  readonly matrix: Matrix
  readonly adaptive: AdaptivePolicy
  readonly risk: RiskPolicy
  /** SHA-256 of the files' names and bytes, hex. */
  readonly revision: string
  readonly documents: number
  /** Built-in rules that nothing feeds in this configuration; to be said once at start. */
  readonly inert: readonly string[]
}

export type LoadOptions = Surroundings & {
  /** Rule sources and the revision name files from here, so that they don't depend on where it is mounted. */
  readonly directory?: string
}

export type LoadedPolicy =
  | { readonly ok: true; readonly policy: Policy; readonly warnings: readonly Problem[] }
  /** At least one error, and what warnings there are; sorted by place. */
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** What another document of the directory defines: while one is unreadable, its absence says nothing. */
const LINK_CODES: ReadonlySet<string> = new Set(['unknown-service', 'unknown-endpoint'])

/**
 * Reads, checks, links and compiles the files of a policy directory. One error refuses the whole of it, and
 * all errors are told at once. No document at all is an error too: it would deny every call.
 */
export function loadPolicy(files: readonly PolicyFile[], options: LoadOptions): LoadedPolicy {
  const { documents, problems: unreadable, incomplete: partial } = readDocuments(files)
  const problems = [...unreadable]
  if (documents.length === 0 && problems.length === 0) problems.push(nothingFound(files))

  const nameOf = relativeTo(options.directory)
  const revision = revisionOf(files.map(({ file, text }) => ({ file: nameOf(file), text })))
  const matrix = compileMatrix({
    documents: documents.flatMap((document, index) =>
      document.kind === 'AdaptivePolicy' || document.kind === 'RiskPolicy'
        ? []
        : [{ ...document, index, sourceOf: sourceOf(document, nameOf) }],
    ),
    ...options,
    revision,
  })
  for (const { document, pointer, severity, code, message } of matrix.ok
    ? matrix.warnings
    : matrix.problems) {
    if (partial && LINK_CODES.has(code)) continue
    problems.push({ severity, code, message, position: documents[document]?.source.positionOf(pointer) })
  }
  const adaptive = compileAdaptive(
    documents.flatMap((document) =>
      document.kind === 'AdaptivePolicy' ? [adaptiveOf(document, nameOf, partial, problems)] : [],
    ),
    directoryOf(documents, options),
  )
  const risk = compileRisk(
    documents.flatMap((document) => (document.kind === 'RiskPolicy' ? [riskOf(document, problems)] : [])),
  )
  if (!matrix.ok || problems.some(({ severity }) => severity === 'error')) {
    return { ok: false, problems: sortProblems(problems) }
  }
  return {
    ok: true,
    policy: {
      matrix: matrix.matrix,
      adaptive,
      risk,
      revision,
      documents: documents.length,
      inert: adaptive.inert,
    },
    warnings: sortProblems([...problems, ...policyWarnings(documents)]),
  }
}

function nothingFound(files: readonly PolicyFile[]): Problem {
  const message =
    files.length === 0
      ? 'there is no policy file (*.yaml, *.yml)'
      : 'none of the files holds a policy document (apiVersion: portcullis.dev/v1beta1)'
  return { severity: 'error', code: 'no-policy', message, position: undefined }
}

type NameOf = (file: string) => string

function relativeTo(directory: string | undefined): NameOf {
  if (directory === undefined) return (file) => file
  const prefix = directory.endsWith('/') ? directory : `${directory}/`
  return (file) => (file.startsWith(prefix) ? file.slice(prefix.length) : file)
}

function sourceOf({ source }: PolicyDocument, nameOf: NameOf): AdaptiveDocument['sourceOf'] {
  return (pointer) => {
    const { file, line, column } = source.positionOf(pointer)
    return `${nameOf(file)}:${line}:${column}`
  }
}

function adaptiveOf(
  document: Extract<PolicyDocument, { kind: 'AdaptivePolicy' }>,
  nameOf: NameOf,
  partial: boolean,
  problems: Problem[],
): AdaptiveDocument {
  return {
    metadata: document.metadata,
    spec: document.spec,
    sourceOf: sourceOf(document, nameOf),
    report: (pointer, message, code) => {
      if (partial && LINK_CODES.has(code)) return
      problems.push({ severity: 'error', code, message, position: document.source.positionOf(pointer) })
    },
  }
}

function riskOf(
  { metadata, spec, source }: Extract<PolicyDocument, { kind: 'RiskPolicy' }>,
  problems: Problem[],
): RiskDocument {
  return {
    metadata,
    spec,
    report: (pointer, message, code) =>
      problems.push({ severity: 'error', code, message, position: source.positionOf(pointer) }),
  }
}

/** The services in the order in which the matrix numbers them. */
function directoryOf(documents: readonly PolicyDocument[], options: LoadOptions): Directory {
  const directory = new Directory(options)
  for (const { kind, metadata } of documents) {
    if (kind !== 'ServicePolicy') continue
    const id = `${metadata.namespace ?? 'default'}/${metadata.name}`
    if (directory.indexOf(id) === undefined) directory.add(id)
  }
  return directory
}
