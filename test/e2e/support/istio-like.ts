import {
  bootstrap,
  type Bootstrap,
  cluster,
  type Endpoint,
  EXT_AUTHZ,
  HTTP2,
  type Identity,
  isMessage,
  merged,
  type Message,
  ROUTER,
  toList,
  transport,
  typed,
} from './envoy-messages.js'
import { type ConfigPatch, type IstioOverlay, readIstioOverlay } from './istio-manifests.js'

/*
 * The Envoy configuration of a sidecar as istiod makes it from k8s/overlays/istio, as far as a call depends on it.
 * Sources: istio.io/docs/reference/config (MeshConfig, AuthorizationPolicy, EnvoyFilter, DestinationRule), SPECS 1.5,
 * and istiod's own output as published in its repository and issues.
 */

export type IstioSidecar = {
  readonly portcullis: Endpoint
  readonly application: Endpoint
  /** What istio-agent gives the sidecar. */
  readonly identity: Identity
  /** Without the patches of our EnvoyFilter, where false. */
  readonly patched?: boolean
}

export function istioSidecar({ portcullis, application, identity, patched = true }: IstioSidecar): Bootstrap {
  const { mesh, policy, filter, way, ask } = readIstioOverlay()
  const asked = `outbound|${ask.port}||${ask.service}`
  const normalization = mesh.pathNormalization.normalization
  const manager: Message = {
    stat_prefix: 'inbound_0.0.0.0_8080',
    server_name: 'istio-envoy',
    use_remote_address: false,
    forward_client_cert_details: 'APPEND_FORWARD',
    set_current_client_cert_details: { subject: true, dns: true, uri: true },
    normalize_path: normalization !== 'NONE',
    ...(normalization === 'MERGE_SLASHES' && { merge_slashes: true }),
    path_with_escaped_slashes_action: 'KEEP_UNCHANGED',
    route_config: {
      name: 'inbound|8080||',
      virtual_hosts: [
        {
          name: 'inbound|http|8080',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'inbound|8080||', timeout: '0s' } }],
        },
      ],
    },
    http_filters: [shadowRules(policy), question(ask, asked), ROUTER],
  }
  const whole = bootstrap({ name: 'virtualInbound', tls: inboundTls(identity, mesh), manager }, [
    cluster('inbound|8080||', application, {}),
    cluster(asked, portcullis, {
      lb_policy: way.spec.trafficPolicy.loadBalancer.simple,
      ...HTTP2,
      transport_socket: transport('Upstream', {
        sni: authorityOf(asked),
        common_tls_context: {
          ...certificates(identity),
          // Envoy alone would take 1.2 for the latest.
          tls_params: { tls_minimum_protocol_version: 'TLSv1_2', tls_maximum_protocol_version: 'TLSv1_3' },
          alpn_protocols: ['istio-peer-exchange', 'istio', 'h2'],
          validation_context: {
            trusted_ca: { filename: identity.bundle },
            match_typed_subject_alt_names: way.spec.trafficPolicy.tls.subjectAltNames.map((exact) => ({
              san_type: 'URI',
              matcher: { exact },
            })),
          },
        },
      }),
    }),
  ])
  return patched ? filter.spec.configPatches.reduce(applied, whole) : whole
}

/** The rules of a CUSTOM policy are a deny in the shadow; where one matches, ext_authz is asked. */
function shadowRules({ metadata, spec }: IstioOverlay['policy']): Message {
  const named = `istio-ext-authz-ns[${metadata.namespace}]-policy[${metadata.name}]`
  const policies = spec.rules.map(({ to }, index) => [
    `${named}-rule[${index}]`,
    {
      permissions: to.map(({ operation }) => ({
        and_rules: { rules: [{ not_rule: { or_rules: { rules: operation.notPaths.map(pathRule) } } }] },
      })),
      principals: [{ and_ids: { ids: [{ any: true }] } }],
    },
  ])
  return {
    name: 'envoy.filters.http.rbac',
    typed_config: typed('envoy.extensions.filters.http.rbac.v3.RBAC', {
      shadow_rules: { action: 'DENY', policies: Object.fromEntries(policies) },
      shadow_rules_stat_prefix: 'istio_ext_authz_',
    }),
  }
}

