import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import { StartFailure } from '../../src/main.js'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import type { CheckFields } from '../support/envoy-wire.js'
import { type Answer, startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { jwksText, signedToken, testKey, type TestKey } from '../support/tokens.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay, namespace: shop }
spec:
  endpoints:
    - { name: Read, paths: [/read], methods: [GET] }
    - { name: Profile, paths: [/profile], methods: [GET], require: Both }
    - { name: Tried, paths: [/tried], methods: [GET], mode: Shadow }
    - { name: Sql, protocol: TCP, ports: [5432] }
  rules: [{ name: callers, from: [{ services: [web] }] }]
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: pay }] }
`
const WEB = 'spiffe://cluster.local/ns/shop/sa/web'
const PAY = 'spiffe://cluster.local/ns/shop/sa/pay'
const ISSUER = 'https://portcullis.example'
const HEADER = 'x-portcullis-assertion'
const OVERLAP_MS = 1500

const authority = createAuthority({ name: 'root' })
const certificate = asEnvoySends(authority.issueSvid({ spiffeId: WEB }).certificatePem)
const call = (path: string, headers: Readonly<Record<string, string>> = {}): CheckFields => ({
  destinationPrincipal: PAY,
  principal: WEB,
  certificate,
  path,
  headers,
})
let userKey: TestKey
const user = (claims: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, string>> => {
  const now = Math.floor(Date.now() / 1000)
  const payload = {
    iss: 'https://idp.example',
    aud: 'shop',
    sub: 'alice',
    iat: now,
    exp: now + 600,
    roles: ['buyer'],
  }
  return { authorization: `Bearer ${signedToken(userKey, { ...payload, ...claims })}` }
}

async function startWith(
  upstreamAssertion: Readonly<Record<string, unknown>> | undefined,
  keyPem = '',
): Promise<TestPortcullis> {
  return startPortcullis(
    {
      'policy/shop.yaml': POLICY,
      'ca.pem': authority.certificatePem,
      'idp.json': jwksText(userKey),
      'assertion.pem': keyPem,
    },
    {
      trustDomains: { 'cluster.local': { bundle: { file: './ca.pem' } } },
      userTokens: {
        issuers: [
          {
            issuer: 'https://idp.example',
            audiences: ['shop'],
            jwksFile: './idp.json',
            algorithms: ['RS256'],
          },
        ],
      },
      public: { listen: '127.0.0.1:0' },
      ...(upstreamAssertion && {
        upstreamAssertion: { issuer: ISSUER, keyFile: './assertion.pem', ...upstreamAssertion },
      }),
    },
  )
}

const url = ({ running }: TestPortcullis, path = '/.well-known/jwks.json'): string =>
  `http://${running.public}${path}`

async function published(portcullis: TestPortcullis): Promise<JSONWebKeySet> {
  return (await (await fetch(url(portcullis))).json()) as JSONWebKeySet
}

/** As an upstream does it. */
async function verified(
  portcullis: TestPortcullis,
  answer: Answer,
): Promise<Readonly<Record<string, unknown>>> {
  const keys = createLocalJWKSet(await published(portcullis))
  const options = { issuer: ISSUER, audience: 'shop/pay', typ: 'portcullis-assertion+jwt' }
  return (await jwtVerify(answer.headers.get(HEADER) ?? '', keys, options)).payload
}

let portcullis: TestPortcullis
let first: TestKey
beforeAll(async () => {
  userKey = await testKey('RS256', 'idp-1')
  first = await testKey('ES256')
  portcullis = await startWith({ lifetime: '10s', overlap: `${OVERLAP_MS}ms` }, first.privateKeyPem)
})
afterAll(() => portcullis.stop())

