import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { readChildren, readWhole, TAG } from '../../../src/identity/der.js'
import { RevocationLists } from '../../../src/identity/revocation-lists.js'
import { parseTrustBundle } from '../../../src/identity/trust-bundle.js'
import { LiveTrustBundles } from '../../../src/identity/trust-bundles.js'
import { parseCertificate } from '../../../src/identity/x509-certificate.js'
import { isSignedByIssuer, parseRevocationList } from '../../../src/identity/x509-crl.js'
import { createAuthority, generateKeys, replacing } from '../../support/certificate-authority.js'
import { anyExtension, crlNumber, keyUsage, toPem } from '../../support/certificate-writer.js'

const NOW_MS = Date.now()
const HOUR_MS = 3_600_000
const authority = createAuthority({ name: 'mesh ca' })
const good = authority.revoke({ serials: ['4f01'] })
/** `[n] BOOLEAN TRUE` in the SEQUENCE of an issuing distribution point. */
const scope = (n: number) => anyExtension('2.5.29.28', true, Buffer.from([0x30, 3, 0x80 | n, 1, 0xff]))

const DATE = `170d${Buffer.from('260101000000Z').toString('hex')}`
/** A list with this entry; its signature is no matter here. */
function withEntry(hex: string): Buffer {
  const [tbs, ...signature] = readChildren(readWhole(good, TAG.sequence, 'list'), 'list')
  const fields = tbs ? readChildren(tbs, 'signed part') : []
  // Version, algorithm, issuer and two dates come before the entries.
  const changed = fields.map(({ whole }, at) => (at === 5 ? sequence(Buffer.from(hex, 'hex')) : whole))
  return sequence(sequence(...changed), ...signature.map(({ whole }) => whole))
}

function sequence(...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const length = content.length < 0x80 ? [content.length] : [0x81, content.length]
  return Buffer.concat([Buffer.from([TAG.sequence, ...length]), content])
}

describe('parseRevocationList refuses', () => {
  test.each([
    ['nothing', Buffer.alloc(0), /neither DER nor one PEM block/],
    ['text', Buffer.from('hello'), /neither DER nor one PEM block/],
    ['a certificate in PEM', Buffer.from(authority.certificatePem), /neither DER nor one PEM block/],
    ['two PEM blocks', Buffer.from(toPem('X509 CRL', good).repeat(2)), /neither DER nor one PEM block/],
    ['a certificate', authority.certificateDer, /version: unexpected type/],
    ['bytes after its end', Buffer.concat([good, Buffer.from([0])]), /bytes after its end/],
    ['a list cut short', good.subarray(0, -1), /cut short/],
    ['more than 16 MiB', Buffer.alloc(17 * 1024 * 1024, 0x30), /longer than/],
    ['version 1', authority.revoke({ version: 0 }), /version: not 2/],
    ['no nextUpdate', authority.revoke({ nextUpdate: null }), /nextUpdate: missing/],
    ['a date ahead', authority.revoke({ thisUpdate: new Date(NOW_MS + 301_000) }), /lies in the future/],
    ['no number', authority.revoke({ extensions: [] }), /cRLNumber: missing/],
    ['a critical number', authority.revoke({ extensions: [crlNumber(1, true)] }), /cRLNumber: critical/],
    ['a number twice', authority.revoke({ extensions: [crlNumber(1), crlNumber(1)] }), /occurs twice/],
    [
      'a delta list',
      authority.revoke({ extensions: [crlNumber(2), anyExtension('2.5.29.27', true)] }),
      /delta CRL/,
    ],
    ['an indirect list', authority.revoke({ extensions: [crlNumber(2), scope(4)] }), /indirect CRL/],
    ['a list of some reasons', authority.revoke({ extensions: [crlNumber(2), scope(3)] }), /some reasons/],
    [
      'a list of attribute certificates',
      authority.revoke({ extensions: [crlNumber(2), scope(5)] }),
      /attribute certificates/,
    ],
    [
      'an unknown critical extension',
      authority.revoke({ extensions: [crlNumber(1), anyExtension('1.2.3', true)] }),
      /unknown critical extension 1\.2\.3/,
    ],
    [
      'an unknown critical extension of an entry',
      authority.revoke({ serials: ['01'], entryExtensions: [anyExtension('1.2.3', true)] }),
      /unknown critical extension 1\.2\.3 of an entry/,
    ],
    ['an entry whose date is none', withEntry('300602024f010500'), /revocationDate: unexpected type/],
    ['an entry cut short', withEntry('301302024f01170d'), /entry: cut short/],
    ['an entry without a date', withEntry('300402024f01'), /revocationDate: missing/],
    ['an entry with a serial of two zero bytes', withEntry(`3015020400004f01${DATE}`), /superfluous byte/],
    ['an entry that is no sequence', withEntry(`311302024f01${DATE}`), /entry: unexpected type/],
    ['an entry with something more', withEntry(`301502024f01${DATE}0500`), /more than its grammar/],
    [
      "another issuer's entry",
      authority.revoke({ serials: ['01'], entryExtensions: [anyExtension('2.5.29.29', true)] }),
      /indirect CRL/,
    ],
  ])('%s', (_name, content, says) => {
    const parsed = parseRevocationList(content, NOW_MS)
    expect(parsed.ok ? 'accepted' : parsed.problem).toMatch(says)
  })
})

