import { type Broken, gone, HTTP, NETWORK, value } from './broken.js'

const ORDERS = 'check_settings: { context_extensions: { portcullis.service: shop/order-service } }'
const PAYMENTS = 'check_settings: { context_extensions: { portcullis.service: shop/payment-service } }'
const APPLICATION = 'routes: [{ match: { prefix: / }, route: { cluster: application, timeout: 0s } }]'
const overridden = (settings: string): string => `routes:
                        - match: { prefix: / }
                          route: { cluster: application, timeout: 0s }
                          typed_per_filter_config:
                            envoy.filters.http.ext_authz:
                              "@type": ${HTTP}.ext_authz.v3.ExtAuthzPerRoute
                              ${settings}`
const PATHS = {
  normalize:
    '                # The path that Portcullis decides on is byte for byte the one that is routed: nothing is normalised\n                # here, and Portcullis refuses every path that two parsers could read differently.\n                normalize_path: false\n',
  manager: '"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager',
}
const AT_CONTEXT = 'UpstreamTlsContext'
const TRUSTED = `              validation_context_sds_secret_config:
                name: trust
                sds_config: { path_config_source: { path: /etc/portcullis/envoy/sds/trust.yaml }, resource_api_version: V3 }
      load_assignment:`
const SERVER = `              default_validation_context:
                match_typed_subject_alt_names:
                  - { san_type: URI, matcher: { exact: spiffe://cluster.local/ns/portcullis-system/sa/portcullis } }
`
const OWN = `            alpn_protocols: [h2]
            tls_certificate_sds_secret_configs:
              - name: identity
                sds_config: { path_config_source: { path: /etc/portcullis/envoy/sds/identity.yaml }, resource_api_version: V3 }
`
const INBOUND_TRUST = `                validation_context_sds_secret_config:
                  name: trust
                  sds_config: { path_config_source: { path: /etc/portcullis/envoy/sds/trust.yaml }, resource_api_version: V3 }
          filters:`
const HEALTH = `      health_checks:
        - timeout: 1s
          interval: 2s
          no_traffic_interval: 2s
          unhealthy_threshold: 2
          healthy_threshold: 1
          grpc_health_check: { service_name: envoy.service.auth.v3.Authorization }
`