describe('does not start', () => {
  test.each([
    { name: 'an empty file', key: () => '', says: 'holds 0 unencrypted private keys' },
    { name: 'no PEM', key: () => 'secret', says: 'holds 0 unencrypted private keys' },
    { name: 'a public key', key: () => first.publicKeyPem, says: 'holds 0 unencrypted private keys' },
    { name: 'two keys', key: () => first.privateKeyPem.repeat(2), says: 'holds 2 unencrypted private keys' },
    {
      name: 'a damaged key',
      key: () => first.privateKeyPem.replace(/\n[\w+/]{20}/, '\nAAAAAAAAAAAAAAAAAAAA'),
      says: 'can not be read',
    },
    {
      name: 'an RSA key',
      key: async () => (await testKey('RS256')).privateKeyPem,
      says: 'an EC key on P-256',
    },
    {
      name: 'another curve',
      key: async () => (await testKey('ES384')).privateKeyPem,
      says: 'an EC key on P-256',
    },
    {
      name: 'Ed25519 for ES256',
      key: async () => (await testKey('EdDSA')).privateKeyPem,
      says: 'an EC key on P-256',
    },
    { name: 'P-256 for EdDSA', key: () => first.privateKeyPem, algorithm: 'EdDSA', says: 'an Ed25519 key' },
    { name: 'a missing file', key: () => first.privateKeyPem, keyFile: './none.pem', says: 'no such file' },
  ])('with $name', async ({ key, says, algorithm = 'ES256', keyFile = './assertion.pem' }) => {
    const pem = await key()
    const failure: unknown = await startWith({ algorithm, keyFile }, pem).catch((error: unknown) => error)
    if (!(failure instanceof StartFailure)) throw failure
    const text = failure.problems.join('\n')
    expect(text).toContain('upstreamAssertion.keyFile')
    expect(text).toContain(says)
    for (const line of pem.split('\n'))
      if (line.length > 20 && !line.startsWith('-')) expect(text).not.toContain(line)
  })
})

describe('mints nothing', () => {
  test('for a call that is refused', async () => {
    const answer = await portcullis.check(call('/profile'))
    expect([answer.reason, answer.headers.get(HEADER)]).toEqual(['user-required', undefined])
  })

  test('where the target only watches, and leaves the request as it is', async () => {
    const { outcome, reply } = await portcullis.check(
      call('/tried', { [HEADER]: 'x', x_portcullis_assertion: 'x' }),
    )
    expect(outcome).toBe('allow')
    expect(reply.ok_response?.headers.map(({ header }) => header.key)).toEqual(['x-portcullis-decision-id'])
    expect(reply.ok_response?.headers_to_remove).toEqual([])
  })

  test('for TCP, which has no headers', async () => {
    const { outcome, headers } = await portcullis.check({ ...call(''), tcp: true, destinationPort: 5432 })
    expect([outcome, headers.get(HEADER)]).toEqual(['allow', undefined])
  })

  test('where it is not configured', async () => {
    const plain = await startWith(undefined)
    try {
      expect((await plain.check(call('/read'))).headers.has(HEADER)).toBe(false)
      expect(await published(plain)).toEqual({ keys: [] })
    } finally {
      await plain.stop()
    }
  })
})

describe('the public port', () => {
  test.each([
    { path: '/', method: 'GET', status: 404 },
    { path: '/metrics', method: 'GET', status: 404 },
    { path: '/.well-known/jwks.json/', method: 'GET', status: 404 },
    { path: '/.well-known/jwks.json', method: 'POST', status: 405 },
    { path: '/.well-known/jwks.json', method: 'HEAD', status: 405 },
  ])('$method $path: $status', async ({ path, method, status }) => {
    expect((await fetch(url(portcullis, path), { method })).status).toBe(status)
  })

  test('gives the public key alone, to be kept shorter than the overlap', async () => {
    const response = await fetch(url(portcullis))
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(response.headers.get('cache-control')).toBe('public, max-age=0')
    const { kty, crv, x, y } = first.publicJwk
    const kid = first.kid
    expect(await response.json()).toEqual({ keys: [{ kty, crv, x, y, kid, alg: 'ES256', use: 'sig' }] })
  })
})

