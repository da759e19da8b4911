import {
  contextConstructedTag,
  contextTag,
  DerError,
  type DerElement,
  DerFields,
  expectTag,
  readBoolean,
  readChildren,
  readInteger,
  readNamedBits,
  readObjectIdentifier,
  readSmallInteger,
  readWhole,
  TAG,
} from './der.js'
import { type GeneralName, readGeneralName } from './x509-name.js'

/** Bits of `keyUsage`. Source: RFC 5280 4.2.1.3. */
export const KEY_USAGE = { digitalSignature: 1 << 0, keyCertSign: 1 << 5, crlSign: 1 << 6 } as const

export type NameConstraints = {
  readonly permitted: readonly GeneralName[]
  readonly excluded: readonly GeneralName[]
}

/** What a certificate's extensions say; an absent one is undefined. */
export type Extensions = {
  readonly basicConstraints: { readonly ca: boolean; readonly pathLength: number | undefined } | undefined
  /** Bits as in KEY_USAGE. */
  readonly keyUsage: { readonly bits: number; readonly critical: boolean } | undefined
  /** OIDs of the purposes. */
  readonly extendedKeyUsage: readonly string[] | undefined
  readonly subjectAltName: { readonly names: readonly GeneralName[]; readonly critical: boolean } | undefined
  readonly nameConstraints: NameConstraints | undefined
  /** Lower-case hex. */
  readonly subjectKeyId: string | undefined
  readonly authorityKeyId: string | undefined
  /** What a verifier must honour and this one can't, for people: such a certificate is in no valid path. */
  readonly unprocessed: readonly string[]
}

const MAX_EXTENSIONS = 64
const MAX_NAMES = 1024
/** Directory names among them, which cost most to read. */
const MAX_DIRECTORY_NAMES = 32
const MAX_POLICIES = 64
const MAX_PURPOSES = 64
const ANY_POLICY = '2.5.29.32.0'
/** CPS pointer and user notice: for people to read, with no effect on a path. Source: RFC 5280 4.2.1.4. */
const KNOWN_QUALIFIERS: ReadonlySet<string> = new Set(['1.3.6.1.5.5.7.2.1', '1.3.6.1.5.5.7.2.2'])

type Draft = { -readonly [Field in keyof Extensions]: Extensions[Field] } & { unprocessed: string[] }

/**
 * Reads the extensions of a certificate. Throws DerError on malformed ones, also on those that are not critical,
 * and on an extension that occurs twice. Limits: 64 extensions, policies and purposes, 1024 names in one extension.
 */
export function readExtensions(list: DerElement | undefined): Extensions {
  const draft: Draft = {
    basicConstraints: undefined,
    keyUsage: undefined,
    extendedKeyUsage: undefined,
    subjectAltName: undefined,
    nameConstraints: undefined,
    subjectKeyId: undefined,
    authorityKeyId: undefined,
    unprocessed: [],
  }
  if (list === undefined) return draft
  const elements = readChildren(expectTag(list, TAG.sequence, 'extensions'), 'extensions')
  if (elements.length === 0 || elements.length > MAX_EXTENSIONS)
    throw new DerError('extensions: none or too many')
  const seen = new Set<string>()
  for (const element of elements) {
    const fields = new DerFields(expectTag(element, TAG.sequence, 'extension'), 'extension')
    const oid = readObjectIdentifier(fields.next(TAG.objectIdentifier, 'extension').content, 'extension')
    const flag = fields.optional(TAG.boolean)
    const critical = flag !== undefined && readBoolean(flag, 'extension')
    const value = fields.next(TAG.octetString, 'extension').content
    fields.end()
    if (seen.has(oid)) throw new DerError(`extension ${oid} occurs twice`)
    seen.add(oid)
    readExtension(draft, oid, critical, value)
  }
  return draft
}

