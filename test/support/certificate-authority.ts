import { createHash, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import {
  authorityKeyIdentifier,
  basicConstraints,
  crlNumber,
  type DistinguishedName,
  type Extension,
  extendedKeyUsage,
  keyUsage,
  OID,
  type SignatureName,
  subjectAltName,
  subjectKeyIdentifier,
  toPem,
  writeCertificate,
  writeRevocationList,
} from './certificate-writer.js'

export type KeyType =
  'ec-p256' | 'ec-p384' | 'ec-p521' | 'ec-p224' | 'ed25519' | 'rsa-1024' | 'rsa-2048' | 'rsa-3072'
export type KeyPair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject }

/** A certificate with its private key. */
export type Issued = {
  readonly certificateDer: Buffer
  readonly certificatePem: string
  /** PKCS#8. */
  readonly keyPem: string
  /** The certificate, then the intermediates up to the root, without the root. What a TLS server presents. */
  readonly chainPem: string
  /** The intermediates alone, nearest first; '' when the root issued it. */
  readonly intermediatesPem: string
  /** Lower-case hex without leading zero bytes. */
  readonly serialHex: string
  /** SHA-256 of the DER, lower-case hex. */
  readonly sha256Hex: string
  readonly keys: KeyPair
}

/** What any issued certificate may have other than usual. */
export type Unusual = {
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly keyType?: KeyType
  /** A key pair to certify again; else a fresh one is made. */
  readonly keys?: KeyPair
  /** Hex. */
  readonly serial?: string
  readonly subject?: DistinguishedName
  /** Instead of the issuing authority's own name. */
  readonly issuerName?: DistinguishedName
  readonly signature?: SignatureName
  readonly outerSignature?: SignatureName
  /** Gets the usual extensions and gives those to write. */
  readonly extensions?: (usual: Extension[]) => readonly Extension[]
}

export type AuthorityOptions = Unusual & {
  readonly name: string
  /** Writes `spiffe://<trustDomain>` as the authority's URI SAN. */
  readonly trustDomain?: string
  readonly intermediateOf?: Authority
  readonly pathLength?: number
}

export type SvidOptions = Unusual & {
  readonly spiffeId: string
  /** From `notBefore` on; 3600 by default. */
  readonly ttlSeconds?: number
  readonly dnsNames?: readonly string[]
}

/** What a revocation list may have other than usual. */
export type RevocationListOptions = {
  /** Hex. */
  readonly serials?: readonly string[]
  readonly thisUpdate?: Date
  /** An hour after `thisUpdate` by default; null: left out. */
  readonly nextUpdate?: Date | null
  readonly extensions?: readonly Extension[]
  readonly entryExtensions?: readonly Extension[]
  readonly version?: number
}

export type Authority = Issued & {
  readonly name: DistinguishedName
  /** The root above; this certificate itself for a root. */
  readonly rootPem: string
  issueSvid(options: SvidOptions): Issued
  /** A certificate that gets no usual extension at all. */
  issue(options: Unusual): Issued
  /** A signed revocation list as DER. */
  revoke(options: RevocationListOptions): Buffer
}

const DAY_MS = 86_400_000
const EC_CURVES = { 'ec-p224': 'P-224', 'ec-p256': 'P-256', 'ec-p384': 'P-384', 'ec-p521': 'P-521' } as const

/**
 * A certificate authority in memory, a root or an intermediate, that issues real certificates.
 * Valid from a day ago for ten years unless told; EC P-256 unless told.
 */
export function createAuthority(options: AuthorityOptions): Authority {
  const name = options.subject ?? [
    ['O', 'Portcullis'],
    ['CN', options.name],
  ]
  const keys = options.keys ?? generateKeys(options.keyType)
  const above = options.intermediateOf
  const usual = [
    basicConstraints(true, options.pathLength),
    keyUsage(['keyCertSign', 'cRLSign']),
    subjectKeyIdentifier(keys.publicKey),
    ...(above ? [authorityKeyIdentifier(above.keys.publicKey)] : []),
    ...(options.trustDomain === undefined
      ? []
      : [subjectAltName([{ uri: `spiffe://${options.trustDomain}` }])]),
  ]
  const notBefore = options.notBefore ?? new Date(Date.now() - DAY_MS)
  const validity = { notBefore, notAfter: options.notAfter ?? new Date(notBefore.getTime() + 3650 * DAY_MS) }
  const own = certify({ ...options, ...validity }, { name, keys, usual, issuer: above })
  const authority: Authority = {
    ...own,
    name,
    rootPem: above?.rootPem ?? own.certificatePem,
    chainPem: above ? own.chainPem : '',
    issueSvid: (svid) => issueSvid(authority, svid),
    issue: (unusual) => {
      const leafKeys = unusual.keys ?? generateKeys(unusual.keyType)
      return certify(unusual, { name: [], keys: leafKeys, usual: [], issuer: authority })
    },
    revoke: (list) => revoke(authority, list),
  }
  return authority
}

