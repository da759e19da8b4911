import type { Pointer } from '../schema/problem.js'
import { collide, LOOPBACK_HOSTS, parseListenAddress } from './address.js'
import type { ListenAddress } from './address.js'
import { checkAdmin } from './admin-checks.js'
import { checkAudit } from './audit-checks.js'
import { checkBounds } from './bounds-checks.js'
import { keySetUrls } from './config.js'
import { checkDetector } from './detector-checks.js'
import { TRUST_DOMAIN_PATTERN } from './fields.js'
import { checkPolicy } from './policy.js'
import type { EffectiveConfiguration } from './schema.js'
import { checkAlerts, checkPlaces } from './signal-checks.js'
import { checkSsf } from './ssf-checks.js'
import { checkStore } from './store-checks.js'
import { checkTelemetry } from './telemetry-checks.js'
import { checkBundles, checkTlsSource } from './trust-checks.js'
import { checkWebhook } from './webhook.js'

/** Something that is wrong between options that are each right for themselves. */
export type CheckFinding = {
  readonly pointer: Pointer
  readonly what: 'key' | 'value'
  readonly code: string
  readonly message: string
}

type Tell = (pointer: Pointer, code: string, message: string, what?: 'key' | 'value') => void

/** Every such thing at once. */
export function crossCheck(effective: EffectiveConfiguration): CheckFinding[] {
  const findings: CheckFinding[] = []
  const tell: Tell = (pointer, code, message, what = 'value') =>
    findings.push({ pointer, what, code, message })
  checkListeners(effective, tell)
  checkTrustedProxies(effective, tell)
  checkAddresses(effective, tell)
  checkTrust(effective, tell)
  checkBundles(effective, tell)
  checkIssuers(effective, tell)
  checkUrls(effective, tell)
  checkDpop(effective, tell)
  checkPolicy(effective, tell)
  checkWebhook(effective, tell)
  checkStore(effective, tell)
  checkAdmin(effective, tell)
  checkPlaces(effective, tell)
  checkAlerts(effective, tell)
  checkAudit(effective, tell)
  checkDetector(effective, tell)
  checkTelemetry(effective, tell)
  checkSsf(effective, tell)
  checkHeaders(effective, tell)
  checkBounds(effective, tell)
  return findings
}

function checkListeners({ listeners }: EffectiveConfiguration, tell: Tell): void {
  const names = new Set<string>()
  listeners.forEach(({ name, tls, role, peerIdentity, principalTrustDomains, target }, index) => {
    const at = ['listeners', index]
    if (names.has(name)) tell([...at, 'name'], 'listener-twice', `two listeners are named \`${name}\``)
    names.add(name)
    if (tls) checkTlsSource(tls, [...at, 'tls'], tell)
    if (peerIdentity === 'Principal' && principalTrustDomains.length === 0) {
      tell(
        [...at, 'peerIdentity'],
        'principal-trust-domains-missing',
        '`peerIdentity: Principal` needs `principalTrustDomains`: the trust domains that may be named so',
      )
    }
    if (peerIdentity !== 'Principal' && principalTrustDomains.length > 0) {
      tell(
        [...at, 'principalTrustDomains'],
        'without-effect',
        `\`principalTrustDomains\` says nothing under \`peerIdentity: ${peerIdentity}\``,
        'key',
      )
    }
    if (role === 'Sidecar' && target?.includes('route')) {
      tell(
        [...at, 'target'],
        'route-on-sidecar',
        "`target: route` is for `role: Gateway` only: a sidecar's own service is not the caller's to choose",
      )
    }
  })
}

function checkTrustedProxies({ listeners }: EffectiveConfiguration, tell: Tell): void {
  listeners.forEach(({ peerIdentity, trustedProxies }, index) => {
    const at = ['listeners', index, 'trustedProxies']
    if (peerIdentity === 'None' && trustedProxies.length > 0) {
      tell(at, 'without-effect', '`trustedProxies` says nothing under `peerIdentity: None`', 'key')
    }
    const seen = new Set<string>()
    trustedProxies.forEach(({ identity, trustDomains, self }, proxy) => {
      if (seen.has(identity))
        tell([...at, proxy, 'identity'], 'proxy-twice', `\`${identity}\` is given twice`)
      seen.add(identity)
      if (trustDomains.length === 0 && !self) {
        tell(
          [...at, proxy],
          'trust-domains-missing',
          'this proxy may name nobody and not call for itself; give `trustDomains`, or `self: true`',
        )
      }
    })
  })
}

