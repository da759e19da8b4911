import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { mintServiceToken } from '../../src/identity/token.js'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import type { CheckFields } from '../support/envoy-wire.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { testKey, type TestKey } from '../support/tokens.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay, namespace: shop }
spec:
  endpoints:
    - { name: Read, paths: [/read], methods: [GET] }
    - { name: Process, paths: [/process], methods: [POST], workloadScopes: [payments:process] }
    - { name: Granted, paths: [/granted], methods: [POST], workloadScopes: [payments:process] }
    - { name: Tried, paths: [/tried], methods: [GET], mode: Shadow }
    - { name: Sql, protocol: TCP, ports: [5432] }
  rules:
    - name: callers
      from: [{ services: [web, partner, cron] }, { namespaces: [edge, barred, mute] }]
      to: [{ endpoints: [Read, Process, Tried, Sql] }]
    - { name: web-is-granted, from: [{ services: [web] }], to: [{ endpoints: [Granted] }], grantScopes: [payments:process] }
    - { name: gateway-may, from: [{ services: [edge/gateway] }], to: [{ endpoints: [Granted] }] }
  forbid:
    - { name: not-through-barred, from: [{ namespaces: [barred] }], mode: Enforce, message: not through there }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: pay }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: cron, namespace: shop }
spec: {}
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: partner, namespace: shop }
spec: { serviceAccounts: [], identities: ["spiffe://partner.example/ns/x/sa/app"], calls: [{ service: pay }] }
${['edge/gateway', 'edge/self', 'strange/unwelcome', 'barred/barred']
  .map(
    (id) => `---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: ${id.split('/')[1]}, namespace: ${id.split('/')[0]} }
spec: { calls: [{ service: shop/pay }] }
`,
  )
  .join('')}---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: mute, namespace: mute }
spec: {}
`

const id = (service: string): string => {
  const [namespace, name] = service.split('/')
  return `spiffe://cluster.local/ns/${namespace}/sa/${name}`
}
const PAY = id('shop/pay')
const WEB = id('shop/web')
const GATEWAY = id('edge/gateway')
const SELF = id('edge/self')
const PARTNER = 'spiffe://partner.example/ns/x/sa/app'
const REVOKED_HASH = 'ab'.repeat(32)
const HASH = 'cd'.repeat(32)
const READ: CheckFields = { destinationPrincipal: PAY, method: 'GET', path: '/read' }
const PROCESS: CheckFields = { destinationPrincipal: PAY, method: 'POST', path: '/process' }

const authority = createAuthority({ name: 'root' })
const stranger = createAuthority({ name: 'stranger' })
let portcullis: TestPortcullis
let webKey: TestKey
let gatewayKey: TestKey

beforeAll(async () => {
  webKey = await testKey('ES256')
  gatewayKey = await testKey('ES256')
  const proxies = ['edge/gateway', 'strange/unwelcome', 'barred/barred', 'mute/mute'].map((name) => ({
    identity: id(name),
    trustDomains: ['cluster.local'],
  }))
  const trustedProxies = [
    ...proxies,
    { identity: SELF, trustDomains: ['partner.example'], self: true },
    { identity: id('shop/gone'), trustDomains: ['cluster.local'], self: false },
  ]
  portcullis = await startPortcullis(
    {
      'policy/shop.yaml': POLICY,
      'ca.pem': authority.certificatePem,
      'web.pem': webKey.publicKeyPem,
      'gateway.pem': gatewayKey.publicKeyPem,
    },
    {
      listeners: [
        { name: 'mesh', address: '127.0.0.1:0', trustedProxies },
        { name: 'trusting-nobody', address: '127.0.0.1:0' },
        { name: 'lenient', address: '127.0.0.1:0', mtls: 'Permissive', trustedProxies },
        {
          name: 'istio',
          address: '127.0.0.1:0',
          peerIdentity: 'Principal',
          principalTrustDomains: ['cluster.local'],
          trustedProxies,
        },
      ],
      trustDomains: {
        'cluster.local': { bundle: { file: './ca.pem' } },
        'partner.example': { bundle: { file: './ca.pem' } },
      },
      certificates: { revoked: { fingerprints: [REVOKED_HASH], identities: [id('shop/gone')] } },
      serviceTokens: {
        issuers: {
          web: { service: 'shop/web', keyFile: './web.pem', scopes: ['payments:*'] },
          gateway: { service: 'edge/gateway', keyFile: './gateway.pem', scopes: ['payments:*'] },
        },
      },
    },
  )
})
afterAll(() => portcullis.stop())