describe('parseRevocationList takes', () => {
  test.each([
    ['an entry as it usually is', withEntry(`301302024f01${DATE}`)],
    ['a reason on an entry', withEntry(`302102024f01${DATE}300c300a0603551d1504030a0101`)],
    [
      'a date after 2049 on an entry',
      withEntry(`301502024f01180f${Buffer.from('20500101000000Z').toString('hex')}`),
    ],
    ['DER', good],
    ['PEM', Buffer.from(toPem('X509 CRL', good))],
    ['PEM with blank lines around', Buffer.from(`\n${toPem('X509 CRL', good)}\n`)],
    [
      'an unknown extension that is not critical',
      authority.revoke({ serials: ['4f01'], extensions: [crlNumber(1), anyExtension('1.2.3', false)] }),
    ],
    [
      'a list of user certificates',
      authority.revoke({ serials: ['4f01'], extensions: [crlNumber(1), scope(1)] }),
    ],
    [
      'a reason and a date on an entry',
      authority.revoke({
        serials: ['4f01'],
        entryExtensions: [anyExtension('2.5.29.21', false), anyExtension('2.5.29.24', false)],
      }),
    ],
    [
      'a date that clocks may differ by',
      authority.revoke({ serials: ['4f01'], thisUpdate: new Date(NOW_MS + 200_000) }),
    ],
  ])('%s', (_name, content) => {
    const parsed = parseRevocationList(content, NOW_MS)
    expect(parsed.ok && [...parsed.list.revokedSerials]).toEqual(['4f01'])
  })

  test.each([
    ['one byte', '07'],
    ['zero', '00'],
    ['a byte of sign', '00ff01'],
    ['twenty bytes', `7f${'ab'.repeat(19)}`],
  ])('a serial of %s as certificates have it', (_name, serial) => {
    const parsed = parseRevocationList(authority.revoke({ serials: [serial] }), NOW_MS)
    expect(parsed.ok && [...parsed.list.revokedSerials]).toEqual([serial.replace(/^00(?=.)/, '')])
  })

  test('100,000 entries, looked up at once', () => {
    const serials = Array.from({ length: 100_000 }, (_, index) => (0x40000000 + index).toString(16))
    const content = authority.revoke({ serials })
    const startedMs = performance.now()
    const parsed = parseRevocationList(content, NOW_MS)
    expect(performance.now() - startedMs).toBeLessThan(1_000)
    expect(parsed.ok && parsed.list.revokedSerials.size).toBe(100_000)
    expect(parsed.ok && parsed.list.revokedSerials.has('4001869f')).toBe(true)
  })
})

