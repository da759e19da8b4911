import { describe, expect, test } from '@jest/globals'
import { parseTrustBundle, type TrustBundle } from '../../../src/identity/trust-bundle.js'
import { LiveTrustBundles } from '../../../src/identity/trust-bundles.js'
import { createAuthority, type Issued, replacing, without } from '../../support/certificate-authority.js'
import { anyExtension, extendedKeyUsage, keyUsage, OID } from '../../support/certificate-writer.js'

const root = createAuthority({ name: 'Root', trustDomain: 'td.example' })
const other = createAuthority({ name: 'Other' })
const middle = createAuthority({ name: 'Middle', intermediateOf: root })
const leaf = root.issueSvid({ spiffeId: 'spiffe://td.example/a' })

const key = (...certificates: readonly Issued[]) => ({
  use: 'x509-svid',
  kty: 'EC',
  x5c: certificates.map(({ certificateDer }) => certificateDer.toString('base64')),
})
const jwks = (keys: readonly unknown[], more: object = {}): string => JSON.stringify({ keys, ...more })
function bundleOf(text: string | Buffer): TrustBundle {
  const parsed = parseTrustBundle(text)
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.bundle
}

describe('parseTrustBundle refuses', () => {
  const odd = { name: 'Odd' }
  test.each([
    ['nothing', '', 'no PEM certificate'],
    ['a leaf among roots', root.certificatePem + leaf.certificatePem, 'certificate 2: no CA certificate'],
    ['a private key', root.certificatePem + root.keyPem, 'a PEM block that is no CERTIFICATE'],
    [
      'a CA that may not sign',
      createAuthority({ ...odd, extensions: replacing(keyUsage(['digitalSignature'])) }).certificatePem,
      'certificate 1: its key may not sign certificates',
    ],
    [
      'no basic constraints',
      createAuthority({ ...odd, extensions: without(OID.basicConstraints) }).certificatePem,
      'certificate 1: no CA certificate',
    ],
    [
      'an unknown critical extension',
      createAuthority({ ...odd, extensions: replacing(anyExtension('1.2.3.4', true)) }).certificatePem,
      'certificate 1: the unknown critical extension 1.2.3.4',
    ],
    [
      'a weak key',
      createAuthority({ ...odd, keyType: 'rsa-1024' }).certificatePem,
      'certificate 1: an RSA key of 1024 bits, at least 2048 are needed',
    ],
    [
      'a CA for another purpose',
      createAuthority({ ...odd, extensions: replacing(extendedKeyUsage([OID.codeSigning])) }).certificatePem,
      'certificate 1: an issuer whose extended key usage lacks client authentication',
    ],
    [
      "a CA with a workload's SPIFFE ID",
      createAuthority({ ...odd, trustDomain: 'td.example/a' }).certificatePem,
      "certificate 1: an issuer whose SPIFFE ID is not a trust domain's",
    ],
    ['JSON that is none', '{', 'JSON, but no JWK Set with `keys`'],
    ['JSON without keys', '{"spiffe_sequence": 1}', 'JSON, but no JWK Set with `keys`'],
    [
      'a sequence that is no number',
      jwks([], { spiffe_sequence: '1' }),
      '`spiffe_sequence` is not a whole number',
    ],
    [
      'a negative refresh hint',
      jwks([], { spiffe_refresh_hint: -1 }),
      '`spiffe_refresh_hint` is not a whole number',
    ],
    [
      'an x509-svid key without certificate',
      jwks([{ use: 'x509-svid', kty: 'EC' }]),
      'an x509-svid key without a certificate in `x5c`',
    ],
    ['a leaf in a JWKS', jwks([key(leaf)]), 'certificate 1: no CA certificate'],
    ['257 certificates', root.certificatePem.repeat(257), 'more than 256 certificates'],
  ])('%s', (_name, text, problem) => {
    expect(parseTrustBundle(text)).toEqual({ ok: false, problem })
  })
})

describe('parseTrustBundle takes', () => {
  const subjects = ({ anchors, intermediates }: TrustBundle) => [
    anchors.map(({ subject }) => subject.key),
    intermediates.map(({ subject }) => subject.key),
  ]
  const [ROOT, MIDDLE] = subjects(bundleOf(root.certificatePem + middle.certificatePem)).map(([one]) => one)

  test('roots as anchors and what they issued as intermediates', () => {
    const bundle = bundleOf(`# mesh\n${middle.certificatePem}\n${root.certificatePem}`)
    expect(subjects(bundle)).toEqual([[ROOT], [MIDDLE]])
  })

  test('an intermediate whose root is absent as an anchor', () => {
    expect(subjects(bundleOf(Buffer.from(middle.certificatePem)))).toEqual([[MIDDLE], []])
  })

  test('a SPIFFE JWKS: the first certificate of each x509-svid key, and no other key', () => {
    const text = jwks(
      [key(root, other), { use: 'jwt-svid', kty: 'EC', kid: 'a' }, { use: 'new', kty: 'EC' }, {}],
      {
        spiffe_sequence: 7,
        spiffe_refresh_hint: 60,
      },
    )
    const bundle = bundleOf(text)
    expect(subjects(bundle)).toEqual([[ROOT], []])
    expect(bundle).toMatchObject({
      sequence: 7,
      refreshHintSeconds: 60,
      digest: bundleOf(root.certificatePem).digest,
    })
  })

  test('no keys as trust in nobody', () => {
    expect(bundleOf(jwks([])).anchors).toEqual([])
  })
})

describe('LiveTrustBundles', () => {
  test('the generation rises with what changes trust and with nothing else', () => {
    const bundles = new LiveTrustBundles()
    const one = bundleOf(root.certificatePem + other.certificatePem)
    expect(bundles.set('td.example', undefined)).toBe(false)
    expect([bundles.set('td.example', one), bundles.generation]).toEqual([true, 1])
    const reordered = bundleOf(other.certificatePem + root.certificatePem)
    expect([bundles.set('td.example', reordered), bundles.generation]).toEqual([false, 1])
    expect([bundles.set('td.example', bundleOf(root.certificatePem)), bundles.generation]).toEqual([true, 2])
    expect(bundles.get('other.example')).toBeUndefined()
    expect([bundles.set('td.example', undefined), bundles.generation]).toEqual([true, 3])
    expect(bundles.get('td.example')).toBeUndefined()
  })
})
