import { routesLeftOff } from './levels.js'
import { HTTP_EXT_AUTHZ, NETWORK_EXT_AUTHZ, TCP_PROXY } from './message-types.js'
import { isThere, member, textOf, type Part } from './part.js'
import { destinations } from './read-routes.js'
import { isDisabled } from './read-setup.js'
import type { Chain, Cluster, Filter, HttpConnections, Setup } from './setup.js'

/** A filter that asks Portcullis about what passes a chain. */
export type Ask = {
  readonly chain: Chain
  readonly filter: Filter
  /** Undefined where it asks about connections. */
  readonly http: HttpConnections | undefined
  /** Name of the cluster that it asks; '' where it asks none (google_grpc, http_service). */
  readonly cluster: string
  /** Where callers are workloads that show certificates; else they are users at a gateway. */
  readonly mutual: boolean
}

/** `named` are the clusters that are Portcullis; without names they are found by what they are called. */
export function findAsks(setup: Setup, named: readonly string[]): readonly Ask[] {
  const all = setup.listeners.flatMap(({ chains }) => chains.flatMap(asksOf))
  if (named.length > 0) return all.filter(({ cluster }) => named.includes(cluster))
  const called = all.filter(({ filter, cluster }) => isCalledSo(filter, cluster, setup.clusters))
  return called.length > 0 ? called : all
}

function asksOf(chain: Chain): Ask[] {
  const of = (filter: Filter, http: HttpConnections | undefined): Ask => ({
    chain,
    filter,
    http,
    cluster: clusterOf(filter.message),
    mutual: isMutual(chain, filter),
  })
  return [
    ...chain.filters.filter(({ type }) => type === NETWORK_EXT_AUTHZ).map((filter) => of(filter, undefined)),
    ...(chain.http?.filters ?? [])
      .filter(({ type }) => type === HTTP_EXT_AUTHZ)
      .map((filter) => of(filter, chain.http)),
  ]
}

const clusterOf = (message: Part): string =>
  textOf(member(message, 'grpc_service', 'envoy_grpc', 'cluster_name')) ||
  textOf(member(message, 'http_service', 'server_uri', 'cluster'))

function isCalledSo(filter: Filter, cluster: string, clusters: ReadonlyMap<string, Cluster>): boolean {
  const grpc = member(filter.message, 'grpc_service')
  return [
    cluster,
    textOf(member(grpc, 'envoy_grpc', 'authority')),
    textOf(member(grpc, 'google_grpc', 'target_uri')),
    textOf(member(filter.message, 'stat_prefix')),
    ...(clusters.get(cluster)?.hosts ?? []),
  ].some((text) => /portcullis/i.test(text))
}

/** A gateway's listener knows nothing of its clients' certificates; a service's does, even where a part is forgotten. */
function isMutual(chain: Chain, { message }: Filter): boolean {
  return isThere(member(message, 'include_peer_certificate')) || looksAtCertificates(chain)
}

/** Whether the chain has anything about certificates of clients. */
export function looksAtCertificates({ transport }: Chain): boolean {
  if (transport.kind !== 'tls') return false
  const common = member(transport.context, 'common_tls_context')
  return [
    member(transport.context, 'require_client_certificate'),
    member(common, 'validation_context'),
    member(common, 'validation_context_sds_secret_config'),
    member(common, 'combined_validation_context'),
  ].some(isThere)
}

/** Clusters that calls over this chain may reach; undefined where its routes are not known. */
export function reachOf({ filters, http }: Chain): readonly string[] | undefined {
  const tcp = filters.filter(({ type }) => type === TCP_PROXY)
  const direct = tcp.flatMap(({ message }) => destinations(message))
  if (!http) return direct
  return http.routes?.hosts.flatMap(({ routes }) => routes.flatMap(({ clusters }) => clusters)).concat(direct)
}

/** Chains where somebody is asked: by a filter that is not switched off, or that every route switches on. */
export function askingChains(asks: readonly Ask[]): ReadonlySet<Chain> {
  const chains = asks.map(({ chain }) => chain)
  return new Set(chains.filter((chain) => !isLeftOff(asks.filter((ask) => ask.chain === chain))))
}

/** Whether these filters of one chain leave something out. */
export function isLeftOff(asks: readonly Ask[]): boolean {
  if (asks.length === 0 || asks.some(({ filter }) => !isDisabled(filter))) return false
  const [{ http } = { http: undefined }] = asks
  return (
    !http?.routes ||
    routesLeftOff(
      http,
      asks.map(({ filter }) => filter),
    ).length > 0
  )
}