function checkAddresses(effective: EffectiveConfiguration, tell: Tell): void {
  const taken: { address: ListenAddress; by: string }[] = []
  const take = (pointer: Pointer, text: string, by: string): void => {
    const parsed = parseListenAddress(text)
    if (!parsed.ok) {
      tell(pointer, 'wrong-address', `\`${text}\` ${parsed.problem}`)
      return
    }
    const { address } = parsed
    const earlier = taken.find((other) => collide(other.address, address))
    if (earlier) tell(pointer, 'address-twice', `\`${text}\` is already taken by ${earlier.by}`)
    taken.push({ address, by })
  }
  effective.listeners.forEach(({ name, address }, index) =>
    take(['listeners', index, 'address'], address, `listener \`${name}\``),
  )
  for (const section of ['health', 'public', 'admin', 'webhook'] as const) {
    const { listen } = effective[section]
    const option = `\`${section}.listen\``
    if (listen.startsWith('unix:')) {
      tell([section, 'listen'], 'wrong-address', `${option} must be an IP address and a port`)
    } else if (listen !== '') take([section, 'listen'], listen, option)
  }
}

function checkTrust({ listeners, trustDomain, trustDomains }: EffectiveConfiguration, tell: Tell): void {
  const pattern = new RegExp(TRUST_DOMAIN_PATTERN)
  for (const name of Object.keys(trustDomains)) {
    if (!pattern.test(name)) {
      tell(
        ['trustDomains', name],
        'wrong-trust-domain',
        `\`${name}\` is no trust domain such as cluster.local (a-z 0-9 . _ -)`,
        'key',
      )
    }
  }
  const needed = listeners.find(
    ({ peerIdentity, mtls }) => peerIdentity === 'Certificate' && mtls === 'Strict',
  )
  if (needed && !Object.hasOwn(trustDomains, trustDomain)) {
    tell(
      ['trustDomains', trustDomain],
      'bundle-missing',
      `\`trustDomains\` has no bundle for the local trust domain \`${trustDomain}\`, so no certificate on listener \`${needed.name}\` could be verified`,
    )
  }
}

function checkIssuers({ serviceTokens, userTokens }: EffectiveConfiguration, tell: Tell): void {
  const oneOf = (at: Pointer, file: string, has: readonly unknown[]): void => {
    const given = has.filter((value) => value !== undefined).length
    if (given === 0) tell(at, 'keys-missing', `needs \`${file}\` or \`jwksUri\``, 'key')
    if (given > 1) tell(at, 'keys-twice', `has \`${file}\` and \`jwksUri\`; give one`, 'key')
  }
  const withoutEffect = (at: Pointer, verifiedBy: string): void =>
    tell(at, 'without-effect', `\`${at.at(-1)}\` says nothing under \`verifiedBy: ${verifiedBy}\``, 'key')
  for (const [issuer, { keyFile, jwksUri, scopes }] of Object.entries(serviceTokens.issuers)) {
    const at = ['serviceTokens', 'issuers', issuer]
    if (issuer === '') tell(at, 'wrong-value', "an issuer can't be empty", 'key')
    oneOf(at, 'keyFile', [keyFile, jwksUri])
    scopes.forEach((scope, index) => {
      if (!/^(?:[!-)+-~]+|[!-)+-~]*:\*)$/.test(scope)) {
        tell(
          [...at, 'scopes', index],
          'wrong-scope',
          `\`${scope}\` is no scope: printable ASCII without blanks; \`*\` only at the end, after a colon`,
        )
      }
    })
  }
  const seen = new Set<string>()
  userTokens.issuers.forEach(({ issuer, jwksUri, jwksFile, verifiedBy, metadataKey, typ }, index) => {
    const at = ['userTokens', 'issuers', index]
    if (verifiedBy === 'Portcullis') {
      if (jwksFile === undefined && jwksUri === undefined && !URL.canParse(issuer)) {
        tell(
          at,
          'keys-missing',
          "needs `jwksFile` or `jwksUri`; an issuer that is a URL is asked for its keys' address, and this one is none",
          'key',
        )
      } else if (jwksFile !== undefined && jwksUri !== undefined) oneOf(at, 'jwksFile', [jwksFile, jwksUri])
      if (metadataKey !== undefined) withoutEffect([...at, 'metadataKey'], 'Portcullis')
    } else if (typ !== undefined) withoutEffect([...at, 'typ'], 'Envoy')
    if (seen.has(issuer)) tell([...at, 'issuer'], 'issuer-twice', `the issuer \`${issuer}\` is given twice`)
    seen.add(issuer)
    if (Object.hasOwn(serviceTokens.issuers, issuer)) {
      tell(
        [...at, 'issuer'],
        'issuer-twice',
        `the issuer \`${issuer}\` stands under serviceTokens too; it is either a service or an issuer of user tokens`,
      )
    }
  })
}

