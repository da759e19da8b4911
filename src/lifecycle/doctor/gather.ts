import { isThere, items, member, textOf, type Part } from './part.js'
import type { EnvoyText } from './read-source.js'
import { typed } from './typed.js'

/** The resources of an Envoy, wherever they were written. */
export type Gathered = {
  readonly listeners: readonly Part[]
  readonly clusters: readonly Part[]
  readonly routeConfigs: readonly Part[]
  readonly secrets: readonly Part[]
  /** Endpoints that came apart from their cluster (EDS). */
  readonly endpoints: readonly Part[]
  /** Filters that came by name (ECDS). */
  readonly filters: readonly Part[]
  readonly admins: readonly Part[]
  /** What these texts only refer to. */
  readonly elsewhere: { readonly listeners: boolean; readonly clusters: boolean }
}

type Kind = Exclude<keyof Gathered, 'elsewhere'>

const KIND_OF_RESOURCE: ReadonlyMap<string, Kind> = new Map([
  ['envoy.config.listener.v3.Listener', 'listeners'],
  ['envoy.config.cluster.v3.Cluster', 'clusters'],
  ['envoy.config.route.v3.RouteConfiguration', 'routeConfigs'],
  ['envoy.extensions.transport_sockets.tls.v3.Secret', 'secrets'],
  ['envoy.config.endpoint.v3.ClusterLoadAssignment', 'endpoints'],
  ['envoy.config.core.v3.TypedExtensionConfig', 'filters'],
])

/** Texts that belong to one Envoy, taken together. */
export function gather(texts: readonly EnvoyText[]): Gathered {
  const found = nothing()
  const refersTo = { listeners: false, clusters: false }
  for (const { kind, root } of texts) {
    if (kind === 'config dump') fromDump(root, found)
    else if (kind === 'resources') for (const each of items(member(root, 'resources'))) sort(each, found)
    else {
      fromBootstrap(root, found)
      const dynamic = member(root, 'dynamic_resources')
      refersTo.listeners ||= isThere(member(dynamic, 'lds_config'))
      refersTo.clusters ||= isThere(member(dynamic, 'cds_config'))
    }
  }
  const seen = (type: Kind): boolean =>
    texts.some(
      ({ kind, root }) =>
        kind === 'config dump' ||
        (kind === 'resources' &&
          items(member(root, 'resources')).some((each) => KIND_OF_RESOURCE.get(typed(each).type) === type)),
    )
  return {
    ...found,
    elsewhere: {
      listeners: refersTo.listeners && !seen('listeners'),
      clusters: refersTo.clusters && !seen('clusters'),
    },
  }
}

function sort(resource: Part, found: Record<Kind, Part[]>): void {
  const { type, message } = typed(resource)
  const kind = KIND_OF_RESOURCE.get(type)
  if (kind) found[kind].push(message)
}

function fromBootstrap(root: Part, found: Record<Kind, Part[]>): void {
  const resources = member(root, 'static_resources')
  for (const kind of ['listeners', 'clusters', 'secrets'] as const) {
    found[kind].push(...items(member(resources, kind)))
  }
  const admin = member(root, 'admin')
  if (isThere(admin)) found.admins.push(admin)
}

/** Source: envoy.admin.v3. What drains is on its way out and passed over. */
function fromDump(root: Part, found: Record<Kind, Part[]>): void {
  const add = (kind: Kind, entries: readonly Part[]): void => void found[kind].push(...entries)
  const under = (config: Part, list: string, ...names: readonly string[]): Part[] =>
    items(member(config, list))
      .map((entry) => typed(member(entry, ...names)).message)
      .filter(isThere)
  const configs = items(member(root, 'configs'))
  const types = new Set(configs.map((config) => typed(config).type))
  for (const config of configs) {
    switch (typed(config).type) {
      case 'envoy.admin.v3.BootstrapConfigDump': {
        const bootstrap = nothing()
        fromBootstrap(member(config, 'bootstrap'), bootstrap)
        add('admins', bootstrap.admins)
        add('secrets', bootstrap.secrets)
        // Where Envoy lists them itself, these are the same ones again.
        if (!types.has('envoy.admin.v3.ListenersConfigDump')) add('listeners', bootstrap.listeners)
        if (!types.has('envoy.admin.v3.ClustersConfigDump')) add('clusters', bootstrap.clusters)
        break
      }
      case 'envoy.admin.v3.ListenersConfigDump':
        add('listeners', under(config, 'static_listeners', 'listener'))
        add('listeners', under(config, 'dynamic_listeners', 'active_state', 'listener'))
        add('listeners', under(config, 'dynamic_listeners', 'warming_state', 'listener'))
        break
      case 'envoy.admin.v3.ClustersConfigDump':
        for (const list of ['static_clusters', 'dynamic_active_clusters', 'dynamic_warming_clusters']) {
          add('clusters', under(config, list, 'cluster'))
        }
        break
      case 'envoy.admin.v3.RoutesConfigDump':
        for (const list of ['static_route_configs', 'dynamic_route_configs']) {
          add('routeConfigs', under(config, list, 'route_config'))
        }
        break
      case 'envoy.admin.v3.EcdsConfigDump':
        add('filters', under(config, 'ecds_filters', 'ecds_filter'))
        break
      case 'envoy.admin.v3.EndpointsConfigDump':
        for (const list of ['static_endpoint_configs', 'dynamic_endpoint_configs']) {
          add('endpoints', under(config, list, 'endpoint_config'))
        }
        break
      case 'envoy.admin.v3.SecretsConfigDump':
        for (const list of ['static_secrets', 'dynamic_active_secrets', 'dynamic_warming_secrets']) {
          add('secrets', under(config, list, 'secret'))
        }
        break
      default:
    }
  }
}

const nothing = (): Record<Kind, Part[]> => ({
  listeners: [],
  clusters: [],
  routeConfigs: [],
  secrets: [],
  endpoints: [],
  filters: [],
  admins: [],
})

/** Resources by name; where a name comes twice, the first. */
export function byName(resources: readonly Part[], field = 'name'): ReadonlyMap<string, Part> {
  const named = new Map<string, Part>()
  for (const resource of resources) {
    const name = textOf(member(resource, field))
    if (!named.has(name)) named.set(name, resource)
  }
  return named
}
