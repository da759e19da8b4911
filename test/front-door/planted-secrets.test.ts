import { createHmac, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { adminClient, anAdminToken } from '../support/admin.js'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import type { CheckFields } from '../support/envoy-wire.js'
import { type Answer, startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { jwksText, signedToken, testKey, type TestKey } from '../support/tokens.js'
import { NOW_SECONDS } from './door.js'

/** Conditions look at what secrets come in, so that evaluating them fails in every way. */
const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: DataPolicy
metadata: { name: confidential }
spec: { audit: { level: Full, alert: true } }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay, namespace: shop }
spec:
  endpoints:
    - { name: Open, paths: [/open], methods: [GET, POST] }
    - { name: Full, paths: [/full], methods: [GET, POST], dataPolicy: confidential }
    - { name: Body, paths: [/body], methods: [POST] }
    - { name: Cel, paths: [/cel], methods: [GET, POST] }
    - { name: Header, paths: [/header], methods: [GET] }
    - { name: Profile, paths: [/profile], methods: [GET], require: Both }
  rules:
    - { name: open, from: [{ services: [web] }], to: [{ endpoints: [Open, Full, Profile] }] }
    - { name: body, from: [{ services: [web] }], to: [{ endpoints: [Body] }], when: [{ key: "request.body[amount]", values: ["5"] }] }
    - { name: cel, from: [{ services: [web] }], to: [{ endpoints: [Cel] }], when: [{ cel: "int(request.headers['x-number']) > 3 && request.query['q'] == 'x'" }] }
    - { name: header, from: [{ services: [web] }], to: [{ endpoints: [Header] }], when: [{ key: "request.headers[x-number]", values: ["4"] }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: pay }] }
