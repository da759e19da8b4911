import { endpointHosts, hostOf, isLocal } from './addresses.js'
import { byName, gather, type Gathered } from './gather.js'
import { DOWNSTREAM_QUIC, DOWNSTREAM_TLS, HTTP_CONNECTIONS, isRawBuffer } from './message-types.js'
import { flagOf, isThere, items, member, textOf, wordOf, type Part } from './part.js'
import { readRouteConfig } from './read-routes.js'
import type { EnvoyText } from './read-source.js'
import type {
  Chain,
  Cluster,
  Filter,
  HttpConnections,
  Listener,
  RouteConfig,
  Setup,
  Transport,
} from './setup.js'
import { extensionOf, typedConfig } from './typed.js'

/** `unseen`: what these texts refer to and do not hold, so nothing was said about it. */
export type ReadSetup = { readonly setup: Setup; readonly unseen: readonly string[] }

/** Takes texts that belong to one Envoy; `texts` has at least one. */
export function readSetup(texts: readonly [EnvoyText, ...EnvoyText[]]): ReadSetup {
  const gathered = gather(texts)
  const unseen: string[] = []
  const reader = new Reader(gathered, unseen)
  if (gathered.elsewhere.listeners) unseen.push('listeners of the listener discovery (lds_config)')
  if (gathered.elsewhere.clusters) unseen.push('clusters of the cluster discovery (cds_config)')
  const setup = {
    listeners: gathered.listeners.map((part, index) => reader.listener(part, index)),
    clusters: clustersOf(gathered),
    clustersElsewhere: gathered.elsewhere.clusters,
    listenersElsewhere: gathered.elsewhere.listeners,
    secrets: byName(gathered.secrets),
    admins: gathered.admins,
    root: texts[0].root,
  }
  return { setup, unseen }
}

function clustersOf({ clusters, endpoints }: Gathered): ReadonlyMap<string, Cluster> {
  const assignments = byName(endpoints, 'cluster_name')
  return new Map(
    Array.from(byName(clusters), ([name, part]) => {
      const own = member(part, 'load_assignment')
      const service = textOf(member(part, 'eds_cluster_config', 'service_name')) || name
      const assignment = isThere(own) ? own : assignments.get(service)
      const hosts = assignment ? endpointHosts(assignment) : isStatic(part) ? [] : undefined
      return [name, { name, part, where: `cluster ${name}`, hosts }]
    }),
  )
}

const DISCOVERY = ['STATIC', 'STRICT_DNS', 'LOGICAL_DNS', 'EDS', 'ORIGINAL_DST']

/** Its hosts are those that are written, if there are any. */
function isStatic(cluster: Part): boolean {
  const type = wordOf(member(cluster, 'type'), DISCOVERY)
  return (type === '' || type === 'STATIC') && !isThere(member(cluster, 'cluster_type'))
}

const DIRECTIONS = ['UNSPECIFIED', 'INBOUND', 'OUTBOUND']

class Reader {
  readonly #routeConfigs: ReadonlyMap<string, Part>
  readonly #delivered: ReadonlyMap<string, Part>
  readonly #unseen: string[]

  constructor(gathered: Gathered, unseen: string[]) {
    this.#routeConfigs = byName(gathered.routeConfigs)
    this.#delivered = byName(gathered.filters)
    this.#unseen = unseen
  }

  listener(part: Part, index: number): Listener {
    const name = textOf(member(part, 'name')) || `number ${index + 1}`
    const where = `listener ${name}`
    const more = items(member(part, 'additional_addresses')).map((each) => member(each, 'address'))
    const chains: Chain[] = []
    const listener: Listener = {
      name,
      part,
      where,
      open: [member(part, 'address'), ...more].some((address) => !isLocal(hostOf(address))),
      outbound: wordOf(member(part, 'traffic_direction'), DIRECTIONS) === 'OUTBOUND',
      chains,
    }
    items(member(part, 'filter_chains')).forEach((chain, at) => {
      const given = textOf(member(chain, 'name'))
      chains.push(this.#chain(listener, chain, `${where}, filter chain ${given || at + 1}`))
    })
    const last = member(part, 'default_filter_chain')
    if (isThere(last)) chains.push(this.#chain(listener, last, `${where}, default filter chain`))
    return listener
  }

  #chain(listener: Listener, part: Part, where: string): Chain {
    const filters = items(member(part, 'filters')).map((entry) => this.#filter(entry, where))
    const http = filters.find(({ type }) => type === HTTP_CONNECTIONS)
    return {
      listener,
      part,
      where,
      transport: transportOf(part),
      filters,
      http: http && this.#http(http, where),
    }
  }

  #http({ message, name }: Filter, chain: string): HttpConnections {
    const where = `${chain}, ${name}`
    return {
      part: message,
      where,
      filters: items(member(message, 'http_filters')).map((entry) => this.#filter(entry, chain)),
      routes: this.#routes(message, where),
    }
  }

  #filter(entry: Part, chain: string): Filter {
    const name = textOf(member(entry, 'name'))
    const where = `${chain}, ${name || 'a filter without name'}`
    const extension = extensionOf(entry, this.#delivered)
    const { type } = extension
    if (type === '' && isThere(member(entry, 'config_discovery'))) {
      this.#unseen.push(`the filter ${name} of ${chain} (config_discovery)`)
    }
    return { ...extension, name, entry, where }
  }

  #routes(http: Part, where: string): RouteConfig | undefined {
    const own = member(http, 'route_config')
    if (isThere(own)) return this.#whole(readRouteConfig(own))
    const name = textOf(member(http, 'rds', 'route_config_name'))
    const found = this.#routeConfigs.get(name)
    if (found && name !== '') return this.#whole(readRouteConfig(found))
    this.#unseen.push(name === '' ? `the routes of ${where}` : `the routes ${name} of ${where}`)
    return undefined
  }

  /** Routes may be chosen by a tree of matchers, or come for one host at a time. */
  #whole(config: RouteConfig): RouteConfig {
    const hosts = config.hosts.filter(({ part }) => isThere(member(part, 'matcher')))
    for (const { where } of hosts) this.#unseen.push(`the routes in the matcher of ${where}`)
    if (isThere(member(config.part, 'vhds'))) this.#unseen.push(`the virtual hosts of ${config.where} (vhds)`)
    return config
  }
}

function transportOf(chain: Part): Transport {
  const socket = member(chain, 'transport_socket')
  if (!isThere(socket)) return { kind: 'plain' }
  const { type, message } = typedConfig(socket)
  if (isRawBuffer(type) || (type === '' && textOf(member(socket, 'name')).endsWith('raw_buffer')))
    return { kind: 'plain' }
  if (type === DOWNSTREAM_TLS) return { kind: 'tls', context: message, quic: false }
  if (type === DOWNSTREAM_QUIC)
    return { kind: 'tls', context: member(message, 'downstream_tls_context'), quic: true }
  return { kind: 'other', type }
}

/** Whether Envoy skips it unless a route asks for it. */
export const isDisabled = ({ entry }: Filter): boolean => flagOf(member(entry, 'disabled')) === true
