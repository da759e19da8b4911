import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { CheckFields } from '../support/envoy-wire.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { jwksText, signedToken, testKey, type TestKey } from '../support/tokens.js'
import { NOW_SECONDS } from './door.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: portal, namespace: edge }
spec:
  require: User
  endpoints:
    - { name: Roles, paths: [/roles], methods: [GET] }
    - { name: Scopes, paths: [/scopes], methods: [GET], userScopes: [pay:read] }
    - { name: Groups, paths: [/groups], methods: [GET] }
    - { name: Department, paths: [/department], methods: [GET] }
    - { name: Clearance, paths: [/clearance], methods: [GET] }
    - { name: Nested, paths: [/nested], methods: [GET] }
    - { name: Mfa, paths: [/mfa], methods: [GET], mfa: Required }
  rules:
    - { name: roles, from: [{ users: true }], to: [{ endpoints: [Roles] }], when: [{ key: user.roles, values: [auditor] }] }
    - { name: scopes, from: [{ users: true }], to: [{ endpoints: [Scopes, Mfa] }] }
    - { name: groups, from: [{ users: true }], to: [{ endpoints: [Groups] }], when: [{ key: user.groups, values: [finance] }] }
    - { name: department, from: [{ users: true }], to: [{ endpoints: [Department] }], when: [{ key: user.department, values: [Finance] }] }
    - { name: clearance, from: [{ users: true }], to: [{ endpoints: [Clearance] }], when: [{ key: user.clearance, values: [secret] }] }
    - { name: nested, from: [{ users: true }], to: [{ endpoints: [Nested] }], when: [{ key: "user.claims[address][country]", values: [CH] }] }
