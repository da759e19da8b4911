import { describe, expect, test } from '@jest/globals'
import { parseCertificate, type X509Certificate } from '../../../src/identity/x509-certificate.js'
import { findPath } from '../../../src/identity/x509-path.js'
import {
  type Authority,
  createAuthority,
  generateKeys,
  type Issued,
  replacing,
  without,
} from '../../support/certificate-authority.js'
import {
  anyExtension,
  certificatePolicies,
  type GeneralName,
  keyUsage,
  nameConstraints,
  OID,
  policyConstraints,
  subjectAltName,
} from '../../support/certificate-writer.js'

const NOW_MS = Date.now()
const PAST = new Date(NOW_MS - 1000)
const FUTURE = new Date(NOW_MS + 3_600_000)
const ID = 'spiffe://td.example/a'

const root = createAuthority({ name: 'Root' })
const middle = createAuthority({ name: 'Middle', intermediateOf: root })
const leaf = middle.issueSvid({ spiffeId: ID })

function parsed({ certificateDer }: Issued): X509Certificate {
  const result = parseCertificate(certificateDer)
  if (!result.ok) throw new Error(result.problem)
  return result.certificate
}
type Chain = {
  readonly leaf: Issued
  readonly between?: readonly Issued[]
  readonly roots?: readonly Issued[]
}
const find = ({ leaf: end, between = [], roots = [root] }: Chain, maxIntermediates?: number) =>
  findPath({
    leaf: parsed(end),
    anchors: roots.map(parsed),
    intermediates: between.map(parsed),
    nowMs: NOW_MS,
    maxIntermediates,
  })
/** A leaf below an authority that is unlike others. */
const below = (authority: Authority, others: readonly Issued[] = []): Chain => ({
  leaf: authority.issueSvid({ spiffeId: ID }),
  between: [authority, ...others],
})
const limited = (names: Parameters<typeof nameConstraints>[0]): Authority =>
  createAuthority({ name: 'Limited', intermediateOf: root, extensions: replacing(nameConstraints(names)) })
const named = (authority: Authority, ...names: readonly GeneralName[]): Chain => ({
  leaf: authority.issueSvid({ spiffeId: ID, extensions: replacing(subjectAltName(names)) }),
  between: [authority],
})

