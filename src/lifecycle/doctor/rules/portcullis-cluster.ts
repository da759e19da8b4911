import { isLocal } from '../addresses.js'
import {
  HEALTH_CHECKS,
  HTTP2_EXPLICITLY,
  HTTP2_OPTIONS,
  OWN_CERTIFICATE,
  SERVER_IDENTITY,
  SERVER_MATCH,
  SERVER_NAME,
  TRUST,
  tlsToPortcullis,
} from '../as-shipped.js'
import type { Examined } from '../examined.js'
import { UPSTREAM_HTTP_OPTIONS, UPSTREAM_TLS } from '../message-types.js'
import { entries, isThere, items, member, numberOf, takenAway, textOf, type Part } from '../part.js'
import type { Cluster } from '../setup.js'
import { typed, typedConfig } from '../typed.js'
import { hasTrust, isAutomatic, namesServer, validationContexts } from '../validation-contexts.js'

/** The other gRPC client of Envoy has no cluster: it is told where to go in the filter. */
export function googleGrpc({ asks, tell }: Examined): void {
  for (const { filter } of asks) {
    const service = member(filter.message, 'grpc_service')
    const google = member(service, 'google_grpc')
    const target = textOf(member(google, 'target_uri'))
    if (!isThere(google) || isLocal(target.replace(/:[0-9]+$/, '')) || target.startsWith('unix:')) continue
    if (isThere(member(google, 'channel_credentials', 'ssl_credentials'))) continue
    tell({
      severity: 'error',
      code: 'plaintext',
      message: `Portcullis is asked in plaintext${target === '' ? '' : ` at ${target}`}`,
      why: IN_PLAINTEXT,
      where: filter.where,
      at: google,
      fix: {
        into: service,
        called: 'grpc_service of ExtAuthz',
        set: { google_grpc: null, envoy_grpc: { cluster_name: 'portcullis' } },
      },
    })
  }
}

const IN_PLAINTEXT = 'Whoever is on the way reads tokens, and can answer in place of Portcullis.'

/** How Portcullis is reached, cluster by cluster. */
export function portcullisClusters(examined: Examined): void {
  const { setup, asks, portcullis } = examined
  for (const name of portcullis) {
    const cluster = setup.clusters.get(name)
    if (cluster) {
      transport(cluster, examined)
      protocolAndHealth(cluster, examined)
      continue
    }
    const ask = asks.find((each) => each.cluster === name)
    if (setup.clustersElsewhere || !ask) continue
    examined.tell({
      severity: 'error',
      code: 'cluster-unknown',
      message: `there is no cluster ${name}`,
      why: 'Envoy has nobody to ask: every call is refused, or passes with failure_mode_allow.',
      where: ask.filter.where,
      at: member(ask.filter.message, 'grpc_service', 'envoy_grpc', 'cluster_name'),
      fix: {
        into: setup.root,
        called: 'bootstrap',
        set: { static_resources: { clusters: [{ name, type: 'STRICT_DNS', ...wholeCluster(name) }] } },
      },
    })
  }
}

const wholeCluster = (name: string): object => ({
  connect_timeout: '0.25s',
  lb_policy: 'LEAST_REQUEST',
  common_lb_config: { healthy_panic_threshold: { value: 0 } },
  typed_extension_protocol_options: HTTP2_OPTIONS,
  health_checks: HEALTH_CHECKS,
  transport_socket: tlsToPortcullis,
  load_assignment: {
    cluster_name: name,
    endpoints: [
      {
        lb_endpoints: [
          {
            endpoint: {
              address: {
                socket_address: {
                  address: 'portcullis-headless.portcullis-system.svc.cluster.local',
                  port_value: 9191,
                },
              },
            },
          },
        ],
      },
    ],
  },
})

/** Options of HTTP, also in their old place. */
const httpOptions = (cluster: Part): Part | undefined =>
  entries(member(cluster, 'typed_extension_protocol_options'))
    .map(([, options]) => typed(options))
    .find(({ type }) => type === UPSTREAM_HTTP_OPTIONS)?.message

function transport({ part, where, hosts }: Cluster, { setup, tell, unread }: Examined): void {
  const matched = items(member(part, 'transport_socket_matches')).map((each) =>
    member(each, 'transport_socket'),
  )
  const contexts = [member(part, 'transport_socket'), ...matched]
    .map(typedConfig)
    .filter(({ type }) => type === UPSTREAM_TLS)
  const local = hosts !== undefined && hosts.length > 0 && hosts.every(isLocal)
  const socket = member(part, 'transport_socket')
  if (contexts.length === 0) {
    const other = isThere(socket) && !/raw_buffer|RawBuffer/.test(JSON.stringify(socket.value))
    if (other) unread(`the transport of ${where} (${typedConfig(socket).type || 'of no type'})`)
    if (local || other) return
    const away = hosts?.find((host) => !isLocal(host))
    tell({
      severity: 'error',
      code: 'plaintext',
      message: `Portcullis is asked in plaintext${away === undefined ? '' : ` at ${away}`}`,
      why: IN_PLAINTEXT,
      where,
      at: socket,
      fix: { into: part, called: 'cluster', set: { transport_socket: tlsToPortcullis } },
    })
    return
  }
  const options = httpOptions(part)
  for (const { message } of contexts) upstreamTls(message, where, options, setup.secrets, tell)
}

