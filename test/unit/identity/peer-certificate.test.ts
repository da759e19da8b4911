import { describe, expect, test } from '@jest/globals'
import { type CertificatePolicy, compileCertificatePolicy } from '../../../src/identity/certificate-policy.js'
import {
  intermediateHints,
  type PeerCertificateInput,
  retainLeafVerdict,
  verifyLeaf,
  verifyPeerCertificate,
} from '../../../src/identity/peer-certificate.js'
import { parseTrustBundle } from '../../../src/identity/trust-bundle.js'
import { LiveTrustBundles } from '../../../src/identity/trust-bundles.js'
import {
  asEnvoySends,
  createAuthority,
  type Issued,
  replacing,
  type SvidOptions,
  without,
} from '../../support/certificate-authority.js'
import {
  anyExtension,
  basicConstraints,
  extendedKeyUsage,
  keyUsage,
  OID,
  subjectAltName,
} from '../../support/certificate-writer.js'

const NOW_MS = Date.now()
const DAY_MS = 86_400_000
const ID = 'spiffe://td.example/ns/a/sa/b'
const root = createAuthority({ name: 'Root', trustDomain: 'td.example' })
const middle = createAuthority({ name: 'Middle', intermediateOf: root })
const foreign = createAuthority({ name: 'Root', trustDomain: 'td.example' })
const federated = createAuthority({ name: 'Federated', trustDomain: 'other.example' })

const bundles = new LiveTrustBundles()
for (const [domain, pem] of [
  ['td.example', root.certificatePem],
  ['other.example', federated.certificatePem],
  ['empty.example', '{"keys": []}'],
] as const) {
  const parsed = parseTrustBundle(pem)
  if (!parsed.ok) throw new Error(parsed.problem)
  bundles.set(domain, parsed.bundle)
}
function policyWith(fingerprints: readonly string[]): CertificatePolicy {
  const compiled = compileCertificatePolicy({
    maxLifetimeMs: DAY_MS,
    gracePeriodMs: 3_600_000,
    revoked: { serials: [], fingerprints, identities: [] },
  })
  if (!compiled.ok) throw new Error('wrong policy')
  return compiled.policy
}
const policy = policyWith([])

const verify = (issued: Pick<Issued, 'certificatePem'>, more: Partial<PeerCertificateInput> = {}) =>
  verifyPeerCertificate({
    certificate: asEnvoySends(issued.certificatePem),
    principal: ID,
    xfcc: '',
    bundles,
    policy,
    nowMs: NOW_MS,
    ...more,
  })
const svid = (options: Partial<SvidOptions> = {}): Issued => root.issueSvid({ spiffeId: ID, ...options })
const chainHeader = (pem: string): string => `Hash=00;Chain="${encodeURIComponent(pem)}"`