function checkUrls(effective: EffectiveConfiguration, tell: Tell): void {
  const { allowedHosts } = effective.jwks
  allowedHosts.forEach((host, index) => {
    if (!/^(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])$/.test(host)) {
      tell(
        ['jwks', 'allowedHosts', index],
        'wrong-host',
        `\`${host}\` is no host name; write it without scheme, port and path`,
      )
    }
  })
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()))
  for (const { pointer, url: text } of keySetUrls(effective)) {
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (!url || !/^https?:$/.test(url.protocol)) tell(pointer, 'wrong-url', `\`${text}\` is no https URL`)
    else if (url.username !== '' || url.password !== '') {
      tell(pointer, 'secret-in-url', 'a URL here must not hold a user name or password')
    } else if (url.protocol === 'http:' && !LOOPBACK_HOSTS.has(url.hostname)) {
      tell(pointer, 'wrong-url', `\`${text}\` must be https; http is for loopback addresses only`)
    } else if (allowed.size > 0 && !allowed.has(url.hostname)) {
      tell(pointer, 'host-not-allowed', `the host \`${url.hostname}\` is not among \`jwks.allowedHosts\``)
    }
  }
}

function checkDpop({ userTokens: { dpop } }: EffectiveConfiguration, tell: Tell): void {
  dpop.origins.forEach((origin, index) => {
    const url = URL.canParse(origin) ? new URL(origin) : undefined
    const whole = url && `${url.origin}${url.pathname}`.replace(/\/$/, '')
    if (!/^https?:$/.test(url?.protocol ?? '') || whole !== origin.replace(/\/$/, '')) {
      tell(
        ['userTokens', 'dpop', 'origins', index],
        'wrong-url',
        `\`${origin}\` is no origin such as https://shop.example.com: lower case, no default port, query or fragment`,
      )
    }
  })
}

/** Headers with a meaning of their own on the way, which nothing of ours may take. */
const RESERVED = new Set([
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'dpop',
  'host',
  'keep-alive',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-forwarded-client-cert',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-portcullis-decision-id',
  'x-portcullis-reason',
  'x-request-id',
])

function checkHeaders(effective: EffectiveConfiguration, tell: Tell): void {
  const { serviceTokens, upstreamHeaders, upstreamAssertion, geo } = effective
  const owner = new Map<string, string>()
  const take = (pointer: Pointer, name: string): void => {
    if (name === '') return
    const earlier = owner.get(name)
    if (RESERVED.has(name))
      tell(pointer, 'reserved-header', `the header \`${name}\` has a meaning of its own`)
    else if (earlier !== undefined)
      tell(pointer, 'header-twice', `\`${earlier}\` has the header \`${name}\` already`)
    owner.set(name, pointer.join('.'))
  }
  take(['serviceTokens', 'header'], serviceTokens.header)
  for (const [option, name] of Object.entries(upstreamHeaders)) take(['upstreamHeaders', option], name)
  if (upstreamAssertion) take(['upstreamAssertion', 'header'], upstreamAssertion.header)
  if (geo?.header !== undefined) take(['geo', 'header'], geo.header)
}
