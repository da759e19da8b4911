import { Type } from '@sinclair/typebox'
import { Fields, Words } from '../../../src/schema/fields.js'
import { documentsOf, theOne } from './manifests.js'

/* The resources of k8s/overlays/envoy-gateway, of which every field has to be known here. */

const Metadata = Fields({ name: Type.String(), namespace: Type.String() })
const head = { apiVersion: Type.String(), kind: Type.String(), metadata: Metadata }
const Ref = Fields({ group: Type.String(), kind: Type.String(), name: Type.String() })
const Port = Fields({ name: Type.String(), port: Type.Integer() })

const HttpRoute = Fields({
  ...head,
  spec: Fields({
    parentRefs: Type.Array(Fields({ name: Type.String() })),
    hostnames: Type.Array(Type.String()),
    rules: Type.Array(
      Fields({
        matches: Type.Array(Fields({ path: Fields({ type: Words(['PathPrefix']), value: Type.String() }) })),
        backendRefs: Type.Array(Port, { minItems: 1, maxItems: 1 }),
      }),
      { minItems: 1, maxItems: 1 },
    ),
  }),
})

const SecurityPolicy = Fields({
  ...head,
  spec: Fields({
    targetRefs: Type.Array(Ref, { minItems: 1, maxItems: 1 }),
    extAuth: Fields({
      failOpen: Type.Boolean(),
      timeout: Type.String(),
      recomputeRoute: Type.Boolean(),
      contextExtensions: Type.Array(
        Fields({ name: Type.String(), type: Words(['Value']), value: Type.String() }),
      ),
      grpc: Fields({
        backendRefs: Type.Array(
          Fields({ name: Type.String(), namespace: Type.String(), port: Type.Integer() }),
          { minItems: 1, maxItems: 1 },
        ),
      }),
    }),
  }),
})

const BackendTrafficPolicy = Fields({
  ...head,
  spec: Fields({
    targetRefs: Type.Array(Ref, { minItems: 1, maxItems: 1 }),
    timeout: Fields({ http: Fields({ maxStreamDuration: Type.String() }) }),
  }),
})

const ReferenceGrant = Fields({
  ...head,
  spec: Fields({
    from: Type.Array(Fields({ group: Type.String(), kind: Type.String(), namespace: Type.String() })),
    to: Type.Array(Ref),
  }),
})

const BackendTlsPolicy = Fields({
  ...head,
  spec: Fields({
    targetRefs: Type.Array(
      Fields({
        group: Type.String(),
        kind: Type.String(),
        name: Type.String(),
        sectionName: Type.Optional(Type.String()),
      }),
    ),
    validation: Fields({
      hostname: Type.String(),
      subjectAltNames: Type.Optional(Type.Array(Fields({ type: Words(['URI']), uri: Type.String() }))),
      caCertificateRefs: Type.Array(Ref),
    }),
  }),
})

const EnvoyProxy = Fields({
  ...head,
  spec: Fields({
    backendTLS: Fields({
      clientCertificateRef: Fields({
        kind: Type.String(),
        name: Type.String(),
        namespace: Type.String(),
      }),
      minVersion: Words(['1.2', '1.3']),
      maxVersion: Type.Optional(Words(['1.2', '1.3'])),
    }),
  }),
})

export const FORWARDING = {
  Sanitize: 'SANITIZE',
  SanitizeSet: 'SANITIZE_SET',
  AppendForward: 'APPEND_FORWARD',
} as const
export const DETAILS = { Subject: 'subject', Cert: 'cert', Chain: 'chain', DNS: 'dns', URI: 'uri' } as const
export const UNDERSCORES = {
  Allow: 'ALLOW',
  RejectRequest: 'REJECT_REQUEST',
  DropHeader: 'DROP_HEADER',
} as const
export const SLASHES = {
  KeepUnchanged: 'KEEP_UNCHANGED',
  RejectRequest: 'REJECT_REQUEST',
  UnescapeAndRedirect: 'UNESCAPE_AND_REDIRECT',
  UnescapeAndForward: 'UNESCAPE_AND_FORWARD',
} as const
export const VERSIONS = { '1.2': 'TLSv1_2', '1.3': 'TLSv1_3' } as const

function OneOf<Words extends object>(words: Words) {
  return Type.Unsafe<keyof Words>({ type: 'string', enum: Object.keys(words) })
}