test('names workload, user and decision, for the target alone', async () => {
  const answer = await portcullis.check(call('/profile', user({ device_trust_level: 'low' })))
  const nowSeconds = Date.now() / 1000
  const claims = await verified(portcullis, answer)
  expect(claims).toEqual({
    iss: ISSUER,
    aud: 'shop/pay',
    sub: 'alice',
    workload: WEB,
    caller: 'shop/web',
    user: { iss: 'https://idp.example', sub: 'alice', roles: ['buyer'] },
    endpoint: 'Profile',
    obligations: ['read-only'],
    decision_id: answer.headers.get('x-portcullis-decision-id'),
    jti: answer.headers.get('x-portcullis-decision-id'),
    iat: expect.any(Number),
    exp: Number(claims['iat']) + 10,
  })
  expect(Math.abs(Number(claims['iat']) - nowSeconds)).toBeLessThan(2)
  expect(decodeProtectedHeader(answer.headers.get(HEADER) ?? '')).toEqual({
    typ: 'portcullis-assertion+jwt',
    alg: 'ES256',
    kid: first.kid,
  })
})

test('without a user, the workload is the subject', async () => {
  const claims = await verified(portcullis, await portcullis.check(call('/read')))
  expect(claims).toMatchObject({ sub: WEB, workload: WEB, obligations: [] })
  expect(claims).not.toHaveProperty('user')
})

test('copies of the caller are overwritten or removed, and every call has its own', async () => {
  const spoofed = { [HEADER]: 'x', x_portcullis_assertion: 'x', 'x-portcullis_assertion': 'x' }
  const one = await portcullis.check(call('/read', spoofed))
  const other = await portcullis.check(call('/read', spoofed))
  expect(one.reply.ok_response?.headers_to_remove).toEqual(
    expect.arrayContaining(['x_portcullis_assertion', 'x-portcullis_assertion']),
  )
  expect(one.reply.ok_response?.headers_to_remove).not.toContain(HEADER)
  const option = one.reply.ok_response?.headers.find(({ header }) => header.key === HEADER)
  expect(option?.append_action).toBe('OVERWRITE_IF_EXISTS_OR_ADD')
  expect((await verified(portcullis, one))['jti']).not.toBe((await verified(portcullis, other))['jti'])
})

test('with reuse, the same parties share one without a decision, others never', async () => {
  const sharing = await startWith(
    { reuse: '15s', algorithm: 'EdDSA' },
    (await testKey('EdDSA')).privateKeyPem,
  )
  try {
    const ask = async (fields: CheckFields): Promise<string> =>
      (await sharing.check(fields)).headers.get(HEADER) ?? ''
    const tokens = await Promise.all([
      ask(call('/read')),
      ask(call('/profile', user())),
      ask(call('/profile', user({ sub: 'bob' }))),
      ask(call('/profile', user({ roles: ['admin'] }))),
      ask(call('/profile', user({ device_trust_level: 'low' }))),
    ])
    expect(new Set(tokens).size).toBe(tokens.length)
    expect(await ask(call('/read'))).toBe(tokens[0])
    expect(await ask(call('/profile', user()))).toBe(tokens[1])
    const claims = await verified(sharing, await sharing.check(call('/read')))
    expect(claims).not.toHaveProperty('decision_id')
  } finally {
    await sharing.stop()
  }
})

test('a new key is published before it signs, a bad one changes nothing, the old one stays published', async () => {
  const kidOf = async (): Promise<string | undefined> =>
    decodeProtectedHeader((await portcullis.check(call('/read'))).headers.get(HEADER) ?? '').kid
  const kids = async (): Promise<readonly unknown[]> =>
    (await published(portcullis)).keys.map(({ kid }) => kid)
  const replace = async (text: string): Promise<void> => {
    await writeFile(join(portcullis.directory, 'next.pem'), text)
    await rename(join(portcullis.directory, 'next.pem'), join(portcullis.directory, 'assertion.pem'))
  }
  await replace('no key')
  await new Promise((resolve) => setTimeout(resolve, 400))
  expect(await kids()).toEqual([first.kid])

  const second = await testKey('ES256')
  await replace(second.privateKeyPem)
  await until(async () => (await kids()).includes(second.kid))
  expect(await kidOf()).toBe(first.kid)
  expect(await kids()).toEqual([first.kid, second.kid])

  await until(async () => (await kidOf()) === second.kid)
  expect(await kids()).toEqual([second.kid, first.kid])
  await verified(portcullis, await portcullis.check(call('/read')))
})

async function until(holds: () => Promise<boolean>): Promise<void> {
  const endMs = Date.now() + 4000
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error('it never came to hold')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
