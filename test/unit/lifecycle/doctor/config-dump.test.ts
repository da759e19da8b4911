import { describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { examine } from '../../../../src/lifecycle/doctor/examine.js'
import { changed, envoyText, examineText, shipped } from './examined.js'

type Resource = Record<string, unknown>
type Bootstrap = {
  admin: Resource
  static_resources: { listeners: Resource[]; clusters: Resource[] }
}

const any = (type: string, fields: object): object => ({ '@type': `type.googleapis.com/${type}`, ...fields })

/** As Envoy prints it: what is false or zero is left out. */
function printed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(printed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(
        ([name, each]) => !(each === false && name !== 'normalize_path') && !(each === 0 && name === 'value'),
      )
      .map(([name, each]) => [name, printed(each)]),
  )
}

function dumpOf(text: string, place: 'static' | 'dynamic' | 'bootstrap' = 'static'): string {
  const bootstrap: Bootstrap = parse(text)
  const { listeners, clusters } = bootstrap.static_resources
  const listener = (each: Resource): object => any('envoy.config.listener.v3.Listener', each)
  const cluster = (each: Resource): object => any('envoy.config.cluster.v3.Cluster', each)
  const lists =
    place === 'static'
      ? [
          any('envoy.admin.v3.ListenersConfigDump', {
            static_listeners: listeners.map((each) => ({ listener: listener(each) })),
          }),
          any('envoy.admin.v3.ClustersConfigDump', {
            static_clusters: clusters.map((each) => ({ cluster: cluster(each) })),
          }),
        ]
      : [
          any('envoy.admin.v3.ListenersConfigDump', {
            dynamic_listeners: listeners.map((each) => ({
              name: each['name'],
              active_state: { listener: listener(each) },
              draining_state: { listener: listener({ name: 'leaves' }) },
            })),
          }),
          any('envoy.admin.v3.ClustersConfigDump', {
            dynamic_active_clusters: clusters.map((each) => ({ cluster: cluster(each) })),
          }),
        ]
  const configs = [
    any('envoy.admin.v3.BootstrapConfigDump', { bootstrap }),
    ...(place === 'bootstrap' ? [] : lists),
  ]
  return JSON.stringify(printed({ configs }))
}

describe.each(['static', 'dynamic', 'bootstrap'] as const)('a config_dump with %s resources', (place) => {
  test.each(['sidecar.yaml', 'sidecar-tcp.yaml', 'gateway.yaml'])('%s is clean', (file) => {
    const { findings, asks } = examineText(dumpOf(shipped(file), place))
    expect({ findings, asks }).toEqual({ findings: [], asks: 1 })
  })

  test.each([
    {
      from: 'include_peer_certificate: true',
      to: 'include_peer_certificate: false',
      code: 'peer-certificate',
    },
    {
      from: 'normalize_path: false\n                merge_slashes: false\n                path_with_escaped_slashes_action: KEEP_UNCHANGED\n                server_header',
      to: 'server_header',
      code: 'path-normalisation',
    },
    {
      from: 'address: 127.0.0.1, port_value: 9901',
      to: 'address: 10.0.0.1, port_value: 9901',
      code: 'open-admin',
    },
  ])('$code is found, at its names', ({ from, to, code }) => {
    const { findings } = examineText(dumpOf(changed(shipped('sidecar.yaml'), from, to), place))
    expect(findings).toMatchObject([{ code, position: undefined }])
    expect(findings[0]?.where).toMatch(/^(?:listener inbound, filter chain 1, envoy\.|admin$)/)
  })
})

const HCM = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'

/** The shipped sidecar with something delivered apart. */
function withDelivered(change: (manager: Resource) => object[]): string {
  const dump: { configs: Resource[] } = JSON.parse(dumpOf(shipped('sidecar.yaml')))
  const found: Resource[] = []
  const look = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    const fields: Resource = { ...value }
    if (fields['@type'] === `type.googleapis.com/${HCM}` && fields['stat_prefix'] === 'inbound')
      found.push(value as Resource)
    Object.values(value).forEach(look)
  }
  look(dump.configs[1])
  const [manager = {}] = found
  return JSON.stringify({ configs: [...dump.configs, ...change(manager)] })
}

