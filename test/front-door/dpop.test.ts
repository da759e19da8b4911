import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { asEnvoySends } from '../support/certificate-authority.js'
import { dpopProof, publicMembers, thumbprint, type ProofFields } from '../support/dpop.js'
import type { CheckFields } from '../support/envoy-wire.js'
import { signedToken, testKey, type TestKey } from '../support/tokens.js'
import { frontDoor, NOW_SECONDS } from './door.js'

const issuer = (name: string, senderConstraint: string): object => ({
  issuer: `https://${name}.example`,
  audiences: ['shop'],
  jwksFile: './keys/idp.json',
  senderConstraint,
})
const userTokens = {
  issuers: [issuer('idp', 'Optional'), issuer('strict', 'Required'), issuer('lax', 'None')],
}
const door = frontDoor({
  userTokens: {
    ...userTokens,
    dpop: { origins: ['https://shop.example.com', 'https://shop.example.com/pay'] },
  },
})
const plain = frontDoor({ userTokens })
const asking = frontDoor({ userTokens: { ...userTokens, dpop: { nonce: true } } })

const WEB_ID = 'spiffe://cluster.local/ns/shop/sa/web'
const proxied = frontDoor({
  userTokens,
  listeners: [
    {
      name: 'mesh',
      address: '127.0.0.1:0',
      trustedProxies: [{ identity: WEB_ID, trustDomains: ['cluster.local'] }],
    },
  ],
})

const WEB = WEB_ID
const PAY = 'spiffe://cluster.local/ns/shop/sa/pay'
const URI = 'https://shop.example.com/profile'

let key: TestKey
let other: TestKey
beforeAll(async () => {
  ;[key, other] = await Promise.all([testKey('ES256'), testKey('ES256')])
})

const tokenOf = (claims: object, from = door): string =>
  signedToken(from.userKey, {
    iss: 'https://idp.example',
    aud: 'shop',
    sub: 'alice',
    iat: NOW_SECONDS - 10,
    exp: NOW_SECONDS + 600,
    ...claims,
  })
const bound = (more: object = {}, from = door): string =>
  tokenOf({ cnf: { jkt: thumbprint(key) }, ...more }, from)

const call = (
  headers: Readonly<Record<string, string>>,
  more: CheckFields = {},
  from = door,
): CheckFields => ({
  ...from.peer(WEB),
  destinationPrincipal: PAY,
  method: 'GET',
  path: '/profile',
  host: 'pay.shop.svc',
  headers,
  ...more,
})
/** A call with a bound token and its proof, in which the test changes one thing. */
const proven = (proof: Partial<ProofFields> = {}, more: CheckFields = {}, from = door): CheckFields => {
  const token = bound({}, from)
  const fields = { token, uri: URI, ...proof }
  return call({ authorization: `DPoP ${token}`, dpop: dpopProof(key, fields) }, more, from)
}