const certificates = new Map<string, string>()
/** A connection from this workload with this header. */
const from = (peer: string, xfcc?: string, call: CheckFields = READ): CheckFields => {
  const certificate =
    certificates.get(peer) ?? asEnvoySends(authority.issueSvid({ spiffeId: peer }).certificatePem)
  certificates.set(peer, certificate)
  return {
    ...call,
    principal: peer,
    certificate,
    headers: { ...call.headers, ...(xfcc === undefined ? {} : { 'x-forwarded-client-cert': xfcc }) },
  }
}
const said = (uri: string, by = GATEWAY): string => `By=${by};Hash=${HASH};URI=${uri}`
const svid = (spiffeId: string, options: Partial<Parameters<typeof stranger.issueSvid>[0]> = {}) => {
  // The proxy has verified the path: whose authority it was is not asked again.
  const { certificatePem, sha256Hex } = stranger.issueSvid({ spiffeId, ...options })
  return { cert: encodeURIComponent(certificatePem), hash: sha256Hex }
}
const withToken = async (
  peer: string,
  xfcc: string | undefined,
  issuer: 'web' | 'gateway',
): Promise<CheckFields> =>
  from(peer, xfcc, {
    ...PROCESS,
    headers: {
      'x-service-token': await mintServiceToken({
        issuer,
        audience: 'shop/pay',
        scopes: ['payments:process'],
        key: (issuer === 'web' ? webKey : gatewayKey).privateKeyPem,
      }),
    },
  })

type Case = {
  readonly name: string
  readonly fields: () => CheckFields | Promise<CheckFields>
  readonly listener?: string
  readonly reason: string
}

