import { type Broken, HTTP, NETWORK, value } from './broken.js'

const FILTERS = '                http_filters:\n                  - name: envoy.filters.http.ext_authz\n'
const before = (name: string, type: string, fields = ''): readonly [string, string] => [
  FILTERS,
  FILTERS.replace(
    '\n',
    `\n                  - name: ${name}\n                    typed_config: { "@type": ${HTTP}.${type}${fields} }\n`,
  ),
]
const ROUTER = `                  - name: envoy.filters.http.router
                    typed_config: { "@type": ${HTTP}.router.v3.Router }
`
const PROVIDERS =
  ', providers: { idp: { issuer: "https://idp.example", payload_in_metadata: idp, remote_jwks: { http_uri: { uri: "https://idp.example/jwks.json", cluster: portcullis, timeout: 5s } } } }'
const listener = (address: string, cluster: string): readonly [string, string] => [
  '\n  clusters:\n    - name: application\n',
  `
    - name: back-door
      address: { socket_address: { address: ${address}, port_value: 8444 } }
      filter_chains:
        - filters:
            - name: envoy.filters.network.tcp_proxy
              typed_config: { "@type": ${NETWORK}.tcp_proxy.v3.TcpProxy, stat_prefix: back-door, cluster: ${cluster} }

  clusters:
    - name: application
`,
]

export const BROKEN_ASKS: readonly Broken[] = [
  // Whether anybody is asked.
  {
    file: 'gateway.yaml',
    finds: 'error no-ext-authz',
    name: 'no ext_authz',
    change: [`${HTTP}.ext_authz.v3.ExtAuthz\n`, `${HTTP}.tap.v3.Tap\n`],
    line: 'transport_socket_connect_timeout',
  },
  {
    file: 'sidecar.yaml',
    finds: 'error unasked-listener',
    name: 'a way around',
    change: listener('0.0.0.0', 'application'),
    line: '- filters:',
  },
  {
    file: 'sidecar.yaml',
    finds: 'warning unasked-listener',
    name: 'a listener for all that asks nobody',
    change: listener('"::"', 'other'),
    line: '- filters:',
  },
  value(
    'gateway.yaml',
    'error unasked-upgrade',
    'an upgrade with filters of its own',
    'upgrade_configs: [{ upgrade_type: websocket }]',
    `upgradeConfigs: [{ upgrade_type: CONNECT, filters: [{ name: envoy.filters.http.router, typed_config: { "@type": ${HTTP}.router.v3.Router } }] }]`,
    'upgradeConfigs',
  ),
  {
    file: 'gateway.yaml',
    finds: 'error after-router',
    name: 'after the router',
    also: [ROUTER, ''],
    change: [FILTERS, FILTERS.replace('\n', `\n${ROUTER}`)],
    line: '- name: envoy.filters.http.ext_authz',
  },
  {
    file: 'gateway.yaml',
    finds: 'warning filter-before',
    name: 'Lua first',
    change: before('lua', 'lua.v3.Lua'),
    line: '- name: lua',
  },
  {
    file: 'gateway.yaml',
    finds: 'error filter-before',
    name: 'a cache first',
    change: before(
      'cache',
      'cache.v3.CacheConfig',
      ', typed_config: { "@type": type.googleapis.com/envoy.extensions.http.cache.simple_http_cache.v3.SimpleHttpCacheConfig }',
    ),
    line: '- name: cache',
  },
  {
    file: 'gateway.yaml',
    finds: 'warning filter-before',
    name: 'a filter of somebody first',
    change: [
      FILTERS,
      FILTERS.replace(
        '\n',
        '\n                  - name: own\n                    typed_config: { "@type": type.googleapis.com/xds.type.v3.TypedStruct, type_url: type.googleapis.com/shop.Own, value: { a: 1 } }\n',
      ),
    ],
    line: '- name: own',
  },
  {
    file: 'gateway.yaml',
    finds: 'error jwt-order',
    name: 'jwt_authn takes the token',
    change: before('envoy.filters.http.jwt_authn', 'jwt_authn.v3.JwtAuthentication', PROVIDERS),
    line: HTTP,
  },
  {
    file: 'gateway.yaml',
    finds: 'error jwt-order',
    name: 'jwt_authn too late',
    change: [
      ROUTER,
      `                      metadata_context_namespaces: [envoy.filters.http.jwt_authn]
                  - name: jwt
                    typed_config: { "@type": ${HTTP}.jwt_authn.v3.JwtAuthentication${PROVIDERS} }
${ROUTER}`,
    ],
    line: '- name: jwt',
  },
]
