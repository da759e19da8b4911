import { createHash, type KeyObject, sign } from 'node:crypto'
import forge from 'node-forge'

const { asn1 } = forge
const { Class, Type } = asn1
type Asn1 = forge.asn1.Asn1

/** One extension of a certificate. `value` is the DER inside the OCTET STRING. */
export type Extension = { readonly oid: string; readonly critical: boolean; readonly value: Buffer }

/** Relative distinguished names in order, one attribute each, for example `[['O', 'Example'], ['CN', 'Root']]`. */
export type DistinguishedName = readonly (readonly [attribute: keyof typeof ATTRIBUTE_OIDS, value: string])[]

export type GeneralName =
  | { readonly uri: string }
  | { readonly dns: string }
  | { readonly email: string }
  /** Address bytes; in a name constraint the address and then its mask. */
  | { readonly ip: readonly number[] }
  | { readonly dn: DistinguishedName }
  /** A registered OID. */
  | { readonly rid: string }
  | { readonly otherName: { readonly oid: string; readonly text: string } }

export type SignatureName =
  | 'ecdsa-sha1'
  | 'ecdsa-sha256'
  | 'ecdsa-sha384'
  | 'ecdsa-sha512'
  | 'rsa-md5'
  | 'rsa-sha1'
  | 'rsa-sha256'
  | 'rsa-sha384'
  | 'rsa-sha512'
  | 'rsa-pss-sha256'
  | 'rsa-pss-sha384'
  | 'rsa-pss-sha512'
  | 'ed25519'

export type CertificateFields = {
  readonly serial: Buffer
  readonly issuer: DistinguishedName
  readonly subject: DistinguishedName
  readonly notBefore: Date
  readonly notAfter: Date
  /** A key, or the DER of any SubjectPublicKeyInfo. */
  readonly publicKey: KeyObject | Buffer
  readonly extensions: readonly Extension[]
  readonly signingKey: KeyObject
  readonly signature: SignatureName
  /** Of the outer, unsigned algorithm field where it shall differ from the signed one. */
  readonly outerSignature?: SignatureName | undefined
}

const ATTRIBUTE_OIDS = {
  C: '2.5.4.6',
  O: '2.5.4.10',
  OU: '2.5.4.11',
  CN: '2.5.4.3',
  serialNumber: '2.5.4.5',
} as const

const KEY_USAGE_BITS = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const
export type KeyUsageBit = (typeof KEY_USAGE_BITS)[number]

export const OID = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  policyMappings: '2.5.29.33',
  authorityKeyIdentifier: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extendedKeyUsage: '2.5.29.37',
  inhibitAnyPolicy: '2.5.29.54',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  anyExtendedKeyUsage: '2.5.29.37.0',
} as const

/** Writes and signs a certificate as DER. Nothing is checked: it writes wrong ones as readily as right ones. */
export function writeCertificate(fields: CertificateFields): Buffer {
  const tbs = sequence(
    tagged(0, integer(Buffer.from([2]))),
    integer(fields.serial),
    algorithm(fields.signature),
    name(fields.issuer),
    sequence(time(fields.notBefore), time(fields.notAfter)),
    name(fields.subject),
    embedded(
      Buffer.isBuffer(fields.publicKey)
        ? fields.publicKey
        : fields.publicKey.export({ format: 'der', type: 'spki' }),
    ),
    ...(fields.extensions.length === 0
      ? []
      : [tagged(3, sequence(...fields.extensions.map(writeExtension)))]),
  )
  return toBuffer(
    sequence(
      tbs,
      algorithm(fields.outerSignature ?? fields.signature),
      bitString(signBytes(toBuffer(tbs), fields.signingKey, fields.signature)),
    ),
  )
}

export type RevocationListFields = {
  readonly issuer: DistinguishedName
  readonly thisUpdate: Date
  /** Absent: left out. */
  readonly nextUpdate?: Date
  readonly revoked: readonly { readonly serial: Buffer; readonly extensions?: readonly Extension[] }[]
  readonly extensions: readonly Extension[]
  readonly signingKey: KeyObject
  readonly signature: SignatureName
  /** 1 means version 2, which is the default. */
  readonly version?: number
}

/** Writes and signs a revocation list as DER. Nothing is checked. */
export function writeRevocationList(fields: RevocationListFields): Buffer {
  const revoked = fields.revoked.map(({ serial, extensions = [] }) =>
    sequence(
      integer(serial),
      time(fields.thisUpdate),
      ...(extensions.length === 0 ? [] : [sequence(...extensions.map(writeExtension))]),
    ),
  )
  const tbs = sequence(
    integer(Buffer.from([fields.version ?? 1])),
    algorithm(fields.signature),
    name(fields.issuer),
    time(fields.thisUpdate),
    ...(fields.nextUpdate === undefined ? [] : [time(fields.nextUpdate)]),
    ...(revoked.length === 0 ? [] : [sequence(...revoked)]),
    ...(fields.extensions.length === 0
      ? []
      : [tagged(0, sequence(...fields.extensions.map(writeExtension)))]),
  )
  return toBuffer(
    sequence(
      tbs,
      algorithm(fields.signature),
      bitString(signBytes(toBuffer(tbs), fields.signingKey, fields.signature)),
    ),
  )
}

