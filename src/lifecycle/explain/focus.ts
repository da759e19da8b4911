import type { Facts } from '../../segmentation/facts.js'
import type { ServicePolicy } from '../../segmentation/service-policy.js'
import { documentOf, type DraftPolicy, rewritten, type Written } from './draft-policy.js'

type Endpoint = NonNullable<ServicePolicy['spec']['endpoints']>[number]

/**
 * The same policy as far as one call can see it: of all but the services concerned only what says who they are. Many
 * changes can be tried on it in the time that the whole takes for one. Undefined where such a part is no sound policy.
 */
export function focused(draft: DraftPolicy, { caller, target, identity }: Facts): DraftPolicy | undefined {
  const { via } = identity.workload ?? {}
  const proxy = via && draft.matrix.identities.get(via.spiffeId.text)
  const concerned = new Set<Written>(
    [caller?.id, target.id, proxy?.id]
      .map((id) => documentOf(draft, id)?.written)
      .filter((each) => each !== undefined),
  )
  const called = new Set([...concerned].flatMap((document) => namedIn(document)))
  return rewritten(draft, (document) => {
    if (document.kind === 'BaselinePolicy' || concerned.has(document)) return document
    const { serviceAccounts, identities, routes, endpoints } = document.spec
    const id = `${document.metadata.namespace ?? 'default'}/${document.metadata.name}`
    const exposed = called.has(id) ? endpoints?.map(bare) : undefined
    return {
      ...document,
      spec: {
        ...(serviceAccounts && { serviceAccounts }),
        ...(identities && { identities }),
        ...(routes && { routes }),
        ...(exposed && { endpoints: exposed, require: 'Workload' as const }),
      },
    }
  })
}

/** What takes its requests, without who may. */
function bare(endpoint: Endpoint): Endpoint {
  const { require: _require, workloadScopes: _scopes, dataPolicy: _data, ...rest } = endpoint
  return rest
}

/** The services whose endpoints a document names. */
function namedIn(document: Written): string[] {
  if (document.kind === 'BaselinePolicy') return []
  const namespace = document.metadata.namespace ?? 'default'
  return (document.spec.calls ?? []).flatMap(({ service, endpoints }) =>
    endpoints ? [service.includes('/') ? service : `${namespace}/${service}`] : [],
  )
}
