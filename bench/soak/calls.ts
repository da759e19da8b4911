import type { Random } from '../../test/support/naive-mesh.js'
import { FAULTY, isFault } from './faulty-calls.js'
import { byUser, byWorkload, LIST, type Make, PAY, type Prepared } from './prepared.js'
import type { Asking } from './reference.js'
import type { Issuer, Session, World } from './world.js'

export type CallKind = {
  readonly name: string
  /** How often, against the others. */
  readonly weight: number
  readonly make: Make
}

/** Used tokens are brought again while they would still be in their time (30 s). */
const REPLAYED_WITHIN_MS = 20_000

/** So long a token of a key that is gone would still be in its time. */
const GONE_MS = 600_000

const NOTE = ['PUT', '/orders/7/note'] as const

async function paying(world: World, issuer: Issuer, nowMs: number): Promise<Prepared> {
  const token = await world.serviceToken(issuer, 'shop/payments', 'payments:process')
  const service = `shop/${issuer.name}`
  const certificate = world.certificateOf(service)
  const prepared = byWorkload(certificate, service, 'shop/payments', PAY, {
    headers: { 'x-service-token': token },
    asked: { token: ['payments:process'] },
    asking: { credentials: [...certificate.gates, world.claimsLost] },
  })
  return {
    ...prepared,
    onAllowed: () => {
      if (issuer.name === 'replayer') world.used.push({ text: token, madeMs: nowMs })
    },
  }
}

function noting(
  world: World,
  session: Session,
  text: string,
  scopes: readonly string[],
  over: Partial<Asking>,
) {
  return byWorkload(world.certificateOf('shop/web'), 'shop/web', 'shop/orders', NOTE, {
    headers: { authorization: `Bearer ${text}` },
    asked: { user: { scopes } },
    asking: { standing: [session.ended], ...over },
  })
}

const SCOPE = { scope: 'orders:note' }
const userOf = (session: Session, key: World['userKey']): Partial<Asking> => ({
  credentials: [key.withdrawn],
  standing: [session.ended],
})

