import { type CallRow, CallTable } from './call-table.js'
import { type Claims, readClaims } from './claims.js'
import { BaselineOf, compileBaseline, readDefaults, type ReportFor } from './compile-baseline.js'
import type { BaselineDocument, CompileProblem, PolicyDocument, ServiceDocument } from './compile-problem.js'
import { compileService, draftOf, idOf } from './compile-service.js'
import type { CompiledService } from './compiled.js'
import { type DataPolicyNames, Directory, type Surroundings, hint } from './directory.js'
import type { Draft } from './draft.js'
import { IdentityTrie } from './identity-trie.js'
import { isLinkToOthers, type Missing } from './links.js'
import type { Matrix } from './matrix.js'
import { RouteIndex } from './route-index.js'
import { finish, type Steps } from '../schema/steps.js'

export type { CompileProblem, PolicyDocument } from './compile-problem.js'
export { identitiesOf, serviceOfIdentity } from './service-identity.js'

export type MatrixInput = Surroundings & {
  readonly documents: readonly PolicyDocument[]
  /** Content hash of the documents. */
  readonly revision: string
  readonly dataPolicies?: DataPolicyNames
  /** Default Refused. */
  readonly missing?: Missing
}

export type CompiledMatrix =
  | {
      readonly ok: true
      readonly matrix: Matrix
      /** Of the services in their order. */
      readonly claims: readonly Claims[]
      readonly warnings: readonly CompileProblem[]
    }
  /** At least one error, and every warning. */
  | { readonly ok: false; readonly problems: readonly CompileProblem[] }

/**
 * Compiles documents that fit their schemas into the matrix, or tells everything that is wrong with them
 * at once: there is no matrix of a part of the documents.
 */
export function compileMatrix(input: MatrixInput): CompiledMatrix {
  return finish(compileMatrixInSteps(input))
}

/** The same, a service a step. */
export function* compileMatrixInSteps(input: MatrixInput): Steps<CompiledMatrix> {
  const problems: CompileProblem[] = []
  const reporter =
    (severity: CompileProblem['severity']): ReportFor =>
    (document) =>
    (pointer, message, code) =>
      problems.push({
        document: document.index,
        pointer,
        severity: input.missing === 'Denied' && isLinkToOthers(code, pointer) ? 'warning' : severity,
        code,
        message,
      })
  const errors = reporter('error')
  const warnings = reporter('warning')

  const directory = new Directory(input, input.dataPolicies)
  const baselines = input.documents.filter(
    (document): document is BaselineDocument => document.kind === 'BaselinePolicy',
  )
  const defaults = readDefaults(baselines, errors)
  const drafts = yield* readDrafts(input.documents, directory, defaults, errors, warnings)
  const claims = yield* readClaims(drafts, directory)
  const baselineRules = compileBaseline(baselines, directory, errors)
  const baselineOf = new BaselineOf(baselineRules)
  const services: CompiledService[] = []
  for (const [at, draft] of drafts.entries()) {
    services.push(compileService(draft, claims[at], directory, baselineOf, defaults))
    yield
  }
  const rows: CallRow[] = []
  for (const draft of drafts) {
    rows.push(readCalls(draft, drafts, directory))
    yield
  }
  const calls = yield* CallTable.of(rows)

  if (problems.some(({ severity }) => severity === 'error')) return { ok: false, problems }
  const count = (list: (service: CompiledService) => readonly unknown[]): number =>
    services.reduce((sum, service) => sum + list(service).length, 0)
  const byClaims = yield* indexClaims(services, claims)
  const matrix: Matrix = {
    revision: input.revision,
    localTrustDomain: input.localTrustDomain,
    defaults,
    grantOnlyRoles: new Set(baselines.flatMap(({ spec }) => spec.grantOnlyRoles ?? [])),
    services: new Map(services.map((service) => [service.id, service])),
    counts: {
      services: services.length,
      endpoints: drafts.reduce((sum, draft) => sum + draft.endpoints.size, 0),
      edges: calls.edges,
      rules: count(({ rules }) => rules) + baselineRules.allow.length,
      forbids: count(({ forbids }) => forbids) + baselineRules.forbid.length,
    },
    calls,
    ...byClaims,
    baselineOfUnknown: baselineOf.of(undefined),
  }
  return { ok: true, matrix, claims, warnings: problems }
}

function* readDrafts(
  documents: readonly PolicyDocument[],
  directory: Directory,
  defaults: Matrix['defaults'],
  errors: ReportFor,
  warnings: ReportFor,
): Steps<Draft[]> {
  const drafts: Draft[] = []
  const byId = new Map<string, ServiceDocument>()
  for (const document of documents) {
    if (document.kind !== 'ServicePolicy') continue
    const id = idOf(document)
    const report = errors(document)
    const earlier = byId.get(id)
    if (earlier) {
      const where = earlier.sourceOf(['metadata', 'name'])
      report(['metadata', 'name'], `there is a ServicePolicy ${id} already (${where})`, 'duplicate-name')
      continue
    }
    byId.set(id, document)
    drafts.push(draftOf(document, id, directory.add(id), defaults, directory, report, warnings(document)))
    yield
  }
  return drafts
}

/** The caller's half of one service. */
function readCalls(draft: Draft, drafts: readonly Draft[], directory: Directory): CallRow {
  const row = new Map<number, Set<number> | undefined>()
  for (const [index, call] of (draft.document.spec.calls ?? []).entries()) {
    const at = ['spec', 'calls', index]
    const target = directory.resolve(call.service, draft.namespace, [...at, 'service'], draft.report)
    const callee = target === undefined ? undefined : drafts[target]
    if (target === undefined || !callee) continue
    const everything = row.has(target) && row.get(target) === undefined
    if (!call.endpoints) row.set(target, undefined)
    else {
      const only = row.get(target) ?? new Set()
      for (const [position, name] of call.endpoints.entries()) {
        const endpoint = callee.endpoints.get(name)
        if (endpoint !== undefined) only.add(endpoint)
        else {
          const near = hint(directory.suggest(name, callee.endpoints.keys()))
          draft.report(
            [...at, 'endpoints', position],
            `${callee.id} has no endpoint \`${name}\`${near}`,
            'unknown-endpoint',
          )
        }
      }
      if (!everything) row.set(target, only)
    }
  }
  return row
}

function* indexClaims(
  services: readonly CompiledService[],
  claims: readonly Claims[],
): Steps<Pick<Matrix, 'identities' | 'identityPatterns' | 'routes'>> {
  const identities = new Map<string, CompiledService>()
  const patterns = new IdentityTrie<CompiledService>()
  const routes = new RouteIndex<CompiledService>()
  let hasPatterns = false
  for (const [at, service] of services.entries()) {
    yield
    for (const { text } of service.identities) identities.set(text, service)
    for (const pattern of claims[at]?.patterns ?? []) {
      patterns.set(pattern, service)
      hasPatterns = true
    }
    for (const { host, prefix, strip } of claims[at]?.routes ?? [])
      routes.set(host, prefix, { service, strip })
  }
  return { identities, identityPatterns: hasPatterns ? patterns : undefined, routes }
}
