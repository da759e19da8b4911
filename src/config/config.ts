import { dirname, resolve } from 'node:path'
import { parseDurationMs } from '../schema/units.js'
import { parseListenAddress } from './address.js'
import type { ListenAddress } from './address.js'
import { type AdminConfig, adminOf, type GrantsConfig, grantsOf } from './admin.js'
import { type AuditConfig, auditOf } from './audit.js'
import { type LimitsConfig, limitsOf } from './limits.js'
import { type PolicyConfig, policyOf } from './policy.js'
import type { EffectiveConfiguration } from './schema.js'
import { type AlertSinkConfig, alertSinkOf, type GeoConfig, geoOf } from './signals.js'
import { type SsfConfig, ssfOf } from './ssf.js'
import { type OnUnavailableConfig, onUnavailableOf, type StoreConfig, storeOf } from './store.js'
import { logLevelOf, type TelemetryConfig, telemetryOf } from './telemetry.js'
import { agentTarget, type BundleSource, bundleSource } from './trust.js'
import { type WebhookConfig, webhookOf } from './webhook.js'

/** Where an issuer's keys are. */
export type KeyLocation =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string }
  /** The issuer says where. */
  | { readonly kind: 'discovery'; readonly issuer: string }

type EffectiveListener = EffectiveConfiguration['listeners'][number]

/** What a listener presents and whom it takes. */
export type TlsSource = TlsFiles | TlsOfAgent

export type TlsFiles = {
  readonly kind: 'files'
  readonly certificate: string
  readonly key: string
  /** Undefined: no client certificate is asked for. */
  readonly clientCa: string | undefined
  /** SPIFFE ID patterns; undefined: every client whose certificate leads to `clientCa`. */
  readonly allowedClients: readonly string[] | undefined
}

/** Own SVID and bundle of the agent there, as a target of grpc-js. */
export type TlsOfAgent = {
  readonly kind: 'workloadApi'
  readonly target: string
  readonly allowedClients: readonly string[] | undefined
}

export type ListenerConfig = {
  readonly name: string
  readonly address: ListenAddress
  /** Undefined: plaintext. */
  readonly tls: TlsSource | undefined
  readonly role: 'Sidecar' | 'Gateway'
  readonly peerIdentity: 'Certificate' | 'Principal' | 'None'
  readonly principalTrustDomains: readonly string[]
  /** By SPIFFE ID. */
  readonly trustedProxies: ReadonlyMap<
    string,
    { readonly trustDomains: readonly string[]; readonly self: boolean }
  >
  /** Elements of x-forwarded-for after the client's that trusted hops wrote, beyond the asking Envoy's own. */
  readonly trustedHops: number
  readonly mtls: 'Strict' | 'Permissive'
  /** What answers Check: node:http2 straight, or @grpc/grpc-js. */
  readonly checkServer: 'Http2' | 'GrpcJs'
  readonly target: readonly ('principal' | 'extension' | 'route')[]
}

type UserTokens = EffectiveConfiguration['userTokens']['issuers'][number]

export type UserTokenIssuerConfig = {
  readonly issuer: string
  readonly audiences: readonly string[]
  /** Undefined: Envoy verifies its tokens. */
  readonly keys: KeyLocation | undefined
  /** Where Envoy keeps its payloads; undefined: under any key. */
  readonly metadataKey: string | undefined
  readonly senderConstraint: UserTokens['senderConstraint']
  readonly algorithms: UserTokens['algorithms']
  /** Only tokens of this type are taken. */
  readonly typ: 'at+jwt' | undefined
  /** Our name of a claim to the issuer's. */
  readonly claims: ReadonlyMap<string, string>
  readonly roles: readonly string[]
}

export type ServiceTokenIssuerConfig = {
  /** `namespace/name`. */
  readonly service: string
  readonly keys: KeyLocation
  readonly scopes: readonly string[]
}

