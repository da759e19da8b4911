import { describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { changed, examineText, shipped } from './examined.js'

const HTTP = 'type.googleapis.com/envoy.extensions.filters.http'
const FILTER = `                  - name: envoy.filters.http.ext_authz
                    typed_config:
                      "@type": ${HTTP}.ext_authz.v3.ExtAuthz
                      transport_api_version: V3
`
const OPEN = ['failure_mode_allow: false', 'failure_mode_allow: true'] as const
const gateway = shipped('gateway.yaml')
const sidecar = shipped('sidecar.yaml')

const codes = (text: string): string[] => examineText(text).findings.map(({ code }) => code)

describe('the filter in other clothes', () => {
  test('as a struct with its type beside it', () => {
    const start = gateway.indexOf(`                      "@type": ${HTTP}.ext_authz.v3.ExtAuthz\n`)
    const end = gateway.indexOf('                  - name: envoy.filters.http.router')
    const fields = gateway
      .slice(start, end)
      .split('\n')
      .slice(1)
      .map((line) => (line === '' ? line : `  ${line}`))
      .join('\n')
    const text = `${gateway.slice(0, start)}                      "@type": type.googleapis.com/xds.type.v3.TypedStruct
                      type_url: ${HTTP}.ext_authz.v3.ExtAuthz
                      value:
${fields}${gateway.slice(end)}`
    expect(examineText(text)).toMatchObject({ findings: [], asks: 1 })
    expect(codes(changed(text, ...OPEN))).toEqual(['failure-mode-allow'])
  })

  test('behind a matcher', () => {
    const start = gateway.indexOf(FILTER)
    const end = gateway.indexOf('                  - name: envoy.filters.http.router')
    const filter = gateway.slice(start, end)
    const inner = filter
      .split('\n')
      .slice(1)
      .join('\n')
      .replaceAll(/^(?=.)/gm, '    ')
    const text = `${gateway.slice(0, start)}                  - name: envoy.filters.http.ext_authz
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher
                      extension_config:
                        name: envoy.filters.http.ext_authz
${inner}${gateway.slice(end)}`
    const { findings } = examineText(text)
    expect(findings).toMatchObject([{ code: 'can-be-off', severity: 'warning' }])
    expect(findings[0]?.fix.yaml).toContain('extension_config: null')
  })

  test('with the other client of gRPC', () => {
    const google = (credentials: string) =>
      changed(
        gateway,
        'envoy_grpc: { cluster_name: portcullis }\n',
        `google_grpc: { target_uri: "portcullis.example:9191", stat_prefix: a${credentials} }\n`,
      )
    expect(codes(google(''))).toContain('plaintext')
    expect(codes(google(', channel_credentials: { ssl_credentials: {} }'))).not.toContain('plaintext')
  })
})

describe('a filter that routes switch on', () => {
  const off = changed(gateway, FILTER, FILTER.replace('\n', '\n                    disabled: true\n'))

  test('is no finding when every route to a service does', () => {
    expect(codes(off)).toEqual([])
  })

  test('is one when a route to a service does not', () => {
    const text = changed(
      off,
      '                        # Envoy asks only about what has a route',
      '                        - { match: { prefix: /open }, route: { cluster: user-service, timeout: 0s } }\n                        # Envoy asks only about what has a route',
    )
    expect(examineText(text).findings.find(({ code }) => code === 'can-be-off')?.message).toBe(
      'the filter is disabled, and nothing switches it on for route configuration users, virtual host shop, route 5 (prefix /open)',
    )
  })

  test('is disabled by a configuration of the filter, too', () => {
    const wrapped = changed(
      gateway,
      `"@type": ${HTTP}.ext_authz.v3.ExtAuthzPerRoute
                              check_settings: { context_extensions: { portcullis.service: shop/order-service } }`,
      `"@type": type.googleapis.com/envoy.config.route.v3.FilterConfig
                              disabled: true`,
    )
    expect(codes(wrapped)).toEqual(['route-disabled'])
  })
})

describe('listeners that need not ask', () => {
  const more = (fields: string, cluster: string): string =>
    changed(
      sidecar,
      '\n  clusters:\n    - name: application\n',
      `
    - name: more
      ${fields}
      filter_chains:
        - filters:
            - name: envoy.filters.network.tcp_proxy
              typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: a, cluster: ${cluster} }

  clusters:
    - { name: nowhere, connect_timeout: 1s }
    - name: application
`,
    )
  const at = (host: string): string => `address: { socket_address: { address: "${host}", port_value: 1 } }`

  test.each([
    { name: 'loopback', text: more(at('127.0.0.2'), 'other') },
    { name: 'loopback of IPv6', text: more(at('::1'), 'other') },
    { name: 'a Unix socket', text: more('address: { pipe: { path: /run/a } }', 'other') },
    { name: 'outbound', text: more(`traffic_direction: OUTBOUND\n      ${at('0.0.0.0')}`, 'other') },
    { name: 'one that leads to no host', text: more(at('0.0.0.0'), 'nowhere') },
  ])('$name', ({ text }) => {
    expect(codes(text)).toEqual([])
  })

  test.each([
    {
      name: 'another address beside loopback',
      text: more(`additional_addresses: [{ ${at('10.0.0.1')} }]\n      ${at('127.0.0.1')}`, 'other'),
    },
    { name: 'every address of IPv6', text: more(at('::'), 'other') },
    { name: 'no address at all', text: more('stat_prefix: a', 'other') },
  ])('but $name', ({ text }) => {
    expect(codes(text)).toEqual(['unasked-listener'])
  })
})

describe('a limit for streams at the routes and none at the listener', () => {
  const LIMIT = 'max_stream_duration: { max_stream_duration: 60s }'
  const listener = changed(gateway, '                  max_stream_duration: 900s\n', '')
  const bounded = listener.replaceAll(/(route: \{ cluster: [a-z-]+, timeout: 0s) \}/g, `$1, ${LIMIT} }`)

  test('is none when one route lacks it', () => {
    const text = bounded.replace(`, ${LIMIT}`, '')
    expect(examineText(text).findings).toMatchObject([
      { code: 'open-streams', message: 'streams may stay open without end' },
    ])
  })

  test('is enough when every route has it', () => {
    expect(codes(bounded)).toEqual([])
  })
})

describe('what is no finding', () => {
  test.each([
    {
      name: 'all of a path normalised',
      from: 'normalize_path: false\n                merge_slashes: false\n                path_with_escaped_slashes_action: KEEP_UNCHANGED',
      to: 'normalize_path: true\n                merge_slashes: true\n                path_with_escaped_slashes_action: REJECT_REQUEST',
    },
    { name: 'headers with underscores dropped', from: 'REJECT_REQUEST', to: 'DROP_HEADER' },
    {
      name: 'all headers but those that are put back',
      from: 'decoder_header_mutation_rules: { disallow_system: true }',
      to: 'decoder_header_mutation_rules: { disallow_all: true, allow_expression: { regex: "x-.*" } }',
    },
    {
      name: 'off means refused',
      from: 'clear_route_cache: false',
      to: 'deny_at_disable: { default_value: true, runtime_key: a }\n                      filter_enabled: { default_value: { numerator: 5 }, runtime_key: b }',
    },
    {
      name: 'CORS first',
      from: '                http_filters:\n',
      to: `                http_filters:\n                  - { name: cors, typed_config: { "@type": ${HTTP}.cors.v3.Cors } }\n`,
    },
    {
      name: 'HTTP/2 in its old place',
      from: 'explicit_http_config: { http2_protocol_options: { connection_keepalive: { interval: 30s, timeout: 5s } } }',
      to: 'auto_config: {}',
    },
    {
      name: 'Envoy switched off for redirects',
      from: '&nowhere { match: { prefix: / }, direct_response: { status: 404 } }',
      to: `&nowhere { match: { prefix: / }, redirect: { https_redirect: true }, typed_per_filter_config: { envoy.filters.http.ext_authz: { "@type": ${HTTP}.ext_authz.v3.ExtAuthzPerRoute, disabled: true } } }`,
    },
  ])('$name', ({ from, to }) => {
    expect(codes(changed(gateway, from, to))).toEqual([])
  })

  test('a Portcullis on this host, in plaintext', () => {
    const text = changed(
      changed(gateway, 'portcullis-headless.portcullis-system.svc.cluster.local', '127.0.0.1'),
      '      transport_socket:\n        name: envoy.transport_sockets.tls\n',
      '      unread:\n        name: envoy.transport_sockets.tls\n',
    )
    expect(codes(text)).toEqual([])
  })
})

test('a chain for what no other one matches is looked at', () => {
  const text = changed(
    sidecar,
    '\n    # From the application to the mesh',
    `
      default_filter_chain:
        filters:
          - name: envoy.filters.network.tcp_proxy
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: a, cluster: application }
    # From the application to the mesh`,
  )
  expect(examineText(text).findings).toMatchObject([
    { code: 'unasked-listener', severity: 'error', where: 'listener inbound, default filter chain' },
  ])
})

describe('what can not be read is named', () => {
  test.each([
    {
      name: 'a transport of callers',
      from: 'name: envoy.transport_sockets.tls\n            typed_config:\n              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
      to: 'name: alts\n            typed_config:\n              "@type": type.googleapis.com/envoy.extensions.transport_sockets.alts.v3.Alts',
      unseen:
        'the transport of listener users, filter chain 1 (envoy.extensions.transport_sockets.alts.v3.Alts)',
    },
    {
      name: 'a transport to Portcullis',
      from: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
      to: 'type.googleapis.com/envoy.extensions.transport_sockets.alts.v3.Alts',
      unseen: 'the transport of cluster portcullis (envoy.extensions.transport_sockets.alts.v3.Alts)',
    },
    {
      name: 'a tree of matchers',
      from: '- { name: nobody, domains: ["*"], routes: [*nowhere] }',
      to: '- { name: nobody, domains: ["*"], matcher: { matcher_tree: {} } }',
      unseen: 'the routes in the matcher of route configuration users, virtual host nobody',
    },
  ])('$name', ({ from, to, unseen }) => {
    expect(examineText(changed(gateway, from, to))).toMatchObject({
      findings: [],
      unseen: ['clusters of the cluster discovery (cds_config)', unseen],
    })
  })
})

test.each([
  { name: 'on one line', indent: undefined },
  { name: 'with tabs', indent: '\t' },
])('a bootstrap as JSON, $name', ({ indent }) => {
  const text = JSON.stringify(parse(changed(sidecar, ...OPEN)), undefined, indent)
  expect(examineText(text).findings).toMatchObject([
    { code: 'failure-mode-allow', position: { file: 'envoy.yaml', column: expect.any(Number) } },
  ])
})
