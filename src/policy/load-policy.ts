import { formatPosition, type Pointer, type Problem, sortProblems } from '../schema/problem.js'
import { finish, type Steps } from '../schema/steps.js'
import type { DataPolicies } from '../data/data-policy.js'
import type { DevicePolicy } from '../device/device-policy.js'
import type { RiskPolicy } from '../risk/risk-policy.js'
import type { Claims } from '../segmentation/claims.js'
import { compileMatrixInSteps } from '../segmentation/compile.js'
import { Directory, type Surroundings } from '../segmentation/directory.js'
import { isLinkProblem, isLinkToOthers, type Missing } from '../segmentation/links.js'
import type { Matrix } from '../segmentation/matrix.js'
import type { AdaptivePolicy } from '../session/adaptive-policy.js'
import { compileClassifications, compileRest, type Written, type WrittenDocument } from './compile-rest.js'
import { encryptionProblems, type PlannedSink } from './encryption-problems.js'
import { type PolicyDocument, type PolicyFile, type ReadDocuments, readDocuments } from './read-documents.js'
import { revisionOf } from './revision.js'
import { policyWarnings } from './warnings.js'

/** Everything that decides, compiled: swapped as a whole, never changed. */
export type Policy = {
  readonly matrix: Matrix
  readonly adaptive: AdaptivePolicy
  readonly risk: RiskPolicy
  readonly device: DevicePolicy
  readonly classifications: DataPolicies
  readonly usesGrants: boolean
  /** SHA-256 of the files' names and bytes, hex. */
  readonly revision: string
  readonly documents: number
  /** Built-in rules that nothing feeds in this configuration; to be said once at start. */
  readonly inert: readonly string[]
}

export type LoadOptions = Surroundings & {
  /** Rule sources and the revision name files from here, so that they don't depend on where it is mounted. */
  readonly directory?: string
  /** Undefined: nobody knows where events will go. */
  readonly auditSinks?: readonly PlannedSink[] | undefined
}

export type LoadedPolicy =
  | {
      readonly ok: true
      readonly policy: Policy
      readonly warnings: readonly Problem[]
      /** As they were written, with the place of every part. */
      readonly sources: readonly PolicyDocument[]
      /** What the services are found by, in the order of the matrix. */
      readonly claims: readonly Claims[]
      /** Names that nothing has, where that closes what they would open; empty for files, of which they are errors. */
      readonly unresolved: readonly Problem[]
    }
  /** At least one error, and what warnings there are; sorted by place. */
  | { readonly ok: false; readonly problems: readonly Problem[] }

/**
 * Reads, checks, links and compiles the files of a policy directory. One error refuses the whole of it, and
 * all errors are told at once. No document at all is an error too: it would deny every call.
 */
export function loadPolicy(files: readonly PolicyFile[], options: LoadOptions): LoadedPolicy {
  return finish(loadPolicyInSteps(files, options))
}

/** The same in steps of about a document, for where calls are to be answered meanwhile. */
export function* loadPolicyInSteps(files: readonly PolicyFile[], options: LoadOptions): Steps<LoadedPolicy> {
  const read = yield* readDocuments(files)
  const problems = [...read.problems]
  if (read.documents.length === 0 && problems.length === 0) problems.push(nothingFound(files))
  const nameOf = relativeTo(options.directory)
  const revision = yield* revisionOf(files.map(({ file, text }) => ({ file: nameOf(file), text })))
  return yield* linkPolicy({ ...read, problems }, options, { revision, nameOf, missing: 'Refused' })
}

export type Linking = {
  readonly revision: string
  /** How rule sources name a file. */
  readonly nameOf: (file: string) => string
  readonly missing: Missing
}

