import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { asEnvoySends, createAuthority, type Issued } from '../support/certificate-authority.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'

const root = createAuthority({ name: 'root' })
const intermediate = createAuthority({ name: 'intermediate', intermediateOf: root })
const WEB = 'spiffe://cluster.local/ns/default/sa/web'
const issuerName = (pem: string): string => new X509Certificate(pem).issuer.replaceAll('\n', ',')
const leaf = (serial: string): Issued => intermediate.issueSvid({ spiffeId: WEB, serial })

const [anyIssuer, thisIssuer, otherIssuer, good] = [leaf('4f01'), leaf('4f02'), leaf('4f03'), leaf('4f04')]
const document = (name: string, spec: string): string =>
  `apiVersion: portcullis.dev/v1beta1\nkind: ServicePolicy\nmetadata: { name: ${name} }\nspec: ${spec}\n`

let portcullis: TestPortcullis
beforeAll(async () => {
  portcullis = await startPortcullis(
    {
      'policy/pay.yaml': document('pay', '{ endpoints: [{ name: Read, paths: [/read], methods: [GET] }] }'),
      'policy/web.yaml': document('web', '{ calls: [{ service: pay }] }'),
      'pki/ca.pem': `${root.certificatePem}${intermediate.certificatePem}`,
    },
    {
      trustDomains: { 'cluster.local': { bundle: { file: './pki/ca.pem' } } },
      certificates: {
        revoked: {
          serials: ['00:4F:01', `4f02@${issuerName(thisIssuer.certificatePem)}`, '4f03@CN=another'],
        },
      },
    },
  )
})
afterAll(() => portcullis.stop())

async function reasonFor({ certificatePem }: Issued): Promise<string> {
  const answer = await portcullis.check({
    principal: WEB,
    certificate: asEnvoySends(certificatePem),
    destinationPrincipal: 'spiffe://cluster.local/ns/default/sa/pay',
    path: '/read',
  })
  return answer.reason
}

describe('serials in certificates.revoked', () => {
  test.each([
    { name: 'a serial, of whatever issuer', certificate: anyIssuer, reason: 'certificate-revoked' },
    { name: 'a serial of its issuer', certificate: thisIssuer, reason: 'certificate-revoked' },
    { name: 'the same serial of another issuer', certificate: otherIssuer, reason: 'allowed' },
    { name: 'another serial', certificate: good, reason: 'allowed' },
  ])('$name: $reason', async ({ certificate, reason }) => {
    expect(await reasonFor(certificate)).toBe(reason)
  })

  test('an issuer that is no name keeps it from starting', async () => {
    const starting = startPortcullis(
      { 'policy/web.yaml': document('web', '{}'), 'pki/ca.pem': root.certificatePem },
      {
        trustDomains: { 'cluster.local': { bundle: { file: './pki/ca.pem' } } },
        certificates: { revoked: { serials: ['4f01@mesh'] } },
      },
    )
    await expect(starting).rejects.toThrow(/certificates\.revoked\.serials\[0\]: not SERIAL or SERIAL@ISSUER/)
  })
})
