import type { LoadedPolicy, Policy } from '../../policy/load-policy.js'
import type { PolicyDocument } from '../../policy/read-documents.js'
import type { CompiledService } from '../../segmentation/compiled.js'

export type ServiceDocument = Extract<PolicyDocument, { kind: 'ServicePolicy' }>
export type BaselineDocument = Extract<PolicyDocument, { kind: 'BaselinePolicy' }>
export type Permit = NonNullable<ServiceDocument['spec']['rules']>[number]
export type Forbid = NonNullable<ServiceDocument['spec']['forbid']>[number]
export type WrittenFrom = Permit['from'][number]
export type WrittenWhen = NonNullable<Permit['when']>

/** A policy that loaded, and the documents it was made of. */
export type Loaded = Extract<LoadedPolicy, { ok: true }>

/** A service as it was written and as it was compiled. */
export type LintedService = {
  readonly id: string
  readonly namespace: string
  readonly document: ServiceDocument
  readonly compiled: CompiledService
}

/** What tokens can say, by the configuration. */
export type Issuers = {
  /** The service that an issuer of service tokens is, and the most that its tokens may claim. */
  readonly services: readonly { readonly service: string; readonly scopes: readonly string[] }[]
  /** Issuers of users; no roles: any role. */
  readonly users: readonly { readonly issuer: string; readonly roles: readonly string[] }[]
}

/** What all checks look at. */
export type LintedMesh = {
  readonly policy: Policy
  readonly documents: readonly PolicyDocument[]
  readonly services: ReadonlyMap<string, LintedService>
  readonly namespaces: ReadonlySet<string>
}

export function lintedMesh({ policy, sources }: Pick<Loaded, 'policy' | 'sources'>): LintedMesh {
  const services = new Map<string, LintedService>()
  const namespaces = new Set<string>()
  for (const document of sources) {
    if (document.kind !== 'ServicePolicy') continue
    const namespace = document.metadata.namespace ?? 'default'
    const id = `${namespace}/${document.metadata.name}`
    const compiled = policy.matrix.services.get(id)
    if (!compiled) continue
    services.set(id, { id, namespace, document, compiled })
    namespaces.add(namespace)
  }
  return { policy, documents: sources, services, namespaces }
}

/** A name as rules write it, as `namespace/name`. */
export function qualified(service: string, namespace: string | undefined): string {
  return service.includes('/') || namespace === undefined ? service : `${namespace}/${service}`
}