/** `/p*` is a prefix, `*p` a suffix. */
function pathRule(path: string): Message {
  const match = path.endsWith('*')
    ? { prefix: path.slice(0, -1) }
    : path.startsWith('*')
      ? { suffix: path.slice(1) }
      : { exact: path }
  return { url_path: { path: match } }
}

function question(ask: IstioOverlay['ask'], asked: string): Message {
  return {
    name: EXT_AUTHZ,
    typed_config: typed('envoy.extensions.filters.http.ext_authz.v3.ExtAuthz', {
      transport_api_version: 'V3',
      grpc_service: {
        envoy_grpc: { cluster_name: asked, authority: authorityOf(asked) },
        timeout: ask.timeout,
      },
      failure_mode_allow: ask.failOpen,
      status_on_error: { code: Number(ask.statusOnError) },
      filter_enabled_metadata: {
        filter: 'envoy.filters.http.rbac',
        path: [{ key: 'istio_ext_authz_shadow_effective_policy_id' }],
        value: { string_match: { prefix: 'istio-ext-authz' } },
      },
    }),
  }
}

function authorityOf(name: string): string {
  return name.replaceAll('|', '_.')
}

function inboundTls(identity: Identity, mesh: IstioOverlay['mesh']): Message {
  const oldest = mesh.meshMTLS?.minProtocolVersion === 'TLSV1_3' ? 'TLSv1_3' : 'TLSv1_2'
  return {
    require_client_certificate: true,
    common_tls_context: {
      ...certificates(identity),
      tls_params: { tls_minimum_protocol_version: oldest, tls_maximum_protocol_version: 'TLSv1_3' },
      alpn_protocols: ['istio-peer-exchange', 'h2', 'http/1.1'],
      validation_context: { trusted_ca: { filename: identity.bundle } },
    },
  }
}

function certificates({ certificate, key }: Identity): Message {
  return {
    tls_certificates: [{ certificate_chain: { filename: certificate }, private_key: { filename: key } }],
  }
}

/** Merges one patch into the one filter that it selects. Throws when it selects none or several. */
function applied(whole: Bootstrap, { applyTo, match, patch }: ConfigPatch): Bootstrap {
  const { filter } = match.listener.filterChain
  const wanted = applyTo === 'HTTP_FILTER' ? filter.subFilter?.name : filter.name
  let found = 0
  const change = (each: Message): Message => {
    if (each['name'] !== wanted) return each
    found += 1
    if (typeOf(each) !== patch.value.typed_config['@type'])
      throw new Error(`the patch of ${wanted} is of another type`)
    return merged(each, patch.value)
  }
  const inNetworkFilter = (each: Message): Message => {
    if (applyTo === 'NETWORK_FILTER') return change(each)
    if (each['name'] !== filter.name || !isMessage(each['typed_config'])) return each
    const inner = toList(each['typed_config']['http_filters']).map(change)
    return Object.assign({}, each, {
      typed_config: Object.assign({}, each['typed_config'], { http_filters: inner }),
    })
  }
  const inChain = (chain: Message): Message =>
    Object.assign({}, chain, { filters: toList(chain['filters']).map(inNetworkFilter) })
  const listeners = whole.static_resources.listeners.map((listener) =>
    Object.assign({}, listener, { filter_chains: toList(listener['filter_chains']).map(inChain) }),
  )
  if (found !== 1) throw new Error(`the patch of ${wanted} selects ${found} filters`)
  return { ...whole, static_resources: { ...whole.static_resources, listeners } }
}

function typeOf(filter: Message): unknown {
  return isMessage(filter['typed_config']) ? filter['typed_config']['@type'] : undefined
}