`

/** One provider: how it is configured, and a token in its shape with everything that the endpoints ask for. */
type Provider = {
  readonly issuer: string
  readonly config: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

const TIMES = { iat: NOW_SECONDS - 10, exp: NOW_SECONDS + 600, auth_time: NOW_SECONDS - 30 }
const ADDRESS = { address: { country: 'CH' } }
const PROVIDERS: Readonly<Record<string, Provider>> = {
  Keycloak: {
    issuer: 'https://sso.example/realms/shop',
    config: {
      claims: {
        roles: 'resource_access.shop.portal.roles',
        groups: 'groups',
        department: 'attributes.department',
        clearance: 'attributes.clearance',
      },
    },
    claims: {
      typ: 'Bearer',
      azp: 'shop-web',
      aud: ['shop', 'account'],
      sub: '0c6f3f39-6e33-4c46-a5b1-bd0bb09ec5ce',
      realm_access: { roles: ['offline_access'] },
      resource_access: { 'shop.portal': { roles: ['auditor'] }, account: { roles: ['view-profile'] } },
      groups: ['finance', '/staff'],
      attributes: { department: 'Finance', clearance: ['secret'] },
      scope: 'openid pay:read',
      sid: 'f1a1',
      acr: '1',
      mfa_verified: true,
      amr: ['mfa'],
    },
  },
  Entra: {
    issuer: 'https://login.example/9f3c/v2.0',
    config: { claims: { scope: 'scp', clearance: 'extension_1f_clearance', groups: 'groups' } },
    claims: {
      ver: '2.0',
      aud: 'shop',
      oid: 'c0ffee',
      tid: '9f3c',
      sub: 'AAAA',
      azp: '11aa',
      roles: ['auditor'],
      groups: ['finance'],
      department: 'Finance',
      extension_1f_clearance: 'secret',
      scp: 'pay:read openid',
      amr: ['pwd', 'mfa'],
      mfa_verified: true,
    },
  },
  Okta: {
    issuer: 'https://okta.example/oauth2/default',
    config: { claims: { roles: 'groups', scope: 'scp' }, roles: ['auditor', 'finance'] },
    claims: {
      ver: 1,
      jti: 'AT.1',
      aud: 'shop',
      cid: '0oa1',
      uid: '00u1',
      scp: ['pay:read', 'openid'],
      sub: 'alice@example.com',
      groups: ['Everyone', 'auditor', 'finance'],
      department: 'Finance',
      clearance: 'secret',
      mfa_verified: true,
      amr: ['mfa'],
    },
  },
  Auth0: {
    issuer: 'https://tenant.example/',
    config: {
      claims: {
        roles: 'https://shop.example/roles',
        groups: 'https://shop.example/app_metadata.groups',
        department: 'https://shop.example/app_metadata.department',
        clearance: 'https://shop.example/app_metadata.security.clearance',
        mfa_verified: 'https://shop.example/mfa',
      },
    },
    claims: {
      aud: ['shop', 'https://tenant.example/userinfo'],
      azp: 'x1',
      sub: 'auth0|42',
      scope: 'openid pay:read',
      'https://shop.example/roles': ['auditor'],
      'https://shop.example/app_metadata': {
        groups: ['finance'],
        department: 'Finance',
        security: { clearance: 'secret' },
      },
      'https://shop.example/mfa': true,
      amr: ['mfa'],
    },
  },
}

let key: TestKey
let portcullis: TestPortcullis
beforeAll(async () => {
  key = await testKey('RS256', 'k')
  portcullis = await startPortcullis(
    { 'policy/edge.yaml': POLICY, 'keys/idp.json': jwksText(key) },
    {
      listeners: [{ name: 'edge', address: '127.0.0.1:0', role: 'Gateway', peerIdentity: 'None' }],
      userTokens: {
        issuers: Object.values(PROVIDERS).map(({ issuer, config }) =>
          Object.assign({ issuer, audiences: ['shop'], jwksFile: './keys/idp.json' }, config),
        ),
      },
    },
  )
})
afterAll(() => portcullis.stop())

const call = (
  provider: Provider,
  path: string,
  more: Readonly<Record<string, unknown>> = {},
): CheckFields => {
  const claims = { iss: provider.issuer, ...TIMES, ...ADDRESS, ...provider.claims, ...more }
  return {
    service: 'edge/portal',
    path,
    headers: { authorization: `Bearer ${signedToken(key, claims)}` },
  }
}
const PATHS = ['/roles', '/scopes', '/groups', '/department', '/clearance', '/nested', '/mfa']

describe.each(Object.entries(PROVIDERS))('a token in the shape of %s', (_name, provider) => {
  /** The same token without what is mapped, and with what a user may write into a profile. */
  const bare = Object.fromEntries(
    Object.keys(provider.claims)
      .filter((name) => !['aud', 'sub'].includes(name))
      .map((name) => [name, undefined]),
  )
  test.each(PATHS)('without its claims can not reach %s', async (path) => {
    const answer = await portcullis.check(call(provider, path, { ...bare, address: undefined }))
    expect(answer.outcome).toBe('deny')
    expect(['rule-not-matched', 'scope-missing', 'step-up-required']).toContain(answer.reason)
  })
  test.each(PATHS)('reaches %s', async (path) => {
    expect(await portcullis.check(call(provider, path))).toMatchObject({ outcome: 'allow' })
  })
})

describe('claims are refused or count for nothing', () => {
  const { Keycloak, Okta, Auth0 } = PROVIDERS as Readonly<Record<'Keycloak' | 'Okta' | 'Auth0', Provider>>
  test.each<[string, string, () => CheckFields]>([
    [
      'a mapped name that the issuer writes itself',
      'rule-not-matched',
      () => call(Keycloak, '/roles', { roles: ['auditor'], resource_access: {} }),
    ],
    [
      'roles of another client',
      'rule-not-matched',
      () => call(Keycloak, '/roles', { resource_access: { shop: { roles: ['auditor'] } } }),
    ],
    [
      'a department within a list',
      'rule-not-matched',
      () => call(Auth0, '/department', { 'https://shop.example/app_metadata': [{ department: 'Finance' }] }),
    ],
    [
      'a clearance that is an object',
      'rule-not-matched',
      () => call(Okta, '/clearance', { clearance: { secret: true } }),
    ],
    [
      'roles that are an object',
      'user-token-malformed',
      () => call(Okta, '/roles', { groups: { auditor: true } }),
    ],
    ['roles that are numbers', 'user-token-malformed', () => call(Okta, '/roles', { groups: [1] })],
    ['scopes with a quote', 'user-token-malformed', () => call(Okta, '/scopes', { scp: ['pay:read"'] })],
    ['MFA as text', 'step-up-required', () => call(Okta, '/mfa', { mfa_verified: 'true', amr: undefined })],
  ])('%s: %s', async (_name, reason, fields) => {
    expect(await portcullis.check(fields())).toMatchObject({ outcome: 'deny', reason })
  })

  test('roles beyond what the issuer may assert', async () => {
    const answer = await portcullis.check(call(Okta, '/roles', { groups: ['Everyone', 'auditor', 'root'] }))
    expect(answer.headers.get('x-user-roles')).toBe('auditor')
  })
})
