/** An Envoy message as JSON, with the field names of the proto files. */
export type Message = { readonly [field: string]: unknown }

export type Bootstrap = Message & {
  readonly static_resources: { readonly listeners: readonly Message[]; readonly clusters: readonly Message[] }
}

/** Where an Envoy of a test finds something, and whose certificate it has: paths of PEM files. */
export type Endpoint = { readonly host: string; readonly port: number }
export type Identity = { readonly certificate: string; readonly key: string; readonly bundle: string }

export const HTTP_CONNECTION_MANAGER = 'envoy.filters.network.http_connection_manager'
export const EXT_AUTHZ = 'envoy.filters.http.ext_authz'
const TYPE = 'type.googleapis.com/'

export function typed(type: string, fields: Message): Message {
  return { '@type': TYPE + type, ...fields }
}

export function transport(direction: 'Downstream' | 'Upstream', context: Message): Message {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: typed(`envoy.extensions.transport_sockets.tls.v3.${direction}TlsContext`, context),
  }
}

export function cluster(name: string, { host, port }: Endpoint, fields: Message): Message {
  const address = { socket_address: { address: host, port_value: port } }
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    ...fields,
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
  }
}

export const HTTP2: Message = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      { explicit_http_config: { http2_protocol_options: {} } },
    ),
  },
}

export const ROUTER: Message = {
  name: 'envoy.filters.http.router',
  typed_config: typed('envoy.extensions.filters.http.router.v3.Router', {}),
}

/** One listener on a free port of loopback, one HTTP connection manager, and an admin interface. */
export function bootstrap(
  listener: { readonly name: string; readonly tls: Message; readonly manager: Message },
  clusters: readonly Message[],
): Bootstrap {
  const anywhere = { socket_address: { address: '127.0.0.1', port_value: 0 } }
  const manager = {
    name: HTTP_CONNECTION_MANAGER,
    typed_config: typed(
      'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      listener.manager,
    ),
  }
  return {
    node: { id: listener.name, cluster: listener.name },
    admin: { address: anywhere },
    static_resources: {
      listeners: [
        {
          name: listener.name,
          address: anywhere,
          filter_chains: [{ transport_socket: transport('Downstream', listener.tls), filters: [manager] }],
        },
      ],
      clusters,
    },
  }
}

/**
 * Merges as protobuf does: messages field by field, lists by appending, everything else by replacing. What a field has
 * by default (false, 0, '') isn't there on the wire and changes nothing, so a patch that says it throws.
 */
export function merged(into: Message, patch: Message): Message {
  const result: Record<string, unknown> = { ...into }
  for (const [field, value] of Object.entries(patch)) {
    const before = result[field]
    if (value === false || value === 0 || value === '') {
      throw new Error(`a merge can't set ${field} to ${JSON.stringify(value)}`)
    }
    if (Array.isArray(value)) result[field] = Array.isArray(before) ? [...toList(before), ...value] : value
    else result[field] = isMessage(value) && isMessage(before) ? merged(before, value) : value
  }
  return result
}

export function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function toList(value: unknown): readonly Message[] {
  return Array.isArray(value) ? value.filter(isMessage) : []
}