type Case = { readonly name: string; readonly fields: () => CheckFields; readonly error?: string }
const BAD_PROOF = 'invalid_dpop_proof'
const cases: readonly Case[] = [
  {
    name: 'a bound token as Bearer',
    fields: () => call({ authorization: `Bearer ${bound()}` }),
    error: 'invalid_token',
  },
  {
    name: 'a bound token as Bearer with its proof',
    fields: () => {
      const token = bound()
      return call({ authorization: `Bearer ${token}`, dpop: dpopProof(key, { token, uri: URI }) })
    },
    error: 'invalid_token',
  },
  { name: 'no proof', fields: () => call({ authorization: `DPoP ${bound()}` }), error: BAD_PROOF },
  {
    name: 'an unbound token with the scheme DPoP',
    fields: () => {
      const token = tokenOf({})
      return call({ authorization: `DPoP ${token}`, dpop: dpopProof(key, { token, uri: URI }) })
    },
  },
  {
    name: 'an unbound token where binding is required',
    fields: () => call({ authorization: `Bearer ${tokenOf({ iss: 'https://strict.example' })}` }),
  },
  {
    name: 'a token bound in an unknown way',
    fields: () => call({ authorization: `Bearer ${tokenOf({ cnf: { kid: 'x' } })}` }),
  },
  {
    name: 'a token bound to nothing',
    fields: () => call({ authorization: `Bearer ${tokenOf({ cnf: {} })}` }),
  },
  {
    name: 'a thumbprint of another length',
    fields: () => call({ authorization: `DPoP ${tokenOf({ cnf: { jkt: 'abc' } })}` }),
  },
  ...(
    [
      ['not a JWT', () => call({ authorization: `DPoP ${bound()}`, dpop: 'x' })],
      ['another typ', () => proven({ header: { typ: 'JWT' } })],
      ['no typ', () => proven({ header: { typ: undefined } })],
      ['alg none', () => proven({ header: { alg: 'none' } })],
      ['HS256', () => proven({ header: { alg: 'HS256' } })],
      ["an algorithm that is not the key's", () => proven({ header: { alg: 'ES384' } })],
      ['no key', () => proven({ header: { jwk: undefined } })],
      ['a private key', () => proven({ header: { jwk: { ...publicMembers(key), d: 'AAAA' } } })],
      ['a symmetric key', () => proven({ header: { jwk: { kty: 'oct', k: 'AAAA' } } })],
      ['a key for encryption', () => proven({ header: { jwk: { ...publicMembers(key), use: 'enc' } } })],
      [
        'a key for another algorithm',
        () => proven({ header: { jwk: { ...publicMembers(key), alg: 'ES384' } } }),
      ],
      ['another key, named in the header', () => proven({ header: { jwk: publicMembers(other) } })],
      [
        'another key that signed',
        () => {
          const token = bound()
          return call({ authorization: `DPoP ${token}`, dpop: dpopProof(other, { token, uri: URI }) })
        },
      ],
      [
        "another key that signed under the right one's name",
        () => {
          const token = bound()
          const header = { jwk: publicMembers(key) }
          return call({ authorization: `DPoP ${token}`, dpop: dpopProof(other, { token, uri: URI, header }) })
        },
      ],
      ['another method', () => proven({ method: 'POST' })],
      ['the method in lower case', () => proven({ method: 'get' })],
      ['another path', () => proven({ uri: 'https://shop.example.com/profiles' })],
      ['a path in other case', () => proven({ uri: 'https://shop.example.com/Profile' })],
      ['another host', () => proven({ uri: 'https://evil.example/profile' })],
      ['another port', () => proven({ uri: 'https://shop.example.com:8443/profile' })],
      ['http', () => proven({ uri: 'http://shop.example.com/profile' })],
      [
        'the host that Envoy sees, which is no accepted origin',
        () => proven({ uri: 'https://pay.shop.svc/profile' }),
      ],
      ['user information in the URI', () => proven({ uri: 'https://a@shop.example.com/profile' })],
      ['an encoded slash', () => proven({ uri: 'https://shop.example.com/pay%2Fprofile' })],
      ['no URI', () => proven({ claims: { htu: undefined } })],
      ['no method', () => proven({ claims: { htm: undefined } })],
      ['no id', () => proven({ claims: { jti: undefined } })],
      ['an id of 300 characters', () => proven({ claims: { jti: 'x'.repeat(300) } })],
      ['no time', () => proven({ claims: { iat: undefined } })],
      ['time as text', () => proven({ claims: { iat: String(NOW_SECONDS) } })],
      ['61 s old', () => proven({ nowMs: Date.now() - 62_000 })],
      ['10 s in the future', () => proven({ nowMs: Date.now() + 10_000 })],
      ['no hash of the token', () => proven({ claims: { ath: undefined } })],
      ['the hash of another token', () => proven({ token: 'abc' })],
      ['critical members', () => proven({ header: { crit: ['x'] } })],
    ] as const
  ).map(([name, fields]): Case => ({ name: `proof: ${name}`, fields, error: BAD_PROOF })),
]