/** Every option of portcullis.yaml with its default, paths absolute. Source: FORMATS 2. */
export type Config = {
  readonly listeners: readonly ListenerConfig[]
  readonly drain: { readonly timeoutMs: number; readonly delayMs: number }
  readonly trustDomain: string
  /** By trust domain. */
  readonly trustDomains: ReadonlyMap<string, BundleSource>
  readonly certificates: {
    readonly maxLifetimeMs: number
    readonly gracePeriodMs: number
    readonly revoked: {
      /** As written: `SERIAL` or `SERIAL@ISSUER`. */
      readonly serials: readonly string[]
      /** SHA-256, 64 lower-case hexadecimal digits. */
      readonly fingerprints: readonly string[]
      /** SPIFFE ID patterns. */
      readonly identities: readonly string[]
      /** Files of revocation lists. */
      readonly crls: readonly string[]
    }
  }
  readonly policy: PolicyConfig
  readonly serviceTokens: {
    readonly header: string
    readonly maxLifetimeMs: number
    /** Undefined: none is taken. */
    readonly jwtSvid: { readonly maxLifetimeMs: number } | undefined
    /** By `iss`. */
    readonly issuers: ReadonlyMap<string, ServiceTokenIssuerConfig>
  }
  readonly userTokens: {
    readonly clockSkewMs: number
    readonly dpop: { readonly origins: readonly string[]; readonly maxAgeMs: number; readonly nonce: boolean }
    readonly issuers: readonly UserTokenIssuerConfig[]
  }
  readonly jwks: {
    readonly refreshIntervalMs: number
    readonly cooldownMs: number
    readonly maxStaleMs: number
    readonly timeoutMs: number
    /** Hosts, lower-case, without port. Never empty where a key set has a URL. */
    readonly allowedHosts: readonly string[]
  }
  readonly stepUp: EffectiveConfiguration['stepUp']
  /** '' leaves a header out. */
  readonly upstreamHeaders: EffectiveConfiguration['upstreamHeaders']
  /** Undefined: none. */
  readonly upstreamAssertion:
    | {
        readonly header: string
        readonly issuer: string
        readonly lifetimeMs: number
        readonly reuseMs: number
        readonly algorithm: 'ES256' | 'EdDSA'
        readonly keyFile: string
        readonly overlapMs: number
      }
    | undefined
  readonly store: StoreConfig
  readonly onUnavailable: OnUnavailableConfig
  /** Undefined: nobody knows where clients are. */
  readonly geo: GeoConfig | undefined
  readonly threats: { readonly files: readonly string[] }
  readonly accessLogService: { readonly enabled: boolean }
  /** Undefined: off. */
  readonly admin: AdminConfig | undefined
  /** Undefined: off. */
  readonly webhook: WebhookConfig | undefined
  readonly deviceInventory: { readonly enabled: boolean }
  readonly grants: GrantsConfig
  readonly ssf: SsfConfig
  readonly alerts: {
    readonly sinks: readonly AlertSinkConfig[]
    /** Alerts that wait for one sink at most. */
    readonly buffer: number
  }
  readonly audit: AuditConfig
  readonly telemetry: TelemetryConfig
  /** The least that the operational log writes. */
  readonly log: { readonly level: ReturnType<typeof logLevelOf> }
  /** Undefined: off. */
  readonly health: { readonly listen: Extract<ListenAddress, { kind: 'tcp' }> | undefined }
  /** Undefined: off. */
  readonly public: { readonly listen: Extract<ListenAddress, { kind: 'tcp' }> | undefined }
  readonly limits: LimitsConfig
  readonly caches: { readonly tokens: number; readonly certificates: number }
  readonly showMessages: boolean
}