const refusals: readonly Case[] = [
  { name: 'no header', fields: () => from(GATEWAY), reason: 'certificate-required' },
  {
    name: 'no header where TCP has none',
    fields: () => from(GATEWAY, undefined, { destinationPrincipal: PAY, destinationPort: 5432, tcp: true }),
    reason: 'certificate-required',
  },
  ...[
    ['an empty header', ''],
    ['an empty last element', `${said(WEB)},`],
    ['a pair without a value', `${said(WEB)};Subject`],
    ['an open quote', `${said(WEB)};Subject="CN=a`],
    ['blanks', `${said(WEB)}, ${said(WEB)}`],
    ['no By', `Hash=${HASH};URI=${WEB}`],
    ['another By', said(WEB, id('edge/other'))],
    ['two By', `By=${GATEWAY};By=${GATEWAY};URI=${WEB}`],
    ['By that is no SPIFFE ID', `By=gateway;URI=${WEB}`],
    ['no URI', `By=${GATEWAY};Hash=${HASH}`],
    ['two URIs', `${said(WEB)};URI=${WEB}`],
    ['a URI of another kind', said('https://web.example')],
    ['a URI of a trust domain', said('spiffe://cluster.local')],
    ['a URI in capitals', said(WEB.toUpperCase())],
    ['a trust domain that the proxy may not speak for', said(PARTNER)],
    ['a Hash that is none', `By=${GATEWAY};Hash=abc;URI=${WEB}`],
    ['a Hash twice', `By=${GATEWAY};Hash=${HASH};Hash=${HASH};URI=${WEB}`],
    ['a Cert that is none', `${said(WEB)};Cert="nonsense"`],
    ['a Cert that is not percent-encoded', `${said(WEB)};Cert="%zz"`],
    ['the right words by the first proxy, the last element by another', `${said(WEB)},${said(GATEWAY, PAY)}`],
    ['65 elements', Array.from({ length: 65 }, () => said(WEB)).join(',')],
  ].map(([name = '', header = '']): Case => ({
    name,
    fields: () => from(GATEWAY, header),
    reason: 'xfcc-invalid',
  })),
  {
    name: 'a Cert that names another',
    fields: () => {
      const { cert, hash } = svid(id('shop/cron'))
      return from(GATEWAY, `By=${GATEWAY};Hash=${hash};Cert="${cert}";URI=${WEB}`)
    },
    reason: 'xfcc-invalid',
  },
  {
    name: 'two certificates in Cert',
    fields: () => {
      const { cert, hash } = svid(WEB)
      return from(GATEWAY, `By=${GATEWAY};Hash=${hash};Cert="${cert}${cert}";URI=${WEB}`)
    },
    reason: 'xfcc-invalid',
  },
  {
    name: 'a Hash of another Cert',
    fields: () => from(GATEWAY, `By=${GATEWAY};Hash=${HASH};Cert="${svid(WEB).cert}";URI=${WEB}`),
    reason: 'xfcc-invalid',
  },
  {
    name: 'an expired Cert',
    fields: () => {
      const { cert } = svid(WEB, { notBefore: new Date(Date.now() - 7_200_000), ttlSeconds: 3600 })
      return from(GATEWAY, `By=${GATEWAY};Cert="${cert}";URI=${WEB}`)
    },
    reason: 'certificate-expired',
  },
  {
    name: 'a revoked proxy, on Envoy’s word alone',
    listener: 'istio',
    fields: () => ({ ...from(id('shop/gone'), said(WEB, id('shop/gone'))), certificate: '' }),
    reason: 'certificate-revoked',
  },
  {
    name: 'a revoked proxy that names nobody',
    listener: 'istio',
    fields: () => ({ ...from(id('shop/gone')), certificate: '' }),
    reason: 'certificate-revoked',
  },
  {
    name: 'a revoked Hash',
    fields: () => from(GATEWAY, `By=${GATEWAY};Hash=${REVOKED_HASH};URI=${WEB}`),
    reason: 'certificate-revoked',
  },
  {
    name: 'a revoked identity',
    fields: () => from(GATEWAY, said(id('shop/gone'))),
    reason: 'certificate-revoked',
  },
  {
    name: 'a revoked identity where the target only watches',
    fields: () => from(GATEWAY, said(id('shop/gone')), { ...READ, path: '/tried' }),
    reason: 'certificate-revoked',
  },
  {
    name: '300 KB',
    fields: () => from(GATEWAY, `${said(WEB)};Subject="${'x'.repeat(300_000)}"`),
    reason: 'ambiguous-request',
  },
  {
    name: 'the header in two spellings',
    fields: () => from(GATEWAY, said(WEB), { ...READ, headers: { x_forwarded_client_cert: said(WEB) } }),
    reason: 'ambiguous-request',
  },
  // Both need the edge.
  {
    name: 'a caller without the call',
    fields: () => from(GATEWAY, said(id('shop/cron'))),
    reason: 'call-not-allowed',
  },
  {
    name: 'a caller that nobody named',
    fields: () => from(GATEWAY, said(id('shop/ghost'))),
    reason: 'caller-unknown',
  },
  {
    name: 'a proxy without the call',
    fields: () => from(id('mute/mute'), said(WEB, id('mute/mute'))),
    reason: 'call-not-allowed',
  },
  {
    name: 'a proxy that no rule names',
    fields: () => from(id('strange/unwelcome'), said(WEB, id('strange/unwelcome'))),
    reason: 'rule-not-matched',
  },
  {
    name: 'a proxy that is forbidden',
    fields: () => from(id('barred/barred'), said(WEB, id('barred/barred'))),
    reason: 'forbidden',
  },
  {
    name: 'a proxy that an enforced forbid names, where the target only watches',
    fields: () =>
      from(id('barred/barred'), said(id('shop/cron'), id('barred/barred')), { ...READ, path: '/tried' }),
    reason: 'forbidden',
  },
  {
    name: "scopes that only the proxy's rule could grant",
    fields: () => from(GATEWAY, said(WEB), PROCESS),
    reason: 'scope-missing',
  },
  // Whose header it is.
  {
    name: 'an ordinary workload names another',
    fields: () => from(id('shop/cron'), said(WEB, id('shop/cron'))),
    reason: 'call-not-allowed',
  },
  {
    name: 'a listener that trusts no proxy',
    listener: 'trusting-nobody',
    fields: () => from(id('mute/mute'), said(WEB, id('mute/mute'))),
    reason: 'call-not-allowed',
  },
  {
    name: 'the proxy on its word alone, By another',
    listener: 'istio',
    fields: () => ({ ...READ, principal: GATEWAY, headers: { 'x-forwarded-client-cert': said(WEB, SELF) } }),
    reason: 'xfcc-invalid',
  },
  { name: 'self: a header that is wrong', fields: () => from(SELF, 'nonsense'), reason: 'xfcc-invalid' },
  {
    name: 'self: a trust domain that it may not speak for',
    fields: () => from(SELF, said(WEB, SELF)),
    reason: 'xfcc-invalid',
  },
  // A service token belongs to the caller, not to the proxy.
  {
    name: "the proxy's service token for a forwarded caller",
    fields: () => withToken(GATEWAY, said(WEB), 'gateway'),
    reason: 'service-token-subject',
  },
  {
    name: 'permissive: a token stands in behind a proxy',
    listener: 'lenient',
    fields: () => withToken(GATEWAY, undefined, 'web'),
    reason: 'service-token-subject',
  },
]