describe('isSignedByIssuer', () => {
  const certificateOf = (der: Buffer) => {
    const parsed = parseCertificate(der)
    if (!parsed.ok) throw new Error(parsed.problem)
    return parsed.certificate
  }
  const parsed = parseRevocationList(good, NOW_MS)
  if (!parsed.ok) throw new Error(parsed.problem)
  const tampered = Buffer.from(good)
  tampered[good.indexOf(Buffer.from('4f01', 'hex'))]! ^= 0x10
  const parsedTampered = parseRevocationList(tampered, NOW_MS)

  test.each([
    ['a CA of another name', createAuthority({ name: 'other', keys: authority.keys })],
    ['a CA of the same name with another key', createAuthority({ name: 'mesh ca' })],
    [
      'a CA of the same name with a key of another kind',
      createAuthority({ name: 'mesh ca', keyType: 'rsa-2048' }),
    ],
    [
      'a CA whose key may not sign lists',
      createAuthority({
        name: 'mesh ca',
        keys: authority.keys,
        extensions: replacing(keyUsage(['keyCertSign'])),
      }),
    ],
    [
      'no CA',
      authority.issueSvid({ spiffeId: 'spiffe://td/x', subject: authority.name, keys: authority.keys }),
    ],
  ])('refuses %s', (_name, other) => {
    expect(isSignedByIssuer(parsed.list, certificateOf(other.certificateDer))).toBe(false)
  })

  test('refuses a list with another serial, takes the one that was signed', () => {
    const issuer = certificateOf(authority.certificateDer)
    expect(parsedTampered.ok && isSignedByIssuer(parsedTampered.list, issuer)).toBe(false)
    expect(isSignedByIssuer(parsed.list, issuer)).toBe(true)
  })

  test.each(['ec-p384', 'ed25519', 'rsa-2048'] as const)('takes %s', (keyType) => {
    const other = createAuthority({ name: 'x', keys: generateKeys(keyType) })
    const list = parseRevocationList(other.revoke({}), NOW_MS)
    expect(list.ok && isSignedByIssuer(list.list, certificateOf(other.certificateDer))).toBe(true)
  })
})

describe('RevocationLists', () => {
  const bundleOf = (...pems: string[]) => {
    const bundle = parseTrustBundle(pems.join(''))
    if (!bundle.ok) throw new Error(bundle.problem)
    return bundle.bundle
  }
  const listOf = (der: Buffer) => {
    const list = parseRevocationList(der, NOW_MS)
    if (!list.ok) throw new Error(list.problem)
    return list.list
  }
  const issued = (serialHex: string) => [{ serialHex, issuerKey: listOf(good).issuer.key }]
  const setUp = (...ders: Buffer[]) => {
    const bundles = new LiveTrustBundles()
    bundles.set('td', bundleOf(authority.certificatePem))
    bundles.set('same-name', bundleOf(createAuthority({ name: 'mesh ca' }).certificatePem))
    const lists = new RevocationLists(bundles)
    lists.set('file', ders.map(listOf))
    return { bundles, lists }
  }

  test.each([
    ['a listed serial', setUp(good), '4f01', NOW_MS, /on a revocation list/],
    [
      'a serial of any of its lists',
      setUp(authority.revoke({}), good),
      '4f01',
      NOW_MS,
      /on a revocation list/,
    ],
    [
      'everything once the list has expired',
      setUp(good),
      '77',
      NOW_MS + 2 * HOUR_MS,
      /o=portcullis,CN=mesh ca has expired/i,
    ],
    [
      'everything of an issuer whose list somebody else signed',
      setUp(createAuthority({ name: 'mesh ca' }).revoke({})),
      '77',
      NOW_MS,
      /signed by no CA of the trust bundle/,
    ],
  ])('refuses %s', (_name, { lists }, serial, nowMs, says) => {
    expect(lists.refusal('td', issued(serial), nowMs)).toEqual({
      reason: 'certificate-revoked',
      message: expect.stringMatching(says),
    })
  })

  test('refuses everything once the CA that signed the list has gone from the bundle', () => {
    const { bundles, lists } = setUp(good)
    expect(lists.refusal('td', issued('77'), NOW_MS)).toBeUndefined()
    bundles.set('td', bundleOf(createAuthority({ name: 'mesh ca' }).certificatePem))
    expect(lists.refusal('td', issued('77'), NOW_MS)?.message).toMatch(/signed by no CA/)
    bundles.set('td', bundleOf(authority.certificatePem))
    expect(lists.refusal('td', issued('77'), NOW_MS)).toBeUndefined()
  })

  test.each([
    ['another serial', 'td', issued('77')],
    ['a CA of the same name in another trust domain', 'same-name', issued('4f01')],
    ['another issuer', 'td', [{ serialHex: '4f01', issuerKey: '["2.5.4.3=other"]' }]],
    ['a trust domain without a bundle', 'nowhere', issued('4f01')],
  ])('lets %s pass', (_name, trustDomain, path) => {
    expect(setUp(good).lists.refusal(trustDomain, path, NOW_MS)).toBeUndefined()
  })

  test('lists of a source speak only of its trust domains, and go with it', () => {
    const { lists } = setUp()
    const foreign = createAuthority({ name: 'mesh ca' }).revoke({})
    lists.set('agent', [listOf(foreign)], new Set(['same-name']))
    expect(lists.refusal('td', issued('77'), NOW_MS)).toBeUndefined()
    expect(lists.refusal('same-name', issued('77'), NOW_MS)?.message).toMatch(/signed by no CA/)
    lists.set('agent', [])
    expect(lists.refusal('same-name', issued('77'), NOW_MS)).toBeUndefined()
    expect(lists.health).toEqual([])
  })

  test('health says who signed what until when', () => {
    expect(setUp(good).lists.health).toEqual([
      {
        source: 'file',
        issuer: 'O=portcullis,CN=mesh ca',
        nextUpdateMs: listOf(good).nextUpdateMs,
        entries: 1,
        trustDomains: ['td'],
      },
    ])
  })
})

