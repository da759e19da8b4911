import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { signedToken } from '../../test/support/tokens.js'
import { BROKEN_FILES, POLICIES, policyFile } from './documents.js'
import { garbage, halfOpen, rstFlood, tlsSocket } from './hostile.js'
import type { ChangeKind } from './schedule.js'
import { bundleOf, listenerCertificate, revocationList, revocationListEnd, type Stage } from './stage.js'
import type { Timeline } from './timeline.js'
import { until } from './until.js'
import { ISSUER, type Session, SIGNAL_AUDIENCE } from './world.js'

/** A change that is not in force by then has failed. */
const TAKES_EFFECT_MS = 60_000
/** Before what is old goes, calls come with old and new. */
const OVERLAP_MS = 800
const CAEP = 'https://schemas.openid.net/secevent/caep/event-type'
const REVOCABLE_KEPT = 12
const MOST_TRIES = 20
const AGAIN_AFTER_MS = 500

/** Makes things happen, one after another, and tells the reference what may be so meanwhile. */
export class Changes {
  readonly #stage: Stage
  readonly #now: () => number
  #lists = 0
  #serials: string[] = []
  #idle: ReturnType<typeof tlsSocket>[] = []

  constructor(stage: Stage, now: () => number) {
    this.#stage = stage
    this.#now = now
  }

  /** Returns when it is over and in force. Throws with what did not happen as it must. */
  async make(kind: ChangeKind, draw: number): Promise<void> {
    await this.#kinds[kind](draw)
  }

  close(): void {
    for (const socket of this.#idle) socket.destroy()
  }

  readonly #kinds: Readonly<Record<ChangeKind, (draw: number) => Promise<void>>> = {
    'policy changed': (draw) => this.#changePolicy(draw),
    'broken policy': (draw) => this.#breakPolicy(draw),
    'listener certificate': () => this.#renewListener(),
    'trust bundle rotated': () => this.#rotateRoots(),
    'certificate revoked': (draw) => this.#revoke(draw),
    'user keys rolled': () => this.#rollKeys(),
    'Redis killed': (draw) => this.#loseStore('kill', draw),
    'Redis hung': (draw) => this.#loseStore('hang', draw),
    'session ended': (draw) => this.#endSession(draw, (session) => this.#terminate(session)),
    'session ended by signal': (draw) => this.#endSession(draw, (session) => this.#signal(session)),
    quarantine: (draw) => this.#quarantine(draw),
    grant: (draw) => this.#grant(draw),
    'connections replaced': () => Promise.resolve(this.#stage.clients.replace()),
    'idle connections': () => this.#leaveIdle(),
    'RST flood': (draw) => {
      const { clients } = this.#stage
      return rstFlood(clients.addressOf('gateway'), clients.credentialsOf('gateway'), 500 + draw * 1000)
    },
    'half-open connections': (draw) =>
      halfOpen(this.#stage.clients.addressOf('shop/orders'), 40, 500 + draw * 1500),
    garbage: () => {
      const { clients } = this.#stage
      return garbage(clients.addressOf('shop/orders'), clients.credentialsOf('shop/orders'), 20)
    },
  }

  /** Both values are right from before `act` until it has settled; it must have taken effect by then. */
  async #change<T>(timeline: Timeline<T>, next: T, act: () => Promise<void>): Promise<void> {
    timeline.begin(next, this.#now())
    await act()
    timeline.settle(this.#now())
  }

  async #changePolicy(draw: number): Promise<void> {
    const { server, watch, world } = this.#stage
    const { policy } = world.surroundings
    const next = (policy.latest + 1 + Math.floor(draw * (POLICIES.length - 1))) % POLICIES.length
    const { revision } = await watch.ready()
    await this.#change(policy, next, async () => {
      await server.replace('policy/mesh.yaml', policyFile(next))
      await until('a new policy in force', TAKES_EFFECT_MS, async () => {
        return (await watch.ready()).revision !== revision
      })
    })
  }