describe('findPath refuses', () => {
  const noCa = createAuthority({
    name: 'Middle',
    intermediateOf: root,
    extensions: without(OID.basicConstraints),
  })
  const noSigning = createAuthority({
    name: 'Middle',
    intermediateOf: root,
    extensions: replacing(keyUsage(['digitalSignature'])),
  })
  const short = createAuthority({ name: 'Short', intermediateOf: root, pathLength: 0 })
  const odd = createAuthority({
    name: 'Odd',
    intermediateOf: root,
    extensions: replacing(anyExtension('1.2.3.4', true)),
  })
  const explicit = createAuthority({
    name: 'Explicit',
    intermediateOf: root,
    extensions: replacing(policyConstraints(0)),
  })
  const oldRoot = createAuthority({ name: 'Old', notAfter: PAST })
  const impostor = createAuthority({ name: 'Root' })
  const weak = createAuthority({ name: 'Weak', intermediateOf: root, keyType: 'rsa-1024' })
  const sha1 = createAuthority({ name: 'Sha1', intermediateOf: root, signature: 'ecdsa-sha1' })
  const renamed = createAuthority({ name: 'Other', intermediateOf: root, keys: middle.keys })
  const nested = createAuthority({ name: 'Nested', intermediateOf: short })
  const forger = createAuthority({ name: '', subject: [['O', 'Portcullis']], keys: leaf.keys })
  const loopA = createAuthority({ name: 'A' })
  const loopB = createAuthority({ name: 'B', intermediateOf: loopA })
  const loopBack = createAuthority({ name: 'A', keys: loopA.keys, intermediateOf: loopB })

  test.each<[string, string, Chain]>([
    ['no intermediate', 'no issuer', { leaf }],
    ['a foreign root of the same name', 'did not make', { leaf, between: [middle], roots: [impostor] }],
    ['no root', 'no issuer', { leaf, between: [middle], roots: [] }],
    ['a leaf that stands for itself', 'no issuer', { leaf, roots: [leaf] }],
    ['an issuer that is no CA', 'no CA', below(noCa)],
    ['an issuer that may not sign', 'may not sign', below(noSigning)],
    ['a leaf as issuer', 'no CA', { leaf: forger.issueSvid({ spiffeId: ID }), between: [leaf, middle] }],
    ['a path longer than allowed', 'longer than', below(nested, [short])],
    ['an unknown critical extension of an issuer', '1.2.3.4', below(odd)],
    [
      'an unknown critical extension of the leaf',
      '1.2.3.4',
      { leaf: root.issueSvid({ spiffeId: ID, extensions: replacing(anyExtension('1.2.3.4', true)) }) },
    ],
    ['a required explicit policy', 'explicit policy', below(explicit)],
    ['an expired root', 'expired', { leaf: oldRoot.issueSvid({ spiffeId: ID }), roots: [oldRoot] }],
    ['an expired leaf', 'expired', { leaf: root.issueSvid({ spiffeId: ID, notAfter: PAST }) }],
    ['a leaf of tomorrow', 'not yet valid', { leaf: root.issueSvid({ spiffeId: ID, notBefore: FUTURE }) }],
    ['a weak key of an issuer', '1024 bits', below(weak)],
    ['a weak key of the leaf', '1024 bits', { leaf: root.issueSvid({ spiffeId: ID, keyType: 'rsa-1024' }) }],
    ['a SHA-1 signature', 'algorithm', below(sha1)],
    [
      'a SHA-1 signature on the leaf',
      'algorithm',
      { leaf: root.issueSvid({ spiffeId: ID, signature: 'ecdsa-sha1' }) },
    ],
    ['the right key under another name', 'no issuer', { leaf, between: [renamed] }],
    [
      'a loop',
      'no issuer',
      { leaf: loopA.issueSvid({ spiffeId: ID }), between: [loopB, loopBack, loopA], roots: [root] },
    ],
    [
      'a DNS name outside',
      'outside',
      named(limited({ permitted: [{ dns: 'a.example' }] }), { dns: 'b.example' }),
    ],
    [
      'a DNS name excluded',
      'excluded',
      named(limited({ excluded: [{ dns: 'b.example' }] }), { dns: 'x.b.example' }),
    ],
    [
      'a wildcard over an excluded name',
      'excluded',
      named(limited({ excluded: [{ dns: 'x.b.example' }] }), { dns: '*.b.example' }),
    ],
    [
      'a SPIFFE ID of another host',
      'outside',
      named(limited({ permitted: [{ uri: 'td.example' }] }), { uri: 'spiffe://other.example/a' }),
    ],
    [
      'a URI without host',
      'not understood',
      named(limited({ permitted: [{ uri: 'td.example' }] }), { uri: 'urn:a' }),
    ],
    [
      'a host that hides behind a user',
      'outside',
      named(limited({ permitted: [{ uri: 'td.example' }] }), { uri: 'spiffe://td.example@other.example/a' }),
    ],
    [
      'an address outside',
      'outside',
      named(limited({ permitted: [{ ip: [10, 0, 0, 0, 255, 0, 0, 0] }] }), { ip: [11, 0, 0, 1] }),
    ],
    [
      'an address of the other family',
      'outside',
      named(limited({ permitted: [{ ip: [10, 0, 0, 0, 255, 0, 0, 0] }] }), { ip: Array<number>(16).fill(1) }),
    ],
    [
      'a mailbox outside',
      'outside',
      named(limited({ permitted: [{ email: 'a.example' }] }), { email: 'me@x.a.example' }),
    ],
    [
      'a directory name outside',
      'outside',
      named(limited({ permitted: [{ dn: [['O', 'Elsewhere']] }] }), { uri: ID }),
    ],
    [
      'a constrained form that is not understood',
      'not understood',
      named(limited({ excluded: [{ otherName: { oid: '1.2.3', text: 'x' } }] }), {
        otherName: { oid: '1.2.3', text: 'y' },
      }),
    ],
  ])('%s', async (_name, problem, chain) => {
    expect(await find(chain)).toMatchObject({ ok: false, problem: expect.stringContaining(problem) })
  })

  test('a signature that was changed', async () => {
    const broken = Buffer.from(leaf.certificateDer)
    broken[broken.length - 1]! ^= 1
    expect(await find({ leaf: { ...leaf, certificateDer: broken }, between: [middle] })).toMatchObject({
      ok: false,
      kind: 'invalid',
    })
  })

  test('more intermediates than allowed, and one less passes', async () => {
    const chain: Authority[] = [createAuthority({ name: '0', intermediateOf: root })]
    for (let at = 1; at < 9; at += 1)
      chain.push(createAuthority({ name: `${at}`, intermediateOf: chain[at - 1]! }))
    const at = (length: number): Chain => ({
      leaf: chain[length - 1]!.issueSvid({ spiffeId: ID }),
      between: chain,
    })
    expect(await find(at(9))).toMatchObject({ ok: false, problem: 'more than 8 intermediate certificates' })
    expect(await find(at(8))).toMatchObject({ ok: true })
    expect(await find(at(2), 1)).toMatchObject({ ok: false })
  })

  test('a thicket of look-alikes, quickly', async () => {
    const keys = Array.from({ length: 16 }, () => generateKeys())
    const names = ['P', 'Q']
    const thicket = keys.flatMap((key, at) =>
      names.map((name, side) =>
        createAuthority({
          name,
          keys: key,
          intermediateOf: createAuthority({ name: names[1 - side]!, keys: keys[(at + 1) % 16]! }),
          extensions: without(OID.authorityKeyIdentifier),
        }),
      ),
    )
    const startedMs = performance.now()
    expect(await find({ leaf: thicket[0]!.issueSvid({ spiffeId: ID }), between: thicket })).toMatchObject({
      ok: false,
    })
    expect(performance.now() - startedMs).toBeLessThan(1000)
  })
})

