import { afterAll, beforeAll } from '@jest/globals'
import { mintServiceToken } from '../../src/identity/token.js'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import type { CheckServer } from '../support/check-servers.js'
import type { CheckFields } from '../support/envoy-wire.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { jwksText, signedToken, testKey, type TestKey } from '../support/tokens.js'

export const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay, namespace: shop }
spec:
  endpoints:
    - { name: Read, paths: ["/api/payments/{id}"], methods: [GET] }
    - { name: Process, paths: [/api/payments], methods: [POST], workloadScopes: [payments:process] }
    - { name: Refund, grpc: [shop.v1.Payments/Refund], mfa: Required }
    - { name: Profile, paths: [/profile], methods: [GET, PUT], require: Both }
    - { name: Scoped, paths: [/scoped], methods: [GET], require: Both, userScopes: [pay:read] }
    - { name: Admin, paths: [/api/admin/report], methods: [GET], require: Both }
    - { name: Fresh, paths: [/fresh], methods: [GET], require: Both, maxAuthAge: 15m }
    - { name: Tried, paths: [/tried], methods: [GET], mode: Shadow }
    - { name: Live, paths: [/live], methods: [GET], protocol: WebSocket }
    - { name: Sql, protocol: TCP, ports: [5432] }
  rules:
    - { name: web-calls, from: [{ services: [web] }], to: [{ endpoints: [Read, Refund, Profile, Scoped, Admin, Fresh, Live, Sql, Process] }] }
  forbid:
    - { name: no-tests, to: [{ endpoints: [Read, Process] }], when: [{ key: "request.headers[x-test]", present: true }], message: tests may not pay }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec:
  calls: [{ service: pay }]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: cron, namespace: shop }
spec: {}
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: stranger, namespace: other }
spec:
  calls: [{ service: shop/pay }]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: portal, namespace: edge }
spec:
  require: User
  routes: [{ host: shop.example.com, pathPrefix: /portal, stripPrefix: /portal }]
  endpoints:
    - { name: Home, paths: [/home], methods: [GET, POST] }
    - { name: Inner, paths: [/inner], methods: [GET], require: Workload }
    - { name: Login, paths: [/login], methods: [POST], require: None }
  rules:
    - { name: users, from: [{ users: true }], to: [{ endpoints: [Home, Inner] }] }
    - { name: anyone, from: [{ any: true }], to: [{ endpoints: [Login] }] }
`

/** On a busy machine. */
const START_MS = 30_000

export const NOW_SECONDS = Math.floor(Date.now() / 1000)

/** A Portcullis with real certificates and keys, started before the tests of a file and ended after them. */
export function frontDoor(
  configuration: Readonly<Record<string, unknown>> = {},
  checkServer: CheckServer = 'Http2',
): Door {
  const root = createAuthority({ name: 'root' })
  const intermediate = createAuthority({ name: 'intermediate', intermediateOf: root })
  const door = new Door(intermediate, checkServer)
  beforeAll(async () => {
    await door.start(`${root.certificatePem}${intermediate.certificatePem}`, configuration)
  }, START_MS)
  afterAll(() => door.portcullis.stop())
  return door
}

export class Door {
  readonly authority: ReturnType<typeof createAuthority>
  /** What answers Check on every listener. */
  readonly #checkServer: CheckServer
  #portcullis: TestPortcullis | undefined
  #user: TestKey | undefined
  #web: TestKey | undefined

  constructor(authority: Door['authority'], checkServer: CheckServer) {
    this.authority = authority
    this.#checkServer = checkServer
  }

  async start(bundle: string, configuration: Readonly<Record<string, unknown>>): Promise<void> {
    this.#user = await testKey('RS256', 'idp-1')
    this.#web = await testKey('ES256')
    this.#portcullis = await startPortcullis(
      {
        'policy/shop.yaml': POLICY,
        'pki/ca.pem': bundle,
        'keys/web.pem': this.#web.publicKeyPem,
        'keys/idp.json': jwksText(this.#user),
      },
      {
        listeners: [
          { name: 'mesh', address: '127.0.0.1:0' },
          { name: 'edge', address: '127.0.0.1:0', role: 'Gateway', peerIdentity: 'None' },
          { name: 'lenient', address: '127.0.0.1:0', mtls: 'Permissive' },
          {
            name: 'istio',
            address: '127.0.0.1:0',
            peerIdentity: 'Principal',
            principalTrustDomains: ['cluster.local'],
          },
        ].map((listener) => Object.assign(listener, { checkServer: this.#checkServer })),
        trustDomains: { 'cluster.local': { bundle: { file: './pki/ca.pem' } } },
        serviceTokens: {
          issuers: { web: { service: 'shop/web', keyFile: './keys/web.pem', scopes: ['payments:*'] } },
        },
        userTokens: {
          issuers: [
            {
              issuer: 'https://idp.example',
              audiences: ['shop'],
              jwksFile: './keys/idp.json',
              algorithms: ['RS256'],
            },
          ],
        },
        ...configuration,
      },
    )
  }

  get portcullis(): TestPortcullis {
    if (!this.#portcullis) throw new Error('not started')
    return this.#portcullis
  }

  get userKey(): TestKey {
    if (!this.#user) throw new Error('not started')
    return this.#user
  }

  get webKey(): TestKey {
    if (!this.#web) throw new Error('not started')
    return this.#web
  }

  /** Certificate and principal of a workload, as Envoy sends them. */
  peer(spiffeId: string, options: Parameters<Door['authority']['issueSvid']>[0] = { spiffeId }): CheckFields {
    return {
      principal: spiffeId,
      certificate: asEnvoySends(this.authority.issueSvid(options).certificatePem),
    }
  }

  /** `authorization` of a user with these claims. */
  user(claims: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, string>> {
    const payload = {
      iss: 'https://idp.example',
      aud: 'shop',
      sub: 'alice',
      iat: NOW_SECONDS - 10,
      exp: NOW_SECONDS + 600,
      ...claims,
    }
    return { authorization: `Bearer ${signedToken(this.userKey, payload)}` }
  }

  serviceToken(request: Partial<Parameters<typeof mintServiceToken>[0]> = {}): Promise<string> {
    return mintServiceToken({
      issuer: 'web',
      audience: 'shop/pay',
      scopes: ['payments:process'],
      key: this.webKey.privateKeyPem,
      ...request,
    })
  }
}
