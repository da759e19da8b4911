import {
  DOWNSTREAM_TLS,
  HTTP_EXT_AUTHZ,
  NETWORK_EXT_AUTHZ,
  UPSTREAM_HTTP_OPTIONS,
  UPSTREAM_TLS,
} from './message-types.js'

/** Parts of the files in envoy/, for fixes. */
const typeUrl = (type: string): string => `type.googleapis.com/${type}`

const sds = (name: string): object => ({
  name,
  sds_config: {
    path_config_source: { path: `/etc/portcullis/envoy/sds/${name}.yaml` },
    resource_api_version: 'V3',
  },
})

export const TLS_1_3 = { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' }
export const OWN_CERTIFICATE = { tls_certificate_sds_secret_configs: [sds('identity')] }
export const TRUST = { validation_context_sds_secret_config: sds('trust') }
export const ASK_TIMEOUT = '0.25s'

export const askService = (cluster: string): object => ({
  envoy_grpc: { cluster_name: cluster },
  timeout: ASK_TIMEOUT,
})

/** `mutual`: callers show certificates. */
export const httpFilter = (cluster: string, mutual: boolean): object => ({
  name: 'envoy.filters.http.ext_authz',
  typed_config: {
    '@type': typeUrl(HTTP_EXT_AUTHZ),
    transport_api_version: 'V3',
    grpc_service: askService(cluster),
    failure_mode_allow: false,
    status_on_error: { code: 'ServiceUnavailable' },
    ...(mutual ? { include_peer_certificate: true } : {}),
    include_tls_session: true,
    validate_mutations: true,
    clear_route_cache: false,
    decoder_header_mutation_rules: { disallow_system: true },
    emit_filter_state_stats: true,
  },
})

export const networkFilter = (cluster: string, mutual: boolean): object => ({
  name: 'envoy.filters.network.ext_authz',
  typed_config: {
    '@type': typeUrl(NETWORK_EXT_AUTHZ),
    stat_prefix: 'portcullis',
    transport_api_version: 'V3',
    grpc_service: askService(cluster),
    failure_mode_allow: false,
    ...(mutual ? { include_peer_certificate: true } : {}),
    include_tls_session: true,
  },
})

export const mutualTls = {
  name: 'envoy.transport_sockets.tls',
  typed_config: {
    '@type': typeUrl(DOWNSTREAM_TLS),
    require_client_certificate: true,
    disable_stateless_session_resumption: true,
    disable_stateful_session_resumption: true,
    common_tls_context: { tls_params: TLS_1_3, ...OWN_CERTIFICATE, ...TRUST },
  },
}

export const webTls = {
  name: 'envoy.transport_sockets.tls',
  typed_config: {
    '@type': typeUrl(DOWNSTREAM_TLS),
    common_tls_context: {
      tls_params: TLS_1_3,
      tls_certificates: [
        {
          certificate_chain: { filename: '/etc/portcullis/web/tls.crt' },
          private_key: { filename: '/etc/portcullis/web/tls.key' },
        },
      ],
    },
  },
}

export const SERVER_NAME = 'portcullis.portcullis-system.svc.cluster.local'
export const SERVER_MATCH = {
  match_typed_subject_alt_names: [
    { san_type: 'URI', matcher: { exact: 'spiffe://cluster.local/ns/portcullis-system/sa/portcullis' } },
  ],
}

/** Who Portcullis must be, for the context of a connection to it. */
export const SERVER_IDENTITY = {
  combined_validation_context: {
    default_validation_context: SERVER_MATCH,
    ...TRUST,
  },
}

export const tlsToPortcullis = {
  name: 'envoy.transport_sockets.tls',
  typed_config: {
    '@type': typeUrl(UPSTREAM_TLS),
    sni: SERVER_NAME,
    common_tls_context: {
      tls_params: TLS_1_3,
      alpn_protocols: ['h2'],
      ...OWN_CERTIFICATE,
      ...SERVER_IDENTITY,
    },
  },
}

export const HTTP2_EXPLICITLY = {
  http2_protocol_options: { connection_keepalive: { interval: '30s', timeout: '5s' } },
}

export const HTTP2_OPTIONS = {
  [UPSTREAM_HTTP_OPTIONS]: {
    '@type': typeUrl(UPSTREAM_HTTP_OPTIONS),
    explicit_http_config: HTTP2_EXPLICITLY,
  },
}

export const HEALTH_CHECKS = [
  {
    timeout: '1s',
    interval: '2s',
    no_traffic_interval: '2s',
    unhealthy_threshold: 2,
    healthy_threshold: 1,
    grpc_health_check: { service_name: 'envoy.service.auth.v3.Authorization' },
  },
]
