import { type Static, Type } from '@sinclair/typebox'
import { Fields, Named, Words } from '../../../src/schema/fields.js'
import { documentsOf, fitting, theOne } from './manifests.js'

/* The resources of k8s/overlays/istio, of which every field has to be known here. */

const Metadata = Fields({ name: Type.String(), namespace: Type.String() })
const head = { apiVersion: Type.String(), kind: Type.String(), metadata: Metadata }

const MeshConfig = Fields({
  extensionProviders: Type.Array(
    Fields({
      name: Type.String(),
      envoyExtAuthzGrpc: Fields({
        service: Type.String(),
        port: Type.Integer(),
        timeout: Type.String(),
        failOpen: Type.Boolean(),
        statusOnError: Type.String(),
      }),
    }),
  ),
  pathNormalization: Fields({ normalization: Words(['NONE', 'BASE', 'MERGE_SLASHES']) }),
  meshMTLS: Type.Optional(Fields({ minProtocolVersion: Words(['TLSV1_2', 'TLSV1_3']) })),
})

const PeerAuthentication = Fields({ ...head, spec: Fields({ mtls: Fields({ mode: Words(['STRICT']) }) }) })

const AuthorizationPolicy = Fields({
  ...head,
  spec: Fields({
    selector: Fields({ matchLabels: Named(Type.String()) }),
    action: Words(['CUSTOM']),
    provider: Fields({ name: Type.String() }),
    rules: Type.Array(
      Fields({ to: Type.Array(Fields({ operation: Fields({ notPaths: Type.Array(Type.String()) }) })) }),
    ),
  }),
})

const EnvoyFilter = Fields({
  ...head,
  spec: Fields({
    workloadSelector: Fields({ labels: Named(Type.String()) }),
    configPatches: Type.Array(
      Fields({
        applyTo: Words(['HTTP_FILTER', 'NETWORK_FILTER']),
        match: Fields({
          context: Words(['SIDECAR_INBOUND']),
          listener: Fields({
            filterChain: Fields({
              filter: Fields({
                name: Type.String(),
                subFilter: Type.Optional(Fields({ name: Type.String() })),
              }),
            }),
          }),
        }),
        patch: Fields({
          operation: Words(['MERGE']),
          value: Fields({ name: Type.String(), typed_config: Named(Type.Unknown()) }),
        }),
      }),
    ),
  }),
})
export type ConfigPatch = Static<typeof EnvoyFilter>['spec']['configPatches'][number]

const DestinationRule = Fields({
  ...head,
  spec: Fields({
    host: Type.String(),
    trafficPolicy: Fields({
      loadBalancer: Fields({ simple: Words(['LEAST_REQUEST', 'ROUND_ROBIN']) }),
      tls: Fields({ mode: Words(['ISTIO_MUTUAL']), subjectAltNames: Type.Array(Type.String()) }),
    }),
  }),
})

/** Throws when a manifest says what isn't known here, or one doesn't fit another. */
export function readIstioOverlay() {
  const documents = documentsOf('overlays/istio/authorization-policy.yaml')
  const mesh = fitting(MeshConfig, documentsOf('overlays/istio/mesh-config.yaml')[0])
  const policy = theOne(documents, 'AuthorizationPolicy', AuthorizationPolicy)
  const filter = theOne(documents, 'EnvoyFilter', EnvoyFilter)
  const peers = theOne(documents, 'PeerAuthentication', PeerAuthentication)
  const way = fitting(DestinationRule, documentsOf('overlays/istio/destination-rule.yaml')[0])
  const provider = mesh.extensionProviders.find(({ name }) => name === policy.spec.provider.name)
  if (!provider) throw new Error(`meshConfig has no provider ${policy.spec.provider.name}`)
  if (provider.envoyExtAuthzGrpc.service !== way.spec.host)
    throw new Error('the DestinationRule is of another')
  const selected = JSON.stringify(policy.spec.selector.matchLabels)
  for (const { metadata, spec } of [policy, filter, peers]) {
    if (metadata.namespace !== policy.metadata.namespace) throw new Error('not all of one namespace')
    if ('workloadSelector' in spec && JSON.stringify(spec.workloadSelector.labels) !== selected) {
      throw new Error('the EnvoyFilter is of other pods than the AuthorizationPolicy')
    }
  }
  return { mesh, policy, filter, way, ask: provider.envoyExtAuthzGrpc }
}

export type IstioOverlay = ReturnType<typeof readIstioOverlay>