/** Source: RFC 5280 4.2.1. */
function readExtension(draft: Draft, oid: string, critical: boolean, value: Buffer): void {
  switch (oid) {
    case '2.5.29.14':
      draft.subjectKeyId = readWhole(value, TAG.octetString, 'subjectKeyIdentifier').content.toString('hex')
      return
    case '2.5.29.15':
      draft.keyUsage = {
        bits: readNamedBits(readWhole(value, TAG.bitString, 'keyUsage'), 'keyUsage'),
        critical,
      }
      return
    case '2.5.29.17':
      draft.subjectAltName = { names: readNames(value), critical }
      return
    case '2.5.29.19':
      draft.basicConstraints = readBasicConstraints(value)
      return
    case '2.5.29.30':
      draft.nameConstraints = readNameConstraints(value)
      return
    case '2.5.29.32':
      if (!readPolicies(value) && critical)
        draft.unprocessed.push('a certificate policy with an unknown qualifier')
      return
    case '2.5.29.33':
      readPolicyMappings(value)
      return
    case '2.5.29.35':
      draft.authorityKeyId = readAuthorityKeyId(value)
      return
    case '2.5.29.36':
      if (readPolicyConstraints(value))
        draft.unprocessed.push('policy constraints that require an explicit policy')
      return
    case '2.5.29.37':
      draft.extendedKeyUsage = readPurposes(value)
      return
    case '2.5.29.54':
      readSmallInteger(readWhole(value, TAG.integer, 'inhibitAnyPolicy'), 'inhibitAnyPolicy')
      return
    default:
      if (critical) draft.unprocessed.push(`the unknown critical extension ${oid}`)
  }
}

function readBasicConstraints(value: Buffer): Extensions['basicConstraints'] {
  const fields = new DerFields(readWhole(value, TAG.sequence, 'basicConstraints'), 'basicConstraints')
  const flag = fields.optional(TAG.boolean)
  const length = fields.optional(TAG.integer)
  fields.end()
  const ca = flag !== undefined && readBoolean(flag, 'basicConstraints')
  if (length !== undefined && !ca) throw new DerError('basicConstraints: a path length without CA')
  return { ca, pathLength: length === undefined ? undefined : readSmallInteger(length, 'basicConstraints') }
}

function readNames(value: Buffer): GeneralName[] {
  const names = readChildren(readWhole(value, TAG.sequence, 'subjectAltName'), 'subjectAltName')
  if (names.length === 0 || names.length > MAX_NAMES)
    throw new DerError('subjectAltName: no name or too many')
  expectFewDirectoryNames(names, 'subjectAltName')
  return names.map((name) => {
    const read = readGeneralName(name, 'subjectAltName')
    if (read.form === 'ip' && read.bytes.length !== 4 && read.bytes.length !== 16) {
      throw new DerError('subjectAltName: an IP address of neither 4 nor 16 bytes')
    }
    return read
  })
}

function readNameConstraints(value: Buffer): NameConstraints {
  const fields = new DerFields(readWhole(value, TAG.sequence, 'nameConstraints'), 'nameConstraints')
  const permitted = fields.optional(contextConstructedTag(0))
  const excluded = fields.optional(contextConstructedTag(1))
  fields.end()
  if (!permitted && !excluded) throw new DerError('nameConstraints: empty')
  return { permitted: readSubtrees(permitted), excluded: readSubtrees(excluded) }
}

/** `minimum` is always 0 and `maximum` absent (RFC 5280 4.2.1.10), so a subtree is its base alone. */
function readSubtrees(list: DerElement | undefined): GeneralName[] {
  if (list === undefined) return []
  const subtrees = readChildren(list, 'nameConstraints')
  if (subtrees.length === 0 || subtrees.length > MAX_NAMES)
    throw new DerError('nameConstraints: none or too many')
  const bases = subtrees.map((subtree) => {
    const [base, ...more] = readChildren(
      expectTag(subtree, TAG.sequence, 'nameConstraints'),
      'nameConstraints',
    )
    if (base === undefined || more.length > 0)
      throw new DerError('nameConstraints: a subtree with minimum or maximum')
    return base
  })
  expectFewDirectoryNames(bases, 'nameConstraints')
  return bases.map((base) => {
    const read = readGeneralName(base, 'nameConstraints')
    if (read.form === 'ip' && !isAddressWithMask(read.bytes)) {
      throw new DerError('nameConstraints: an IP range that is no address with a prefix mask')
    }
    return read
  })
}