describe('verifyPeerCertificate refuses', () => {
  const good = svid()
  const uris = (...names: readonly string[]) => ({
    extensions: replacing(subjectAltName(names.map((uri) => ({ uri })))),
  })
  test.each<[string, string, Promise<unknown>]>([
    ['no certificate', 'certificate-required', verify(good, { certificate: '' })],
    ['text', 'certificate-invalid', verify(good, { certificate: 'hello' })],
    ['broken percent-encoding', 'certificate-invalid', verify(good, { certificate: '%ZZ' })],
    ['two certificates', 'certificate-invalid', verify({ certificatePem: good.certificatePem.repeat(2) })],
    ['a private key', 'certificate-invalid', verify({ certificatePem: good.keyPem })],
    ['a megabyte', 'certificate-invalid', verify(good, { certificate: 'a'.repeat(1_000_000) })],
    [
      '65 KiB of PEM',
      'certificate-invalid',
      verify({ certificatePem: good.certificatePem + '\n'.repeat(65_536) }),
    ],
    [
      'a PEM block cut short',
      'certificate-invalid',
      verify(svid(), { certificate: good.certificatePem.slice(0, -40) }),
    ],
    ['a foreign root of the same name', 'certificate-invalid', verify(foreign.issueSvid({ spiffeId: ID }))],
    ["another trust domain's root", 'certificate-invalid', verify(federated.issueSvid({ spiffeId: ID }))],
    ['an unknown intermediate', 'certificate-invalid', verify(middle.issueSvid({ spiffeId: ID }))],
    [
      'a trust domain without bundle',
      'untrusted-domain',
      verify(svid({ spiffeId: 'spiffe://new.example/a' })),
    ],
    [
      'a trust domain whose keys are revoked',
      'certificate-invalid',
      verify(svid({ spiffeId: 'spiffe://empty.example/a' })),
    ],
    ['no SAN', 'svid-invalid', verify(svid({ extensions: without(OID.subjectAltName) }))],
    ['two URI names', 'svid-invalid', verify(svid(uris(ID, 'spiffe://td.example/admin')))],
    [
      'no URI name',
      'svid-invalid',
      verify(svid({ extensions: replacing(subjectAltName([{ dns: 'a.example' }])) })),
    ],
    ['a URI that is no SPIFFE ID', 'svid-invalid', verify(svid(uris('https://td.example/a')))],
    ['a SPIFFE ID with an escape', 'svid-invalid', verify(svid(uris('spiffe://td.example/%61')))],
    ['a SPIFFE ID without path', 'svid-invalid', verify(svid(uris('spiffe://td.example')))],
    ['a CA', 'svid-invalid', verify(svid({ extensions: replacing(basicConstraints(true)) }))],
    ['no key usage', 'svid-invalid', verify(svid({ extensions: without(OID.keyUsage) }))],
    [
      'key usage that is not critical',
      'svid-invalid',
      verify(svid({ extensions: replacing(keyUsage(['digitalSignature'], false)) })),
    ],
    ['no signatures', 'svid-invalid', verify(svid({ extensions: replacing(keyUsage(['keyAgreement'])) }))],
    [
      'keyCertSign',
      'svid-invalid',
      verify(svid({ extensions: replacing(keyUsage(['digitalSignature', 'keyCertSign'])) })),
    ],
    [
      'cRLSign',
      'svid-invalid',
      verify(svid({ extensions: replacing(keyUsage(['digitalSignature', 'cRLSign'])) })),
    ],
    [
      'server authentication alone',
      'svid-invalid',
      verify(svid({ extensions: replacing(extendedKeyUsage([OID.serverAuth])) })),
    ],
    [
      'an empty subject without a critical SAN',
      'svid-invalid',
      verify(svid({ subject: [], extensions: replacing(subjectAltName([{ uri: ID }])) })),
    ],
    [
      'an unknown critical extension',
      'certificate-invalid',
      verify(svid({ extensions: replacing(anyExtension('1.2.3.4', true)) })),
    ],
    ['an expired leaf', 'certificate-expired', verify(svid({ notAfter: new Date(NOW_MS - 1000) }))],
    [
      'a leaf of tomorrow',
      'certificate-not-yet-valid',
      verify(svid({ notBefore: new Date(NOW_MS + DAY_MS) })),
    ],
    ['a leaf of two days', 'certificate-lifetime', verify(svid({ ttlSeconds: 2 * 86_400 }))],
    ['a revoked leaf', 'certificate-revoked', verify(good, { policy: policyWith([good.sha256Hex]) })],
    ['a revoked root', 'certificate-revoked', verify(good, { policy: policyWith([root.sha256Hex]) })],
    ['another principal', 'principal-mismatch', verify(good, { principal: 'spiffe://td.example/ns/a/sa/c' })],
    ['no principal', 'principal-mismatch', verify(good, { principal: '' })],
  ])('%s', async (_name, reason, verdict) => {
    expect(await verdict).toMatchObject({ ok: false, reason, message: expect.any(String) })
  })

  test('an issuer with the SPIFFE ID of a workload', async () => {
    const odd = createAuthority({ name: 'Odd', intermediateOf: root, trustDomain: 'td.example/a' })
    const xfcc = chainHeader(odd.certificatePem)
    expect(await verify(odd.issueSvid({ spiffeId: ID }), { xfcc })).toMatchObject({
      reason: 'certificate-invalid',
    })
  })

  test('a leaf that only the hints would vouch for', async () => {
    const xfcc = chainHeader(foreign.certificatePem)
    expect(await verify(foreign.issueSvid({ spiffeId: ID }), { xfcc })).toMatchObject({
      reason: 'certificate-invalid',
    })
  })
})

describe('verifyPeerCertificate accepts', () => {
  test.each(['ec-p256', 'ec-p384', 'ec-p521', 'ed25519', 'rsa-2048'] as const)(
    'a leaf with a key of %s',
    async (keyType) => {
      const issued = svid({ keyType, dnsNames: ['a.example'] })
      expect(await verify(issued)).toMatchObject({
        ok: true,
        spiffeId: { text: ID, trustDomain: 'td.example', path: '/ns/a/sa/b' },
        workload: { verifiedBy: 'certificate', certificateSha256: issued.sha256Hex },
        lifetimeMs: 3_600_000,
      })
    },
  )

  test('an empty subject with a critical SAN, no EKU, no basic constraints', async () => {
    const issued = svid({ subject: [], extensions: without(OID.extendedKeyUsage, OID.basicConstraints) })
    expect(await verify(issued)).toMatchObject({ ok: true })
  })

  test('an intermediate from the hints', async () => {
    const issued = middle.issueSvid({ spiffeId: ID })
    expect(await verify(issued, { xfcc: chainHeader(issued.chainPem) })).toMatchObject({ ok: true })
  })

  test('a federated workload by its own bundle', async () => {
    const principal = 'spiffe://other.example/a'
    expect(await verify(federated.issueSvid({ spiffeId: principal }), { principal })).toMatchObject({
      ok: true,
    })
  })
})

test.each([
  ['no header', ''],
  ['a header that is none', 'Chain'],
  ['a chain of an earlier hop', `${chainHeader(middle.certificatePem)},By=a`],
  ['broken percent-encoding', 'Chain="%ZZ"'],
  ['no PEM', 'Chain="abc"'],
  ['17 certificates', chainHeader(middle.certificatePem.repeat(17))],
])('intermediateHints finds none in %s', (_name, header) => {
  expect(intermediateHints(header)).toEqual([])
})

test('a refusal for a validity that begins is forgotten when it begins', async () => {
  const notBefore = new Date(Math.floor(NOW_MS / 1000) * 1000 + 5000)
  const certificate = asEnvoySends(svid({ notBefore }).certificatePem)
  const verdict = await verifyLeaf(certificate, [], bundles, NOW_MS)
  expect(retainLeafVerdict(verdict, NOW_MS)).toEqual({ space: 'refused', untilMs: notBefore.getTime() })
  expect(await verifyLeaf(certificate, [], bundles, notBefore.getTime())).toMatchObject({ ok: true })
})