export function toPem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

export function basicConstraints(ca: boolean, pathLength?: number, critical = true): Extension {
  const parts = ca ? [primitive(Type.BOOLEAN, '\xff')] : []
  if (pathLength !== undefined) parts.push(integer(Buffer.from([pathLength])))
  return extension(OID.basicConstraints, critical, sequence(...parts))
}

export function keyUsage(usages: readonly KeyUsageBit[], critical = true): Extension {
  const bytes = [0, 0]
  let last = -1
  for (const usage of usages) {
    const bit = KEY_USAGE_BITS.indexOf(usage)
    bytes[bit >> 3]! |= 0x80 >> (bit & 7)
    last = Math.max(last, bit)
  }
  const used = bytes.slice(0, (last >> 3) + 1)
  const unused = last < 0 ? 0 : 7 - (last & 7)
  return extension(OID.keyUsage, critical, primitive(Type.BITSTRING, String.fromCharCode(unused, ...used)))
}

export function extendedKeyUsage(purposes: readonly string[], critical = false): Extension {
  return extension(OID.extendedKeyUsage, critical, sequence(...purposes.map(objectIdentifier)))
}

export function subjectAltName(names: readonly GeneralName[], critical = false): Extension {
  return extension(OID.subjectAltName, critical, sequence(...names.map(generalName)))
}

export function nameConstraints(
  subtrees: { readonly permitted?: readonly GeneralName[]; readonly excluded?: readonly GeneralName[] },
  critical = true,
): Extension {
  const list = (tag: number, names: readonly GeneralName[] | undefined): Asn1[] =>
    names === undefined ? [] : [tagged(tag, ...names.map((base) => sequence(generalName(base))))]
  return extension(
    OID.nameConstraints,
    critical,
    sequence(...list(0, subtrees.permitted), ...list(1, subtrees.excluded)),
  )
}

export function subjectKeyIdentifier(key: KeyObject): Extension {
  return extension(OID.subjectKeyIdentifier, false, primitive(Type.OCTETSTRING, keyIdentifier(key)))
}

export function authorityKeyIdentifier(key: KeyObject): Extension {
  return extension(OID.authorityKeyIdentifier, false, sequence(context(0, keyIdentifier(key))))
}

/** RFC 5280 4.2.1.11; `requireExplicitPolicy` and `inhibitPolicyMapping` count certificates. */
export function policyConstraints(requireExplicitPolicy: number, critical = true): Extension {
  return extension(
    OID.policyConstraints,
    critical,
    sequence(context(0, String.fromCharCode(requireExplicitPolicy))),
  )
}

export function certificatePolicies(policies: readonly string[], critical = false): Extension {
  return extension(
    OID.certificatePolicies,
    critical,
    sequence(...policies.map((policy) => sequence(objectIdentifier(policy)))),
  )
}

/** RFC 5280 5.2.3. */
export function crlNumber(number: number, critical = false): Extension {
  return extension(OID.crlNumber, critical, integer(Buffer.from([number])))
}

/** Any extension, for example an unknown critical one. The value defaults to NULL. */
export function anyExtension(oid: string, critical: boolean, value: Buffer = Buffer.from([5, 0])): Extension {
  return { oid, critical, value }
}

function extension(oid: string, critical: boolean, value: Asn1): Extension {
  return { oid, critical, value: toBuffer(value) }
}

function writeExtension({ oid, critical, value }: Extension): Asn1 {
  return sequence(
    objectIdentifier(oid),
    ...(critical ? [primitive(Type.BOOLEAN, '\xff')] : []),
    primitive(Type.OCTETSTRING, value.toString('latin1')),
  )
}

function generalName(general: GeneralName): Asn1 {
  if ('otherName' in general) {
    return tagged(0, objectIdentifier(general.otherName.oid), tagged(0, utf8(general.otherName.text)))
  }
  if ('email' in general) return context(1, general.email)
  if ('dns' in general) return context(2, general.dns)
  if ('dn' in general) return tagged(4, name(general.dn))
  if ('uri' in general) return context(6, general.uri)
  if ('ip' in general) return context(7, String.fromCharCode(...general.ip))
  return context(8, asn1.oidToDer(general.rid).getBytes())
}

function name(parts: DistinguishedName): Asn1 {
  return sequence(
    ...parts.map(([attribute, value]) =>
      asn1.create(Class.UNIVERSAL, Type.SET, true, [
        sequence(
          objectIdentifier(ATTRIBUTE_OIDS[attribute]),
          attribute === 'C' || attribute === 'serialNumber'
            ? primitive(Type.PRINTABLESTRING, value)
            : utf8(value),
        ),
      ]),
    ),
  )
}

