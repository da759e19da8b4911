import { type Authority, asEnvoySends, createAuthority } from '../../test/support/certificate-authority.js'
import { jwksText, signedToken, testKey, type TestKey } from '../../test/support/tokens.js'
import { mintServiceToken } from '../../src/identity/token.js'
import { POLICIES } from './documents.js'
import type { Gate, Surroundings } from './reference.js'
import { Timeline } from './timeline.js'

export const ISSUER = 'https://idp.example'
export const SIGNAL_AUDIENCE = 'https://portcullis.example/ssf'
const TOKEN_SECONDS = 900
/** A remembered token is made anew long before it expires. */
const REMEMBERED_MS = 300_000
/** A certificate serves for a third of its time, an hour. */
const SERVED_MS = 1_200_000
/** Of what is over. */
const KEPT = 12

/** A root that may be taken out of the bundle. */
export type Root = { readonly authority: Authority; readonly withdrawn: Gate }

/** A workload's certificate as Envoy sends it, with what may make it void. */
export type Certificate = {
  readonly spiffeId: string
  readonly text: string
  readonly serialHex: string
  readonly revoked: Gate
  readonly gates: readonly Gate[]
}

export type UserKey = { readonly key: TestKey; readonly withdrawn: Gate }

export type Session = { readonly user: string; readonly id: string; readonly ended: Gate }

export type UserToken = { readonly text: string; readonly key: UserKey; readonly madeMs: number }

/** A service with a key for its own tokens. */
export type Issuer = { readonly name: string; readonly key: TestKey; readonly scopes: readonly string[] }

export type Scientist = { readonly user: string; readonly missing: Gate; grantId: string | undefined }

const gate = (reason: string, isClosed = false): Gate => ({ reason, isClosed: new Timeline(isClosed) })

export const spiffeIdOf = (service: string): string => {
  const [namespace, name] = service.split('/')
  return `spiffe://cluster.local/ns/${namespace}/sa/${name}`
}

/** Who and what there is around the server, and what of it holds at which time. */
export class World {
  readonly surroundings: Surroundings = {
    policy: new Timeline(0),
    policies: POLICIES,
    storeAway: new Timeline(false),
    stalled: new Timeline(false),
  }
  /** Trusted all the time; its revocation list changes. */
  readonly steadyRoot: Root = { authority: createAuthority({ name: 'steady' }), withdrawn: gate('') }
  rotatingRoot = newRoot(0)
  userKey: UserKey
  readonly signalKey: TestKey
  readonly issuers: { readonly web: Issuer; readonly replayer: Issuer }
  /** Of web, under the steady root; they are revoked one after another. */
  readonly revocable: Certificate[] = []
  /** Of web, under roots and keys that are gone. */
  readonly withdrawn: Certificate[] = []
  readonly withdrawnTokens: { readonly session: Session; readonly token: UserToken }[] = []
  readonly sessions: Session[] = []
  readonly endedSessions: Session[] = []
  readonly poorSessions: Session[] = []
  readonly scientists: Scientist[]
  readonly quarantine = gate('quarantined')
  /** Redis was restarted, so that nobody knows which tokens from before were used. */
  readonly claimsLost = gate('service-token-replayed')
  /** Service tokens that were taken once. */
  readonly used: { readonly text: string; readonly madeMs: number }[] = []
  readonly #known = new Map<string, { certificate: Certificate; root: Root; madeMs: number }>()
  readonly #tokens = new Map<Session, UserToken>()
  #serial = 0

  private constructor(userKey: TestKey, signalKey: TestKey, web: TestKey, replayer: TestKey) {
    this.userKey = { key: userKey, withdrawn: gate('user-token-signature') }
    this.signalKey = signalKey
    const scopes = ['orders:*', 'payments:*']
    this.issuers = {
      web: { name: 'web', key: web, scopes },
      replayer: { name: 'replayer', key: replayer, scopes },
    }
    for (let n = 0; n < 20; n++) this.sessions.push(this.newSession(`user-${n}`))
    for (let n = 0; n < 5; n++) this.poorSessions.push(this.newSession(`poor-${n}`))
    for (let n = 0; n < 6; n++) this.revocable.push(this.newCertificate('shop/web', this.steadyRoot))
    this.scientists = Array.from({ length: 40 }, (_, n) => ({
      user: `scientist-${n}`,
      missing: gate('approval-required', true),
      grantId: undefined,
    }))
  }