  /** The old policy alone is right all the time. */
  async #breakPolicy(draw: number): Promise<void> {
    const { server, watch } = this.#stage
    const { revision } = await watch.ready()
    const isHeld = async (problems: boolean): Promise<boolean> => {
      const now = await watch.ready()
      if (now.revision !== revision) throw new Error('a broken policy came into force')
      return now.policyProblems.length > 0 === problems
    }
    const broken = BROKEN_FILES[Math.floor(draw * BROKEN_FILES.length)] ?? ''
    await server.replace('policy/broken.yaml', broken)
    await until('a broken policy refused', TAKES_EFFECT_MS, () => isHeld(true))
    await sleep(OVERLAP_MS)
    await server.remove('policy/broken.yaml')
    await until('the policy sound again', TAKES_EFFECT_MS, () => isHeld(false))
  }

  async #renewListener(): Promise<void> {
    const { server, authority, clients } = this.#stage
    const issued = listenerCertificate(authority)
    await server.replace('tls/key.pem', issued.keyPem)
    await server.replace('tls/cert.pem', issued.chainPem)
    await until('a new listener certificate', TAKES_EFFECT_MS, async () => {
      const serials = await Promise.all(
        (['shop/orders', 'gateway'] as const).map((door) =>
          serialShownTo(tlsSocket(clients.addressOf(door), clients.credentialsOf(door))),
        ),
      )
      return serials.every((serial) => serial === issued.serialHex)
    })
  }

  async #rotateRoots(): Promise<void> {
    const { server, watch, world } = this.#stage
    const [steady, old, next] = [world.steadyRoot.authority, world.rotatingRoot, world.nextRoot()]
    const anchors = (count: number) => async (): Promise<boolean> =>
      (await watch.metric('portcullis_trust_bundle_anchors')) === count
    await server.replace('pki/bundle.pem', bundleOf(steady, old.authority, next.authority))
    await until('a root more', TAKES_EFFECT_MS, anchors(3))
    world.keepCertificate()
    world.rotatingRoot = next
    await sleep(OVERLAP_MS)
    await this.#change(old.withdrawn.isClosed, true, async () => {
      await server.replace('pki/bundle.pem', bundleOf(steady, next.authority))
      await until('a root less', TAKES_EFFECT_MS, anchors(2))
    })
  }

  async #revoke(draw: number): Promise<void> {
    const { server, watch, world } = this.#stage
    const sound = world.revocable.filter(({ revoked }) => !revoked.isClosed.latest)
    const certificate = sound[Math.floor(draw * sound.length)]
    if (!certificate) throw new Error('no certificate to revoke')
    this.#serials.push(certificate.serialHex)
    const number = ++this.#lists
    await this.#change(certificate.revoked.isClosed, true, async () => {
      await server.replace('pki/steady.crl', revocationList(world, this.#serials, number))
      await until('a new revocation list', TAKES_EFFECT_MS, async () => {
        const end = await watch.metric('portcullis_revocation_list_next_update_seconds')
        return end === revocationListEnd(number)
      })
    })
    world.revocable.push(world.newCertificate('shop/web', world.steadyRoot))
    if (world.revocable.length > REVOCABLE_KEPT) world.revocable.shift()
  }

  async #rollKeys(): Promise<void> {
    const { jwks, world } = this.#stage
    const [old, next] = [world.userKey, await world.nextUserKey()]
    jwks.behaviour = { kind: 'serve', keys: world.published(old, next) }
    await this.#untilFetched()
    world.keepTokens()
    world.userKey = next
    await sleep(OVERLAP_MS)
    await this.#change(old.withdrawn.isClosed, true, async () => {
      jwks.behaviour = { kind: 'serve', keys: world.published(next) }
      await this.#untilFetched()
    })
  }

  /** A fetch that began after now has been taken. */
  async #untilFetched(): Promise<void> {
    const { jwks, watch } = this.#stage
    const [requests, atSeconds] = [jwks.requests, Date.now() / 1000]
    await until('keys fetched', TAKES_EFFECT_MS, async () => {
      if (jwks.requests === requests) return false
      return (await watch.metric('portcullis_key_set_last_success_seconds', 'jwks.json')) >= atSeconds
    })
  }

  async #loseStore(how: 'kill' | 'hang', draw: number): Promise<void> {
    const { redis, watch, world } = this.#stage
    const [server] = redis.servers
    if (!server) throw new Error('no Redis')
    const { storeAway } = world.surroundings
    storeAway.begin(true, this.#now())
    if (how === 'kill') world.claimsLost.isClosed.begin(true, this.#now())
    if (how === 'kill') await server.kill()
    else server.hang()
    await sleep(300 + draw * 2500)
    if (how === 'kill') await server.start()
    else server.goOn()
    // That it is away is noticed within a second; so it counts as back when it is current for longer.
    let currentSinceMs = Infinity
    await until('the store current again', TAKES_EFFECT_MS, async () => {
      const isCurrent = (await watch.metric('portcullis_state_standing', '"current"')) === 1
      const nowMs = performance.now()
      currentSinceMs = isCurrent ? Math.min(currentSinceMs, nowMs) : Infinity
      return nowMs - currentSinceMs > 1500
    })
    for (const timeline of [storeAway, world.claimsLost.isClosed]) {
      timeline.begin(false, this.#now())
      timeline.settle(this.#now())
    }
  }

  async #endSession(draw: number, end: (session: Session) => Promise<void>): Promise<void> {
    const { world } = this.#stage
    const session = world.sessions[Math.floor(draw * world.sessions.length)]
    if (!session) throw new Error('no session')
    await this.#change(session.ended.isClosed, true, () => end(session))
    world.endSession(session)
  }

  async #terminate({ user, id }: Session): Promise<void> {
    await this.#asAdmin('POST', '/v1/sessions/terminate', { subject: user, sessionId: id, reason: 'soak' })
  }

  async #signal({ user, id }: Session): Promise<void> {
    const { world, server, pushToken } = this.#stage
    const set = signedToken(
      world.signalKey,
      {
        iss: ISSUER,
        aud: SIGNAL_AUDIENCE,
        iat: Math.floor(Date.now() / 1000),
        jti: randomUUID(),
        sub_id: {
          format: 'complex',
          session: { format: 'opaque', id },
          user: { format: 'iss_sub', iss: ISSUER, sub: user },
        },
        events: { [`${CAEP}/session-revoked`]: {} },
      },
      { alg: 'RS256', kid: world.signalKey.kid, typ: 'secevent+jwt' },
    )
    const { answer: response } = await this.#whileStalled(() =>
      fetch(`http://127.0.0.1:${server.ports.public}/ssf/events`, {
        method: 'POST',
        headers: { authorization: `Bearer ${pushToken}`, 'content-type': 'application/secevent+jwt' },
        body: set,
      }),
    )
    if (response.status !== 202) throw new Error(`a signal: ${response.status} ${await response.text()}`)
  }

  async #quarantine(draw: number): Promise<void> {
    const workload = 'spiffe://cluster.local/ns/shop/sa/courier'
    const { isClosed } = this.#stage.world.quarantine
    await this.#change(isClosed, true, async () => {
      await this.#asAdmin('POST', '/v1/quarantine', { workload, duration: '1h', reason: 'soak' })
    })
    await sleep(1000 + draw * 2000)
    await this.#change(isClosed, false, async () => {
      await this.#asAdmin('DELETE', `/v1/quarantine?workload=${encodeURIComponent(workload)}&reason=soak`)
    })
  }

  /** The next scientist gets a grant for a while. */
  async #grant(draw: number): Promise<void> {
    const { scientists } = this.#stage.world
    const scientist = scientists.shift()
    if (!scientist) throw new Error('nobody to give a grant')
    scientists.push(scientist)
    const { isClosed } = scientist.missing
    isClosed.begin(false, this.#now())
    const { answer, tries } = await this.#whileStalled(() =>
      this.#stage.admin('POST', '/v1/grants', {
        subject: { subject: scientist.user },
        service: 'lab/records',
        operations: ['Read'],
        requester: 'rita',
        ticket: 'S-1',
        reason: 'soak',
        duration: '10m',
      }),
    )
    if (answer.status === 409 && tries > 1) {
      // Lost to a stall: nobody can say now what of it holds, so nobody is asked about this one again.
      scientists.splice(scientists.indexOf(scientist), 1)
      return
    }
    if (answer.status !== 201) throw new Error(`POST /v1/grants: ${answer.status} ${answer.text}`)
    isClosed.settle(this.#now())
    scientist.grantId = answer.body.id
    await sleep(800 + draw * 1500)
    await this.#change(isClosed, true, async () => {
      await this.#asAdmin('POST', `/v1/grants/${scientist.grantId}/revoke`, { reason: 'soak' })
      scientist.grantId = undefined
    })
  }

  /** Connections that are open and say nothing, until the next ones. */
  async #leaveIdle(): Promise<void> {
    const { clients } = this.#stage
    const old = this.#idle
    this.#idle = Array.from({ length: 10 }, () =>
      tlsSocket(clients.addressOf('gateway'), clients.credentialsOf('gateway')),
    )
    await sleep(100)
    for (const socket of old) socket.destroy()
  }

  async #asAdmin(method: string, path: string, body?: object): Promise<void> {
    const { answer, tries } = await this.#whileStalled(() => this.#stage.admin(method, path, body))
    // What was asked for again may have been done the first time.
    const isDone =
      answer.status < 300 || (tries > 1 && /\/revoke|quarantine/.test(path) && answer.status < 500)
    if (!isDone) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`)
  }

  /**
   * What is refused with 503 while the machine stalls is asked again, and what then conflicts with what was taken back
   * but a moment ago; at any other time these are answers.
   */
  async #whileStalled<T extends { readonly status: number }>(
    ask: () => Promise<T>,
  ): Promise<{ readonly answer: T; readonly tries: number }> {
    const { stalled } = this.#stage.world.surroundings
    const fromMs = this.#now()
    for (let tries = 1; ; tries++) {
      const answer = await ask()
      const isRefused = answer.status === 503 || (tries > 1 && answer.status === 409)
      const isExcused = isRefused && stalled.during(fromMs, this.#now()).includes(true)
      if (!isExcused || tries === MOST_TRIES) return { answer, tries }
      await sleep(AGAIN_AFTER_MS)
    }
  }
}

function serialShownTo(socket: ReturnType<typeof tlsSocket>): Promise<string> {
  return new Promise((resolve) => {
    const done = (serial: string): void => {
      socket.destroy()
      resolve(serial)
    }
    socket.once('secureConnect', () => done(socket.getPeerCertificate().serialNumber.toLowerCase()))
    socket.once('close', () => done(''))
  })
}