const allowed: readonly Case[] = [
  { name: 'the caller by its hash', fields: () => from(GATEWAY, said(WEB)), reason: 'allowed' },
  {
    name: 'the caller by its URI alone',
    fields: () => from(GATEWAY, `By=${GATEWAY};URI=${WEB}`),
    reason: 'allowed',
  },
  {
    name: 'the caller by its certificate, everything quoted',
    fields: () => {
      const { cert, hash } = svid(WEB)
      const header = `by="${GATEWAY}";HASH="${hash}";Cert="${cert}";Subject="CN=a,\\"b\\"";URI="${WEB}";DNS=web`
      return from(GATEWAY, header)
    },
    reason: 'allowed',
  },
  {
    name: 'earlier elements are the words of others',
    fields: () => from(GATEWAY, `By=x;URI=spiffe://evil.example/a;Subject="a,b",${said(WEB)}`),
    reason: 'allowed',
  },
  {
    name: "the caller's rule grants scopes",
    fields: () => from(GATEWAY, said(WEB), { ...PROCESS, path: '/granted' }),
    reason: 'allowed',
  },
  {
    name: "the caller's service token",
    fields: () => withToken(GATEWAY, said(WEB), 'web'),
    reason: 'allowed',
  },
  {
    name: 'the proxy on its word alone',
    listener: 'istio',
    fields: () => ({ ...READ, principal: GATEWAY, headers: { 'x-forwarded-client-cert': said(WEB) } }),
    reason: 'allowed',
  },
  { name: 'self: the proxy calls', fields: () => from(SELF), reason: 'allowed' },
  {
    name: 'self: the proxy calls over TCP',
    fields: () => from(SELF, undefined, { destinationPrincipal: PAY, destinationPort: 5432, tcp: true }),
    reason: 'allowed',
  },
  { name: 'self: it forwards', fields: () => from(SELF, said(PARTNER, SELF)), reason: 'allowed' },
  {
    name: 'a header of somebody who is no proxy is nothing',
    fields: () => from(WEB, 'By=;;nonsense'),
    reason: 'allowed',
  },
]

describe('refuses', () => {
  test.each(refusals)('$name: $reason', async ({ fields, listener, reason }) => {
    const answer = await portcullis.check(await fields(), listener)
    expect({ outcome: answer.outcome, reason: answer.reason }).toEqual({ outcome: 'deny', reason })
  })
})

describe('allows', () => {
  test.each(allowed)('$name', async ({ fields, listener, reason }) => {
    const answer = await portcullis.check(await fields(), listener)
    expect({ outcome: answer.outcome, reason: answer.reason }).toEqual({ outcome: 'allow', reason })
  })
})

test('the upstream and the event learn of the caller, the event of its proxy too', async () => {
  const { headers } = await portcullis.check(from(GATEWAY, said(WEB)))
  expect(Object.fromEntries(headers)).toMatchObject({
    'x-caller-service': 'shop/web',
    'x-caller-spiffe-id': WEB,
  })
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(portcullis.events().at(-1)).toMatchObject({
    workloadId: WEB,
    viaWorkloadId: GATEWAY,
    callerService: 'shop/web',
    rule: 'callers',
  })
})

test('the same words by another proxy are not believed because they were read before', async () => {
  expect((await portcullis.check(from(GATEWAY, said(WEB)))).reason).toBe('allowed')
  expect((await portcullis.check(from(SELF, said(WEB)))).reason).toBe('xfcc-invalid')
  expect((await portcullis.check(from(id('mute/mute'), said(WEB)))).reason).toBe('xfcc-invalid')
})
