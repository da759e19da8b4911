import { describe, expect, test } from '@jest/globals'
import { splitDer } from '../../../src/identity/der.js'
import { parseDerBundle, parseJwksBundle } from '../../../src/identity/trust-bundle.js'
import { createAuthority } from '../../support/certificate-authority.js'
import { bundleDocument } from '../../support/federation-server.js'

const root = createAuthority({ name: 'root' })
const other = createAuthority({ name: 'other' })
const intermediate = createAuthority({ name: 'intermediate', intermediateOf: root })
const leaf = intermediate.issueSvid({ spiffeId: 'spiffe://td/x' })
const der = (...of: readonly { readonly certificateDer: Buffer }[]): Buffer =>
  Buffer.concat(of.map(({ certificateDer }) => certificateDer))

describe('splitDer', () => {
  test.each([
    ['text', Buffer.from('nonsense')],
    ['a cut', der(root).subarray(0, -1)],
    ['bytes after it', Buffer.concat([der(root), Buffer.from([0x30])])],
    ['another type', Buffer.from([0x02, 1, 1])],
    ['an indefinite length', Buffer.from([0x30, 0x80, 0, 0])],
  ])('refuses %s', (_name, bytes) => {
    expect(splitDer(bytes)).toBeUndefined()
  })

  test('takes structures one after the other, and none', () => {
    expect(splitDer(der(root, other))).toEqual([root.certificateDer, other.certificateDer])
    expect(splitDer(Buffer.alloc(0))).toEqual([])
  })
})

describe('parseDerBundle', () => {
  test.each([
    ['text', Buffer.from('nonsense'), /not certificates in DER/],
    ['another structure', Buffer.from([0x30, 0]), /certificate 1: /],
    ['a leaf', der(leaf), /no CA certificate/],
    ['a weak CA', der(createAuthority({ name: 'weak', keyType: 'rsa-1024' })), /certificate 1: /],
    ['more than 256', der(...Array.from({ length: 257 }, () => root)), /more than 256/],
    ['more than 4 MiB', Buffer.alloc(4 * 1024 * 1024 + 1), /longer than/],
  ])('refuses %s', (_name, bytes, says) => {
    const parsed = parseDerBundle(bytes)
    expect(parsed.ok ? 'accepted' : parsed.problem).toMatch(says)
  })

  const bundleOf = (bytes: Buffer, chain: readonly Buffer[] = []) => {
    const parsed = parseDerBundle(bytes, chain)
    if (!parsed.ok) throw new Error(parsed.problem)
    const { anchors, intermediates, digest } = parsed.bundle
    return {
      anchors: anchors.map(({ sha256Hex }) => sha256Hex),
      intermediates: intermediates.map(({ sha256Hex }) => sha256Hex),
      digest,
    }
  }

  test('takes roots; none believes nobody', () => {
    expect(bundleOf(der(root, other)).anchors).toEqual([root.sha256Hex, other.sha256Hex])
    expect(bundleOf(Buffer.alloc(0)).anchors).toEqual([])
  })

  test("the own chain's intermediates help and are no roots, however they came", () => {
    const chain = [leaf.certificateDer, intermediate.certificateDer, root.certificateDer, Buffer.from('x')]
    const bundle = bundleOf(der(root), chain)
    expect(bundle).toMatchObject({ anchors: [root.sha256Hex], intermediates: [intermediate.sha256Hex] })
    expect(bundle.digest).not.toBe(bundleOf(der(root)).digest)
    expect(bundleOf(der(root), [intermediate.certificateDer, leaf.certificateDer]).intermediates).toEqual([])
  })
})

describe('parseJwksBundle', () => {
  test.each([
    ['PEM', root.certificatePem, /no JWK Set/],
    ['a negative sequence', '{"keys":[],"spiffe_sequence":-1}', /spiffe_sequence/],
    ['a hint that is text', '{"keys":[],"spiffe_refresh_hint":"5"}', /spiffe_refresh_hint/],
  ])('refuses %s', (_name, text, says) => {
    const parsed = parseJwksBundle(text)
    expect(parsed.ok ? 'accepted' : parsed.problem).toMatch(says)
  })

  test('takes a bundle with sequence and hint', () => {
    expect(parseJwksBundle(bundleDocument([root], { sequence: 7, refreshHint: 60 }))).toMatchObject({
      ok: true,
      bundle: { sequence: 7, refreshHintSeconds: 60, anchors: [{ sha256Hex: root.sha256Hex }] },
    })
  })
})
