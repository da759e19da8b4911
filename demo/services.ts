/** One service of the example mesh and what runs for it. */
export type Service = {
  readonly name: string
  /** The shipped file its Envoy runs. */
  readonly envoy: 'sidecar.yaml' | 'sidecar-tcp.yaml' | 'gateway.yaml'
  /** Its workload, as `<namespace>/<service account>`. */
  readonly workload: string
  /** Ports of sidecar-tcp.yaml that are others here. */
  readonly ports?: ReadonlyMap<number, number>
  /** Its Envoy asks for a client certificate but believes any, or none. */
  readonly careless?: true
  readonly upstream: { readonly kind: 'http' | 'tcp'; readonly port: number } | undefined
}

export const PORTS = {
  /** Sidecars and the gateway, from the outside. */
  inbound: 8443,
  /** A sidecar, from its own application. */
  outbound: 15001,
  database: 5432,
  cache: 6379,
  admin: 9901,
  mesh: 9191,
  edge: 9193,
  health: 8282,
  public: 8280,
  api: 9192,
} as const

/** Where the service's Envoy takes connections of others. */
export function inboundPort({ envoy, ports }: Service): number {
  if (envoy !== 'sidecar-tcp.yaml') return PORTS.inbound
  return ports?.get(PORTS.database) ?? PORTS.database
}

const http = (name: string): Service => ({
  name,
  envoy: 'sidecar.yaml',
  workload: `shop/${name}`,
  upstream: { kind: 'http', port: 8080 },
})

export const SERVICES: readonly Service[] = [
  http('user-service'),
  http('order-service'),
  http('payment-service'),
  http('inventory-service'),
  http('email-service'),
  http('checkout-service'),
  http('admin-service'),
  {
    name: 'database-service',
    envoy: 'sidecar-tcp.yaml',
    workload: 'shop/database-service',
    upstream: { kind: 'tcp', port: 15432 },
  },
  {
    name: 'cache-service',
    envoy: 'sidecar-tcp.yaml',
    workload: 'shop/cache-service',
    ports: new Map([
      [5432, PORTS.cache],
      [15432, 16379],
    ]),
    upstream: { kind: 'tcp', port: 16379 },
  },
]

/** Host that users call. */
export const WEB_HOST = 'shop.example.com'

export const GATEWAY: Service = {
  name: 'gateway',
  envoy: 'gateway.yaml',
  workload: 'edge/gateway',
  upstream: undefined,
}

/**
 * payment-service once more, behind an Envoy whose operator left the verification of client certificates out:
 * the one thing here that differs from what is shipped. It shows what Portcullis itself thinks of a certificate.
 */
export const CARELESS: Service = { ...http('payment-service'), name: 'payment-careless', careless: true }

/** Services that mint service tokens; the keys are made anew for each run. */
export const TOKEN_ISSUERS: readonly string[] = ['checkout-service', 'order-service']

/** Workloads with SVIDs of an intermediate that is in nobody's bundle. */
export const UNLISTED_INTERMEDIATE: ReadonlySet<string> = new Set(['shop/admin-service'])
