import {
  contextConstructedTag,
  contextTag,
  DerError,
  type DerElement,
  DerFields,
  expectTag,
  readChildren,
  readObjectIdentifier,
  TAG,
} from './der.js'

/** The name of a subject or issuer. */
export type DistinguishedName = {
  /** Equal for names that RFC 5280 7.1 calls equal: case, blanks and the string's type don't count. */
  readonly key: string
  /** One key for every relative distinguished name, in the certificate's order; none for an empty name. */
  readonly parts: readonly string[]
  /** Values of emailAddress attributes, which e-mail name constraints cover as well. */
  readonly emails: readonly string[]
}

/** A name of a certificate, or the base of a name constraint. */
export type GeneralName =
  | { readonly form: 'email' | 'dns' | 'uri'; readonly text: string }
  | { readonly form: 'ip'; readonly bytes: Buffer }
  | { readonly form: 'dn'; readonly name: DistinguishedName }
  /** otherName, x400Address, ediPartyName or registeredID: told apart by its tag number, never read. */
  | { readonly form: 'other'; readonly kind: number }

const EMAIL_ADDRESS = '1.2.840.113549.1.9.1'
/** Of one name, in all. */
const MAX_ATTRIBUTES = 64
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export function readName(element: DerElement, what: string): DistinguishedName {
  const emails: string[] = []
  let count = 0
  const parts = readChildren(expectTag(element, TAG.sequence, what), what).map((set) => {
    const attributes = readChildren(expectTag(set, TAG.set, what), what).map((attribute) => {
      count += 1
      if (count > MAX_ATTRIBUTES) throw new DerError(`${what}: more than ${MAX_ATTRIBUTES} attributes`)
      const fields = new DerFields(expectTag(attribute, TAG.sequence, what), what)
      const oid = readObjectIdentifier(fields.next(TAG.objectIdentifier, what).content, what)
      const value = fields.any(what)
      fields.end()
      const text = readText(value, what)
      if (oid === EMAIL_ADDRESS && text !== undefined) emails.push(text)
      return attributeKey(oid, text ?? value.whole)
    })
    if (attributes.length === 0) throw new DerError(`${what}: empty relative distinguished name`)
    return attributes.length === 1 ? attributes[0]! : JSON.stringify(attributes.sort())
  })
  return { key: JSON.stringify(parts), parts, emails }
}

/** How an attribute is compared: text without regard to case and blanks, anything else byte by byte. */
export function attributeKey(oid: string, value: string | Buffer): string {
  return typeof value === 'string'
    ? `${oid}=${value.normalize('NFKC').toLowerCase().replace(/\s+/g, ' ').trim()}`
    : `${oid}#${value.toString('hex')}`
}

/** Reads any GeneralName; an IP address keeps its bytes, whose number the caller judges. */
export function readGeneralName(element: DerElement, what: string): GeneralName {
  switch (element.tag) {
    case contextTag(1):
      return { form: 'email', text: readIa5(element.content, what) }
    case contextTag(2):
      return { form: 'dns', text: readIa5(element.content, what) }
    case contextTag(6):
      return { form: 'uri', text: readIa5(element.content, what) }
    case contextTag(7):
      return { form: 'ip', bytes: element.content }
    case contextConstructedTag(4): {
      const [name, ...more] = readChildren(element, what)
      if (name === undefined || more.length > 0) throw new DerError(`${what}: not one directory name`)
      return { form: 'dn', name: readName(name, what) }
    }
    case contextConstructedTag(0):
    case contextConstructedTag(3):
    case contextConstructedTag(5):
    case contextTag(8):
      return { form: 'other', kind: element.tag & 0x1f }
    default:
      throw new DerError(`${what}: unknown form of name`)
  }
}

function readIa5(content: Buffer, what: string): string {
  if (content.some((byte) => byte >= 0x80)) throw new DerError(`${what}: a name that is not ASCII`)
  return content.toString('latin1')
}

function readText({ tag, content }: DerElement, what: string): string | undefined {
  switch (tag) {
    case TAG.utf8String:
      try {
        return UTF8.decode(content)
      } catch {
        throw new DerError(`${what}: a string that is not UTF-8`)
      }
    case TAG.printableString:
    case TAG.ia5String:
    case TAG.numericString:
    case TAG.visibleString:
    case TAG.teletexString:
      return content.toString('latin1')
    case TAG.bmpString:
      if (content.length % 2 !== 0) throw new DerError(`${what}: a BMPString of odd length`)
      return Buffer.from(content).swap16().toString('utf16le')
    default:
      return undefined
  }
}