`

const WEB = 'spiffe://cluster.local/ns/shop/sa/web'
const ISSUER = 'https://idp.example'

type Plant = {
  readonly name: string
  readonly fields: (secret: string, scene: Scene) => CheckFields
  /** Under a name that says nothing of a secret, so a recorded Check holds it: a replay decides by it. */
  readonly isOrdinary?: true
}
type Scene = { readonly user: TestKey; readonly web: TestKey; readonly peer: CheckFields }

const header =
  (name: string, value: (secret: string) => string = (secret) => secret, path = '/open'): Plant['fields'] =>
  (secret) => ({ path, headers: { [name]: value(secret) } })

/** A token of the identity provider's with these claims besides what it needs. */
const userToken = (key: TestKey, claims: Readonly<Record<string, unknown>>): string =>
  signedToken(key, {
    iss: ISSUER,
    aud: 'shop',
    sub: 'alice',
    iat: NOW_SECONDS - 10,
    exp: NOW_SECONDS + 600,
    ...claims,
  })

const base64url = (text: string): string => Buffer.from(text).toString('base64url')

const PLANTS: readonly Plant[] = [
  // Headers that carry credentials.
  {
    name: 'basic credentials',
    fields: header('authorization', (s) => `Basic ${Buffer.from(`u:${s}`).toString('base64')}`),
  },
  { name: 'a bearer token that is none', fields: header('authorization', (s) => `Bearer ${s}`) },
  {
    name: 'a bearer token where a user is needed',
    fields: header('authorization', (s) => `Bearer ${s}`, '/profile'),
  },
  { name: 'another scheme', fields: header('authorization', (s) => `Secret ${s}`, '/profile') },
  { name: 'a cookie', fields: header('cookie', (s) => `session=${s}; theme=dark`) },
  { name: 'set-cookie', fields: header('set-cookie', (s) => `session=${s}`) },
  { name: 'an API key', fields: header('x-api-key') },
  { name: 'proxy-authorization', fields: header('proxy-authorization', (s) => `Basic ${s}`) },
  { name: 'a header that nobody knows', isOrdinary: true, fields: header('x-internal-thing') },
  { name: 'a forwarded header', isOrdinary: true, fields: header('forwarded', (s) => `for=${s}`) },
  { name: 'the referer', fields: header('referer', (s) => `https://shop.example/reset?token=${s}`) },
  { name: 'the user agent', isOrdinary: true, fields: header('user-agent', (s) => `curl/8 (${s})`) },
  { name: 'tracestate', isOrdinary: true, fields: header('tracestate', (s) => `vendor=${s}`) },
  { name: 'baggage', isOrdinary: true, fields: header('baggage', (s) => `user=${s}`) },
  { name: 'a traceparent that is none', isOrdinary: true, fields: header('traceparent', (s) => `00-${s}`) },
  { name: 'origin with user information', fields: header('origin', (s) => `https://u:${s}@shop.example`) },
  {
    name: 'a WebSocket protocol',
    isOrdinary: true,
    fields: header('sec-websocket-protocol', (s) => `bearer, ${s}`),
  },
  {
    name: 'x-forwarded-client-cert',
    fields: header('x-forwarded-client-cert', (s) => `Hash=${s};URI=spiffe://x/y`),
  },
  {
    name: 'a DPoP proof that is none',
    fields: header('dpop', (s) => `${base64url('{"typ":"dpop+jwt"}')}.${s}.x`, '/profile'),
  },
  { name: 'a header of our own', fields: header('x-portcullis-assertion') },
  { name: 'an identity header that is ours', isOrdinary: true, fields: header('x-user-id') },
  { name: 'a method override', fields: header('x-http-method-override', (s) => `DELETE${s}`) },
  // Service tokens.
  { name: 'a service token that is none', fields: header('x-service-token') },
  {
    name: 'a service token of three parts',
    fields: header(
      'x-service-token',
      (s) => `${base64url('{"alg":"ES256"}')}.${base64url(`{"iss":"${s}"}`)}.AAAA`,
    ),
  },
  {
    name: 'a service token with a wrong signature',
    fields: (s, { user }) => ({
      path: '/open',
      headers: {
        'x-service-token': signedToken(user, {
          iss: 'web',
          aud: 'shop/pay',
          jti: s,
          iat: NOW_SECONDS,
          exp: NOW_SECONDS + 20,
        }),
      },
    }),
  },
  {
    name: 'an expired service token',
    fields: (s, { web }) => ({
      path: '/open',
      headers: {
        'x-service-token': signedToken(web, {
          iss: 'web',
          aud: 'shop/pay',
          jti: s,
          iat: NOW_SECONDS - 100,
          exp: NOW_SECONDS - 80,
        }),
      },
    }),
  },
  // User tokens: claims that nobody asked for, and defects.
  {
    name: 'a claim of a good token',
    fields: (s, { user }) => ({
      path: '/profile',
      headers: { authorization: `Bearer ${userToken(user, { password: s })}` },
    }),
  },
  {
    name: 'a nested claim of a good token',
    fields: (s, { user }) => ({
      path: '/full',
      headers: { authorization: `Bearer ${userToken(user, { act: undefined, address: { pin: s } })}` },
    }),
  },
  {
    name: 'the jti of a good token',
    fields: (s, { user }) => ({
      path: '/profile',
      headers: { authorization: `Bearer ${userToken(user, { jti: s })}` },
    }),
  },
  {
    name: 'a token of an unknown issuer',
    fields: (s, { user }) => ({
      path: '/profile',
      headers: { authorization: `Bearer ${userToken(user, { iss: 'https://other.example', key: s })}` },
    }),
  },
  {
    name: 'an expired token',
    fields: (s, { user }) => ({
      path: '/profile',
      headers: { authorization: `Bearer ${userToken(user, { exp: NOW_SECONDS - 600, key: s })}` },
    }),
  },
  {
    name: 'a token for another audience',
    fields: (s, { user }) => ({
      path: '/profile',
      headers: { authorization: `Bearer ${userToken(user, { aud: 'other', key: s })}` },
    }),
  },
  {
    name: 'a token signed by HMAC',
    fields: (s) => {
      const signed = `${base64url('{"alg":"HS256"}')}.${base64url(`{"sub":"${s}"}`)}`
      return {
        path: '/profile',
        headers: {
          authorization: `Bearer ${signed}.${createHmac('sha256', s).update(signed).digest('base64url')}`,
        },
      }
    },
  },
  {
    name: 'claims that Envoy passed on',
    fields: (s) => ({ path: '/open', metadata: { 'envoy.filters.http.jwt_authn': { payload: { key: s } } } }),
  },
  // Query strings.
  { name: 'a parameter', fields: (s) => ({ path: `/open?access_token=${s}` }) },
  { name: 'a parameter at level Full', fields: (s) => ({ path: `/full?api_key=${s}&x=1` }) },
  { name: 'a parameter without a name', fields: (s) => ({ path: `/full?${s}` }) },
  {
    name: 'a parameter that a condition reads',
    isOrdinary: true,
    fields: (s) => ({ path: `/cel?q=${s}`, headers: { 'x-number': '4' } }),
  },
  { name: 'a parameter of a refused path', fields: (s) => ({ path: `/a/%2e%2e/open?token=${s}` }) },
  { name: 'a path parameter', fields: (s) => ({ path: `/open;jsessionid=${s}` }) },
  { name: 'a fragment', fields: (s) => ({ path: `/open#${s}` }) },
  { name: 'user information of an absolute form', fields: (s) => ({ path: `http://user:${s}@pay/open` }) },
  { name: 'user information of the host', fields: (s) => ({ path: '/open', host: `user:${s}@pay` }) },
  // What conditions read and can't make sense of.
  { name: 'a header that is no number', isOrdinary: true, fields: header('x-number', (s) => s, '/header') },
  {
    name: 'a header that CEL takes for a number',
    isOrdinary: true,
    fields: header('x-number', (s) => s, '/cel?q=x'),
  },
  // Bodies.
  {
    name: 'a JSON body',
    fields: (s) => ({
      method: 'POST',
      path: '/body',
      headers: { 'content-type': 'application/json' },
      body: `{"amount":5,"card":"${s}"}`,
    }),
  },
  {
    name: 'a JSON body of another type',
    fields: (s) => ({
      method: 'POST',
      path: '/body',
      headers: { 'content-type': 'application/json' },
      body: `{"amount":"${s}"}`,
    }),
  },
  {
    name: 'a broken JSON body',
    fields: (s) => ({
      method: 'POST',
      path: '/body',
      headers: { 'content-type': 'application/json' },
      body: `{"amount":5,"card":"${s}`,
    }),
  },
  {
    name: 'a form',
    fields: (s) => ({
      method: 'POST',
      path: '/body',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `amount=5&password=${s}`,
    }),
  },
  {
    name: 'a form that names a parameter by it',
    fields: (s) => ({
      method: 'POST',
      path: '/body',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `amount=5&${s}=1&${s}=2`,
    }),
  },
  // Certificates.
  {
    name: 'a private key for a certificate',
    fields: (s) => ({
      path: '/open',
      certificate: encodeURIComponent(`-----BEGIN PRIVATE KEY-----\n${s}\n-----END PRIVATE KEY-----\n`),
    }),
  },
  { name: 'a certificate that is none', fields: (s) => ({ path: '/open', certificate: s }) },
]

