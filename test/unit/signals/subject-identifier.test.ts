import { describe, expect, test } from '@jest/globals'
import { readSubject } from '../../../src/signals/subject-identifier.js'
import { stateKey } from '../../../src/state/record.js'
import { deviceKey, emailKey, namedSessionKey, sessionKey, userKey } from '../../../src/state/subjects.js'
import { ALICE, IDP } from './events.js'

const STAFF = 'https://staff.example'
const SCOPE = { subjectIssuers: [IDP, STAFF], trustDomains: ['corp.example'] }
const CART = 'spiffe://corp.example/ns/shop/sa/cart'
const FOREIGN = { format: 'iss_sub', iss: 'https://other.example', sub: 'alice' }
const opaque = (id: unknown) => ({ format: 'opaque', id })
const uri = (text: string) => ({ format: 'uri', uri: text })
const complex = (members: object) => ({ format: 'complex', ...members })

const read = (subject: Record<string, unknown>, scope = SCOPE) => readSubject(subject, 'session', scope)

describe('refused', () => {
  const DENIED = 'access_denied'
  test.each<{ name: string; subject: Record<string, unknown>; err?: string }>([
    { name: 'a user of another issuer', subject: FOREIGN, err: DENIED },
    {
      name: 'a session of such a user',
      subject: complex({ user: FOREIGN, session: opaque('s') }),
      err: DENIED,
    },
    { name: 'a device of such an issuer', subject: complex({ device: FOREIGN }), err: DENIED },
    {
      name: 'one of several names of another issuer',
      subject: { format: 'aliases', identifiers: [ALICE, FOREIGN] },
      err: DENIED,
    },
    {
      name: 'a workload of another trust domain',
      subject: uri('spiffe://other.example/ns/a/sa/b'),
      err: DENIED,
    },
    { name: 'a phone', subject: { format: 'phone_number', phone_number: '+1' } },
    { name: 'a decentralised user', subject: { format: 'did', url: 'did:example:1' } },
    { name: 'a token by its jti', subject: { format: 'jwt_id', iss: IDP, jti: '1' } },
    { name: 'a format of nobody', subject: { format: 'catalog_item', catalog_id: '1' } },
    { name: 'a user without sub', subject: { format: 'iss_sub', iss: IDP } },
    { name: 'an address that is a number', subject: { format: 'email', email: 7 } },
    { name: 'an id that is empty', subject: opaque('') },
    { name: 'a subject of nothing', subject: complex({}) },
    { name: 'a subject of something unheard of', subject: complex({ person: ALICE }) },
    { name: 'a user that is text', subject: complex({ user: 'alice' }) },
    { name: 'a trust domain', subject: uri('spiffe://corp.example') },
    { name: 'a URI of anybody', subject: uri('https://alice.example') },
    { name: 'a workload as a session', subject: complex({ session: uri(CART) }) },
    { name: 'aliases of none', subject: { format: 'aliases', identifiers: [] } },
    {
      name: 'aliases of useless names',
      subject: { format: 'aliases', identifiers: [{ format: 'did', url: 'd' }] },
    },
    {
      name: 'aliases in aliases',
      subject: { format: 'aliases', identifiers: [{ format: 'aliases', identifiers: [ALICE] }] },
    },
  ])('$name', ({ subject, err = 'invalid_request' }) => {
    expect(read(subject)).toMatchObject({ ok: false, err })
  })

  test('everybody, for a transmitter of nobody', () => {
    const scope = { subjectIssuers: [], trustDomains: [] }
    const email = { format: 'email', email: 'a@b' }
    for (const subject of [ALICE, email, opaque('s'), uri(CART), complex({ device: opaque('d') })]) {
      expect(read(subject, scope)).toMatchObject({ ok: false, err: DENIED })
    }
  })
})

const user = { kind: 'user', key: userKey(IDP, 'alice'), issuer: IDP, of: { subject: 'alice' } }
const ofBoth = (kind: string, keyOf: (issuer: string) => string): object[] =>
  [IDP, STAFF].map((issuer) => ({ kind, key: keyOf(issuer), issuer }))
const cart = { kind: 'workload', key: stateKey('w', CART) }