export function generateKeys(keyType: KeyType = 'ec-p256'): KeyPair {
  if (keyType === 'ed25519') return generateKeyPairSync('ed25519')
  if (keyType === 'rsa-1024' || keyType === 'rsa-2048' || keyType === 'rsa-3072') {
    return generateKeyPairSync('rsa', { modulusLength: Number(keyType.slice(4)) })
  }
  return generateKeyPairSync('ec', { namedCurve: EC_CURVES[keyType] })
}

/** The usual extensions without those of these OIDs. */
export function without(...oids: readonly string[]): (usual: Extension[]) => Extension[] {
  return (usual) => usual.filter(({ oid }) => !oids.includes(oid))
}

/** The usual extensions with these in place of those of the same OID, or added. */
export function replacing(...others: readonly Extension[]): (usual: Extension[]) => Extension[] {
  return (usual) => [...without(...others.map(({ oid }) => oid))(usual), ...others]
}

/** The certificate as Envoy sends it in `source.certificate`: everything percent-encoded that a URL would. */
export function asEnvoySends(certificatePem: string): string {
  return encodeURIComponent(certificatePem)
}

function issueSvid(authority: Authority, options: SvidOptions): Issued {
  const keys = options.keys ?? generateKeys(options.keyType)
  const names = [{ uri: options.spiffeId }, ...(options.dnsNames ?? []).map((dns) => ({ dns }))]
  const subject: DistinguishedName = options.subject ?? [['O', 'Portcullis']]
  const usual = [
    basicConstraints(false),
    keyUsage(['digitalSignature']),
    extendedKeyUsage([OID.serverAuth, OID.clientAuth]),
    subjectKeyIdentifier(keys.publicKey),
    authorityKeyIdentifier(authority.keys.publicKey),
    subjectAltName(names, subject.length === 0),
  ]
  const notBefore = options.notBefore ?? new Date(Date.now() - 10_000)
  const notAfter = options.notAfter ?? new Date(notBefore.getTime() + (options.ttlSeconds ?? 3600) * 1000)
  return certify({ ...options, notBefore, notAfter }, { name: subject, keys, usual, issuer: authority })
}

function revoke(authority: Authority, options: RevocationListOptions): Buffer {
  const thisUpdate = options.thisUpdate ?? new Date(Date.now() - 10_000)
  const nextUpdate =
    options.nextUpdate === undefined ? new Date(thisUpdate.getTime() + 3_600_000) : options.nextUpdate
  return writeRevocationList({
    issuer: authority.name,
    thisUpdate,
    ...(nextUpdate === null ? {} : { nextUpdate }),
    revoked: (options.serials ?? []).map((serial) => ({
      serial: Buffer.from(serial.length % 2 === 0 ? serial : `0${serial}`, 'hex'),
      extensions: options.entryExtensions ?? [],
    })),
    extensions: options.extensions ?? [crlNumber(1)],
    signingKey: authority.keys.privateKey,
    signature: defaultSignature(authority.keys.privateKey),
    ...(options.version === undefined ? {} : { version: options.version }),
  })
}

function certify(
  options: Unusual,
  base: {
    readonly name: DistinguishedName
    readonly keys: KeyPair
    readonly usual: Extension[]
    readonly issuer: Authority | undefined
  },
): Issued {
  const { keys, issuer } = base
  const signingKey = issuer?.keys.privateKey ?? keys.privateKey
  const serial = options.serial === undefined ? randomSerial() : Buffer.from(options.serial, 'hex')
  const notBefore = options.notBefore ?? new Date(Date.now() - 10_000)
  const der = writeCertificate({
    serial,
    issuer: options.issuerName ?? issuer?.name ?? base.name,
    subject: options.subject ?? base.name,
    notBefore,
    notAfter: options.notAfter ?? new Date(notBefore.getTime() + 3_600_000),
    publicKey: keys.publicKey,
    extensions: options.extensions ? options.extensions(base.usual) : base.usual,
    signingKey,
    signature: options.signature ?? defaultSignature(signingKey),
    outerSignature: options.outerSignature,
  })
  const certificatePem = toPem('CERTIFICATE', der)
  const intermediatesPem = issuer?.chainPem ?? ''
  return {
    certificateDer: der,
    certificatePem,
    keyPem: keys.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
    chainPem: certificatePem + intermediatesPem,
    intermediatesPem,
    serialHex: serial.toString('hex').replace(/^(00)+(?=.)/, ''),
    sha256Hex: createHash('sha256').update(der).digest('hex'),
    keys,
  }
}

function defaultSignature(key: KeyObject): SignatureName {
  if (key.asymmetricKeyType === 'ed25519') return 'ed25519'
  if (key.asymmetricKeyType === 'rsa') return 'rsa-sha256'
  const curve = key.asymmetricKeyDetails?.namedCurve
  return curve === 'secp384r1' ? 'ecdsa-sha384' : curve === 'secp521r1' ? 'ecdsa-sha512' : 'ecdsa-sha256'
}

/** 16 bytes, positive and without a leading zero byte. */
function randomSerial(): Buffer {
  const serial = randomBytes(16)
  serial[0] = (serial[0]! & 0x3f) | 0x40
  return serial
}