describe('what is delivered apart', () => {
  test('routes (RDS) are looked at', () => {
    const text = withDelivered((manager) => {
      const config = manager['route_config']
      delete manager['route_config']
      manager['rds'] = { route_config_name: 'inbound' }
      const off = JSON.parse(
        JSON.stringify(config).replace(
          /"check_settings":\{"context_extensions":\{[^}]*\}\}/,
          '"disabled":true',
        ),
      )
      return [
        any('envoy.admin.v3.RoutesConfigDump', {
          dynamic_route_configs: [{ route_config: any('envoy.config.route.v3.RouteConfiguration', off) }],
        }),
      ]
    })
    expect(examineText(text).findings).toMatchObject([
      { code: 'route-disabled', where: 'route configuration inbound, virtual host application' },
    ])
  })

  test('filters (ECDS) are looked at, and told when they are not there', () => {
    const deliver = (dumped: boolean): string =>
      withDelivered((manager) => {
        const [filter, router] = JSON.parse(JSON.stringify(manager['http_filters']))
        manager['http_filters'] = [
          { name: filter.name, config_discovery: { type_urls: [filter.typed_config['@type']] } },
          router,
        ]
        filter.typed_config.failure_mode_allow = true
        const sent = any('envoy.config.core.v3.TypedExtensionConfig', filter)
        return dumped ? [any('envoy.admin.v3.EcdsConfigDump', { ecds_filters: [{ ecds_filter: sent }] })] : []
      })
    expect(examineText(deliver(true)).findings).toMatchObject([{ code: 'failure-mode-allow' }])
    const blind = examineText(deliver(false))
    expect(blind.findings).toMatchObject([{ code: 'no-ext-authz' }])
    expect(blind.unseen).toContain(
      'the filter envoy.filters.http.ext_authz of listener inbound, filter chain 1 (config_discovery)',
    )
  })

  test('secrets say what a certificate is verified against', () => {
    const secret = (context: object): string =>
      withDelivered(() => [
        any('envoy.admin.v3.SecretsConfigDump', {
          dynamic_active_secrets: [
            {
              name: 'trust',
              secret: any('envoy.extensions.transport_sockets.tls.v3.Secret', {
                name: 'trust',
                validation_context: context,
              }),
            },
          ],
        }),
      ])
    expect(examineText(secret({ trusted_ca: { filename: '/a' } })).findings).toEqual([])
    expect(examineText(secret({ trusted_ca: {}, allow_expired_certificate: true })).findings).toMatchObject([
      { code: 'trust-anchors' },
    ])
    expect(
      examineText(secret({ crl: {} }))
        .findings.map(({ code }) => code)
        .toSorted(),
    ).toEqual(['server-unverified', 'trust-anchors'])
  })
})

describe('files that belong together', () => {
  const files = (names: readonly string[], bootstrap: string) =>
    examine([envoyText('sidecar.yaml', bootstrap), ...names.map((name) => envoyText(name, shipped(name)))], {
      clusters: [],
      trustedHops: 0,
    })

  test('what is still missing is named', () => {
    expect(files([], shipped('sidecar.yaml')).unseen).toEqual([
      'clusters of the cluster discovery (cds_config)',
      'the routes mesh of listener outbound, filter chain 1, envoy.filters.network.http_connection_manager',
    ])
    const whole = files(['mesh/clusters.yaml', 'mesh/routes.yaml', 'sds/trust.yaml'], shipped('sidecar.yaml'))
    expect(whole).toMatchObject({ findings: [], unseen: [] })
  })

  test('a finding stands in the file that it is in', () => {
    const text = shipped('mesh/clusters.yaml').replaceAll('payment-service', 'portcullis')
    const bootstrap = shipped('sidecar.yaml').replace('    - name: portcullis\n', '    - name: other\n')
    const { findings } = examine([envoyText('sidecar.yaml', bootstrap), envoyText('clusters.yaml', text)], {
      clusters: ['portcullis'],
      trustedHops: 0,
    })
    expect(new Set(findings.map(({ position }) => position?.file))).toEqual(new Set(['clusters.yaml']))
    expect(findings.map(({ code }) => code).toSorted()).toEqual(['health-check', 'http2', 'panic-threshold'])
  })

  test('two Envoys are looked at one by one', () => {
    const { findings, asks } = examine(
      [
        envoyText('a.yaml', shipped('sidecar.yaml')),
        envoyText(
          'b.yaml',
          changed(shipped('gateway.yaml'), 'failure_mode_allow: false', 'failure_mode_allow: true'),
        ),
      ],
      { clusters: [], trustedHops: 0 },
    )
    expect(asks).toBe(2)
    expect(findings).toMatchObject([{ code: 'failure-mode-allow', source: 'b.yaml' }])
  })
})

describe('what the options say', () => {
  test('hops that Portcullis trusts, too', () => {
    const text = changed(
      shipped('gateway.yaml'),
      'use_remote_address: true',
      'use_remote_address: true\n                xff_num_trusted_hops: 1',
    )
    expect(examineText(text, { trustedHops: 1 }).findings).toEqual([])
    expect(examineText(text).findings).toMatchObject([{ code: 'client-address' }])
  })

  test('the cluster that is Portcullis', () => {
    const text = shipped('gateway.yaml').replaceAll(/cluster_name: portcullis|name: portcullis\n/g, (found) =>
      found.replace('portcullis', 'authz'),
    )
    expect(examineText(text, { clusters: ['authz'] }).findings).toEqual([])
    expect(examineText(text, { clusters: ['portcullis'] }).findings).toMatchObject([{ code: 'no-ext-authz' }])
  })
})