function time(at: Date): Asn1 {
  const year = at.getUTCFullYear()
  return year >= 1950 && year < 2050
    ? primitive(Type.UTCTIME, asn1.dateToUtcTime(at))
    : primitive(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(at))
}

const SIGNATURE_OIDS: Readonly<Record<SignatureName, string>> = {
  'ecdsa-sha1': '1.2.840.10045.4.1',
  'ecdsa-sha256': '1.2.840.10045.4.3.2',
  'ecdsa-sha384': '1.2.840.10045.4.3.3',
  'ecdsa-sha512': '1.2.840.10045.4.3.4',
  'rsa-md5': '1.2.840.113549.1.1.4',
  'rsa-sha1': '1.2.840.113549.1.1.5',
  'rsa-sha256': '1.2.840.113549.1.1.11',
  'rsa-sha384': '1.2.840.113549.1.1.12',
  'rsa-sha512': '1.2.840.113549.1.1.13',
  'rsa-pss-sha256': '1.2.840.113549.1.1.10',
  'rsa-pss-sha384': '1.2.840.113549.1.1.10',
  'rsa-pss-sha512': '1.2.840.113549.1.1.10',
  ed25519: '1.3.101.112',
}
const PSS_HASHES: Readonly<Record<string, { readonly oid: string; readonly bytes: number }>> = {
  sha256: { oid: '2.16.840.1.101.3.4.2.1', bytes: 32 },
  sha384: { oid: '2.16.840.1.101.3.4.2.2', bytes: 48 },
  sha512: { oid: '2.16.840.1.101.3.4.2.3', bytes: 64 },
}
const NULL = primitive(Type.NULL, '')

function algorithm(signature: SignatureName): Asn1 {
  const oid = objectIdentifier(SIGNATURE_OIDS[signature])
  const pss = signature.startsWith('rsa-pss-') ? PSS_HASHES[hashOf(signature)] : undefined
  if (pss) {
    const hash = sequence(objectIdentifier(pss.oid), NULL)
    const mask = sequence(objectIdentifier('1.2.840.113549.1.1.8'), hash)
    return sequence(
      oid,
      sequence(tagged(0, hash), tagged(1, mask), tagged(2, integer(Buffer.from([pss.bytes])))),
    )
  }
  return signature.startsWith('rsa-') ? sequence(oid, NULL) : sequence(oid)
}

function signBytes(bytes: Buffer, key: KeyObject, signature: SignatureName): Buffer {
  if (signature === 'ed25519') return sign(null, bytes, key)
  if (signature.startsWith('rsa-pss-')) {
    const saltLength = PSS_HASHES[hashOf(signature)]?.bytes ?? 32
    return sign(hashOf(signature), bytes, { key, padding: 6, saltLength })
  }
  return sign(hashOf(signature), bytes, key)
}

function hashOf(signature: SignatureName): string {
  return signature.slice(signature.lastIndexOf('-') + 1)
}

function keyIdentifier(key: KeyObject): string {
  const spki = key.export({ format: 'der', type: 'spki' })
  return createHash('sha256').update(spki).digest().subarray(0, 20).toString('latin1')
}

function sequence(...parts: Asn1[]): Asn1 {
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, parts)
}

function tagged(tag: number, ...parts: Asn1[]): Asn1 {
  return asn1.create(Class.CONTEXT_SPECIFIC, contextTag(tag), true, parts)
}

function context(tag: number, bytes: string): Asn1 {
  return asn1.create(Class.CONTEXT_SPECIFIC, contextTag(tag), false, bytes)
}

/** forge has one enum for all tag numbers, named after the universal ones. */
const TAG_NUMBERS = [
  Type.NONE,
  Type.BOOLEAN,
  Type.INTEGER,
  Type.BITSTRING,
  Type.OCTETSTRING,
  Type.NULL,
  Type.OID,
  Type.ODESC,
  Type.EXTERNAL,
]

function contextTag(tag: number): forge.asn1.Type {
  const number = TAG_NUMBERS[tag]
  if (number === undefined) throw new Error(`no context tag ${tag} here`)
  return number
}

function primitive(type: forge.asn1.Type, bytes: string): Asn1 {
  return asn1.create(Class.UNIVERSAL, type, false, bytes)
}

function utf8(text: string): Asn1 {
  return primitive(Type.UTF8, Buffer.from(text).toString('latin1'))
}

function objectIdentifier(oid: string): Asn1 {
  return primitive(Type.OID, asn1.oidToDer(oid).getBytes())
}

function bitString(bytes: Buffer): Asn1 {
  return primitive(Type.BITSTRING, `\0${bytes.toString('latin1')}`)
}

function integer(bytes: Buffer): Asn1 {
  return primitive(Type.INTEGER, bytes.toString('latin1'))
}

/** DER made elsewhere, as a part of ours. */
function embedded(der: Buffer): Asn1 {
  return asn1.fromDer(der.toString('latin1'), true)
}

function toBuffer(value: Asn1): Buffer {
  return Buffer.from(asn1.toDer(value).getBytes(), 'latin1')
}