const CORPUS = '../shared/corpora/x509.json'
type CorpusCase = {
  readonly id: string
  readonly crls?: readonly string[]
  readonly trusted_certs: readonly string[]
  readonly peer_certificate: string
  readonly validation_time: string
  readonly expected_result: 'SUCCESS' | 'FAILURE'
}
const corpus: { readonly cases: readonly CorpusCase[] } = existsSync(CORPUS)
  ? JSON.parse(readFileSync(CORPUS, 'utf8'))
  : { cases: [] }
const crlCases = corpus.cases.filter(({ crls }) => crls !== undefined)

/** A list that can't be used keeps Portcullis from starting, which refuses too. */
;(crlCases.length > 0 ? describe : describe.skip)('the CRL cases of the public X.509 corpus', () => {
  test.each(crlCases.map((one) => ({ name: one.id, one })))('$name', ({ one }) => {
    const nowMs = Date.parse(one.validation_time)
    const derOf = (pem: string) => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
    const leaf = parseCertificate(derOf(one.peer_certificate))
    const anchors = one.trusted_certs.flatMap((pem) => {
      const parsed = parseCertificate(derOf(pem))
      return parsed.ok ? [parsed.certificate] : []
    })
    const bundle = {
      anchors,
      intermediates: [],
      digest: 'x',
      sequence: undefined,
      refreshHintSeconds: undefined,
    }
    const bundles = new LiveTrustBundles()
    bundles.set('td', bundle)
    const parsed = (one.crls ?? []).map((pem) => parseRevocationList(Buffer.from(pem), nowMs))
    const lists = new RevocationLists(bundles)
    lists.set(
      'case',
      parsed.flatMap((each) => (each.ok ? [each.list] : [])),
    )
    const path = leaf.ok
      ? [{ serialHex: leaf.certificate.serialHex, issuerKey: leaf.certificate.issuer.key }]
      : []
    const refused = parsed.some(({ ok }) => !ok) || lists.refusal('td', path, nowMs) !== undefined
    expect(refused ? 'FAILURE' : 'SUCCESS').toBe(one.expected_result)
  })
})