const ClientTrafficPolicy = Fields({
  ...head,
  spec: Fields({
    targetRefs: Type.Array(Ref, { minItems: 1, maxItems: 1 }),
    tls: Fields({ minVersion: OneOf(VERSIONS) }),
    headers: Fields({
      xForwardedClientCert: Fields({
        mode: OneOf(FORWARDING),
        certDetailsToAdd: Type.Array(OneOf(DETAILS)),
      }),
      withUnderscoresAction: OneOf(UNDERSCORES),
    }),
    path: Fields({ disableMergeSlashes: Type.Boolean(), escapedSlashesAction: OneOf(SLASHES) }),
  }),
})

const Service = Fields({
  ...head,
  spec: Fields({
    ports: Type.Array(
      Fields({
        name: Type.String(),
        port: Type.Integer(),
        targetPort: Type.String(),
        appProtocol: Words(['grpc']),
      }),
    ),
  }),
})

/** Throws when a manifest says what isn't known here, or one doesn't fit another. */
export function readGatewayOverlay() {
  const documents = documentsOf('overlays/envoy-gateway/gateway.yaml')
  const route = theOne(documents, 'HTTPRoute', HttpRoute)
  const policy = theOne(documents, 'SecurityPolicy', SecurityPolicy)
  const limits = theOne(documents, 'BackendTrafficPolicy', BackendTrafficPolicy)
  const grant = theOne(documents, 'ReferenceGrant', ReferenceGrant)
  const authorizerTls = theOne(documents, 'BackendTLSPolicy', BackendTlsPolicy, 'portcullis')
  const backendTls = theOne(documents, 'BackendTLSPolicy', BackendTlsPolicy, 'order-service')
  const proxy = theOne(documents, 'EnvoyProxy', EnvoyProxy)
  const clients = theOne(documents, 'ClientTrafficPolicy', ClientTrafficPolicy)
  const service = theOne(documentsOf('overlays/envoy-gateway/edge.yaml'), 'Service', Service)

  const [asked] = policy.spec.extAuth.grpc.backendRefs
  for (const { kind, spec } of [policy, limits]) {
    const [target] = spec.targetRefs
    if (target?.kind !== 'HTTPRoute' || target.name !== route.metadata.name)
      throw new Error(`the ${kind} is of another route`)
  }
  if (!asked) throw new Error('the SecurityPolicy asks nobody')
  if (proxy.spec.backendTLS.clientCertificateRef.namespace !== proxy.metadata.namespace)
    throw new Error('Envoy Gateway takes the certificate only from the namespace of the EnvoyProxy')
  if (clients.spec.targetRefs[0]?.name !== route.spec.parentRefs[0]?.name)
    throw new Error('the ClientTrafficPolicy is of another Gateway')
  const granted =
    grant.metadata.namespace === asked.namespace &&
    grant.spec.from.some(
      ({ kind, namespace }) => kind === policy.kind && namespace === policy.metadata.namespace,
    ) &&
    grant.spec.to.some(({ kind, name }) => kind === 'Service' && name === asked.name)
  if (!granted) throw new Error('no ReferenceGrant lets the SecurityPolicy name that Service')
  const port = service.spec.ports.find((each) => each.port === asked.port)
  const authorizer = authorizerTls.spec.targetRefs.some(
    ({ kind, name, sectionName }) => kind === 'Service' && name === asked.name && sectionName === port?.name,
  )
  if (!authorizer || authorizerTls.metadata.namespace !== asked.namespace)
    throw new Error('the BackendTLSPolicy of Portcullis is of another Service or port')
  const backend = route.spec.rules.every(({ backendRefs }) =>
    backendRefs.every(({ name }) => backendTls.spec.targetRefs.some((target) => target.name === name)),
  )
  if (!backend || backendTls.metadata.namespace !== route.metadata.namespace)
    throw new Error('the BackendTLSPolicy is of another Service than the route')
  return {
    route,
    policy,
    asked,
    longest: limits.spec.timeout.http.maxStreamDuration,
    authorizerTls: authorizerTls.spec.validation,
    backendTls: backendTls.spec.validation,
    proxy,
    clients: clients.spec,
  }
}

export type GatewayOverlay = ReturnType<typeof readGatewayOverlay>