/** Turns an effective configuration without problems into what the program reads. Throws on one with problems. */
export function toConfig(effective: EffectiveConfiguration, file: string): Config {
  const folder = dirname(resolve(file))
  const at = (path: string): string => resolve(folder, path)
  const { drain, certificates, serviceTokens, userTokens, jwks, health } = effective
  const assertion = effective.upstreamAssertion
  return {
    listeners: effective.listeners.map((listener) => ({
      ...listener,
      address: absolute(addressOf(listener.address), at),
      tls: listener.tls && tlsOf(listener.tls, at),
      trustedProxies: new Map(
        listener.trustedProxies.map(({ identity, trustDomains, self }) => [identity, { trustDomains, self }]),
      ),
      target: listener.target ?? [],
    })),
    drain: { timeoutMs: ms(drain.timeout), delayMs: ms(drain.delay) },
    trustDomain: effective.trustDomain,
    trustDomains: mapOf(effective.trustDomains, ({ bundle }) => bundleSource(bundle, at)),
    certificates: {
      maxLifetimeMs: ms(certificates.maxLifetime),
      gracePeriodMs: ms(certificates.gracePeriod),
      revoked: {
        serials: certificates.revoked.serials,
        fingerprints: certificates.revoked.fingerprints.map(hex),
        identities: certificates.revoked.identities,
        crls: certificates.revoked.crls.map(at),
      },
    },
    policy: policyOf(effective.policy, at),
    serviceTokens: {
      header: serviceTokens.header,
      maxLifetimeMs: ms(serviceTokens.maxLifetime),
      jwtSvid: serviceTokens.jwtSvid.enabled
        ? { maxLifetimeMs: ms(serviceTokens.jwtSvid.maxLifetime) }
        : undefined,
      issuers: mapOf(serviceTokens.issuers, ({ service, keyFile, jwksUri, scopes }) => ({
        service,
        keys: keysOf(keyFile, jwksUri, at),
        scopes,
      })),
    },
    userTokens: {
      clockSkewMs: ms(userTokens.clockSkew),
      dpop: {
        origins: userTokens.dpop.origins.map((origin) => origin.replace(/\/$/, '')),
        maxAgeMs: ms(userTokens.dpop.maxAge),
        nonce: userTokens.dpop.nonce,
      },
      issuers: userTokens.issuers.map(({ jwksUri, jwksFile, verifiedBy, claims, ...issuer }) => ({
        issuer: issuer.issuer,
        audiences: issuer.audiences,
        keys:
          verifiedBy === 'Envoy'
            ? undefined
            : jwksFile === undefined && jwksUri === undefined
              ? { kind: 'discovery', issuer: issuer.issuer }
              : keysOf(jwksFile, jwksUri, at),
        metadataKey: issuer.metadataKey,
        senderConstraint: issuer.senderConstraint,
        algorithms: issuer.algorithms,
        typ: issuer.typ,
        claims: mapOf(claims, (source) => source),
        roles: issuer.roles,
      })),
    },
    jwks: {
      refreshIntervalMs: ms(jwks.refreshInterval),
      cooldownMs: ms(jwks.cooldown),
      maxStaleMs: ms(jwks.maxStale),
      timeoutMs: ms(jwks.timeout),
      allowedHosts:
        jwks.allowedHosts.length > 0
          ? jwks.allowedHosts.map((host) => host.toLowerCase())
          : hostsOf(effective),
    },
    stepUp: effective.stepUp,
    upstreamHeaders: effective.upstreamHeaders,
    upstreamAssertion: assertion && {
      header: assertion.header,
      issuer: assertion.issuer,
      lifetimeMs: ms(assertion.lifetime),
      reuseMs: ms(assertion.reuse),
      algorithm: assertion.algorithm,
      keyFile: at(assertion.keyFile),
      overlapMs: ms(assertion.overlap),
    },
    store: storeOf(effective.store, at),
    onUnavailable: onUnavailableOf(effective.onUnavailable),
    geo: geoOf(effective.geo, at),
    threats: { files: effective.threats.files.map(at) },
    accessLogService: effective.accessLogService,
    admin: adminOf(effective.admin, at),
    webhook: webhookOf(effective.webhook, at),
    deviceInventory: { enabled: effective.deviceInventory.enabled ?? false },
    grants: grantsOf(effective.grants),
    ssf: ssfOf(effective.ssf, at),
    alerts: {
      sinks: effective.alerts.sinks.map((sink) => alertSinkOf(sink, at)),
      buffer: effective.alerts.buffer,
    },
    audit: auditOf(effective.audit, at),
    telemetry: telemetryOf(effective.telemetry, at),
    log: { level: logLevelOf(effective.log) },
    health: { listen: health.listen === '' ? undefined : tcpOf(addressOf(health.listen)) },
    public: {
      listen: effective.public.listen === '' ? undefined : tcpOf(addressOf(effective.public.listen)),
    },
    limits: limitsOf(effective),
    caches: effective.caches,
    showMessages: effective.showMessages,
  }
}