describe('refused as sender-constraint', () => {
  test.each(cases)('$name', async ({ fields, error }) => {
    const answer = await door.portcullis.check(fields())
    expect(answer).toMatchObject({ outcome: 'deny', reason: 'sender-constraint', httpStatus: 401 })
    const challenge = answer.headers.get('www-authenticate')
    if (error === undefined) expect(challenge).toMatch(/^Bearer error="invalid_token"/)
    else expect(challenge).toMatch(new RegExp(`^DPoP error="${error}", algs="[A-Z0-9 a-z]*ES256 `))
  })

  test('the same proof twice', async () => {
    const fields = proven()
    expect((await door.portcullis.check(fields)).outcome).toBe('allow')
    const again = await door.portcullis.check(fields)
    expect(again).toMatchObject({ reason: 'sender-constraint', httpStatus: 401 })
  })

  test('one of a hundred at once with the same proof is the first', async () => {
    const fields = proven()
    const answers = await Promise.all(Array.from({ length: 100 }, () => door.portcullis.check(fields)))
    expect(answers.filter(({ outcome }) => outcome === 'allow')).toHaveLength(1)
  })

  test('two proofs are an ambiguous request', async () => {
    const token = bound()
    const dpop = `${dpopProof(key, { token, uri: URI })},${dpopProof(key, { token, uri: URI })}`
    const answer = await door.portcullis.check(call({ authorization: `DPoP ${token}`, dpop }))
    expect(answer.reason).toBe('ambiguous-request')
  })

  test('a path that the client did not sign, without accepted origins', async () => {
    const uri = 'https://pay.shop.svc/other'
    expect((await plain.portcullis.check(proven({ uri }, {}, plain))).reason).toBe('sender-constraint')
  })
})

describe('taken', () => {
  test.each<[string, () => CheckFields]>([
    ['a bound token with its proof', () => proven()],
    [
      'the scheme in capitals',
      () => {
        const token = bound()
        return call({ authorization: `DPOP ${token}`, dpop: dpopProof(key, { token, uri: URI }) })
      },
    ],
    [
      'other spellings of the URI',
      () => proven({ uri: 'HTTPS://Shop.Example.com:443/x/../%70rofile?q=1#f' }),
    ],
    ['an origin with a path prefix', () => proven({ uri: 'https://shop.example.com/pay/profile' })],
    ['3 s in the future', () => proven({ nowMs: Date.now() + 3000 })],
    [
      'a bound token where that is required',
      () => {
        const token = bound({ iss: 'https://strict.example' })
        return call({ authorization: `DPoP ${token}`, dpop: dpopProof(key, { token, uri: URI }) })
      },
    ],
    [
      'a bound token from anyone where bindings are not looked at',
      () => call({ authorization: `Bearer ${bound({ iss: 'https://lax.example' })}` }),
    ],
    ['an unbound token as Bearer', () => call({ authorization: `Bearer ${tokenOf({})}` })],
  ])('%s', async (_name, fields) => {
    expect(await door.portcullis.check(fields())).toMatchObject({ outcome: 'allow' })
  })

  test.each(['RS256', 'PS256', 'ES384', 'EdDSA'] as const)('a proof by %s', async (algorithm) => {
    const own = await testKey(algorithm)
    const token = tokenOf({ cnf: { jkt: thumbprint(own) } })
    const fields = call({ authorization: `DPoP ${token}`, dpop: dpopProof(own, { token, uri: URI }) })
    expect(await door.portcullis.check(fields)).toMatchObject({ outcome: 'allow' })
  })

  test('what Envoy says was called, without accepted origins', async () => {
    const uri = 'https://pay.shop.svc/profile'
    expect(await plain.portcullis.check(proven({ uri }, {}, plain))).toMatchObject({ outcome: 'allow' })
  })

  test('the same proof on the next hop, which is another listener', async () => {
    const fields = proven({ uri: 'https://shop.example.com/profile' })
    expect((await door.portcullis.check(fields, 'lenient')).outcome).toBe('allow')
    expect((await door.portcullis.check(fields, 'mesh')).outcome).toBe('allow')
    expect((await door.portcullis.check(fields, 'mesh')).reason).toBe('sender-constraint')
  })
})

describe('a nonce of the server', () => {
  const uri = 'https://pay.shop.svc/profile'
  test.each([
    ['is asked for', undefined],
    ['is not taken from elsewhere', 'bm9uY2U'],
  ])('%s', async (_name, nonce) => {
    const answer = await asking.portcullis.check(proven({ uri, claims: { nonce } }, {}, asking))
    expect(answer).toMatchObject({ reason: 'sender-constraint', httpStatus: 401 })
    expect(answer.headers.get('www-authenticate')).toMatch(/^DPoP error="use_dpop_nonce"/)
    expect(answer.headers.get('dpop-nonce')).toMatch(/^[A-Za-z0-9_-]{24}$/)
  })
  test('is taken', async () => {
    const refused = await asking.portcullis.check(proven({ uri }, {}, asking))
    const nonce = refused.headers.get('dpop-nonce')
    const answer = await asking.portcullis.check(proven({ uri, claims: { nonce } }, {}, asking))
    expect(answer).toMatchObject({ outcome: 'allow' })
  })
})

