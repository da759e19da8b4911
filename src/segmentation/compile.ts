import { type CallRow, CallTable } from './call-table.js'
import { type Claims, readClaims } from './claims.js'
import { BaselineOf, compileBaseline, readDefaults, type ReportFor } from './compile-baseline.js'
import { compileEndpoints } from './compile-endpoints.js'
import type { BaselineDocument, CompileProblem, PolicyDocument, ServiceDocument } from './compile-problem.js'
import { checkOpenEndpoints, compileForbids, compileRules, indexRules } from './compile-rules.js'
import type { CompiledService } from './compiled.js'
import { type DataPolicyNames, Directory, type Surroundings, hint } from './directory.js'
import type { Draft } from './draft.js'
import { indexEndpoints, indexEndpointsFolded, NO_ENDPOINTS } from './endpoint-index.js'
import { IdentityTrie } from './identity-trie.js'
import { isLinkToOthers, type Missing } from './links.js'
import type { Matrix } from './matrix.js'
import { RouteIndex } from './route-index.js'
import { flatText } from './flat-text.js'

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
  | { readonly ok: true; readonly matrix: Matrix; readonly warnings: readonly CompileProblem[] }
  /** At least one error, and every warning. */
  | { readonly ok: false; readonly problems: readonly CompileProblem[] }

const NO_LABELS: ReadonlyMap<string, string> = new Map()

/**
 * Compiles documents that fit their schemas into the matrix, or tells everything that is wrong with them
 * at once: there is no matrix of a part of the documents.
 */
export function compileMatrix(input: MatrixInput): CompiledMatrix {
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
  const drafts = readDrafts(input.documents, directory, defaults, errors, warnings)
  const claims = readClaims(drafts, directory)
  const baselineRules = compileBaseline(baselines, directory, errors)
  const baselineOf = new BaselineOf(baselineRules)
  const services = drafts.map((draft, at) =>
    compileService(draft, claims[at], directory, baselineOf, defaults),
  )
  const calls = new CallTable(drafts.map((draft) => readCalls(draft, drafts, directory)))

  if (problems.some(({ severity }) => severity === 'error')) return { ok: false, problems }
  const count = (list: (service: CompiledService) => readonly unknown[]): number =>
    services.reduce((sum, service) => sum + list(service).length, 0)
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
    ...indexClaims(services, claims),
    baselineOfUnknown: baselineOf.of(undefined),
  }
  return { ok: true, matrix, warnings: problems }
}

function readDrafts(
  documents: readonly PolicyDocument[],
  directory: Directory,
  defaults: Matrix['defaults'],
  errors: ReportFor,
  warnings: ReportFor,
): Draft[] {
  const drafts: Draft[] = []
  const byId = new Map<string, ServiceDocument>()
  for (const document of documents) {
    if (document.kind !== 'ServicePolicy') continue
    const namespace = document.metadata.namespace ?? 'default'
    const id = flatText(`${namespace}/${document.metadata.name}`)
    const report = errors(document)
    const earlier = byId.get(id)
    if (earlier) {
      const where = earlier.sourceOf(['metadata', 'name'])
      report(['metadata', 'name'], `there is a ServicePolicy ${id} already (${where})`, 'duplicate-name')
      continue
    }
    byId.set(id, document)
    const { names, compiled, ways } = compileEndpoints(document, defaults, directory, report)
    const index = directory.add(id)
    drafts.push({
      document,
      index,
      id,
      namespace,
      report,
      warn: warnings(document),
      endpoints: names,
      compiled,
      ways,
    })
  }
  return drafts
}

function compileService(
  draft: Draft,
  claims: Claims | undefined,
  directory: Directory,
  baselineOf: BaselineOf,
  defaults: Matrix['defaults'],
): CompiledService {
  const { document, index, namespace, ways } = draft
  const { metadata, spec } = document
  const labels = metadata.labels ? new Map(Object.entries(metadata.labels)) : NO_LABELS
  const rules = compileRules(draft, directory)
  const forbids = compileForbids(draft, directory)
  checkOpenEndpoints(draft, rules)
  warnOfUnreachable(draft)
  const forbidsEndpoints = forbids.some(({ endpoints }) => endpoints !== undefined)
  return {
    id: draft.id,
    name: metadata.name,
    namespace,
    labels,
    mode: spec.mode ?? defaults.mode,
    source: flatText(document.sourceOf(['metadata', 'name'])),
    index,
    require: spec.require ?? defaults.require,
    identities: claims?.identities ?? [],
    endpoints: draft.compiled,
    endpointIndex: ways.length > 0 ? indexEndpoints(ways, draft.report) : NO_ENDPOINTS,
    foldedEndpointIndex: forbidsEndpoints ? indexEndpointsFolded(ways) : undefined,
    rules,
    rulesByCaller: indexRules(rules),
    forbids,
    baseline: baselineOf.of({ index, namespace, labels }),
  }
}

/** A TCP endpoint that inherits a requirement no connection can meet is a mistake, and no danger. */
function warnOfUnreachable({ compiled, document, warn }: Draft): void {
  for (const { protocol, require, index, name } of compiled) {
    if (protocol !== 'TCP' || document.spec.endpoints?.[index]?.require) continue
    if (require !== 'User' && require !== 'Both') continue
    const message = `no user can be verified on the TCP endpoint \`${name}\`: give it require: Workload`
    warn(['spec', 'endpoints', index], message, 'unreachable-endpoint')
  }
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

function indexClaims(
  services: readonly CompiledService[],
  claims: readonly Claims[],
): Pick<Matrix, 'identities' | 'identityPatterns' | 'routes'> {
  const identities = new Map<string, CompiledService>()
  const patterns = new IdentityTrie<CompiledService>()
  const routes = new RouteIndex<CompiledService>()
  let hasPatterns = false
  for (const [at, service] of services.entries()) {
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