  static async create(): Promise<World> {
    const [user, signal, web, replayer] = await Promise.all([
      testKey('RS256'),
      testKey('RS256'),
      testKey('ES256'),
      testKey('ES256'),
    ])
    return new World(user, signal, web, replayer)
  }

  newCertificate(service: string, root = this.rotatingRoot): Certificate {
    const spiffeId = spiffeIdOf(service)
    const issued = root.authority.issueSvid({ spiffeId })
    const revoked = gate('certificate-revoked')
    return {
      spiffeId,
      text: asEnvoySends(issued.certificatePem),
      serialHex: issued.serialHex,
      revoked,
      gates: [root.withdrawn, revoked],
    }
  }

  /** The certificate that a service has now: half of them stand under the rotating root. */
  certificateOf(service: string): Certificate {
    const isRotating = ['shop/web', 'shop/courier'].includes(service)
    const root = isRotating ? this.rotatingRoot : this.steadyRoot
    const known = this.#known.get(service)
    if (known?.root === root && performance.now() - known.madeMs < SERVED_MS) return known.certificate
    const certificate = this.newCertificate(service, root)
    this.#known.set(service, { certificate, root, madeMs: performance.now() })
    return certificate
  }

  newSession(user: string): Session {
    return { user, id: `${user}-${++this.#serial}`, ended: gate('session-terminated') }
  }

  /** A token that was sent before, while its key is the newest one. */
  knownToken(session: Session, nowMs: number): UserToken {
    const known = this.#tokens.get(session)
    if (known && known.key === this.userKey && nowMs - known.madeMs < REMEMBERED_MS) return known
    const token = this.freshToken(session, nowMs)
    this.#tokens.set(session, token)
    return token
  }

  freshToken(session: Pick<Session, 'user' | 'id'>, nowMs: number, claims: object = {}): UserToken {
    const iat = Math.floor(Date.now() / 1000)
    const payload = {
      iss: ISSUER,
      aud: 'shop',
      sub: session.user,
      session_id: session.id,
      jti: `${++this.#serial}`,
      iat,
      exp: iat + TOKEN_SECONDS,
      ...claims,
    }
    return { text: signedToken(this.userKey.key, payload), key: this.userKey, madeMs: nowMs }
  }

  serviceToken(issuer: Issuer, audience: string, scope: string): Promise<string> {
    return mintServiceToken({
      issuer: issuer.name,
      audience,
      scopes: [scope],
      key: issuer.key.privateKeyPem,
    })
  }

  /** A session is over; its user gets another one. */
  endSession(session: Session): void {
    const at = this.sessions.indexOf(session)
    this.sessions.splice(at, 1, this.newSession(session.user))
    this.#tokens.delete(session)
    keep(this.endedSessions, session)
  }

  nextRoot(): Root {
    return newRoot(++this.#serial)
  }

  async nextUserKey(): Promise<UserKey> {
    return { key: await testKey('RS256'), withdrawn: gate('user-token-signature') }
  }

  /** Tokens of the newest key that calls go on to bring when it is gone. */
  keepTokens(): void {
    for (const [session, token] of [...this.#tokens].slice(0, 4))
      keep(this.withdrawnTokens, { session, token })
  }

  keepCertificate(): void {
    keep(this.withdrawn, this.certificateOf('shop/web'))
  }

  /** What the identity provider publishes. */
  published(...keys: readonly UserKey[]): readonly object[] {
    return (JSON.parse(jwksText(...keys.map(({ key }) => key))) as { keys: object[] }).keys
  }
}

/** What a certificate of a root that nobody trusts any more is refused for. */
function newRoot(serial: number): Root {
  return {
    authority: createAuthority({ name: `rotating-${serial}` }),
    withdrawn: gate('certificate-invalid'),
  }
}

function keep<T>(list: T[], item: T): void {
  list.push(item)
  if (list.length > KEPT) list.shift()
}
