import { describe, expect, test } from '@jest/globals'
import { compileCertificatePolicy } from '../../../src/identity/certificate-policy.js'
import { CertificateVerifier } from '../../../src/identity/certificate-verifier.js'
import { parseTrustBundle } from '../../../src/identity/trust-bundle.js'
import { LiveTrustBundles } from '../../../src/identity/trust-bundles.js'
import type { AccessRequest } from '../../../src/request/access-request.js'
import { asEnvoySends, createAuthority, type Issued } from '../../support/certificate-authority.js'

const NOW_MS = Date.now()
const LIMITS = { maxAccepted: 100, maxRefused: 10, maxPending: 64, maxKeyLength: 16_384 }
const ID = 'spiffe://td.example/a'
const root = createAuthority({ name: 'Root', trustDomain: 'td.example' })
const middle = createAuthority({ name: 'Middle', intermediateOf: root })
const nextRoot = createAuthority({ name: 'Next', trustDomain: 'td.example' })

function verifier(revoked: readonly string[] = []) {
  const bundles = new LiveTrustBundles()
  const trust = (pem: string): void => {
    const parsed = parseTrustBundle(pem)
    if (!parsed.ok) throw new Error(parsed.problem)
    bundles.set('td.example', parsed.bundle)
  }
  trust(root.certificatePem)
  const compiled = compileCertificatePolicy({
    maxLifetimeMs: 86_400_000,
    gracePeriodMs: 0,
    revoked: { serials: [], fingerprints: [], identities: revoked },
  })
  if (!compiled.ok) throw new Error('wrong policy')
  return { trust, certificates: new CertificateVerifier(bundles, compiled.policy, LIMITS) }
}

function request(
  issued: Pick<Issued, 'certificatePem'> | undefined,
  xfcc?: string,
  principal = ID,
): AccessRequest {
  const certificate = issued ? asEnvoySends(issued.certificatePem) : ''
  const peer = { ip: '127.0.0.1', port: 1, principal }
  return {
    requestId: '',
    source: { ...peer, certificate },
    destination: peer,
    http: {
      method: 'GET',
      path: '/',
      query: '',
      host: '',
      protocol: 'HTTP/2',
      upgrade: false,
      grpc: false,
      headers: {
        get: (name) => (name === 'x-forwarded-client-cert' ? xfcc : undefined),
        count: () => 0,
        names: () => [],
      },
    },
    contextExtensions: new Map(),
    sni: '',
  }
}
const chainOf = (pem: string): string => `Hash=00;Chain="${encodeURIComponent(pem)}"`
const leaf = root.issueSvid({ spiffeId: ID })
const belowMiddle = middle.issueSvid({ spiffeId: ID })

describe('CertificateVerifier refuses', () => {
  test('no certificate at once', () => {
    expect(verifier().certificates.verify(request(undefined), NOW_MS)).toMatchObject({
      ok: false,
      refusal: { reason: 'certificate-required' },
    })
  })

  test('a known leaf at once for what changes from call to call', async () => {
    const { certificates } = verifier()
    await certificates.verify(request(leaf), NOW_MS)
    expect(certificates.verify(request(leaf, undefined, 'spiffe://td.example/b'), NOW_MS)).toMatchObject({
      refusal: { reason: 'principal-mismatch' },
    })
    expect(await certificates.verify(request(leaf), NOW_MS + 7_200_000)).toMatchObject({
      refusal: { reason: 'certificate-expired' },
    })
  })

  test('a revoked identity', async () => {
    const { certificates } = verifier([ID])
    expect(await certificates.verify(request(leaf), NOW_MS)).toMatchObject({
      refusal: { reason: 'certificate-revoked' },
    })
    expect(certificates.verify(request(leaf), NOW_MS)).toMatchObject({
      refusal: { reason: 'certificate-revoked' },
    })
  })

  test('what a removed root issued, from the next call on', async () => {
    const { certificates, trust } = verifier()
    expect(await certificates.verify(request(leaf), NOW_MS)).toMatchObject({ ok: true })
    trust(nextRoot.certificatePem)
    expect(await certificates.verify(request(leaf), NOW_MS)).toMatchObject({
      refusal: { reason: 'certificate-invalid' },
    })
    trust(nextRoot.certificatePem + root.certificatePem)
    expect(await certificates.verify(request(leaf), NOW_MS)).toMatchObject({ ok: true })
  })

  test('a known bad one at once', async () => {
    const { certificates } = verifier()
    await certificates.verify(request(belowMiddle), NOW_MS)
    expect(certificates.verify(request(belowMiddle), NOW_MS)).toMatchObject({
      refusal: { reason: 'certificate-invalid' },
    })
  })

  test('more new certificates at once than it verifies', async () => {
    const { certificates } = verifier()
    const flood = Array.from({ length: 100 }, (_, at) =>
      certificates.verify(request({ certificatePem: `${leaf.certificatePem}${'\n'.repeat(at)}` }), NOW_MS),
    )
    const answers = await Promise.all(flood.map(async (one) => one))
    expect(answers.filter(({ ok }) => ok).length).toBe(64)
    expect(answers.filter((one) => !one.ok && one.refusal.reason === 'overloaded').length).toBe(36)
  })
})

describe('CertificateVerifier accepts', () => {
  test('a known leaf without a promise', async () => {
    const { certificates } = verifier()
    const first = certificates.verify(request(leaf), NOW_MS)
    expect(first).toBeInstanceOf(Promise)
    expect(await first).toMatchObject({
      ok: true,
      value: { spiffeId: { text: ID }, verifiedBy: 'certificate' },
    })
    expect(certificates.verify(request(leaf), NOW_MS)).toEqual(await first)
  })

  test('with hints what it refused without, and from then on without', async () => {
    const { certificates } = verifier()
    expect(await certificates.verify(request(belowMiddle), NOW_MS)).toMatchObject({ ok: false })
    expect(
      await certificates.verify(request(belowMiddle, chainOf(leaf.certificatePem)), NOW_MS),
    ).toMatchObject({
      ok: false,
    })
    expect(
      await certificates.verify(request(belowMiddle, chainOf(belowMiddle.chainPem)), NOW_MS),
    ).toMatchObject({
      ok: true,
    })
    expect(certificates.verify(request(belowMiddle), NOW_MS)).toMatchObject({ ok: true })
  })
})
