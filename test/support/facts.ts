import type { UserPrincipal } from '../../src/identity/principal.js'
import type { HttpCall } from '../../src/request/access-request.js'
import { type Facts, NO_DEVICE, NO_SESSION, UNKNOWN_CLIENT } from '../../src/segmentation/facts.js'
import { riskBeganMs } from '../../src/session/step-up.js'
import type { Endpoint, Service } from '../../src/segmentation/matrix.js'

/** Monday 2026-11-23T21:30:00Z. */
export const NOW_MS = Date.UTC(2026, 10, 23, 21, 30)

export const aUser = (user: Partial<UserPrincipal> = {}): UserPrincipal => ({
  issuer: 'https://idp.example',
  subject: 'alice',
  email: undefined,
  roles: [],
  scopes: [],
  clientId: undefined,
  deviceId: undefined,
  deviceTrust: undefined,
  riskScore: undefined,
  mfaVerified: false,
  sessionId: undefined,
  acr: undefined,
  amr: [],
  authTimeMs: undefined,
  zone: undefined,
  claims: {},
  ...user,
})

export const aService = (service: Partial<Service> = {}): Service => ({
  id: 'shop/payment-service',
  name: 'payment-service',
  namespace: 'shop',
  labels: new Map(),
  mode: 'Enforce',
  source: 'payment.yaml:1:1',
  ...service,
})

export const anEndpoint = (endpoint: Partial<Endpoint> = {}): Endpoint => ({
  name: 'ProcessPayment',
  mode: 'Enforce',
  require: 'Workload',
  sensitivity: 'Medium',
  mfa: 'None',
  maxAuthAgeMs: undefined,
  operation: 'Write',
  dataPolicy: undefined,
  source: 'payment.yaml:9:5',
  ...endpoint,
})

/** Headers as pairs, so that one may be repeated. */
export const aCall = (
  call: Partial<Omit<HttpCall, 'headers'>> & {
    readonly headers?: readonly (readonly [string, string])[]
  } = {},
): HttpCall => {
  const headers = call.headers ?? []
  const valuesOf = (name: string) => headers.filter(([key]) => key === name)
  return {
    method: 'POST',
    path: '/api/payments',
    query: '',
    host: 'payment-service',
    protocol: 'HTTP/2',
    upgrade: false,
    grpc: false,
    ...call,
    headers: {
      get: (name) => (valuesOf(name).length === 1 ? valuesOf(name)[0]?.[1] : undefined),
      count: (name) => valuesOf(name).length,
      names: () => headers.map(([key]) => key),
    },
  }
}

/** What a test doesn't say is absent, but for the target: shop/payment-service. */
export type KnownFacts = {
  readonly http?: HttpCall | undefined
  readonly user?: UserPrincipal | undefined
  /** SPIFFE ID of the calling workload. */
  readonly workload?: string | undefined
  readonly caller?: Service | undefined
  readonly endpoint?: Endpoint | undefined
  readonly targetService?: Service | undefined
  readonly sourceIp?: string
  readonly port?: number
  readonly sni?: string
  readonly riskScore?: number | undefined
  readonly riskLevel?: Facts['riskLevel']
  readonly client?: Facts['client']
  readonly session?: Facts['session']
  readonly device?: Facts['device']
  readonly nowMs?: number
}

export function factsOf(known: KnownFacts = {}): Facts {
  const { workload } = known
  const trustDomain = workload?.split('/')[2] ?? ''
  const service = 'targetService' in known ? known.targetService : aService()
  return {
    request: {
      requestId: '',
      source: { ip: known.sourceIp ?? '', port: 0, principal: '', certificate: '' },
      destination: { ip: '', port: known.port ?? 0, principal: '' },
      http: known.http,
      contextExtensions: new Map(),
      sni: known.sni ?? '',
    },
    identity: {
      workload:
        workload === undefined
          ? undefined
          : {
              spiffeId: {
                text: workload,
                trustDomain,
                path: workload.slice(`spiffe://${trustDomain}`.length),
              },
              verifiedBy: 'certificate',
            },
      serviceToken: undefined,
      user: known.user,
    },
    caller: known.caller,
    target: {
      service,
      id: service?.id,
      spiffeId: undefined,
      mode: service?.mode ?? 'Enforce',
      path: known.http?.path ?? '',
    },
    endpoint: known.endpoint,
    gateway: false,
    riskScore: known.riskScore,
    riskSources: known.user?.riskScore
      ? [{ score: known.user.riskScore, beganMs: riskBeganMs(known.user) }]
      : [],
    riskLevel: known.riskLevel,
    client: known.client ?? UNKNOWN_CLIENT,
    session: known.session ?? NO_SESSION,
    device: known.device ?? NO_DEVICE,
    nowMs: known.nowMs ?? NOW_MS,
  }
}
