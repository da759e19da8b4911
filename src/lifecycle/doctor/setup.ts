import type { Part } from './part.js'
import type { Extension } from './typed.js'

/** An Envoy as far as it concerns who is asked about what. `where` are names for people, from the outside in. */
export type Setup = {
  readonly listeners: readonly Listener[]
  readonly clusters: ReadonlyMap<string, Cluster>
  /** Clusters come from elsewhere, so a name that is not among them says nothing. */
  readonly clustersElsewhere: boolean
  readonly listenersElsewhere: boolean
  readonly secrets: ReadonlyMap<string, Part>
  readonly admins: readonly Part[]
  /** The first text's, for what has no place of its own. */
  readonly root: Part
}

export type Listener = {
  readonly name: string
  readonly part: Part
  readonly where: string
  /** Others than this host's own processes can reach it. */
  readonly open: boolean
  /** Envoy was told that it is for calls that leave. */
  readonly outbound: boolean
  readonly chains: readonly Chain[]
}

export type Chain = {
  readonly listener: Listener
  readonly part: Part
  readonly where: string
  readonly transport: Transport
  readonly filters: readonly Filter[]
  /** At its end, where HTTP is spoken. */
  readonly http: HttpConnections | undefined
}

export type Transport =
  | { readonly kind: 'plain' }
  /** `quic` is always TLS 1.3. */
  | { readonly kind: 'tls'; readonly context: Part; readonly quic: boolean }
  /** A transport that says nothing about certificates that could be read here. */
  | { readonly kind: 'other'; readonly type: string }

/** A filter of a chain or of HTTP connections. */
export type Filter = Extension & {
  readonly name: string
  readonly entry: Part
  readonly where: string
}

export type HttpConnections = {
  readonly part: Part
  readonly where: string
  readonly filters: readonly Filter[]
  readonly routes: RouteConfig | undefined
}

export type RouteConfig = {
  readonly part: Part
  readonly name: string
  readonly where: string
  readonly hosts: readonly VirtualHost[]
}
export type VirtualHost = { readonly part: Part; readonly where: string; readonly routes: readonly Route[] }
export type Route = { readonly part: Part; readonly where: string; readonly clusters: readonly string[] }

export type Cluster = {
  readonly name: string
  readonly part: Part
  readonly where: string
  /** Hosts as written; undefined where they come from elsewhere. */
  readonly hosts: readonly string[] | undefined
}
