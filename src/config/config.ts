import { dirname, resolve } from 'node:path'
import { parseDurationMs, parseSizeBytes } from '../schema/units.js'
import { parseListenAddress } from './address.js'
import type { ListenAddress } from './address.js'
import type { EffectiveConfiguration } from './schema.js'

/** Where an issuer's keys are. */
export type KeyLocation =
  { readonly kind: 'file'; readonly path: string } | { readonly kind: 'url'; readonly url: string }

export type ListenerConfig = {
  readonly name: string
  readonly address: ListenAddress
  /** Files; undefined: plaintext. Without `clientCa` no client certificate is asked for. */
  readonly tls:
    | {
        readonly certificate: string
        readonly key: string
        readonly clientCa: string | undefined
        /** SPIFFE ID patterns; undefined: every client whose certificate leads to `clientCa`. */
        readonly allowedClients: readonly string[] | undefined
      }
    | undefined
  readonly role: 'Sidecar' | 'Gateway'
  readonly peerIdentity: 'Certificate' | 'Principal' | 'None'
  readonly principalTrustDomains: readonly string[]
  /** By SPIFFE ID. */
  readonly trustedProxies: ReadonlyMap<
    string,
    { readonly trustDomains: readonly string[]; readonly self: boolean }
  >
  readonly mtls: 'Strict' | 'Permissive'
  readonly target: readonly ('principal' | 'extension' | 'route')[]
}

type UserTokens = EffectiveConfiguration['userTokens']['issuers'][number]

export type UserTokenIssuerConfig = {
  readonly issuer: string
  readonly audiences: readonly string[]
  readonly keys: KeyLocation
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
  readonly trustDomains: ReadonlyMap<string, { readonly bundleFile: string }>
  readonly certificates: {
    readonly maxLifetimeMs: number
    readonly gracePeriodMs: number
    readonly revoked: {
      /** Lower-case hexadecimal without leading zeros. */
      readonly serials: readonly string[]
      /** SHA-256, 64 lower-case hexadecimal digits. */
      readonly fingerprints: readonly string[]
      /** SPIFFE ID patterns. */
      readonly identities: readonly string[]
    }
  }
  readonly policy: { readonly directory: string }
  readonly serviceTokens: {
    readonly header: string
    readonly maxLifetimeMs: number
    /** By `iss`. */
    readonly issuers: ReadonlyMap<string, ServiceTokenIssuerConfig>
  }
  readonly userTokens: { readonly clockSkewMs: number; readonly issuers: readonly UserTokenIssuerConfig[] }
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
  readonly store: { readonly type: 'Embedded'; readonly directory: string }
  readonly audit: EffectiveConfiguration['audit']
  /** Undefined: off. */
  readonly health: { readonly listen: Extract<ListenAddress, { kind: 'tcp' }> | undefined }
  readonly limits: { readonly maxMessageBytes: number; readonly deadlineMs: number }
  readonly caches: { readonly tokens: number; readonly certificates: number }
  readonly showMessages: boolean
}

/** Turns an effective configuration without problems into what the program reads. Throws on one with problems. */
export function toConfig(effective: EffectiveConfiguration, file: string): Config {
  const folder = dirname(resolve(file))
  const at = (path: string): string => resolve(folder, path)
  const { drain, certificates, serviceTokens, userTokens, jwks, health, limits } = effective
  return {
    listeners: effective.listeners.map((listener) => ({
      ...listener,
      address: absolute(addressOf(listener.address), at),
      tls: listener.tls && {
        certificate: at(listener.tls.certificate),
        key: at(listener.tls.key),
        clientCa: listener.tls.clientCa === undefined ? undefined : at(listener.tls.clientCa),
        allowedClients: listener.tls.allowedClients,
      },
      trustedProxies: new Map(
        listener.trustedProxies.map(({ identity, trustDomains, self }) => [identity, { trustDomains, self }]),
      ),
      target: listener.target ?? [],
    })),
    drain: { timeoutMs: ms(drain.timeout), delayMs: ms(drain.delay) },
    trustDomain: effective.trustDomain,
    trustDomains: mapOf(effective.trustDomains, ({ bundle }) => ({ bundleFile: at(bundle.file) })),
    certificates: {
      maxLifetimeMs: ms(certificates.maxLifetime),
      gracePeriodMs: ms(certificates.gracePeriod),
      revoked: {
        serials: certificates.revoked.serials.map((serial) => hex(serial).replace(/^0+(?=.)/, '')),
        fingerprints: certificates.revoked.fingerprints.map(hex),
        identities: certificates.revoked.identities,
      },
    },
    policy: { directory: at(effective.policy.directory) },
    serviceTokens: {
      header: serviceTokens.header,
      maxLifetimeMs: ms(serviceTokens.maxLifetime),
      issuers: mapOf(serviceTokens.issuers, ({ service, keyFile, jwksUri, scopes }) => ({
        service,
        keys: keysOf(keyFile, jwksUri, at),
        scopes,
      })),
    },
    userTokens: {
      clockSkewMs: ms(userTokens.clockSkew),
      issuers: userTokens.issuers.map(
        ({ issuer, audiences, jwksUri, jwksFile, algorithms, typ, claims, roles }) => ({
          issuer,
          audiences,
          keys: keysOf(jwksFile, jwksUri, at),
          algorithms,
          typ,
          claims: mapOf(claims, (source) => source),
          roles,
        }),
      ),
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
    store: { type: effective.store.type, directory: at(effective.store.directory) },
    audit: effective.audit,
    health: { listen: health.listen === '' ? undefined : tcpOf(addressOf(health.listen)) },
    limits: { maxMessageBytes: bytes(limits.maxMessageSize), deadlineMs: ms(limits.deadline) },
    caches: effective.caches,
    showMessages: effective.showMessages,
  }
}

/** Every URL of a key set, with the way to it. */
export function keySetUrls(
  effective: EffectiveConfiguration,
): { pointer: (string | number)[]; url: string }[] {
  const found: { pointer: (string | number)[]; url: string }[] = []
  for (const [issuer, { jwksUri }] of Object.entries(effective.serviceTokens.issuers)) {
    if (jwksUri !== undefined)
      found.push({ pointer: ['serviceTokens', 'issuers', issuer, 'jwksUri'], url: jwksUri })
  }
  effective.userTokens.issuers.forEach(({ jwksUri }, index) => {
    if (jwksUri !== undefined)
      found.push({ pointer: ['userTokens', 'issuers', index, 'jwksUri'], url: jwksUri })
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

function bytes(text: string): number {
  return parseSizeBytes(text) ?? NaN
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