function upstreamTls(
  context: Part,
  where: string,
  options: Part | undefined,
  secrets: ReadonlyMap<string, Part>,
  tell: Examined['tell'],
): void {
  const common = member(context, 'common_tls_context')
  const { contexts, complete } = validationContexts(common, secrets)
  const automatic = (field: string): boolean => options !== undefined && isAutomatic(options, field)
  const into = { into: common, called: 'common_tls_context of UpstreamTlsContext' }
  if (complete && !contexts.some(hasTrust)) {
    tell({
      severity: 'error',
      code: 'server-unverified',
      message: "Portcullis' certificate is not verified",
      why: 'Whoever is on the way can answer in its place, and allow everything.',
      where,
      at: common,
      fix: {
        ...into,
        set: {
          ...takenAway(common, 'validation_context', 'validation_context_sds_secret_config'),
          ...SERVER_IDENTITY,
        },
      },
    })
  } else if (complete || contexts.length > 0 || delivers(common)) {
    // What comes by a secret that was not seen may name the server; what is known to be written does not.
    if (!contexts.some(namesServer) && !automatic('auto_san_validation')) {
      tell({
        severity: 'error',
        code: 'server-unverified',
        message: 'nothing says which name Portcullis must show',
        why: 'Every workload with a certificate of the mesh can answer in its place.',
        where,
        at: contexts[0] ?? common,
        fix: { ...into, set: matchedBy(common) },
      })
    }
  }
  const sni = member(context, 'sni')
  if (textOf(sni) === '' && !automatic('auto_sni')) {
    tell({
      severity: 'warning',
      code: 'server-name',
      message: 'no server name is sent (sni)',
      why: 'Where several servers share an address, another one may answer the handshake.',
      where,
      at: sni,
      fix: { into: context, called: 'UpstreamTlsContext', set: { sni: SERVER_NAME } },
    })
  }
  const own = ['tls_certificates', 'tls_certificate_sds_secret_configs', 'tls_certificate_provider_instance']
  if (own.some((field) => isThere(member(common, field)))) return
  tell({
    severity: 'warning',
    code: 'own-certificate',
    message: 'this Envoy shows Portcullis no certificate',
    why: 'Portcullis asks for one on a TLS listener, so that only Envoys of the mesh can ask it: the connection is refused.',
    where,
    at: common,
    fix: { ...into, set: OWN_CERTIFICATE },
  })
}

const delivers = (common: Part): boolean =>
  isThere(member(common, 'validation_context_sds_secret_config')) ||
  isThere(member(common, 'combined_validation_context'))

/** The name beside the trust that is there already. */
function matchedBy(common: Part): object {
  const plain = member(common, 'validation_context_sds_secret_config')
  if (isThere(plain)) {
    return {
      validation_context_sds_secret_config: null,
      combined_validation_context: {
        default_validation_context: SERVER_MATCH,
        validation_context_sds_secret_config: plain.value,
      },
    }
  }
  return isThere(member(common, 'combined_validation_context'))
    ? { combined_validation_context: { default_validation_context: SERVER_MATCH } }
    : isThere(member(common, 'validation_context'))
      ? { validation_context: SERVER_MATCH }
      : { combined_validation_context: { default_validation_context: SERVER_MATCH, ...TRUST } }
}

/** In place of whatever other protocol was chosen. */
function onlyHttp2(options: Part): object {
  const others = ['http_protocol_options', 'http3_protocol_options']
  return {
    ...takenAway(options, 'use_downstream_protocol_config', 'auto_config'),
    explicit_http_config: {
      ...takenAway(member(options, 'explicit_http_config'), ...others),
      ...HTTP2_EXPLICITLY,
    },
  }
}

function protocolAndHealth({ part, where }: Cluster, { tell }: Examined): void {
  const options = httpOptions(part)
  const speaks =
    isThere(member(part, 'http2_protocol_options')) ||
    (options !== undefined &&
      (isThere(member(options, 'explicit_http_config', 'http2_protocol_options')) ||
        isThere(member(options, 'auto_config'))))
  if (!speaks) {
    tell({
      severity: 'error',
      code: 'http2',
      message: 'HTTP/2 is not switched on for this cluster',
      why: 'Questions are gRPC, which needs it: none arrives, and every call is refused or, with failure_mode_allow, passes.',
      where,
      at: member(part, 'typed_extension_protocol_options'),
      fix: options
        ? { into: options, called: 'HttpProtocolOptions', set: onlyHttp2(options) }
        : { into: part, called: 'cluster', set: { typed_extension_protocol_options: HTTP2_OPTIONS } },
    })
  }
  const checks = member(part, 'health_checks')
  if (!items(checks).some((check) => isThere(member(check, 'grpc_health_check')))) {
    tell({
      severity: 'warning',
      code: 'health-check',
      message: 'Envoy does not check the health of Portcullis',
      why: 'A replica that drains, hangs or has no policy is asked all the same, and calls wait and are refused.',
      where,
      at: checks,
      fix: { into: part, called: 'cluster', set: { health_checks: HEALTH_CHECKS } },
    })
  }
  const threshold = member(part, 'common_lb_config', 'healthy_panic_threshold')
  // Envoy prints a percentage of zero as an empty message.
  if (isThere(threshold) && (numberOf(member(threshold, 'value')) ?? 0) === 0) return
  tell({
    severity: 'warning',
    code: 'panic-threshold',
    message: 'with half of the replicas unhealthy Envoy asks the unhealthy ones, too',
    why: 'Questions go to replicas that said they are not ready, and their calls are refused while others could answer.',
    where,
    at: threshold,
    fix: {
      into: part,
      called: 'cluster',
      set: { common_lb_config: { healthy_panic_threshold: { value: 0 } } },
    },
  })
}
