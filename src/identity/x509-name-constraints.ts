import type { X509Certificate } from './x509-certificate.js'
import type { NameConstraints } from './x509-extensions.js'
import type { GeneralName } from './x509-name.js'

const MAX_HOST_LENGTH = 253
const HOST_PATTERN = /^(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/
/** The authority of a URI: user, then host or bracketed address, then port. */
const AUTHORITY = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?([^/?#@:[\]]+|\[[^\]]*\])(?::\d*)?(?:[/?#]|$)/i
const IPV4 = /^\d+\.\d+\.\d+\.\d+$/

/** What nameConstraintViolation will cost, in comparisons of one name with one subtree. */
export function nameComparisons(
  { permitted, excluded }: NameConstraints,
  certificate: X509Certificate,
): number {
  return namesOf(certificate).length * (permitted.length + excluded.length)
}

/**
 * Why the names of a certificate are not within an issuer's constraints; undefined when they are.
 * Each issuer's constraints are asked on their own, which comes to the intersection of them all.
 * A name that can't be understood satisfies no constraint of its form. Source: RFC 5280 4.2.1.10, 6.1.3 (b), (c).
 */
export function nameConstraintViolation(
  constraints: NameConstraints,
  certificate: X509Certificate,
): string | undefined {
  for (const name of namesOf(certificate)) {
    const permitted = constraints.permitted.filter((base) => isSameForm(base, name))
    const excluded = constraints.excluded.filter((base) => isSameForm(base, name))
    if (permitted.length === 0 && excluded.length === 0) continue
    if (name.form === 'other') return 'a constrained name of a form that is not understood'
    const constrained = understand(name)
    if (constrained === undefined) return `a constrained ${name.form} name that is not understood`
    if (permitted.length > 0 && !permitted.some((base) => constrained.isWithin(base) === true)) {
      return `a ${name.form} name outside the permitted subtrees`
    }
    if (excluded.some((base) => constrained.touches(base) !== false)) {
      return `a ${name.form} name in an excluded subtree`
    }
  }
  return undefined
}

function namesOf({ subject, extensions }: X509Certificate): readonly GeneralName[] {
  const names: GeneralName[] = [...(extensions.subjectAltName?.names ?? [])]
  if (subject.parts.length > 0) names.push({ form: 'dn', name: subject })
  if (!names.some(({ form }) => form === 'email')) {
    for (const text of subject.emails) names.push({ form: 'email', text })
  }
  return names
}

function isSameForm(base: GeneralName, name: GeneralName): boolean {
  return (
    base.form === name.form && (base.form !== 'other' || name.form !== 'other' || base.kind === name.kind)
  )
}

/** Undefined: the base is malformed, which permits nothing and excludes everything. */
type Understood = {
  readonly isWithin: (base: GeneralName) => boolean | undefined
  /** As isWithin, and for a wildcard also when one of its names may lie within. */
  readonly touches: (base: GeneralName) => boolean | undefined
}

function understand(name: GeneralName): Understood | undefined {
  switch (name.form) {
    case 'dns':
      return understandDns(name.text.toLowerCase())
    case 'uri': {
      const host = AUTHORITY.exec(name.text)?.[1]?.toLowerCase()
      if (host === undefined || !isHost(host) || IPV4.test(host)) return undefined
      return both((base) => (base.form === 'uri' ? isHostWithin(host, base.text.toLowerCase()) : undefined))
    }
    case 'email': {
      const at = name.text.lastIndexOf('@')
      const host = name.text.slice(at + 1).toLowerCase()
      const local = name.text.slice(0, Math.max(at, 0))
      if (!isLocalPart(local) || !isHost(host)) return undefined
      return both((base) => (base.form === 'email' ? isMailboxWithin(local, host, base.text) : undefined))
    }
    case 'ip':
      return both((base) => (base.form === 'ip' ? isAddressWithin(name.bytes, base.bytes) : undefined))
    case 'dn':
      return both(
        (base) => base.form === 'dn' && base.name.parts.every((part, at) => part === name.name.parts[at]),
      )
    case 'other':
      break
  }
  return undefined
}

function both(isWithin: (base: GeneralName) => boolean | undefined): Understood {
  return { isWithin, touches: isWithin }
}

function understandDns(text: string): Understood | undefined {
  const wildcard = text.startsWith('*.')
  const host = wildcard ? text.slice(2) : text
  if (!isHost(host)) return undefined
  const isWithin = (base: GeneralName): boolean | undefined => {
    const domain = dnsBase(base)
    return domain === undefined ? undefined : isDomainWithin(host, domain)
  }
  const touches = (base: GeneralName): boolean | undefined => {
    const domain = dnsBase(base)
    if (domain === undefined) return undefined
    return isDomainWithin(host, domain) || (wildcard && isDomainWithin(domain, host))
  }
  return { isWithin, touches }
}

/** Lower-case; '' covers every name; undefined for a malformed base, a leading dot included. */
function dnsBase(base: GeneralName): string | undefined {
  if (base.form !== 'dns') return undefined
  const domain = base.text.toLowerCase()
  return domain === '' || isHost(domain) ? domain : undefined
}

function isDomainWithin(host: string, domain: string): boolean {
  return domain === '' || host === domain || host.endsWith(`.${domain}`)
}

function isHost(text: string): boolean {
  return text.length <= MAX_HOST_LENGTH && HOST_PATTERN.test(text)
}

/** A base with a leading dot covers the hosts below it, any other base that one host. */
function isHostWithin(host: string, base: string): boolean | undefined {
  if (base.startsWith('.')) return isHost(base.slice(1)) ? host.endsWith(base) : undefined
  return isHost(base) ? host === base : undefined
}

function isMailboxWithin(local: string, host: string, base: string): boolean | undefined {
  const at = base.lastIndexOf('@')
  if (at < 0) return isHostWithin(host, base.toLowerCase())
  const baseHost = base.slice(at + 1).toLowerCase()
  if (!isLocalPart(base.slice(0, at)) || !isHost(baseHost)) return undefined
  return local === base.slice(0, at) && host === baseHost
}

/** A dot-atom; quoted local parts are not understood. Source: RFC 5321 4.1.2. */
function isLocalPart(text: string): boolean {
  return /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/.test(text)
}

/** `base` is an address and its mask; the other address family lies outside. */
function isAddressWithin(address: Buffer, base: Buffer): boolean {
  if (base.length !== address.length * 2) return false
  return address.every((byte, at) => {
    const mask = base[address.length + at]!
    return (byte & mask) === (base[at]! & mask)
  })
}
