import { randomBytes } from 'node:crypto'
import { asEnvoySends, createAuthority } from '../../test/support/certificate-authority.js'
import { forged, signedToken, testKey, unsignedToken } from '../../test/support/tokens.js'
import {
  byUser,
  byWorkload,
  LIST,
  type Make,
  type Over,
  PAY,
  type Prepared,
  type Presented,
} from './prepared.js'
import { ANY_REFUSAL } from './reference.js'
import { ISSUER, spiffeIdOf } from './world.js'

const stranger = createAuthority({ name: 'stranger' })
const strangerKey = await testKey('RS256')
const anotherKey = await testKey('ES256')

export const isFault =
  (reason: string) =>
  (over: Over = {}): Over => ({ ...over, asking: { fault: reason, ...over.asking } })

/** Calls that are made to be refused, each for its one reason. */
export const FAULTY: readonly Make[] = [
  // Unknown callers.
  (world) => byWorkload(world.certificateOf('shop/ghost'), 'shop/ghost', 'shop/orders', LIST),
  (world) => byWorkload(world.certificateOf('other/stranger'), 'other/stranger', 'shop/orders', LIST),
  () => {
    const spiffeId = spiffeIdOf('shop/web')
    const text = asEnvoySends(stranger.issueSvid({ spiffeId }).certificatePem)
    const none = { ...NOBODY, spiffeId, text }
    return byWorkload(none, 'shop/web', 'shop/orders', LIST, isFault('certificate-invalid')())
  },
  () =>
    byWorkload(
      NOBODY,
      'shop/web',
      'shop/orders',
      LIST,
      isFault('certificate-required')({ fields: { certificate: '', principal: '' } }),
    ),
  (world) =>
    byWorkload(
      world.certificateOf('shop/web'),
      'shop/web',
      'shop/orders',
      LIST,
      isFault('principal-mismatch')({ fields: { principal: spiffeIdOf('shop/courier') } }),
    ),
  // Askers that ask about others, targets that nobody names.
  (world) =>
    byWorkload(
      world.certificateOf('shop/web'),
      'shop/web',
      'shop/orders',
      LIST,
      isFault('asker-not-allowed')({ door: 'shop/stock', asking: { credentials: [] } }),
    ),
  (world) =>
    byWorkload(
      world.certificateOf('shop/web'),
      'shop/web',
      'shop/orders',
      LIST,
      isFault('target-conflict')({ fields: { service: 'shop/stock' }, asking: { credentials: [] } }),
    ),
  // Wrong tokens.
  (world, random, nowMs) => {
    const session = random.one(world.sessions)
    const token = world.knownToken(session, nowMs)
    return byUser('edge/portal', '/home', forged(token.text), { fault: 'user-token-signature' })
  },
  (world, random, nowMs) => {
    const exp = Math.floor(Date.now() / 1000) - 60
    const token = world.freshToken(random.one(world.sessions), nowMs, { iat: exp - 60, exp })
    return byUser('edge/portal', '/home', token.text, { fault: 'user-token-expired', credentials: [] })
  },
  (world, random, nowMs) => {
    const token = world.freshToken(random.one(world.sessions), nowMs, { aud: 'elsewhere' })
    return byUser('edge/portal', '/home', token.text, { fault: 'user-token-audience' })
  },
  () => {
    const payload = { iss: ISSUER, aud: 'shop', sub: 'user-1', exp: Math.floor(Date.now() / 1000) + 60 }
    return byUser('edge/portal', '/home', signedToken(strangerKey, payload), {
      fault: 'user-token-signature',
    })
  },
  () => {
    const payload = { iss: ISSUER, aud: 'shop', sub: 'user-1', exp: Math.floor(Date.now() / 1000) + 60 }
    return byUser('edge/portal', '/home', unsignedToken(payload), { fault: 'user-token-signature' })
  },
  async (world) => {
    const token = await world.serviceToken(world.issuers.web, 'shop/orders', 'payments:process')
    return byWorkload(
      world.certificateOf('shop/web'),
      'shop/web',
      'shop/payments',
      PAY,
      isFault('service-token-audience')({ headers: { 'x-service-token': token } }),
    )
  },
  async (world) => {
    const token = await world.serviceToken(world.issuers.web, 'shop/payments', 'payments:process')
    return byWorkload(
      world.certificateOf('shop/replayer'),
      'shop/replayer',
      'shop/payments',
      PAY,
      isFault('service-token-subject')({ headers: { 'x-service-token': token } }),
    )
  },
  async (world) => {
    const issuer = { ...world.issuers.web, key: anotherKey }
    const token = await world.serviceToken(issuer, 'shop/payments', 'payments:process')
    return byWorkload(
      world.certificateOf('shop/web'),
      'shop/web',
      'shop/payments',
      PAY,
      isFault('service-token-signature')({ headers: { 'x-service-token': token } }),
    )
  },
  async (world) => {
    const token = await world.serviceToken(world.issuers.web, 'shop/payments', 'payments:refund')
    const certificate = world.certificateOf('shop/web')
    return byWorkload(certificate, 'shop/web', 'shop/payments', PAY, {
      headers: { 'x-service-token': token },
      asked: { token: ['payments:refund'] },
      asking: { credentials: [...certificate.gates, world.claimsLost] },
    })
  },
  // Wrong paths and methods.
  (world) =>
    byWorkload(world.certificateOf('shop/web'), 'shop/web', 'shop/orders', ['GET', '/orders/1/secret']),
  (world) => byWorkload(world.certificateOf('shop/web'), 'shop/web', 'shop/orders', ['DELETE', '/orders']),
  () => byUser('edge/portal', '/admin', undefined, {}, { method: 'POST' }),
  (world, random) =>
    byWorkload(
      world.certificateOf('shop/web'),
      'shop/web',
      'shop/orders',
      [
        'GET',
        random.one(['/orders/../orders', '//orders', '/orders/%2e%2e/x', '/orders/a%2Fb', '/orders;x=1']),
      ],
      isFault('ambiguous-request')({ asking: { credentials: [] } }),
    ),
  // Requests that are none.
  (_world, random) => malformed(randomBytes(1 + random.below(200))),
  (world, random) => {
    const whole = byWorkload(world.certificateOf('shop/web'), 'shop/web', 'shop/orders', LIST).message
    return malformed(whole.subarray(0, 1 + random.below(whole.length - 1)))
  },
]

/** What can't be read at all; a part that can be read names no target, or another fault comes first. */
function malformed(message: Buffer): Prepared {
  return { door: 'shop/orders', message, asking: { asked: { to: '' }, fault: ANY_REFUSAL } }
}

const NOBODY = {
  spiffeId: '',
  text: '',
  gates: [],
} as const satisfies Presented