/** Every URL that is fetched for keys, an issuer's own where it is asked for them, with the way to it. */
export function keySetUrls(
  effective: EffectiveConfiguration,
): { pointer: (string | number)[]; url: string }[] {
  const found: { pointer: (string | number)[]; url: string }[] = []
  for (const [issuer, { jwksUri }] of Object.entries(effective.serviceTokens.issuers)) {
    if (jwksUri !== undefined)
      found.push({ pointer: ['serviceTokens', 'issuers', issuer, 'jwksUri'], url: jwksUri })
  }
  effective.userTokens.issuers.forEach(({ issuer, jwksUri, jwksFile, verifiedBy }, index) => {
    const at = ['userTokens', 'issuers', index]
    if (verifiedBy === 'Envoy') return
    if (jwksUri !== undefined) found.push({ pointer: [...at, 'jwksUri'], url: jwksUri })
    else if (jwksFile === undefined && URL.canParse(issuer))
      found.push({ pointer: [...at, 'issuer'], url: issuer })
  })
  effective.ssf.transmitters.forEach(({ jwksUri }, index) => {
    if (jwksUri !== undefined)
      found.push({ pointer: ['ssf', 'transmitters', index, 'jwksUri'], url: jwksUri })
  })
  return found
}

function hostsOf(effective: EffectiveConfiguration): string[] {
  return [...new Set(keySetUrls(effective).map(({ url }) => new URL(url).hostname))]
}

function keysOf(
  file: string | undefined,
  url: string | undefined,
  at: (path: string) => string,
): KeyLocation {
  if (file !== undefined) return { kind: 'file', path: at(file) }
  if (url !== undefined) return { kind: 'url', url }
  throw new Error('an issuer without keys passed the checks')
}

function tlsOf(
  { certificate, key, clientCa, workloadApi, allowedClients }: NonNullable<EffectiveListener['tls']>,
  at: (path: string) => string,
): TlsSource {
  if (workloadApi !== undefined)
    return { kind: 'workloadApi', target: agentTarget(workloadApi, at), allowedClients }
  if (certificate === undefined || key === undefined)
    throw new Error('TLS without certificate or key passed the checks')
  return {
    kind: 'files',
    certificate: at(certificate),
    key: at(key),
    clientCa: clientCa === undefined ? undefined : at(clientCa),
    allowedClients,
  }
}

function addressOf(text: string): ListenAddress {
  const parsed = parseListenAddress(text)
  if (!parsed.ok) throw new Error(`an address that ${parsed.problem} passed the checks`)
  return parsed.address
}

function absolute(address: ListenAddress, at: (path: string) => string): ListenAddress {
  return address.kind === 'unix' ? { kind: 'unix', path: at(address.path) } : address
}

function tcpOf(address: ListenAddress): Extract<ListenAddress, { kind: 'tcp' }> {
  if (address.kind !== 'tcp') throw new Error('a Unix socket passed the checks where TCP is needed')
  return address
}

function ms(text: string): number {
  return parseDurationMs(text) ?? NaN
}

function hex(text: string): string {
  return text.replaceAll(':', '').toLowerCase()
}

function mapOf<In, Out>(
  named: Readonly<Record<string, In>>,
  read: (value: In) => Out,
): ReadonlyMap<string, Out> {
  return new Map(Object.entries(named).map(([name, value]) => [name, read(value)]))
}