export const BROKEN_CONNECTIONS: readonly Broken[] = [
  // Routes.
  value('gateway.yaml', 'error route-disabled', 'switched off for a route', ORDERS, 'disabled: true'),
  value('sidecar.yaml', 'error route-disabled', 'switched off for a host', PAYMENTS, 'disabled: true'),
  value(
    'gateway.yaml',
    'error route-asks-elsewhere',
    'another server for a route',
    ORDERS,
    'check_settings: { grpc_service: { envoy_grpc: { cluster_name: own } }, context_extensions: { portcullis.service: shop/order-service } }',
  ),
  value(
    'sidecar.yaml',
    'warning service-overridden',
    'another service for a route',
    APPLICATION,
    overridden(ORDERS),
    'order-service',
  ),
  value(
    'gateway.yaml',
    'warning service-unnamed',
    'no service',
    ORDERS,
    'check_settings: { context_extensions: { other: x } }',
    'path_separated_prefix: /api/orders',
  ),
  // HTTP connections.
  {
    file: 'gateway.yaml',
    finds: 'warning path-normalisation',
    name: 'left open',
    change: [PATHS.normalize, ''],
    line: PATHS.manager,
  },
  value(
    'gateway.yaml',
    'warning path-normalisation',
    'by half',
    'normalize_path: false',
    'normalize_path: true',
    'merge_slashes: false',
  ),
  value(
    'gateway.yaml',
    'error forwarded-certificate',
    'as callers write it',
    'forward_client_cert_details: SANITIZE',
    'forward_client_cert_details: ALWAYS_FORWARD_ONLY',
  ),
  value(
    'gateway.yaml',
    'error forwarded-certificate',
    'appended without a certificate',
    'forward_client_cert_details: SANITIZE',
    'forward_client_cert_details: 2',
  ),
  value(
    'sidecar.yaml',
    'error forwarded-certificate',
    "callers' own",
    'forward_client_cert_details: SANITIZE_SET',
    'forward_client_cert_details: FORWARD_ONLY',
  ),
  gone(
    'gateway.yaml',
    'warning client-address',
    'the address that clients write',
    '                use_remote_address: true\n',
    PATHS.manager,
  ),
  value(
    'gateway.yaml',
    'warning client-address',
    'other hops than Portcullis',
    'use_remote_address: true',
    'use_remote_address: true\n                xff_num_trusted_hops: 2',
    'xff_num_trusted_hops: 2',
  ),
  value(
    'gateway.yaml',
    'warning underscore-headers',
    'underscores',
    'headers_with_underscores_action: REJECT_REQUEST',
    'headers_with_underscores_action: ALLOW',
  ),
  value(
    'gateway.yaml',
    'warning open-streams',
    'streams without end',
    'max_stream_duration: 900s',
    'max_stream_duration: 0s',
  ),
  value(
    'gateway.yaml',
    'warning open-streams',
    'idle streams',
    'stream_idle_timeout: 300s',
    'stream_idle_timeout: 0s',
  ),
  value(
    'gateway.yaml',
    'warning open-streams',
    'a route without end',
    'route: { cluster: order-service, timeout: 0s }',
    'route: { cluster: order-service, timeout: 0s, max_stream_duration: { max_stream_duration: 0s } }',
  ),
  gone(
    'sidecar.yaml',
    'warning open-streams',
    'connections that are never renewed',
    '                  max_connection_duration: 900s\n',
    'idle_timeout: 3600s',
  ),
  gone(
    'sidecar.yaml',
    'warning open-streams',
    'renewed in the middle of a call',
    '                http1_safe_max_connection_duration: true\n',
    PATHS.manager,
  ),
  gone(
    'sidecar-tcp.yaml',
    'warning open-streams',
    'TCP without end',
    '                max_downstream_connection_duration: 900s\n',
    `${NETWORK}.tcp_proxy`,
  ),
  // Certificates of callers.
  {
    file: 'gateway.yaml',
    finds: 'error no-tls',
    name: 'plaintext',
    change: [
      '          transport_socket:\n            name: envoy.transport_sockets.tls\n',
      '          unread:\n            name: envoy.transport_sockets.tls\n',
    ],
    line: 'transport_socket_connect_timeout',
  },
  {
    file: 'sidecar-tcp.yaml',
    finds: 'error no-tls',
    name: 'plaintext',
    change: [
      '          transport_socket:\n            name: envoy.transport_sockets.tls\n',
      '          unread:\n            name: envoy.transport_sockets.tls\n',
    ],
    line: 'transport_socket_connect_timeout',
  },
  value(
    'sidecar.yaml',
    'error client-certificate',
    'not required',
    'require_client_certificate: true',
    'require_client_certificate: false',
  ),
  gone(
    'sidecar-tcp.yaml',
    'error client-certificate',
    'not required',
    '              require_client_certificate: true\n',
    'DownstreamTlsContext',
  ),
  {
    file: 'sidecar.yaml',
    finds: 'error trust-anchors',
    name: 'anybody is trusted',
    change: [INBOUND_TRUST, '          filters:'],
    line: 'common_tls_context',
  },
  {
    file: 'sidecar.yaml',
    finds: 'error trust-anchors',
    name: 'untrusted too',
    change: [
      INBOUND_TRUST,
      '                validation_context: { trusted_ca: { filename: /etc/portcullis/tls/bundle.pem }, trust_chain_verification: ACCEPT_UNTRUSTED }\n          filters:',
    ],
    line: 'ACCEPT_UNTRUSTED',
  },
  value(
    'sidecar.yaml',
    'warning tls-version',
    'older TLS',
    '&tls\n                tls_params: { tls_minimum_protocol_version: TLSv1_3',
    '&tls\n                tls_params: { tls_minimum_protocol_version: TLSv1_2',
    'TLSv1_2',
  ),
  gone(
    'sidecar.yaml',
    'warning session-resumption',
    'resumed sessions',
    '              disable_stateful_session_resumption: true\n',
    'DownstreamTlsContext',
  ),
  // The way to Portcullis.
  {
    file: 'gateway.yaml',
    finds: 'error plaintext',
    name: 'plaintext',
    change: [
      '      transport_socket:\n        name: envoy.transport_sockets.tls\n',
      '      unread:\n        name: envoy.transport_sockets.tls\n',
    ],
    line: '- name: portcullis',
  },
  {
    file: 'gateway.yaml',
    finds: 'error server-unverified',
    name: 'not verified',
    change: [`            combined_validation_context:\n${SERVER}${TRUSTED}`, '      load_assignment:'],
    line: 'common_tls_context',
  },
  {
    file: 'gateway.yaml',
    finds: 'error server-unverified',
    name: 'whatever name',
    change: [SERVER, ''],
    line: 'common_tls_context',
  },
  gone(
    'gateway.yaml',
    'warning server-name',
    'no server name',
    '          sni: portcullis.portcullis-system.svc.cluster.local\n',
    AT_CONTEXT,
  ),
  {
    file: 'gateway.yaml',
    finds: 'warning own-certificate',
    name: 'no certificate of its own',
    change: [OWN, '            alpn_protocols: [h2]\n'],
    line: 'common_tls_context',
  },
  {
    file: 'gateway.yaml',
    finds: 'error http2',
    name: 'HTTP/1.1',
    change: [
      'explicit_http_config: { http2_protocol_options: { connection_keepalive: { interval: 30s, timeout: 5s } } }',
      'explicit_http_config: { http_protocol_options: {} }',
    ],
    line: 'typed_extension_protocol_options',
  },
  gone('sidecar.yaml', 'warning health-check', 'no health check', HEALTH, '- name: portcullis'),
  value(
    'sidecar-tcp.yaml',
    'warning panic-threshold',
    'panic',
    'healthy_panic_threshold: { value: 0 }',
    'healthy_panic_threshold: { value: 50 }',
  ),
  {
    file: 'sidecar-tcp.yaml',
    finds: 'error cluster-unknown',
    name: 'no such cluster',
    change: ['    - name: portcullis\n', '    - name: portculis\n'],
    line: 'cluster_name: portcullis',
  },
  // Beside it.
  value(
    'sidecar.yaml',
    'warning access-log',
    'told to somebody else',
    'grpc_service: { envoy_grpc: { cluster_name: portcullis } }',
    'grpc_service: { envoy_grpc: { cluster_name: logs } }',
  ),
  value(
    'sidecar-tcp.yaml',
    'warning access-log',
    'another version',
    '                        transport_api_version: V3\n',
    '                        transport_api_version: 0\n',
    'transport_api_version: 0',
  ),
  value(
    'sidecar.yaml',
    'error open-admin',
    'open to all',
    'address: 127.0.0.1, port_value: 9901',
    'address: 0.0.0.0, port_value: 9901',
  ),
]
