import type { Pointer, Problem } from '../../schema/problem.js'
import { label } from '../../schema/shape-messages.js'
import type { SourcedDocument } from '../../schema/strict-yaml.js'
import { API_VERSION } from '../../segmentation/vocabulary.js'
import { type PolicyDocument, readDocument } from '../read-documents.js'
import { keyOf, type Resource } from './resource.js'

/** What a namespace's resources may claim. */
export type Claimable = {
  readonly localTrustDomain: string
  /** Hosts by namespace, lower-case; `*.` in front stands for one label or more. */
  readonly grants: ReadonlyMap<string, readonly string[]>
}

export type ReadResource = {
  /** Undefined where there is a problem. */
  readonly document: PolicyDocument | undefined
  readonly problems: readonly Problem[]
}

/** A document that fits its kind's schema and claims nothing of another namespace; else why not. */
export function readResource(resource: Resource, claimable: Claimable): ReadResource {
  const read = readDocument(sourceOf(resource, { spec: resource.spec }))
  const problems = [...(read?.problems ?? []), ...claimProblems(read?.document, resource, claimable)]
  return { document: problems.length === 0 ? read?.document : undefined, problems }
}

/**
 * Stands for a service whose version in force nobody here knows: nothing calls it and it calls nobody. Without it a
 * baseline's allow could open what that version forbids. It claims the service accounts that are written, so that
 * they stay this service's, or none where they are another's by now.
 */
export function closedService(resource: Resource, claims: 'Written' | 'None'): PolicyDocument | undefined {
  const spec = {
    serviceAccounts: claims === 'Written' ? writtenAccounts(resource) : [],
    forbid: [
      {
        name: 'not-accepted',
        message: `the version of ${keyOf(resource)} that was in force is not known here`,
        mode: 'Enforce',
      },
    ],
  }
  return readDocument(sourceOf(resource, { spec }))?.document
}

function writtenAccounts({ name, spec }: Resource): string[] {
  const written =
    typeof spec === 'object' && spec !== null && 'serviceAccounts' in spec ? spec.serviceAccounts : undefined
  if (!Array.isArray(written)) return [name]
  return written.filter((account): account is string => typeof account === 'string' && account !== '')
}

function sourceOf(resource: Resource, { spec }: { readonly spec: unknown }): SourcedDocument {
  const { kind, name, namespace, labels } = resource
  const file = keyOf(resource)
  const value = {
    apiVersion: API_VERSION,
    kind,
    metadata: { name, ...(namespace !== undefined && { namespace }), ...(labels && { labels }) },
    ...(spec !== undefined && { spec }),
  }
  return {
    file,
    value,
    positionOf: (pointer: Pointer) => ({
      file,
      line: 1,
      column: 1,
      field: pointer.length === 0 ? '' : label(pointer),
    }),
    isReported: () => false,
  }
}

/** Source: FORMATS 1, rule 4. */
function claimProblems(
  document: PolicyDocument | undefined,
  { namespace }: Resource,
  { localTrustDomain, grants }: Claimable,
): Problem[] {
  if (document?.kind !== 'ServicePolicy' || namespace === undefined) return []
  const refuse = (pointer: Pointer, code: string, message: string): Problem => ({
    severity: 'error',
    code,
    message,
    position: document.source.positionOf(pointer),
  })
  const own = `spiffe://${localTrustDomain}/ns/${namespace}/`
  const identities = (document.spec.identities ?? []).flatMap((identity, index) =>
    identity.startsWith(own)
      ? []
      : [
          refuse(
            ['spec', 'identities', index],
            'foreign-identity',
            `\`${identity}\` is not of this namespace: a resource may claim only ${own}…`,
          ),
        ],
  )
  const granted = grants.get(namespace) ?? []
  const hosts = (document.spec.routes ?? []).flatMap(({ host }, index) =>
    granted.some((grant) => covers(grant, host))
      ? []
      : [
          refuse(
            ['spec', 'routes', index, 'host'],
            'host-not-granted',
            `the host \`${host}\` is not granted to the namespace ${namespace} (\`policy.kubernetes.grants\`)`,
          ),
        ],
  )
  return [...identities, ...hosts]
}

function covers(grant: string, host: string): boolean {
  if (!grant.startsWith('*.')) return grant === host
  return host.endsWith(grant.slice(1)) && host.length > grant.length - 1
}
