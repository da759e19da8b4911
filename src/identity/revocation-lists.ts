import type { TrustBundle } from './trust-bundle.js'
import { isSignedByIssuer, type RevocationList } from './x509-crl.js'

/** The bundles whose CAs sign revocation lists. */
type Authorities = { readonly all: ReadonlyMap<string, TrustBundle>; readonly generation: number }

/** What of a verified path is looked up: a certificate's serial and the key of its issuer's name. */
export type IssuedSerial = { readonly serialHex: string; readonly issuerKey: string }

/** Why a certificate is refused, for people. */
export type ListRefusal = {
  readonly reason: 'certificate-revoked'
  readonly message: string
}

export type ListHealth = {
  readonly source: string
  readonly issuer: string
  readonly nextUpdateMs: number
  readonly entries: number
  /** Trust domains whose bundle has the CA that signed it. Empty: nobody believed signed it. */
  readonly trustDomains: readonly string[]
}

type Source = {
  readonly lists: readonly RevocationList[]
  /** Undefined: any trust domain. */
  readonly trustDomains: ReadonlySet<string> | undefined
}

/** What the lists say about one issuer's certificates in one trust domain. */
type Issuer = {
  readonly lists: RevocationList[]
  /** The first list to expire. */
  nextUpdateMs: number
  readonly expired: ListRefusal
  unproved: ListRefusal | undefined
}

const LISTED: ListRefusal = {
  reason: 'certificate-revoked',
  message: 'the certificate or one of its issuers is on a revocation list',
}
const MAX_NAME_LENGTH = 200

/**
 * The revocation lists in force, of all sources. A list counts in every trust domain whose bundle has a CA of the
 * list's issuer that signed it; a name alone proves nothing, since CAs of two domains may bear the same one.
 * Lists add up: what any of them names is revoked. An issuer with a list that has expired, or that no CA signed,
 * has all its certificates refused, because whether they were revoked can't be told.
 */
export class RevocationLists {
  readonly #authorities: Authorities
  readonly #sources = new Map<string, Source>()
  /** By digest of the list and of the CA. */
  #signatures = new Map<string, boolean>()
  /** By trust domain, then by key of the issuer's name. */
  #issuers: ReadonlyMap<string, ReadonlyMap<string, Issuer>> = new Map()
  #health: readonly ListHealth[] = []
  #generation = -1

  constructor(authorities: Authorities) {
    this.#authorities = authorities
  }

  /** Replaces all lists of a source. `trustDomains` limits what they can speak of; undefined: whatever their CA issues. */
  set(source: string, lists: readonly RevocationList[], trustDomains?: ReadonlySet<string>): void {
    if (lists.length === 0) this.#sources.delete(source)
    else this.#sources.set(source, { lists, trustDomains })
    this.#bind()
  }

  /**
   * Whether the lists speak against a path, from the leaf to its anchor. Undefined when they don't. Looks at the
   * bundles as they are now; synchronous, one look-up a certificate.
   */
  refusal(trustDomain: string, path: readonly IssuedSerial[], nowMs: number): ListRefusal | undefined {
    if (this.#sources.size === 0) return undefined
    if (this.#generation !== this.#authorities.generation) this.#bind()
    const issuers = this.#issuers.get(trustDomain)
    if (issuers === undefined) return undefined
    for (const { serialHex, issuerKey } of path) {
      const issuer = issuers.get(issuerKey)
      if (issuer === undefined) continue
      for (const { revokedSerials } of issuer.lists) if (revokedSerials.has(serialHex)) return LISTED
      if (issuer.unproved) return issuer.unproved
      if (nowMs > issuer.nextUpdateMs) return issuer.expired
    }
    return undefined
  }

  /** For health and metrics. */
  get health(): readonly ListHealth[] {
    if (this.#generation !== this.#authorities.generation) this.#bind()
    return this.#health
  }

  /** Looks again which CAs signed which lists. A signature once checked isn't checked again. */
  #bind(): void {
    const issuers = new Map<string, Map<string, Issuer>>()
    const health: ListHealth[] = []
    const known = this.#signatures
    this.#signatures = new Map()
    for (const [source, { lists, trustDomains }] of this.#sources) {
      const bundles = [...this.#authorities.all].filter(([name]) => trustDomains?.has(name) ?? true)
      for (const list of lists) {
        const signers = bundles.filter(([, bundle]) => this.#hasSigner(bundle, list, known))
        for (const [trustDomain] of signers) this.#add(issuers, trustDomain, list, true)
        if (signers.length === 0) for (const [name] of bundles) this.#add(issuers, name, list, false)
        health.push({
          source,
          issuer: nameForPeople(list),
          nextUpdateMs: list.nextUpdateMs,
          entries: list.revokedSerials.size,
          trustDomains: signers.map(([trustDomain]) => trustDomain),
        })
      }
    }
    this.#issuers = issuers
    this.#health = health
    this.#generation = this.#authorities.generation
  }

  #add(
    issuers: Map<string, Map<string, Issuer>>,
    trustDomain: string,
    list: RevocationList,
    proved: boolean,
  ): void {
    const ofDomain = issuers.get(trustDomain) ?? new Map<string, Issuer>()
    issuers.set(trustDomain, ofDomain)
    const issuer = ofDomain.get(list.issuer.key) ?? newIssuer(list)
    ofDomain.set(list.issuer.key, issuer)
    issuer.lists.push(list)
    issuer.nextUpdateMs = Math.min(issuer.nextUpdateMs, list.nextUpdateMs)
    if (!proved) issuer.unproved = unproved(list)
  }

  #hasSigner(bundle: TrustBundle, list: RevocationList, known: ReadonlyMap<string, boolean>): boolean {
    for (const authority of [...bundle.anchors, ...bundle.intermediates]) {
      if (authority.subject.key !== list.issuer.key) continue
      const key = `${list.sha256Hex}@${authority.sha256Hex}`
      const signed = this.#signatures.get(key) ?? known.get(key) ?? isSignedByIssuer(list, authority)
      this.#signatures.set(key, signed)
      if (signed) return true
    }
    return false
  }
}

function newIssuer(list: RevocationList): Issuer {
  return {
    lists: [],
    nextUpdateMs: Infinity,
    unproved: undefined,
    expired: {
      reason: 'certificate-revoked',
      message: `the revocation list of ${nameForPeople(list)} has expired, so whether the certificate was revoked can't be told`,
    },
  }
}

function unproved(list: RevocationList): ListRefusal {
  return {
    reason: 'certificate-revoked',
    message: `the revocation list of ${nameForPeople(list)} is signed by no CA of the trust bundle, so whether the certificate was revoked can't be told`,
  }
}

const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ['2.5.4.3', 'CN'],
  ['2.5.4.5', 'SERIALNUMBER'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
])

/** `O=portcullis,CN=mesh ca`: as names are compared, so in lower case. */
function nameForPeople({ issuer }: RevocationList): string {
  const parts = issuer.parts.map((part) => {
    const [, oid = '', rest = ''] = /^([0-9.]+)(.*)$/s.exec(part) ?? []
    return `${SHORT_NAMES.get(oid) ?? oid}${rest}`
  })
  const text = parts.join().replace(/\p{C}/gu, '?')
  return text.length > MAX_NAME_LENGTH ? `${text.slice(0, MAX_NAME_LENGTH)}…` : text
}
