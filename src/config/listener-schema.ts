import { Type } from '@sinclair/typebox'
import { Fields, Words } from '../schema/fields.js'
import { SpiffeIdSchema, SpiffePatternSchema, TrustDomainSchema, path } from './fields.js'
import { workloadApi } from './trust-schema.js'

const TlsSchema = Fields(
  {
    certificate: Type.Optional(path('PEM file of the certificate chain, leaf first. Watched.')),
    key: Type.Optional(path('PEM file of its private key. Watched.')),
    clientCa: Type.Optional(
      path(
        'PEM file of the roots that client certificates must lead to. Without it no client certificate is asked for.',
      ),
    ),
    workloadApi: Type.Optional(
      workloadApi(
        "Instead of certificate, key and clientCa: the SPIFFE agent that gives this listener's SVID, renews it, and gives the bundle of its trust domain, to which client certificates must lead.",
      ),
    ),
    allowedClients: Type.Optional(
      Type.Array(SpiffePatternSchema, {
        minItems: 1,
        uniqueItems: true,
        description:
          'Who may ask. Without it, every client whose certificate leads to clientCa, or to the bundle of workloadApi.',
      }),
    ),
  },
  { description: 'TLS 1.3 on this listener. Without it, plaintext.' },
)

const TrustedProxySchema = Fields({
  identity: Type.String({ ...SpiffeIdSchema, description: "The proxy's SPIFFE ID, verified as a caller's." }),
  trustDomains: Type.Array(TrustDomainSchema, {
    default: [],
    uniqueItems: true,
    description: 'Trust domains of the callers that it may name.',
  }),
  self: Type.Boolean({
    default: false,
    description:
      'Without the header the proxy is itself the caller. Else the call then has no workload, which Strict refuses.',
  }),
})

/** One listener for Envoy's checks. */
export const ListenerSchema = Fields({
  name: Type.String({
    pattern: '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$',
    description: 'Names the listener in logs and metrics.',
    expected: 'a name of at most 63 characters out of a-z 0-9 -, such as mesh',
  }),
  address: Type.String({
    minLength: 1,
    description: 'IP address and port (`[::]:9191`, `127.0.0.1:0`; port 0 is a free one) or `unix:/path`.',
  }),
  tls: Type.Optional(TlsSchema),
  role: Words(['Sidecar', 'Gateway'], {
    default: 'Sidecar',
    description: 'Gateway: the asking Envoy fronts many services, and its callers are outside the mesh.',
  }),
  peerIdentity: Words(['Certificate', 'Principal', 'None'], {
    default: 'Certificate',
    description:
      "Certificate: the workload is verified from source.certificate. Principal: source.principal is taken on the Envoy's word. None: callers have no workload.",
  }),
  principalTrustDomains: Type.Array(TrustDomainSchema, {
    default: [],
    uniqueItems: true,
    description: 'For peerIdentity Principal: the trust domains that may be named so.',
  }),
  trustedProxies: Type.Array(TrustedProxySchema, {
    default: [],
    description:
      'Peers whose x-forwarded-client-cert names the caller by its last element; both need the call to be allowed.',
  }),
  trustedHops: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 16,
    description:
      "On Gateway listeners and from trusted proxies: how many of the client's hops before the asking Envoy are trusted. The client is that many elements before the last of x-forwarded-for. 0: the last one, which Envoy itself appends.",
  }),
  mtls: Words(['Strict', 'Permissive'], {
    default: 'Strict',
    description: 'Strict: the workload comes from mTLS alone. Permissive: a service token may stand in.',
  }),
  checkServer: Words(['Http2', 'GrpcJs'], {
    default: 'Http2',
    description:
      'Http2: Check is answered straight on node:http2. GrpcJs: by @grpc/grpc-js, which costs more per Check and is the reference that Http2 is tested against.',
  }),
  target: Type.Optional(
    Type.Array(Words(['principal', 'extension', 'route']), {
      minItems: 1,
      uniqueItems: true,
      description:
        "Where the target's name comes from; all that are present must agree. Default: principal and extension for a Sidecar, extension and route for a Gateway.",
    }),
  ),
})