describe('findPath accepts', () => {
  const selfIssued = createAuthority({ name: 'Root', intermediateOf: root })
  const cross = createAuthority({ name: 'Middle', keys: middle.keys, intermediateOf: root, notAfter: PAST })
  const cautious = createAuthority({ name: 'Cautious', pathLength: 0 })
  const rollover = createAuthority({ name: 'Cautious', intermediateOf: cautious })
  const policies = createAuthority({
    name: 'Policies',
    intermediateOf: root,
    extensions: replacing(certificatePolicies(['2.5.29.32.0'], true), anyExtension('1.2.3.4', false)),
  })

  test.each<[string, number, Chain]>([
    ['a leaf under the root', 2, { leaf: root.issueSvid({ spiffeId: ID }) }],
    ['an intermediate', 3, { leaf, between: [middle] }],
    [
      'an intermediate among others, whatever the order',
      3,
      { leaf, between: [selfIssued, cross, middle, root] },
    ],
    ['an anchor that is not self-signed', 2, { leaf, roots: [middle] }],
    [
      'a self-issued link, which does not count',
      3,
      { leaf: rollover.issueSvid({ spiffeId: ID }), between: [rollover], roots: [cautious] },
    ],
    ['critical policies and unknown extensions that are not critical', 3, below(policies)],
    ['a DNS name within', 3, named(limited({ permitted: [{ dns: 'a.example' }] }), { dns: '*.x.a.example' })],
    ['a SPIFFE ID within', 3, named(limited({ permitted: [{ uri: 'td.example' }] }), { uri: ID })],
    [
      'an address within',
      3,
      named(limited({ permitted: [{ ip: [10, 0, 0, 0, 255, 0, 0, 0] }] }), { ip: [10, 1, 2, 3] }),
    ],
    [
      'a mailbox within',
      3,
      named(limited({ permitted: [{ email: '.a.example' }] }), { email: 'me@x.a.example' }),
    ],
    [
      'a directory name within, in other capitals',
      3,
      named(limited({ permitted: [{ dn: [['O', 'PORTCULLIS ']] }] }), { uri: ID }),
    ],
    ['a form that is not constrained', 3, named(limited({ permitted: [{ dns: 'a.example' }] }), { uri: ID })],
  ])('%s', async (_name, length, chain) => {
    const answer = await find(chain)
    expect(answer).toMatchObject({ ok: true })
    expect(answer.ok && answer.path.length).toBe(length)
  })

  test.each(['ec-p256', 'ec-p384', 'ec-p521', 'ed25519', 'rsa-2048'] as const)(
    'signatures by %s',
    async (keyType) => {
      const top = createAuthority({ name: 'Top', keyType })
      expect(await find({ leaf: top.issueSvid({ spiffeId: ID }), roots: [top] })).toMatchObject({ ok: true })
    },
  )

  test.each(['rsa-pss-sha256', 'rsa-pss-sha384', 'rsa-sha512'] as const)(
    'signatures by %s',
    async (signature) => {
      const top = createAuthority({ name: 'Top', keyType: 'rsa-2048' })
      expect(await find({ leaf: top.issueSvid({ spiffeId: ID, signature }), roots: [top] })).toMatchObject({
        ok: true,
      })
    },
  )

  test('until the first of its certificates ends', async () => {
    const brief = createAuthority({
      name: 'Brief',
      intermediateOf: root,
      notAfter: new Date(NOW_MS + 60_000),
    })
    expect(await find(below(brief))).toMatchObject({
      ok: true,
      notAfterMs: Math.floor((NOW_MS + 60_000) / 1000) * 1000,
    })
  })
})