describe('named', () => {
  test.each<{ name: string; subject: Record<string, unknown>; named: object[] }>([
    { name: 'a user', subject: ALICE, named: [user] },
    {
      name: 'a user by address, whatever its case',
      subject: { format: 'email', email: 'Alice@Shop.example' },
      named: ofBoth('user', (issuer) => emailKey(issuer, 'alice@shop.example')),
    },
    {
      name: 'a session by itself',
      subject: opaque('s'),
      named: ofBoth('session', (issuer) => namedSessionKey(issuer, 's')),
    },
    {
      name: 'a session without user',
      subject: complex({ session: opaque('s') }),
      named: ofBoth('session', (issuer) => namedSessionKey(issuer, 's')),
    },
    {
      name: 'a session of a user',
      subject: complex({ user: ALICE, session: opaque('s'), tenant: opaque('t') }),
      named: [
        user,
        {
          kind: 'session',
          key: sessionKey(IDP, 'alice', 's'),
          issuer: IDP,
          of: { subject: 'alice', sessionId: 's' },
        },
      ],
    },
    {
      name: 'a device of an issuer, with its user',
      subject: complex({ user: ALICE, device: { format: 'iss_sub', iss: IDP, sub: 'd' } }),
      named: [user, { kind: 'device', key: deviceKey(IDP, 'd'), issuer: IDP }],
    },
    {
      name: 'a device by its id',
      subject: complex({ device: opaque('d') }),
      named: ofBoth('device', (issuer) => deviceKey(issuer, 'd')),
    },
    {
      name: 'a device by a DID',
      subject: complex({ device: { format: 'did', url: 'did:example:1' } }),
      named: ofBoth('device', (issuer) => deviceKey(issuer, 'did:example:1')),
    },
    { name: 'a workload', subject: uri(CART), named: [cart] },
    { name: 'a workload as application', subject: complex({ application: uri(CART) }), named: [cart] },
    { name: 'a workload as device', subject: complex({ device: uri(CART) }), named: [cart] },
    { name: 'nobody: a tenant', subject: complex({ tenant: opaque('t'), group: opaque('g') }), named: [] },
    {
      name: 'the user in whatever application',
      subject: complex({ user: ALICE, application: opaque('app') }),
      named: [user],
    },
    {
      name: 'the names that are of use',
      subject: { format: 'aliases', identifiers: [{ format: 'phone_number', phone_number: '+1' }, ALICE] },
      named: [user],
    },
  ])('$name', ({ subject, named }) => {
    expect(read(subject)).toMatchObject({ ok: true, named })
  })

  test('in events that only take away, members that nobody can read narrow nothing', () => {
    const irregular = complex({ user: ALICE, device: null, application: { format: 'email', email: 'a@b' } })
    const without = complex({ user: null, session: opaque('s') })
    expect(readSubject(irregular, 'session', SCOPE, true)).toMatchObject({ ok: true, named: [user] })
    expect(readSubject(without, 'session', SCOPE, true)).toMatchObject({
      named: ofBoth('session', (issuer) => namedSessionKey(issuer, 's')),
    })
    for (const subject of [irregular, without]) expect(read(subject).ok).toBe(false)
    const refused = [
      complex({ user: null }),
      complex({ application: { format: 'email', email: 'a@b' } }),
      complex({ user: ALICE, application: uri('spiffe://other.example/ns/a/sa/b') }),
    ]
    for (const subject of refused) expect(readSubject(subject, 'session', SCOPE, true).ok).toBe(false)
  })

  test('an address, however its accents are written and whatever blanks are around it', () => {
    expect(emailKey(IDP, ' Zoe\u0308@Shop.example ')).toBe(emailKey(IDP, 'zo\u00eb@shop.example'))
    expect(emailKey(IDP, 'zoe@shop.example')).not.toBe(emailKey(IDP, 'zo\u00eb@shop.example'))
  })

  test('an opaque id as a device, where the event is about one', () => {
    expect(readSubject(opaque('d'), 'device', SCOPE)).toMatchObject({
      named: ofBoth('device', (issuer) => deviceKey(issuer, 'd')),
      words: 'device d',
    })
  })
})