const OUTPUTS = [
  'standard output',
  'the log',
  'metrics',
  'what collectors got',
  'the admin API',
  'answers',
  'checks.jsonl',
  'events.jsonl',
  'events.confidential.jsonl',
]

/** A secret in every spelling in which it could be found. */
const spellings = (secret: string): readonly string[] => [
  secret,
  secret.toLowerCase(),
  Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  Buffer.from(secret).toString('hex'),
]

/** Everything that was posted to it, unpacked. */
async function collector(): Promise<{
  readonly url: string
  readonly bodies: string[]
  readonly server: Server
}> {
  const bodies: string[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const bytes = Buffer.concat(chunks)
      bodies.push(
        (request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString('latin1'),
      )
      response.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return { url: `http://127.0.0.1:${address.port}`, bodies, server }
}

describe('secrets that callers bring', () => {
  const secrets = new Map(PLANTS.map(({ name }) => [name, `Zx${randomBytes(15).toString('hex')}Q`]))
  const answers = new Map<string, Answer>()
  let portcullis: TestPortcullis
  let posted: Awaited<ReturnType<typeof collector>>
  let outputs: ReadonlyMap<string, string> = new Map()

  beforeAll(async () => {
    posted = await collector()
    const authority = createAuthority({ name: 'root' })
    const scene: Scene = {
      user: await testKey('RS256', 'idp-1'),
      web: await testKey('ES256'),
      peer: {
        principal: WEB,
        certificate: asEnvoySends(authority.issueSvid({ spiffeId: WEB }).certificatePem),
        service: 'shop/pay',
      },
    }
    const adminToken = anAdminToken()
    portcullis = await startPortcullis(
      {
        'policy/shop.yaml': POLICY,
        'ca.pem': authority.certificatePem,
        'idp.json': jwksText(scene.user),
        'web.pem': scene.web.publicKeyPem,
        'admin.token': adminToken,
      },
      {
        trustDomains: { 'cluster.local': { bundle: { file: './ca.pem' } } },
        serviceTokens: {
          issuers: { web: { service: 'shop/web', keyFile: './web.pem', scopes: ['payments:*'] } },
        },
        userTokens: {
          issuers: [{ issuer: ISSUER, audiences: ['shop'], jwksFile: './idp.json', algorithms: ['RS256'] }],
        },
        health: { listen: '127.0.0.1:0' },
        admin: {
          listen: '127.0.0.1:0',
          tokens: [{ name: 'ann', file: './admin.token', role: 'Admin' }],
        },
        showMessages: true,
        alerts: { sinks: [{ type: 'Log' }, { type: 'Webhook', url: `${posted.url}/alerts` }] },
        log: { level: 'Debug' },
        telemetry: { traces: { endpoint: `${posted.url}/v1/traces`, sampleRatio: 1 } },
        audit: {
          sinks: [
            { type: 'Stdout' },
            { type: 'File', file: './audit/events.jsonl' },
            { type: 'File', file: './ocsf/events.jsonl', format: 'Ocsf' },
            { type: 'Http', url: `${posted.url}/logs`, spool: { directory: './spool' } },
          ],
          record: { file: './checks.jsonl' },
        },
      },
    )
    for (const { name, fields } of PLANTS) {
      const planted = { ...scene.peer, ...fields(secrets.get(name) ?? '', scene) }
      answers.set(name, await portcullis.check(planted))
    }
    const api = adminClient(portcullis.running.admin ?? '', adminToken)
    const decisions = await api('GET', '/v1/decisions?limit=200')
    const explained = await Promise.all(
      portcullis.events().map(async ({ decisionId }) => {
        const { text } = await api('GET', `/v1/decisions/${String(decisionId)}/explain`)
        return text
      }),
    )
    const metrics = await (await fetch(`http://${portcullis.running.health}/metrics`)).text()
    await portcullis.running.stop()
    const files = readdirSync(portcullis.directory, { recursive: true, withFileTypes: true })
      .filter(
        (entry) =>
          entry.isFile() &&
          /^(?:audit|ocsf|spool|state)|checks/.test(
            entry.parentPath.slice(portcullis.directory.length + 1) + entry.name,
          ),
      )
      .map((entry) => [entry.name, readFileSync(join(entry.parentPath, entry.name), 'latin1')] as const)
    outputs = new Map([
      ['standard output', portcullis.output().events],
      ['the log', portcullis.output().log],
      ['metrics', metrics],
      ['what collectors got', posted.bodies.join('\n')],
      ['the admin API', [decisions.text, ...explained].join('\n')],
      ['answers', JSON.stringify([...answers.values()])],
      ...files,
    ])
  }, 60_000)

  afterAll(async () => {
    posted.server.close()
    await portcullis.stop()
  })

  test('there are fifty of them and more, and each call has one event', () => {
    expect(PLANTS.length).toBeGreaterThanOrEqual(50)
    expect(new Set(PLANTS.map(({ name }) => name)).size).toBe(PLANTS.length)
    expect(portcullis.events()).toHaveLength(PLANTS.length)
  })

  test('every output has something in it', () => {
    for (const name of OUTPUTS) expect([name, (outputs.get(name)?.length ?? 0) > 100]).toEqual([name, true])
    const all = [...outputs.values()].join('\n')
    for (const { decisionId } of portcullis.events())
      expect(all.split(String(decisionId)).length).toBeGreaterThan(4)
    expect(posted.bodies.some((body) => body.includes('"decision_id"'))).toBe(true)
  })

  test.each(PLANTS)('$name is in no sink, log, metric, trace, record or answer', ({ name, isOrdinary }) => {
    const secret = secrets.get(name) ?? ''
    const found = [...outputs].flatMap(([output, text]) => {
      if (isOrdinary && output === 'checks.jsonl') return []
      const lower = text.toLowerCase()
      return spellings(secret).some((each) => text.includes(each) || lower.includes(each.toLowerCase()))
        ? [output]
        : []
    })
    expect(found).toEqual([])
  })
})
