import { describe, expect, test } from '@jest/globals'
import { X509Certificate } from 'node:crypto'
import { parseCertificate } from '../../../src/identity/x509-certificate.js'
import {
  createAuthority,
  generateKeys,
  replacing,
  type Unusual,
} from '../../support/certificate-authority.js'
import {
  anyExtension,
  basicConstraints,
  certificatePolicies,
  extendedKeyUsage,
  OID,
  subjectAltName,
  writeCertificate,
} from '../../support/certificate-writer.js'

const root = createAuthority({ name: 'Root', trustDomain: 'td.example' })
const svid = (unusual: Unusual = {}) => root.issueSvid({ spiffeId: 'spiffe://td.example/a', ...unusual })
const extension = (oid: string, hex: string, critical = false): Unusual => ({
  extensions: replacing(anyExtension(oid, critical, Buffer.from(hex.replaceAll(' ', ''), 'hex'))),
})
const good = svid().certificateDer

describe('parseCertificate refuses', () => {
  test.each([
    ['an empty file', Buffer.alloc(0)],
    ['a certificate cut short', good.subarray(0, -1)],
    ['a byte after the end', Buffer.concat([good, Buffer.from([0])])],
    ['more than 48 KiB', svid(extension('1.2.3.4', '04'.repeat(50_000))).certificateDer],
    ['another algorithm outside', svid({ outerSignature: 'ecdsa-sha384' }).certificateDer],
    ['a negative serial', svid({ serial: 'ff01' }).certificateDer],
    ['a serial of 22 bytes', svid({ serial: '01'.repeat(22) }).certificateDer],
    [
      'an extension twice',
      svid({ extensions: (usual) => [...usual, subjectAltName([{ uri: 'spiffe://td.example/b' }])] })
        .certificateDer,
    ],
    ['an empty subject alternative name', svid(extension(OID.subjectAltName, '30 00')).certificateDer],
    ['a name that is not ASCII', svid(extension(OID.subjectAltName, '30 03 86 01 e9')).certificateDer],
    ['an address of 5 bytes', svid(extension(OID.subjectAltName, '30 07 87 05 0102030405')).certificateDer],
    ['an unknown form of name', svid(extension(OID.subjectAltName, '30 03 89 01 61')).certificateDer],
    ['bytes after an extension', svid(extension(OID.keyUsage, '03 02 07 80 00')).certificateDer],
    ['a path length without CA', svid({ extensions: replacing(basicConstraints(false, 1)) }).certificateDer],
    [
      '65 purposes',
      svid({ extensions: replacing(extendedKeyUsage(Array<string>(65).fill(OID.clientAuth))) })
        .certificateDer,
    ],
    [
      '65 policies',
      svid({ extensions: replacing(certificatePolicies(Array.from({ length: 65 }, (_, at) => `1.2.${at}`))) })
        .certificateDer,
    ],
    [
      'a subject of 65 attributes',
      svid({ subject: Array.from({ length: 65 }, () => ['CN', 'x'] as const) }).certificateDer,
    ],
    [
      '1025 names',
      svid({ extensions: replacing(subjectAltName(Array.from({ length: 1025 }, () => ({ dns: 'a' })))) })
        .certificateDer,
    ],
    [
      '33 directory names',
      svid({ extensions: replacing(subjectAltName(Array.from({ length: 33 }, () => ({ dn: [] })))) })
        .certificateDer,
    ],
    ['an empty extended key usage', svid(extension(OID.extendedKeyUsage, '30 00')).certificateDer],
    ['empty name constraints', svid(extension(OID.nameConstraints, '30 00')).certificateDer],
    [
      'a subtree with a minimum',
      svid(extension(OID.nameConstraints, '30 0a a0 08 30 06 82 01 61 80 01 00')).certificateDer,
    ],
    [
      'a mask with a hole',
      svid(extension(OID.nameConstraints, '30 0e a0 0c 30 0a 87 08 0a000000 ff00ff00')).certificateDer,
    ],
    [
      'mapping any policy',
      svid(extension(OID.policyMappings, '30 0d 30 0b 06 04 551d2000 06 03 2a0304')).certificateDer,
    ],
  ])('%s', (_name, der) => {
    expect(parseCertificate(der)).toEqual({ ok: false, problem: expect.any(String) })
  })

  test('or reads any byte changed, without an exception', () => {
    for (let at = 0; at < good.length; at += 1) {
      for (const change of [0x01, 0x80, 0xff]) {
        const mutated = Buffer.from(good)
        mutated[at]! ^= change
        expect(typeof parseCertificate(mutated).ok).toBe('boolean')
      }
    }
  })
})

describe('parseCertificate reads', () => {
  test.each(['ec-p256', 'ec-p384', 'ec-p521', 'ed25519', 'rsa-2048'] as const)(
    'what node reads of %s',
    (keyType) => {
      const issued = svid({ keyType, serial: '0080', notAfter: new Date('2060-01-02T03:04:05Z') })
      const parsed = parseCertificate(issued.certificateDer)
      const peer = new X509Certificate(issued.certificateDer)
      if (!parsed.ok) throw new Error(parsed.problem)
      const { certificate } = parsed
      expect(certificate).toMatchObject({
        serialHex: '80',
        sha256Hex: peer.fingerprint256.replaceAll(':', '').toLowerCase(),
        notBeforeMs: Date.parse(peer.validFrom),
        notAfterMs: Date.parse('2060-01-02T03:04:05Z'),
      })
      expect(certificate.keyKind()).toBe(keyType.split('-')[0])
      expect(certificate.publicKey()?.equals(peer.publicKey)).toBe(true)
      expect(certificate.extensions).toMatchObject({
        basicConstraints: { ca: false, pathLength: undefined },
        keyUsage: { bits: 1, critical: true },
        subjectAltName: { names: [{ form: 'uri', text: 'spiffe://td.example/a' }], critical: false },
        unprocessed: [],
      })
    },
  )
})

describe('weak keys', () => {
  const keyOf = (publicKey: Buffer) => {
    const der = writeCertificate({
      serial: Buffer.from([1]),
      issuer: root.name,
      subject: [['CN', 'x']],
      notBefore: new Date(),
      notAfter: new Date(),
      publicKey,
      extensions: [],
      signingKey: root.keys.privateKey,
      signature: 'ecdsa-sha256',
    })
    const parsed = parseCertificate(der)
    if (!parsed.ok) throw new Error(parsed.problem)
    return parsed.certificate.keyKind()
  }
  const spki = (keyType: Parameters<typeof generateKeys>[0]): Buffer =>
    generateKeys(keyType).publicKey.export({ format: 'der', type: 'spki' })
  /** The last bytes of an RSA SubjectPublicKeyInfo are its exponent, 65537. */
  const withExponent = (hex: string): Buffer => {
    const bytes = spki('rsa-2048')
    Buffer.from(hex, 'hex').copy(bytes, bytes.length - 3)
    return bytes
  }
  const compressed = (): Buffer => {
    const bytes = spki('ec-p256')
    bytes[26] = 2
    return bytes
  }

  test.each([
    ['RSA of 1024 bits', () => spki('rsa-1024')],
    ['an even exponent', () => withExponent('010000')],
    ['P-224', () => spki('ec-p224')],
    ['a point of another form', compressed],
  ])('%s', (_name, make) => {
    expect(keyOf(make())).toEqual({ weakness: expect.any(String) })
  })

  test('a sound key passes the same way', () => {
    expect(keyOf(spki('ec-p256'))).toBe('ec')
  })
})
