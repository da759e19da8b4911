import {
  bootstrap,
  type Bootstrap,
  cluster,
  type Endpoint,
  HTTP2,
  type Identity,
  type Message,
  ROUTER,
  transport,
  typed,
} from './envoy-messages.js'
import {
  DETAILS,
  FORWARDING,
  type GatewayOverlay,
  readGatewayOverlay,
  SLASHES,
  UNDERSCORES,
  VERSIONS,
} from './gateway-manifests.js'

/*
 * The Envoy configuration that Envoy Gateway makes from k8s/overlays/envoy-gateway, as far as a call depends on it.
 * Sources: gateway.envoyproxy.io/docs/api, SPECS 1.5, and what Envoy Gateway writes without being told, as published
 * in its repository: paths are normalised, the client's address is the peer's, no TLS session is resumed.
 */

export type EnvoyGateway = {
  readonly portcullis: Endpoint
  readonly backend: Endpoint
  /** The certificate of the Gateway for its clients. With a bundle, they may show certificates that it vouches for. */
  readonly web: Omit<Identity, 'bundle'> & { readonly bundle?: string }
  /** The Secret `envoy-gateway-client` and the ConfigMaps `portcullis-ca` and `trust-bundle`. */
  readonly own: Identity
}

export function envoyGateway({ portcullis, backend, web, own }: EnvoyGateway): Bootstrap {
  const { route, policy, asked, longest, authorizerTls, backendTls, proxy, clients } = readGatewayOverlay()
  const { name, namespace } = policy.metadata
  const filter = `envoy.filters.http.ext_authz/securitypolicy/${namespace}/${name}`
  const authorizer = `securitypolicy/${namespace}/${name}/extauth/0`
  const behind = `httproute/${route.metadata.namespace}/${route.metadata.name}/rule/0`
  const manager: Message = {
    stat_prefix: 'https-443',
    use_remote_address: true,
    server_header_transformation: 'PASS_THROUGH',
    normalize_path: true,
    merge_slashes: !clients.path.disableMergeSlashes,
    path_with_escaped_slashes_action: SLASHES[clients.path.escapedSlashesAction],
    common_http_protocol_options: {
      headers_with_underscores_action: UNDERSCORES[clients.headers.withUnderscoresAction],
    },
    ...forwarding(clients.headers.xForwardedClientCert),
    route_config: {
      name: 'shop/shop/https',
      virtual_hosts: [
        {
          name: 'shop/shop/https/shop_example_com',
          domains: route.spec.hostnames,
          routes: route.spec.rules.flatMap(({ matches }) =>
            matches.map(({ path }) => ({
              match: path.value === '/' ? { prefix: '/' } : { path_separated_prefix: path.value },
              route: { cluster: behind, max_stream_duration: { max_stream_duration: longest } },
              typed_per_filter_config: { [filter]: onRoute(policy) },
            })),
          ),
        },
      ],
    },
    http_filters: [
      { name: filter, disabled: true, typed_config: question(policy, asked, authorizer) },
      ROUTER,
    ],
  }
  const tls = {
    disable_stateless_session_resumption: true,
    disable_stateful_session_resumption: true,
    common_tls_context: {
      ...certificates(web),
      tls_params: versions(clients.tls),
      alpn_protocols: ['h2', 'http/1.1'],
      ...(web.bundle !== undefined && { validation_context: { trusted_ca: { filename: web.bundle } } }),
    },
  }
  return bootstrap({ name: 'shop/shop/https', tls, manager }, [
    cluster(behind, backend, { transport_socket: upstreamTls(backendTls, proxy, own, {}) }),
    cluster(authorizer, portcullis, {
      lb_policy: 'LEAST_REQUEST',
      ...HTTP2,
      transport_socket: upstreamTls(authorizerTls, proxy, own, { alpn_protocols: ['h2'] }),
    }),
  ])
}

function question(
  { spec: { extAuth } }: GatewayOverlay['policy'],
  { name, namespace, port }: GatewayOverlay['asked'],
  to: string,
): Message {
  return typed('envoy.extensions.filters.http.ext_authz.v3.ExtAuthz', {
    transport_api_version: 'V3',
    grpc_service: {
      envoy_grpc: { cluster_name: to, authority: `${name}.${namespace}:${port}` },
      timeout: `${millisecondsOf(extAuth.timeout) / 1000}s`,
    },
    failure_mode_allow: extAuth.failOpen,
    clear_route_cache: extAuth.recomputeRoute,
  })
}

/** Throws for any other unit than those that the manifest may have. */
function millisecondsOf(duration: string): number {
  const [, number, unit] = /^(\d+)(ms|s)$/.exec(duration) ?? []
  if (number === undefined) throw new Error(`${duration} is no duration in ms or s`)
  return Number(number) * (unit === 's' ? 1000 : 1)
}

/** Without other names the host name counts. */
function upstreamTls(
  { hostname, subjectAltNames }: GatewayOverlay['backendTls'],
  { spec }: GatewayOverlay['proxy'],
  own: Identity,
  more: Message,
): Message {
  const names = subjectAltNames?.map(({ uri }) => ({ san_type: 'URI', matcher: { exact: uri } }))
  return transport('Upstream', {
    sni: hostname,
    common_tls_context: {
      ...certificates(own),
      tls_params: versions(spec.backendTLS),
      ...more,
      validation_context: {
        trusted_ca: { filename: own.bundle },
        match_typed_subject_alt_names: names ?? [{ san_type: 'DNS', matcher: { exact: hostname } }],
      },
    },
  })
}

/** The filter is off but for the routes that have this. */
function onRoute({ spec }: GatewayOverlay['policy']): Message {
  const extensions = spec.extAuth.contextExtensions.map(({ name, value }) => [name, value])
  return typed('envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute', {
    check_settings: { context_extensions: Object.fromEntries(extensions) },
  })
}

function forwarding(header: GatewayOverlay['clients']['headers']['xForwardedClientCert']): Message {
  return {
    forward_client_cert_details: FORWARDING[header.mode],
    set_current_client_cert_details: Object.fromEntries(
      header.certDetailsToAdd.map((detail) => [DETAILS[detail], true]),
    ),
  }
}

type Version = keyof typeof VERSIONS

/** What isn't written is left to Envoy. */
function versions(tls: { readonly minVersion: Version; readonly maxVersion?: Version | undefined }): Message {
  return {
    tls_minimum_protocol_version: VERSIONS[tls.minVersion],
    ...(tls.maxVersion && { tls_maximum_protocol_version: VERSIONS[tls.maxVersion] }),
  }
}

function certificates({ certificate, key }: Omit<Identity, 'bundle'>): Message {
  return {
    tls_certificates: [{ certificate_chain: { filename: certificate }, private_key: { filename: key } }],
  }
}
