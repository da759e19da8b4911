import { describe, expect, test } from '@jest/globals'
import {
  type CertificatePolicy,
  type CertificateRules,
  checkCertificate,
  compileCertificatePolicy,
  type DatedIdentity,
} from '../../../src/identity/certificate-policy.js'

const HOUR_MS = 3_600_000
const NOW_MS = Date.parse('2026-01-01T12:00:00Z')
const SHA256 = 'ab'.repeat(32)
const ISSUER_SHA256 = 'cd'.repeat(32)

function policy(revoked: Partial<CertificateRules['revoked']> = {}): CertificatePolicy {
  const compiled = compileCertificatePolicy({
    maxLifetimeMs: 24 * HOUR_MS,
    gracePeriodMs: HOUR_MS,
    revoked: { serials: [], fingerprints: [], identities: [], ...revoked },
  })
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.problems))
  return compiled.policy
}

const certificate: DatedIdentity = {
  spiffeId: { text: 'spiffe://td.example/ns/a/sa/b', trustDomain: 'td.example', path: '/ns/a/sa/b' },
  notBeforeMs: NOW_MS - HOUR_MS,
  notAfterMs: NOW_MS + HOUR_MS,
  lifetimeMs: 2 * HOUR_MS,
  path: [
    {
      serialHex: '0a1b',
      serialOfIssuer: '0a1b@["2.5.4.10=shop","2.5.4.3=mesh ca"]',
      issuerKey: '["2.5.4.10=shop","2.5.4.3=mesh ca"]',
      sha256Hex: SHA256,
    },
    {
      serialHex: '07',
      serialOfIssuer: '07@["2.5.4.3=root"]',
      issuerKey: '["2.5.4.3=root"]',
      sha256Hex: ISSUER_SHA256,
    },
  ],
}
const check = (
  changes: Partial<DatedIdentity>,
  revoked?: Partial<CertificateRules['revoked']>,
  nowMs = NOW_MS,
) => checkCertificate({ ...certificate, ...changes }, policy(revoked), nowMs)?.reason

describe('checkCertificate refuses', () => {
  test.each([
    ['a millisecond after notAfter', 'certificate-expired', check({}, {}, certificate.notAfterMs + 1)],
    [
      'a millisecond before notBefore',
      'certificate-not-yet-valid',
      check({}, {}, certificate.notBeforeMs - 1),
    ],
    ['a lifetime beyond the grace', 'certificate-lifetime', check({ lifetimeMs: 25 * HOUR_MS + 1 })],
    ['a serial from any issuer', 'certificate-revoked', check({}, { serials: ['0A:1B'] })],
    ['a serial with leading zeros', 'certificate-revoked', check({}, { serials: ['00000a1b'] })],
    ['a serial of its issuer', 'certificate-revoked', check({}, { serials: ['a1b@CN=Mesh CA,O=Shop'] })],
    [
      'the same in the other order',
      'certificate-revoked',
      check({}, { serials: ['a1b@O = Shop, CN = Mesh CA'] }),
    ],
    [
      'the same by OIDs',
      'certificate-revoked',
      check({}, { serials: ['a1b@2.5.4.10=Shop,2.5.4.3=Mesh CA'] }),
    ],
    ['a fingerprint', 'certificate-revoked', check({}, { fingerprints: ['AB:'.repeat(31) + 'AB'] })],
    ["an issuer's fingerprint", 'certificate-revoked', check({}, { fingerprints: [ISSUER_SHA256] })],
    ['an identity', 'certificate-revoked', check({}, { identities: ['spiffe://td.example/ns/a/sa/b'] })],
    [
      'a pattern of identities',
      'certificate-revoked',
      check({}, { identities: ['spiffe://td.example/ns/*/sa/b'] }),
    ],
    [
      'a revoked one as revoked although it has expired',
      'certificate-revoked',
      check({ notAfterMs: 0 }, { serials: ['0a1b'] }),
    ],
  ])('%s', (_name, reason, found) => {
    expect(found).toBe(reason)
  })
})

describe('checkCertificate passes', () => {
  test.each([
    ['on notAfter', check({}, {}, certificate.notAfterMs)],
    ['on notBefore', check({}, {}, certificate.notBeforeMs)],
    ['a lifetime within the grace', check({ lifetimeMs: 25 * HOUR_MS })],
    ['the serial of another issuer', check({}, { serials: ['0a1b@CN=Other'] })],
    [
      'another serial, fingerprint and identity',
      check(
        {},
        { serials: ['0a1c'], fingerprints: ['00'.repeat(32)], identities: ['spiffe://td.example/ns/*/sa/c'] },
      ),
    ],
  ])('%s', (_name, found) => {
    expect(found).toBeUndefined()
  })
})

test('compileCertificatePolicy reports every wrong entry', () => {
  expect(
    compileCertificatePolicy({
      maxLifetimeMs: 1,
      gracePeriodMs: 0,
      revoked: {
        serials: ['0a', 'xyz', '0a@Mesh CA', '0a@', ''],
        fingerprints: ['abcd'],
        identities: ['spiffe://*/a'],
      },
    }),
  ).toMatchObject({
    ok: false,
    problems: [
      { list: 'serials', index: 1 },
      { list: 'serials', index: 2 },
      { list: 'serials', index: 3 },
      { list: 'serials', index: 4 },
      { list: 'fingerprints', index: 0 },
      { list: 'identities', index: 0 },
    ],
  })
})