/** Links and compiles documents that fit their schemas. */
export function* linkPolicy(
  { documents, problems: unreadable, incomplete: partial }: ReadDocuments,
  options: LoadOptions,
  { revision, nameOf, missing }: Linking,
): Steps<LoadedPolicy> {
  const problems = [...unreadable]
  const unresolved: Problem[] = []
  const tell: Tell = (problem, pointer) => {
    if (missing === 'Denied' && isLinkToOthers(problem.code, pointer)) unresolved.push(problem)
    // While a document is unreadable, the absence of what it may define says nothing.
    else if (!partial || !isLinkProblem(problem.code)) problems.push(problem)
  }
  const written = documents.map((document): WrittenDocument => ({
    ...document,
    ...writtenBy(document, nameOf, tell),
  }))
  const classifications = compileClassifications(written)
  const matrix = yield* compileMatrixInSteps({
    documents: documents.flatMap((document, index) =>
      document.kind === 'ServicePolicy' || document.kind === 'BaselinePolicy'
        ? [{ ...document, index, sourceOf: sourceOf(document, nameOf) }]
        : [],
    ),
    dataPolicies: classifications,
    ...options,
    missing,
    revision,
  })
  for (const { document, pointer, severity, code, message } of matrix.ok
    ? matrix.warnings
    : matrix.problems) {
    tell({ severity, code, message, position: documents[document]?.source.positionOf(pointer) }, pointer)
  }
  yield
  const directory = directoryOf(documents, options, classifications)
  yield
  const { adaptive, risk, device } = compileRest(written, directory, options.hasDevices)
  problems.push(...encryptionProblems(documents, options.auditSinks))
  if (!matrix.ok || problems.some(({ severity }) => severity === 'error')) {
    return { ok: false, problems: sortProblems(problems) }
  }
  const warnings = yield* policyWarnings(documents)
  return {
    ok: true,
    policy: {
      matrix: matrix.matrix,
      adaptive,
      risk,
      device,
      classifications,
      usesGrants: usesGrants(matrix.matrix, classifications),
      revision,
      documents: documents.length,
      inert: [...adaptive.inert, ...device.inert],
    },
    sources: documents,
    claims: matrix.claims,
    unresolved: sortProblems(unresolved),
    warnings: sortProblems([...problems, ...warnings]),
  }
}

type Tell = (problem: Problem, pointer: Pointer) => void

function nothingFound(files: readonly PolicyFile[]): Problem {
  const message =
    files.length === 0
      ? 'there is no policy file (*.yaml, *.yml)'
      : 'none of the files holds a policy document (apiVersion: portcullis.dev/v1beta1)'
  return { severity: 'error', code: 'no-policy', message, position: undefined }
}

export type NameOf = (file: string) => string

export function relativeTo(directory: string | undefined): NameOf {
  if (directory === undefined) return (file) => file
  const prefix = directory.endsWith('/') ? directory : `${directory}/`
  return (file) => (file.startsWith(prefix) ? file.slice(prefix.length) : file)
}

export function sourceOf({ source }: PolicyDocument, nameOf: NameOf): Written['sourceOf'] {
  return (pointer) => {
    const position = source.positionOf(pointer)
    return formatPosition({ ...position, file: nameOf(position.file) })
  }
}

function writtenBy(document: PolicyDocument, nameOf: NameOf, tell: Tell): Written {
  return {
    sourceOf: sourceOf(document, nameOf),
    report: (pointer, message, code) =>
      tell({ severity: 'error', code, message, position: document.source.positionOf(pointer) }, pointer),
  }
}

/** Whether any part of a policy asks for a grant. */
export function usesGrants({ grantOnlyRoles }: Matrix, classifications: DataPolicies): boolean {
  const approved = [...classifications.values()].some(({ access }) =>
    access.some(({ needsApproval }) => needsApproval),
  )
  return approved || grantOnlyRoles.size > 0
}

/** The services in the order in which the matrix numbers them. */
function directoryOf(
  documents: readonly PolicyDocument[],
  options: LoadOptions,
  dataPolicies: DataPolicies,
): Directory {
  const directory = new Directory(options, dataPolicies)
  for (const { kind, metadata } of documents) {
    if (kind !== 'ServicePolicy') continue
    const id = `${metadata.namespace ?? 'default'}/${metadata.name}`
    if (directory.indexOf(id) === undefined) directory.add(id)
  }
  return directory
}