function expectFewDirectoryNames(names: readonly DerElement[], what: string): void {
  if (names.filter(({ tag }) => tag === contextConstructedTag(4)).length > MAX_DIRECTORY_NAMES) {
    throw new DerError(`${what}: too many directory names`)
  }
}

function isAddressWithMask(bytes: Buffer): boolean {
  if (bytes.length !== 8 && bytes.length !== 32) return false
  const mask = [...bytes.subarray(bytes.length / 2)].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return /^1*0*$/.test(mask)
}

/** False when there is a qualifier that is not known. */
function readPolicies(value: Buffer): boolean {
  const policies = readChildren(readWhole(value, TAG.sequence, 'certificatePolicies'), 'certificatePolicies')
  if (policies.length === 0 || policies.length > MAX_POLICIES) {
    throw new DerError('certificatePolicies: none or too many')
  }
  const seen = new Set<string>()
  let known = true
  for (const policy of policies) {
    const fields = new DerFields(
      expectTag(policy, TAG.sequence, 'certificatePolicies'),
      'certificatePolicies',
    )
    const oid = readObjectIdentifier(fields.next(TAG.objectIdentifier, 'policy').content, 'policy')
    const qualifiers = fields.optional(TAG.sequence)
    fields.end()
    if (seen.has(oid)) throw new DerError('certificatePolicies: a policy twice')
    seen.add(oid)
    for (const qualifier of qualifiers ? readChildren(qualifiers, 'policy qualifier') : []) {
      const parts = new DerFields(expectTag(qualifier, TAG.sequence, 'policy qualifier'), 'policy qualifier')
      const id = readObjectIdentifier(parts.next(TAG.objectIdentifier, 'qualifier').content, 'qualifier')
      known &&= KNOWN_QUALIFIERS.has(id)
    }
  }
  return known
}

/** Mappings have no effect where no policy is asked for; only mapping to or from any policy is forbidden (6.1.4 a). */
function readPolicyMappings(value: Buffer): void {
  const mappings = readChildren(readWhole(value, TAG.sequence, 'policyMappings'), 'policyMappings')
  if (mappings.length === 0 || mappings.length > MAX_POLICIES) {
    throw new DerError('policyMappings: none or too many')
  }
  for (const mapping of mappings) {
    const fields = new DerFields(expectTag(mapping, TAG.sequence, 'policyMappings'), 'policyMappings')
    for (let side = 0; side < 2; side += 1) {
      const oid = readObjectIdentifier(
        fields.next(TAG.objectIdentifier, 'policyMappings').content,
        'policyMappings',
      )
      if (oid === ANY_POLICY) throw new DerError('policyMappings: any policy is mapped')
    }
    fields.end()
  }
}

/** True when an explicit policy is required. */
function readPolicyConstraints(value: Buffer): boolean {
  const fields = new DerFields(readWhole(value, TAG.sequence, 'policyConstraints'), 'policyConstraints')
  const explicit = fields.optional(contextTag(0))
  const mapping = fields.optional(contextTag(1))
  fields.end()
  if (explicit === undefined && mapping === undefined) throw new DerError('policyConstraints: empty')
  for (const count of [explicit, mapping]) if (count) readSmallInteger(count, 'policyConstraints')
  return explicit !== undefined
}

function readAuthorityKeyId(value: Buffer): string | undefined {
  const fields = new DerFields(
    readWhole(value, TAG.sequence, 'authorityKeyIdentifier'),
    'authorityKeyIdentifier',
  )
  const id = fields.optional(contextTag(0))
  fields.optional(contextConstructedTag(1))
  const serial = fields.optional(contextTag(2))
  if (serial) readInteger(serial, 'authorityKeyIdentifier')
  fields.end()
  return id?.content.toString('hex')
}

function readPurposes(value: Buffer): string[] {
  const purposes = readChildren(readWhole(value, TAG.sequence, 'extendedKeyUsage'), 'extendedKeyUsage')
  if (purposes.length === 0 || purposes.length > MAX_PURPOSES) {
    throw new DerError('extendedKeyUsage: none or too many')
  }
  return purposes.map((purpose) => {
    const { content } = expectTag(purpose, TAG.objectIdentifier, 'extendedKeyUsage')
    return readObjectIdentifier(content, 'extendedKeyUsage')
  })
}