export const CALL_KINDS: readonly CallKind[] = [
  {
    name: 'known workload',
    weight: 26,
    make: (world, random) => {
      const path = random.one(['/orders', '/orders/17'])
      return byWorkload(world.certificateOf('shop/web'), 'shop/web', 'shop/orders', ['GET', path])
    },
  },
  {
    name: 'workload whose edge comes and goes',
    weight: 8,
    make: (world) => byWorkload(world.certificateOf('shop/batch'), 'shop/batch', 'shop/orders', LIST),
  },
  {
    name: 'header that a rule forbids at times',
    weight: 6,
    make: (world, random) => {
      const value = random.one(['1', '2'])
      return byWorkload(world.certificateOf('shop/web'), 'shop/web', 'shop/stock', ['GET', '/stock/9'], {
        headers: { 'x-k': value },
        asked: { headers: [['x-k', value]] },
      })
    },
  },
  {
    name: 'fresh service token',
    weight: 8,
    make: (world, _, nowMs) => paying(world, world.issuers.web, nowMs),
  },
  {
    name: 'endpoint that is frozen at times, fresh service token',
    weight: 4,
    make: async (world) => {
      const token = await world.serviceToken(world.issuers.web, 'shop/orders', 'orders:write')
      const certificate = world.certificateOf('shop/web')
      return byWorkload(certificate, 'shop/web', 'shop/orders', ['POST', '/orders'], {
        headers: { 'x-service-token': token },
        asked: { token: ['orders:write'] },
        asking: { credentials: [...certificate.gates, world.claimsLost] },
      })
    },
  },
  {
    name: 'token for a replay',
    weight: 2,
    make: (world, _, nowMs) => paying(world, world.issuers.replayer, nowMs),
  },
  {
    name: 'replayed service token',
    weight: 2,
    make: (world, random, nowMs) => {
      while ((world.used[0]?.madeMs ?? nowMs) < nowMs - REPLAYED_WITHIN_MS) world.used.shift()
      if (world.used.length === 0) return paying(world, world.issuers.replayer, nowMs)
      const { text } = random.one(world.used)
      return byWorkload(
        world.certificateOf('shop/replayer'),
        'shop/replayer',
        'shop/payments',
        PAY,
        isFault('service-token-replayed')({ headers: { 'x-service-token': text } }),
      )
    },
  },
  {
    name: 'known user',
    weight: 12,
    make: (world, random, nowMs) => {
      const session = random.one(world.sessions)
      const { text, key } = world.knownToken(session, nowMs)
      return byUser('edge/portal', '/home', text, userOf(session, key))
    },
  },
  {
    name: 'fresh user token',
    weight: 6,
    make: (world, random, nowMs) => {
      const session = random.one(world.sessions)
      const { text, key } = world.freshToken(session, nowMs)
      return byUser('edge/portal', '/home', text, userOf(session, key))
    },
  },
  {
    name: 'workload and user',
    weight: 6,
    make: (world, random, nowMs) => {
      const session = random.one(world.sessions)
      const { text, key } = world.freshToken(session, nowMs, SCOPE)
      const { gates } = world.certificateOf('shop/web')
      const credentials = [...gates, key.withdrawn]
      return noting(world, session, text, ['orders:note'], { credentials })
    },
  },
  {
    name: 'user without the scope',
    weight: 2,
    make: (world, random, nowMs) => {
      const session = random.one(world.poorSessions)
      const { text, key } = world.knownToken(session, nowMs)
      const { gates } = world.certificateOf('shop/web')
      return noting(world, session, text, [], { credentials: [...gates, key.withdrawn] })
    },
  },
  {
    name: 'login by anybody',
    weight: 2,
    make: () => byUser('edge/portal', '/login', undefined, {}, { method: 'POST' }),
  },
  {
    name: 'fresh certificate',
    weight: 3,
    make: (world) => byWorkload(world.newCertificate('shop/web'), 'shop/web', 'shop/orders', LIST),
  },
  {
    name: 'certificate that may be revoked',
    weight: 4,
    make: (world, random) => byWorkload(random.one(world.revocable), 'shop/web', 'shop/orders', LIST),
  },
  {
    name: 'workload that is quarantined at times',
    weight: 5,
    make: (world) =>
      byWorkload(world.certificateOf('shop/courier'), 'shop/courier', 'shop/orders', LIST, {
        asking: { standing: [world.quarantine] },
      }),
  },
  {
    name: 'session that is over',
    weight: 4,
    make: (world, random, nowMs) => {
      const session = random.one(world.endedSessions.length > 0 ? world.endedSessions : world.sessions)
      const { text, key } = world.freshToken(session, nowMs)
      return byUser('edge/portal', '/home', text, userOf(session, key))
    },
  },
  {
    name: 'classified data, by a grant at times',
    weight: 6,
    make: (world, random, nowMs) => {
      const granted = world.scientists.filter(({ grantId }) => grantId !== undefined)
      const scientist = random.one(granted.length > 0 && random.chance(0.7) ? granted : world.scientists)
      const session = { user: scientist.user, id: scientist.user }
      const { text, key } = world.freshToken(session, nowMs, { roles: ['scientist'] })
      const asking = { credentials: [key.withdrawn], approvals: [scientist.missing] }
      return byUser('lab/records', '/records/3', text, asking)
    },
  },
  {
    name: 'token of a key that is gone',
    weight: 2,
    make: (world, random, nowMs) => {
      const gone = world.withdrawnTokens.filter(({ token }) => nowMs - token.madeMs < GONE_MS)
      if (gone.length === 0) return byUser('edge/portal', '/login', undefined, {}, { method: 'POST' })
      const { session, token } = random.one(gone)
      return byUser('edge/portal', '/home', token.text, userOf(session, token.key))
    },
  },
  {
    name: 'certificate of a root that is gone',
    weight: 2,
    make: (world, random) => {
      const certificate =
        world.withdrawn.length > 0 ? random.one(world.withdrawn) : world.certificateOf('shop/web')
      return byWorkload(certificate, 'shop/web', 'shop/orders', LIST)
    },
  },
  {
    name: 'made to be refused',
    weight: 16,
    make: (world, random, nowMs) => random.one(FAULTY)(world, random, nowMs),
  },
]

/** A kind by its weight. */
export function chooseKind(random: Random): CallKind {
  let left = random.below(TOTAL)
  for (const kind of CALL_KINDS) {
    left -= kind.weight
    if (left < 0) return kind
  }
  throw new Error('weights that do not add up')
}

const TOTAL = CALL_KINDS.reduce((sum, { weight }) => sum + weight, 0)