describe('a token bound to a certificate', () => {
  const withCertificate = (hash: (pem: string) => unknown): CheckFields => {
    const svid = door.authority.issueSvid({ spiffeId: WEB })
    const cnf = { 'x5t#S256': hash(svid.certificatePem) }
    const peer = { principal: WEB, certificate: asEnvoySends(svid.certificatePem) }
    return call({ authorization: `Bearer ${tokenOf({ cnf })}` }, peer)
  }
  const sha256 = (pem: string, encoding: 'base64url' | 'hex' | 'base64' = 'base64url'): string => {
    const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
    return createHash('sha256').update(der).digest(encoding)
  }
  test.each<[string, (pem: string) => unknown]>([
    ['of somebody else', () => sha256('AAAA')],
    ['in hexadecimal', (pem) => sha256(pem, 'hex')],
    ['with padding', (pem) => `${sha256(pem)}=`],
    ['as a number', () => 7],
  ])('%s is refused', async (_name, hash) => {
    const answer = await door.portcullis.check(withCertificate(hash))
    expect(answer).toMatchObject({ reason: 'sender-constraint', httpStatus: 401 })
  })
  test.each([
    ['another', 'a'.repeat(64), 'sender-constraint'],
    ['no', undefined, 'sender-constraint'],
    ['the right', Buffer.alloc(32, 7).toString('hex'), 'allowed'],
  ])('behind a trusted proxy that names %s hash: %s', async (_name, hash, reason) => {
    const cnf = { 'x5t#S256': Buffer.alloc(32, 7).toString('base64url') }
    const element = `By=${WEB};${hash === undefined ? '' : `Hash=${hash};`}URI=${WEB}`
    const headers = {
      authorization: `Bearer ${tokenOf({ cnf }, proxied)}`,
      'x-forwarded-client-cert': element,
    }
    expect(await proxied.portcullis.check(call(headers, {}, proxied))).toMatchObject({ reason })
  })
  test('by its holder is taken', async () => {
    expect(await door.portcullis.check(withCertificate((pem) => sha256(pem)))).toMatchObject({
      outcome: 'allow',
    })
  })
  test('on a Gateway listener, where nobody has a certificate, is refused', async () => {
    const fields = { ...withCertificate((pem) => sha256(pem)), service: 'edge/portal', path: '/home' }
    expect((await door.portcullis.check(fields, 'edge')).reason).toBe('sender-constraint')
  })
})

describe('a delegated token', () => {
  const nested = (depth: number): object =>
    depth === 0 ? { sub: WEB } : { sub: WEB, act: nested(depth - 1) }
  test.each<[string, unknown, string]>([
    ['acted for by another workload', { sub: PAY }, 'sender-constraint'],
    ['acted for by its caller only before', { sub: PAY, act: { sub: WEB } }, 'sender-constraint'],
    ['acted for by a client', { client_id: 'web' }, 'sender-constraint'],
    ['acted for by text', WEB, 'user-token-malformed'],
    ['acted for by a list', [{ sub: WEB }], 'user-token-malformed'],
    ['acted for by a number', { sub: 7 }, 'user-token-malformed'],
    ['with an earlier actor that is text', { sub: WEB, act: 'x' }, 'user-token-malformed'],
    ['with nine actors', nested(8), 'user-token-malformed'],
  ])('%s is refused', async (_name, act, reason) => {
    const answer = await door.portcullis.check(call({ authorization: `Bearer ${tokenOf({ act })}` }))
    expect(answer).toMatchObject({ reason, httpStatus: 401 })
  })
  test.each<[string, object]>([
    ['acted for by its caller', { act: { sub: WEB } }],
    ['with eight actors', { act: nested(7) }],
    [
      'of another workload, where bindings are not looked at',
      { iss: 'https://lax.example', act: { sub: PAY } },
    ],
  ])('%s is taken', async (_name, claims) => {
    const answer = await door.portcullis.check(call({ authorization: `Bearer ${tokenOf(claims)}` }))
    expect(answer).toMatchObject({ outcome: 'allow' })
  })
  test('on a Gateway listener, where nobody is a workload, is refused', async () => {
    const fields = {
      service: 'edge/portal',
      path: '/home',
      headers: { authorization: `Bearer ${tokenOf({ act: { sub: WEB } })}` },
    }
    expect((await door.portcullis.check(fields, 'edge')).reason).toBe('sender-constraint')
  })
})
