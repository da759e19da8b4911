import { get } from 'node:http'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { status } from '@grpc/grpc-js'
import { StartFailure } from '../../src/main.js'
import { asEnvoySends, type Authority, createAuthority } from '../support/certificate-authority.js'
import { toPem } from '../support/certificate-writer.js'
import type { CheckFields } from '../support/envoy-wire.js'
import { eventually } from '../support/eventually.js'
import { bundleDocument, FederationServer, webCertificate } from '../support/federation-server.js'
import { type Answer, startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { signedToken, testKey } from '../support/tokens.js'
import { derBundle, servedSvid, WorkloadApiServer } from '../support/workload-api-server.js'
import { NOW_SECONDS, POLICY } from './door.js'

const WEB = 'spiffe://cluster.local/ns/shop/sa/web'
const PAY = 'spiffe://cluster.local/ns/shop/sa/pay'
const SELF = 'spiffe://cluster.local/ns/portcullis/sa/portcullis'

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

type Files = Readonly<Record<string, string>>

async function open(
  bundle: object,
  { files = {}, more = {} }: { files?: Files; more?: object } = {},
): Promise<TestPortcullis> {
  const portcullis = await startPortcullis(
    { 'policy/shop.yaml': POLICY, ...files },
    {
      trustDomains: { 'cluster.local': { bundle } },
      health: { listen: '127.0.0.1:0' },
      showMessages: true,
      ...more,
    },
  )
  stops.push(() => portcullis.stop())
  return portcullis
}

async function openAgent(x509?: Parameters<typeof WorkloadApiServer.start>[0], listen = true) {
  const agent = await WorkloadApiServer.start(x509, listen)
  stops.push(() => agent.stop())
  return agent
}

async function openEndpoint(...input: Parameters<typeof FederationServer.start>) {
  const server = await FederationServer.start(...input)
  stops.push(() => server.stop())
  return server
}

/** What the agent gives this process: an SVID of `issuer` and these roots. */
const agentState = (issuer: Authority, ...roots: readonly Authority[]) => ({
  svids: [servedSvid(SELF, issuer.issueSvid({ spiffeId: SELF }), roots.length > 0 ? roots : [issuer])],
})

/** A call of web's with one certificate, always the same. */
function caller(issuer: Authority, path = '/api/payments/7'): CheckFields {
  const { certificatePem } = issuer.issueSvid({ spiffeId: WEB })
  return { principal: WEB, certificate: asEnvoySends(certificatePem), destinationPrincipal: PAY, path }
}

const messageOf = ({ reply }: Answer): string =>
  String((JSON.parse(reply.denied_response?.body ?? '{}') as { message?: unknown }).message)

function probe(portcullis: TestPortcullis, path: string): Promise<{ body: string }> {
  return new Promise((resolve, reject) => {
    get(`http://${portcullis.running.health ?? ''}${path}`, (response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.on('end', () => resolve({ body }))
    }).on('error', reject)
  })
}

async function trustProblems(portcullis: TestPortcullis): Promise<readonly string[]> {
  const { body } = await probe(portcullis, '/readyz')
  return (JSON.parse(body) as { trustProblems: string[] }).trustProblems
}

async function reasons(portcullis: TestPortcullis, ...calls: readonly CheckFields[]): Promise<string[]> {
  return (await Promise.all(calls.map((call) => portcullis.check(call)))).map(({ reason }) => reason)
}

describe('a root that is removed stops being trusted, cached verdicts included', () => {
  const [leaving, staying] = [createAuthority({ name: 'leaving' }), createAuthority({ name: 'staying' })]

  async function prove(portcullis: TestPortcullis, remove: () => unknown, withinMs?: number): Promise<void> {
    const calls = [caller(leaving), caller(staying)]
    expect(await reasons(portcullis, ...calls)).toEqual(['allowed', 'allowed'])
    expect(await reasons(portcullis, ...calls)).toEqual(['allowed', 'allowed'])
    await remove()
    await eventually(
      async () => expect(await reasons(portcullis, ...calls)).toEqual(['certificate-invalid', 'allowed']),
      withinMs,
    )
  }

  test('from a file', async () => {
    const both = leaving.certificatePem + staying.certificatePem
    const portcullis = await open({ file: './ca.pem' }, { files: { 'ca.pem': both } })
    await prove(portcullis, () => portcullis.write('ca.pem', staying.certificatePem))
  })

  test('from the Workload API', async () => {
    const agent = await openAgent(agentState(staying, leaving, staying))
    await prove(await open({ workloadApi: agent.address }), () => agent.pushX509(agentState(staying)))
  })

  test('from federation endpoints of both profiles, as soon as their hint says', async () => {
    const webRoot = createAuthority({ name: 'web root' })
    const served = (sequence: number, ...roots: readonly Authority[]) =>
      ({ kind: 'serve', text: bundleDocument(roots, { sequence, refreshHint: 1 }) }) as const
    const endpointId = 'spiffe://cluster.local/bundle-endpoint'
    const web = await openEndpoint(webCertificate(webRoot), served(1, leaving, staying))
    const spiffe = await openEndpoint(
      staying.issueSvid({ spiffeId: endpointId }),
      served(1, leaving, staying),
    )
    const files = { 'web.pem': webRoot.certificatePem, 'first.pem': staying.certificatePem }
    const [byWeb, bySvid] = await Promise.all([
      open({ url: web.url, profile: 'HttpsWeb', ca: './web.pem' }, { files }),
      open({ url: spiffe.url, profile: 'HttpsSpiffe', endpointId, file: './first.pem' }, { files }),
    ])
    await Promise.all([
      prove(byWeb, () => (web.behaviour = served(2, staying)), 8000),
      prove(bySvid, () => (spiffe.behaviour = served(2, staying)), 8000),
    ])
    expect((await probe(bySvid, '/metrics')).body).toContain(
      'portcullis_trust_bundle_sequence{trust_domain="cluster.local"} 2',
    )
  }, 15_000)
})

describe('the Workload API', () => {
  const root = createAuthority({ name: 'root', trustDomain: 'cluster.local' })

  test('nobody is believed before the agent is there', async () => {
    const agent = await openAgent(agentState(root), false)
    const portcullis = await open({ workloadApi: agent.address })
    const call = caller(root)
    expect(await reasons(portcullis, call)).toEqual(['untrusted-domain'])
    expect(await trustProblems(portcullis)).toContainEqual(
      expect.stringMatching(/^trust domain cluster\.local is not trusted: UNAVAILABLE/),
    )
    await agent.resume()
    await eventually(async () => expect(await reasons(portcullis, call)).toEqual(['allowed']))
    expect(await trustProblems(portcullis)).toEqual([])
  })

  test('nobody is believed while the agent denies this process', async () => {
    const agent = await openAgent(agentState(root))
    agent.denial = { code: status.PERMISSION_DENIED, details: 'no identity issued' }
    const portcullis = await open({ workloadApi: agent.address })
    const call = caller(root)
    expect(await reasons(portcullis, call)).toEqual(['untrusted-domain'])
    agent.denial = undefined
    await eventually(async () => expect(await reasons(portcullis, call)).toEqual(['allowed']))
  })

  test('a bundle that is not in a message is withdrawn', async () => {
    const agent = await openAgent(agentState(root))
    const portcullis = await open({ workloadApi: agent.address })
    const call = caller(root)
    expect(await reasons(portcullis, call)).toEqual(['allowed'])
    agent.pushX509({ federated_bundles: { 'spiffe://other.example': derBundle(root) } })
    await eventually(async () => expect(await reasons(portcullis, call)).toEqual(['untrusted-domain']))
    agent.pushX509({ federated_bundles: { 'spiffe://cluster.local': derBundle(root) } })
    await eventually(async () => expect(await reasons(portcullis, call)).toEqual(['allowed']))
  })

  test('a bundle that is none changes nothing, and shows', async () => {
    const agent = await openAgent(agentState(root))
    const portcullis = await open({ workloadApi: agent.address })
    const call = caller(root)
    expect(await reasons(portcullis, call)).toEqual(['allowed'])
    agent.pushX509({ federated_bundles: { 'spiffe://cluster.local': Buffer.from('nonsense') } })
    await eventually(async () =>
      expect(await trustProblems(portcullis)).toContain(
        'trust domain cluster.local: not certificates in DER',
      ),
    )
    expect(await reasons(portcullis, call)).toEqual(['allowed'])
  })

  test('an empty bundle believes nobody', async () => {
    const agent = await openAgent(agentState(root))
    const portcullis = await open({ workloadApi: agent.address })
    const call = caller(root)
    expect(await reasons(portcullis, call)).toEqual(['allowed'])
    agent.pushX509({ federated_bundles: { 'spiffe://cluster.local': Buffer.alloc(0) } })
    await eventually(async () => expect(await reasons(portcullis, call)).toEqual(['certificate-invalid']))
  })

  test('the last state holds while the agent is away', async () => {
    const agent = await openAgent(agentState(root))
    const portcullis = await open({ workloadApi: agent.address })
    await agent.suspend()
    await eventually(async () => expect(await trustProblems(portcullis)).not.toEqual([]))
    expect(await reasons(portcullis, caller(root), caller(createAuthority({ name: 'evil' })))).toEqual([
      'allowed',
      'certificate-invalid',
    ])
  })

  test('federated bundles are for their own trust domain alone', async () => {
    const partner = createAuthority({ name: 'partner' })
    const agent = await openAgent({
      ...agentState(root),
      federated_bundles: { 'spiffe://partner.example': derBundle(partner) },
    })
    const bundle = { workloadApi: agent.address }
    const portcullis = await open(bundle, {
      more: { trustDomains: { 'cluster.local': { bundle }, 'partner.example': { bundle } } },
    })
    const id = 'spiffe://partner.example/ns/shop/sa/web'
    const asPartner = (issuer: Authority): CheckFields => ({
      ...caller(root),
      principal: id,
      certificate: asEnvoySends(issuer.issueSvid({ spiffeId: id }).certificatePem),
    })
    // Known and believed, but no service of the policy's.
    expect(await reasons(portcullis, caller(partner), asPartner(root), asPartner(partner))).toEqual([
      'certificate-invalid',
      'certificate-invalid',
      'caller-unknown',
    ])
  })

  test("intermediates of the own chain help with others' certificates", async () => {
    const intermediate = createAuthority({ name: 'intermediate', intermediateOf: root })
    const agent = await openAgent(agentState(root))
    const portcullis = await open({ workloadApi: agent.address })
    const call = caller(intermediate)
    expect(await reasons(portcullis, call)).toEqual(['certificate-invalid'])
    agent.pushX509(agentState(intermediate, root))
    await eventually(async () => expect(await reasons(portcullis, call)).toEqual(['allowed']))
  })

  test('its revocation lists act on the next request', async () => {
    const agent = await openAgent(agentState(root))
    const portcullis = await open({ workloadApi: agent.address })
    const svid = root.issueSvid({ spiffeId: WEB })
    const revoked = { ...caller(root), certificate: asEnvoySends(svid.certificatePem) }
    const other = caller(root)
    expect(await reasons(portcullis, revoked, other)).toEqual(['allowed', 'allowed'])
    agent.pushX509({ ...agentState(root), crl: [root.revoke({ serials: [svid.serialHex] })] })
    await eventually(async () =>
      expect(await reasons(portcullis, revoked, other)).toEqual(['certificate-revoked', 'allowed']),
    )
    agent.pushX509({ ...agentState(root), crl: [Buffer.from('nonsense')] })
    await eventually(async () => expect(await trustProblems(portcullis)).toHaveLength(1))
    expect(await reasons(portcullis, revoked, other)).toEqual(['certificate-revoked', 'allowed'])
    agent.pushX509(agentState(root))
    await eventually(async () =>
      expect(await reasons(portcullis, revoked, other)).toEqual(['allowed', 'allowed']),
    )
  })

  test('a first state whose revocation lists can not be read is believed in nothing', async () => {
    const agent = await openAgent({ ...agentState(root), crl: [Buffer.from('nonsense')] })
    const portcullis = await open({ workloadApi: agent.address })
    expect(await reasons(portcullis, caller(root))).toEqual(['untrusted-domain'])
  })

  test('keys of JWT-SVIDs come and go', async () => {
    const key = await testKey('ES256', 'jwt-1')
    const { alg: _alg, ...jwk } = key.publicJwk
    const jwks = JSON.stringify({ keys: [{ ...jwk, use: 'jwt-svid' }] })
    const agent = await openAgent(agentState(root))
    agent.pushJwtBundles({ 'spiffe://cluster.local': '{"keys":[]}' })
    const portcullis = await open(
      { workloadApi: agent.address },
      {
        more: {
          listeners: [{ name: 'lenient', address: '127.0.0.1:0', mtls: 'Permissive' }],
          serviceTokens: { jwtSvid: { enabled: true } },
        },
      },
    )
    const token = signedToken(key, { sub: WEB, aud: ['shop/pay'], exp: NOW_SECONDS + 200 })
    const call = { ...caller(root), headers: { authorization: `Bearer ${token}` } }
    expect(await reasons(portcullis, call)).toEqual(['service-token-signature'])
    agent.pushJwtBundles({ 'spiffe://cluster.local': jwks })
    await eventually(async () => expect(await reasons(portcullis, call)).toEqual(['allowed']))
    agent.pushJwtBundles({ 'spiffe://cluster.local': '{"keys":[]}' })
    await eventually(async () => expect(await reasons(portcullis, call)).toEqual(['service-token-signature']))
  })
})

describe('federation endpoints', () => {
  const root = createAuthority({ name: 'root' })
  const endpointId = 'spiffe://cluster.local/bundle-endpoint'
  const serve = { kind: 'serve', text: bundleDocument([root]) } as const
  const first = { files: { 'first.pem': root.certificatePem } }
  const profile = { profile: 'HttpsSpiffe', endpointId, file: './first.pem' }

  test.each([
    [
      'of another identity',
      () => root.issueSvid({ spiffeId: 'spiffe://cluster.local/other' }),
      /it is spiffe:/,
    ],
    [
      'of a root that its bundle does not have',
      () => createAuthority({ name: 'root' }).issueSvid({ spiffeId: endpointId }),
      /no path to the trust bundle/,
    ],
    [
      'that has expired',
      () =>
        root.issueSvid({ spiffeId: endpointId, notBefore: new Date(Date.now() - 7_200_000), ttlSeconds: 60 }),
      /expired/,
    ],
    ['with a web certificate', () => webCertificate(root), /no SPIFFE ID|URI names/],
    [
      'of another trust domain',
      () => root.issueSvid({ spiffeId: 'spiffe://b/bundle-endpoint' }),
      /has no bundle here/,
    ],
  ])('one %s is not believed, nor is its trust domain', async (_name, issue, says) => {
    const server = await openEndpoint(issue(), serve)
    const portcullis = await open({ url: server.url, ...profile }, first)
    expect(await reasons(portcullis, caller(root))).toEqual(['untrusted-domain'])
    expect((await trustProblems(portcullis))[0]).toMatch(/^trust domain cluster\.local is not trusted: /)
    expect((await trustProblems(portcullis))[0]).toMatch(says)
    expect(server.requests).toBe(0)
  })

  test('a revoked one is not believed', async () => {
    const svid = root.issueSvid({ spiffeId: endpointId })
    const server = await openEndpoint(svid, serve)
    const revoked = { certificates: { revoked: { serials: [svid.serialHex] } } }
    const portcullis = await open({ url: server.url, ...profile }, { ...first, more: revoked })
    expect(await reasons(portcullis, caller(root))).toEqual(['untrusted-domain'])
  })

  test.each([
    ['PEM', root.certificatePem],
    ['no bundle', '{}'],
    ['a bundle with a certificate that is no CA', bundleDocument([root.issueSvid({ spiffeId: WEB })])],
  ])('%s is not believed', async (_name, text) => {
    const server = await openEndpoint(root.issueSvid({ spiffeId: endpointId }), { kind: 'serve', text })
    const portcullis = await open({ url: server.url, ...profile }, first)
    expect(await reasons(portcullis, caller(root))).toEqual(['untrusted-domain'])
  })

  test('the one that its bundle proves is believed', async () => {
    const server = await openEndpoint(root.issueSvid({ spiffeId: endpointId }), serve)
    const portcullis = await open({ url: server.url, ...profile }, first)
    expect(await reasons(portcullis, caller(root))).toEqual(['allowed'])
    expect(await trustProblems(portcullis)).toEqual([])
  })

  test('one that another trust domain proves', async () => {
    const partner = createAuthority({ name: 'partner' })
    const server = await openEndpoint(root.issueSvid({ spiffeId: endpointId }), {
      kind: 'serve',
      text: bundleDocument([partner]),
    })
    const partnerBundle = { url: server.url, profile: 'HttpsSpiffe', endpointId }
    const portcullis = await open(
      { file: './first.pem' },
      {
        ...first,
        more: {
          trustDomains: {
            'partner.example': { bundle: partnerBundle },
            'cluster.local': { bundle: { file: './first.pem' } },
          },
        },
      },
    )
    const id = 'spiffe://partner.example/x'
    const call = { ...caller(root), principal: id }
    const certificate = asEnvoySends(partner.issueSvid({ spiffeId: id }).certificatePem)
    expect(await reasons(portcullis, { ...call, certificate })).toEqual(['caller-unknown'])
  })
})

describe('revocation lists in files', () => {
  const root = createAuthority({ name: 'root' })
  const svid = root.issueSvid({ spiffeId: WEB })
  const known: CheckFields = { ...caller(root), certificate: asEnvoySends(svid.certificatePem) }
  const pem = (der: Buffer): string => toPem('X509 CRL', der)
  const more = { certificates: { revoked: { crls: ['./list.crl'] } } }
  const openWith = (list: Buffer): Promise<TestPortcullis> =>
    open({ file: './ca.pem' }, { files: { 'ca.pem': root.certificatePem, 'list.crl': pem(list) }, more })
  const HOUR_MS = 3_600_000

  test.each([
    ['missing', undefined],
    ['no list', 'nonsense'],
    ['a certificate', root.certificatePem],
  ])('keep Portcullis from starting when one is %s', async (_name, text) => {
    const files = { 'ca.pem': root.certificatePem, ...(text === undefined ? {} : { 'list.crl': text }) }
    await expect(open({ file: './ca.pem' }, { files, more })).rejects.toThrow(StartFailure)
  })

  test.each([
    ['an enforced endpoint', known],
    ['an endpoint in Shadow', { ...known, path: '/tried' }],
  ])('refuse a listed certificate at %s', async (_name, call) => {
    const portcullis = await openWith(root.revoke({ serials: [svid.serialHex] }))
    expect(await portcullis.check(call)).toMatchObject({ reason: 'certificate-revoked', httpStatus: 401 })
  })

  test('that have expired refuse everybody of their issuer in every mode, and show', async () => {
    const list = root.revoke({
      thisUpdate: new Date(Date.now() - 2 * HOUR_MS),
      nextUpdate: new Date(Date.now() - HOUR_MS),
    })
    const portcullis = await openWith(list)
    const answer = await portcullis.check(known)
    expect(answer).toMatchObject({ reason: 'certificate-revoked', httpStatus: 401 })
    expect(messageOf(answer)).toBe(
      "the revocation list of O=portcullis,CN=root has expired, so whether the certificate was revoked can't be told",
    )
    expect(await reasons(portcullis, { ...known, path: '/tried' })).toEqual(['certificate-revoked'])
    expect((await trustProblems(portcullis))[0]).toMatch(
      /expired, so certificates of its issuer are refused$/,
    )
    await portcullis.write('list.crl', pem(root.revoke({})))
    await eventually(async () => expect(await reasons(portcullis, known)).toEqual(['allowed']))
    expect(await trustProblems(portcullis)).toEqual([])
  })

  test('that no CA of a bundle signed refuse everybody of that name', async () => {
    const portcullis = await openWith(createAuthority({ name: 'root' }).revoke({}))
    expect(await reasons(portcullis, known)).toEqual(['certificate-revoked'])
  })

  test('act on the next request after they change; one that is broken changes nothing, and shows', async () => {
    const portcullis = await openWith(root.revoke({ serials: ['77'] }))
    expect(await reasons(portcullis, known)).toEqual(['allowed'])
    await portcullis.write('list.crl', pem(root.revoke({ serials: ['77', svid.serialHex] })))
    await eventually(async () => expect(await reasons(portcullis, known)).toEqual(['certificate-revoked']))
    expect(await reasons(portcullis, caller(root))).toEqual(['allowed'])
    await portcullis.write('list.crl', 'nonsense')
    await eventually(async () =>
      expect(await trustProblems(portcullis)).toEqual([expect.stringMatching(/list\.crl: neither DER nor/)]),
    )
    await rm(join(portcullis.directory, 'list.crl'))
    await eventually(async () =>
      expect(await trustProblems(portcullis)).toEqual([expect.stringMatching(/no such file/)]),
    )
    expect(await reasons(portcullis, known)).toEqual(['certificate-revoked'])
    expect((await probe(portcullis, '/metrics')).body).toMatch(
      /portcullis_revocation_list_next_update_seconds\{source="[^"]*list\.crl"\} [0-9]/,
    )
  })
})
