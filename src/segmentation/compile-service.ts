import type { BaselineOf } from './compile-baseline.js'
import type { Claims } from './claims.js'
import { compileEndpoints } from './compile-endpoints.js'
import type { Report, ServiceDocument } from './compile-problem.js'
import { checkOpenEndpoints, compileForbids, compileRules, indexRules } from './compile-rules.js'
import type { CompiledService } from './compiled.js'
import type { Directory } from './directory.js'
import type { Draft } from './draft.js'
import { indexEndpoints, indexEndpointsFolded, NO_ENDPOINTS } from './endpoint-index.js'
import { flatText } from './flat-text.js'
import type { Matrix } from './matrix.js'

const NO_LABELS: ReadonlyMap<string, string> = new Map()

/** `namespace/name` of the service that a document is about. */
export function idOf({ metadata }: ServiceDocument): string {
  return flatText(`${metadata.namespace ?? 'default'}/${metadata.name}`)
}

/** What other services must know of it. */
export function draftOf(
  document: ServiceDocument,
  id: string,
  index: number,
  defaults: Matrix['defaults'],
  directory: Directory,
  report: Report,
  warn: Report,
): Draft {
  const { names, compiled, ways } = compileEndpoints(document, defaults, directory, report)
  const namespace = document.metadata.namespace ?? 'default'
  return { document, index, id, namespace, report, warn, endpoints: names, compiled, ways }
}

/** Everything of one service, once all services have their numbers. */
export function compileService(
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
