import { countOf, type PackedTexts, packTexts, textAt } from '../schema/packed-texts.js'
import type { Steps } from '../schema/steps.js'
import { CallTable, type PackedCalls } from './call-table.js'
import type { Claims } from './claims.js'
import { BaselineOf, compileBaseline, readDefaults, type ReportFor } from './compile-baseline.js'
import type { BaselineDocument, ServiceDocument } from './compile-problem.js'
import { compileService, draftOf } from './compile-service.js'
import type { CompiledService } from './compiled.js'
import { type DataPolicyNames, Directory, type Surroundings } from './directory.js'
import type { IdentityPattern } from './identity-trie.js'
import { IdentityTrie } from './identity-trie.js'
import { LazyServices } from './lazy-services.js'
import type { Matrix } from './matrix.js'
import { RouteIndex } from './route-index.js'

/**
 * A compiled matrix as plain memory, which another thread can take over without a copy: what services are found by, who
 * calls whom, and each service's document, sound and waiting to be compiled when a call first asks for it.
 */
export type PackedMatrix = {
  readonly revision: string
  readonly counts: Matrix['counts']
  /** Of each service in their order: how it is found. */
  readonly found: PackedTexts
  /** Of each service: what it is compiled of. */
  readonly services: PackedTexts
  readonly calls: PackedCalls
}

type FoundBy = {
  readonly id: string
  readonly identities: readonly IdentityPattern[]
  readonly patterns: readonly IdentityPattern[]
  readonly routes: Claims['routes']
}

/** A document without `calls`, which the table of calls has. */
type PackedService = Pick<ServiceDocument, 'metadata' | 'spec'> & {
  readonly sources: {
    readonly name: string
    readonly endpoints: readonly string[]
    readonly rules: readonly string[]
    readonly forbid: readonly string[]
  }
}

/** Packs a matrix that was compiled of these documents. Takes its table of calls: the matrix must not be used after. */
export function packMatrix(
  matrix: Matrix,
  claims: readonly Claims[],
  documents: readonly ServiceDocument[],
): PackedMatrix {
  const ids = [...matrix.services.keys()]
  if (ids.length !== documents.length) throw new Error('a sound policy has one document for each service')
  const found = ids.map((id, index): FoundBy => {
    const { identities = [], patterns = [], routes = [] } = claims[index] ?? {}
    return { id, identities, patterns, routes }
  })
  return {
    revision: matrix.revision,
    counts: matrix.counts,
    found: packTexts(found.map((each) => JSON.stringify(each))),
    services: packTexts(documents.map((document) => JSON.stringify(packed(document)))),
    calls: matrix.calls.pack(),
  }
}

function packed(document: ServiceDocument): PackedService {
  const { metadata, spec } = document
  const { calls: _, ...rest } = spec
  const sources = (part: 'endpoints' | 'rules' | 'forbid'): string[] =>
    (spec[part] ?? []).map((_each, index) => document.sourceOf(['spec', part, index]))
  return {
    metadata,
    spec: rest,
    sources: {
      name: document.sourceOf(['metadata', 'name']),
      endpoints: sources('endpoints'),
      rules: sources('rules'),
      forbid: sources('forbid'),
    },
  }
}

/** What a matrix is made of beside its services. */
export type AroundServices = Surroundings & {
  readonly baselines: readonly BaselineDocument[]
  readonly dataPolicies: DataPolicyNames
}

/** What was sound when it was packed and is not now is a bug of ours: nobody may be let in by what is left of it. */
function unsound(where: string): ReportFor {
  return () => (pointer, message) => {
    throw new Error(`a policy that was sound is not: ${where} ${pointer.join('.')}: ${message}`)
  }
}

/**
 * The matrix of packed memory, with the directory of its services; a service a step. Each service is compiled when it
 * is first asked for, and then kept.
 */
export function* openMatrix(
  { revision, counts, found, services: written, calls }: PackedMatrix,
  around: AroundServices,
): Steps<{ readonly matrix: Matrix; readonly directory: Directory }> {
  const { baselines } = around
  const directory = new Directory(around, around.dataPolicies)
  const identities = new Map<string, number>()
  const patterns = new IdentityTrie<number>()
  const routes = new RouteIndex<number>()
  let hasPatterns = false
  for (let index = 0; index < countOf(found); index++) {
    const by: FoundBy = JSON.parse(textAt(found, index))
    directory.add(by.id)
    for (const { text } of by.identities) identities.set(text, index)
    for (const pattern of by.patterns) {
      patterns.set(pattern, index)
      hasPatterns = true
    }
    for (const { host, prefix, strip } of by.routes) routes.set(host, prefix, { service: index, strip })
    yield
  }
  const defaults = readDefaults(baselines, unsound('BaselinePolicy'))
  const rules = compileBaseline(baselines, directory, unsound('BaselinePolicy'))
  const baselineOf = new BaselineOf(rules)
  const compileAt = (index: number): CompiledService => {
    const by: FoundBy = JSON.parse(textAt(found, index))
    const document = unpacked(JSON.parse(textAt(written, index)), index)
    const report = unsound(by.id)(document)
    const draft = draftOf(document, by.id, index, defaults, directory, report, () => undefined)
    return compileService(draft, by, directory, baselineOf, defaults)
  }
  const services = new LazyServices(directory, compileAt)
  const matrix: Matrix = {
    revision,
    localTrustDomain: around.localTrustDomain,
    defaults,
    grantOnlyRoles: new Set(baselines.flatMap(({ spec }) => spec.grantOnlyRoles ?? [])),
    services,
    counts,
    calls: CallTable.unpack(calls),
    identities: { get: (text) => services.at(identities.get(text)) },
    identityPatterns: hasPatterns ? { find: (id) => services.at(patterns.find(id)) } : undefined,
    routes: {
      find: (host, path) => {
        const route = routes.find(host, path)
        const service = services.at(route?.service)
        return route && service && { service, strip: route.strip }
      },
    },
    baselineOfUnknown: baselineOf.of(undefined),
  }
  return { matrix, directory }
}

function unpacked({ metadata, spec, sources }: PackedService, index: number): ServiceDocument {
  return {
    kind: 'ServicePolicy',
    metadata,
    spec,
    index,
    sourceOf: ([part, list, at]) => {
      if (part === 'metadata') return sources.name
      const source =
        (list === 'endpoints' || list === 'rules' || list === 'forbid') && typeof at === 'number'
          ? sources[list][at]
          : undefined
      if (source === undefined) throw new Error(`no source was packed for ${String(list)}[${at}]`)
      return source
    },
  }
}
