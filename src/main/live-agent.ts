import { createPrivateKey, X509Certificate } from 'node:crypto'
import { type OwnSvid, type Stream, WorkloadApi, type X509State } from '../adapters/workload-api.js'
import { splitDer } from '../identity/der.js'
import { verifyPresentedChain } from '../identity/peer-certificate.js'
import { parseSpiffeId } from '../identity/spiffe-id.js'
import { parseDerBundle } from '../identity/trust-bundle.js'
import { parseRevocationList, type RevocationList } from '../identity/x509-crl.js'
import type { TlsMaterial } from './listener-tls.js'
import { type Log, messageOf } from './log.js'
import type { TrustState } from './trust-state.js'

/** What this process is, by its agent's word, and what it shows to prove it. */
export type OwnIdentity = {
  readonly spiffeId: string
  readonly trustDomain: string
  /** Of the leaf; milliseconds since the epoch. */
  readonly notAfterMs: number
  readonly material: TlsMaterial
}

export type AgentHealth = {
  readonly target: string
  /** Why nothing is heard of the agent, or what of its newest word can't be used. */
  readonly problem: string | undefined
  readonly svid: OwnIdentity | undefined
}

export type LiveAgentOptions = {
  readonly target: string
  /** Whose bundles come from this agent. */
  readonly trustDomains: readonly string[]
  /** Whether keys of JWT-SVIDs are wanted. */
  readonly jwt: boolean
  readonly state: TrustState
  readonly log: Log
  readonly nowMs: () => number
}

/** How long a start waits for an agent's first word on bundles. */
const FIRST_WORD_MS = 5_000
const MAX_CRLS = 64

/**
 * One SPIFFE agent: own SVID, bundles of the trust domains that are configured to come from it, and their revocation
 * lists. Each message is the whole state. While the agent is away the last one holds; certificates still expire.
 */
export class LiveAgent {
  readonly #options: LiveAgentOptions
  readonly #api: WorkloadApi
  readonly #stream: Stream
  readonly #firstWord: Promise<void>
  readonly #listeners = new Set<(material: TlsMaterial) => void>()
  /** Those who can't go on without an identity. */
  readonly #waiting = new Set<() => void>()
  #heard: () => void = () => undefined
  #svid: OwnIdentity | undefined
  #svidProblem: string | undefined
  #listProblem: string | undefined
  #agentProblem: string | undefined
  #jwtProblem: string | undefined
  #accepted = false
  #messages = 0

  constructor(options: LiveAgentOptions) {
    this.#options = options
    const { target, nowMs, jwt } = options
    this.#api = new WorkloadApi({ target, now: nowMs, random: Math.random })
    this.#firstWord = new Promise((resolve) => {
      this.#heard = resolve
      setTimeout(resolve, FIRST_WORD_MS).unref()
    })
    this.#stream = this.#api.watchX509({
      message: (state) => this.#takeX509(state),
      failed: (problem, stopped) => this.#failed(problem, stopped),
    })
    if (jwt) this.#watchJwtBundles()
  }

  /** Resolves with the first word of the agent, the first failure to hear one, or after 5 s. */
  started(): Promise<void> {
    return this.#firstWord
  }

  /** The own identity, waiting for a first one; undefined after `withinMs` without any, or where none can come. */
  async identity(withinMs: number): Promise<OwnIdentity | undefined> {
    if (this.#svid || this.#stream.health.stopped) return this.#svid
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve(this.#svid)
      }
      const timer = setTimeout(done, withinMs)
      this.#waiting.add(done)
    })
  }

  /** Tells every new SVID and bundle for it. */
  onRotation(listener: (material: TlsMaterial) => void): { close(): void } {
    this.#listeners.add(listener)
    return { close: () => this.#listeners.delete(listener) }
  }

  get health(): AgentHealth {
    const { problem } = this.#stream.health
    const expired =
      this.#svid && this.#options.nowMs() > this.#svid.notAfterMs ? 'own SVID has expired' : undefined
    return {
      target: this.#options.target,
      problem: problem ?? expired ?? this.#svidProblem ?? this.#listProblem ?? this.#jwtProblem,
      svid: this.#svid,
    }
  }

  close(): void {
    this.#listeners.clear()
    for (const done of this.#waiting) done()
    this.#api.close()
  }

  #takeX509(message: X509State): void {
    this.#agentProblem = undefined
    const { trustDomains, state } = this.#options
    const lists = this.#readLists(message.crls)
    // Later, roots that went must go even if a list can't be read; at first nothing is lost by waiting.
    if (!lists.ok && !this.#accepted) {
      for (const trustDomain of trustDomains) state.fail(trustDomain, lists.problem)
    } else {
      this.#takeBundles(message)
      this.#accepted = true
      if (lists.ok) state.lists.set(this.#options.target, lists.lists, new Set(trustDomains))
    }
    this.#messages += 1
    void this.#takeSvid(message.svids[0], this.#messages)
    this.#heard()
  }

  #takeBundles({ svids, federatedBundles }: X509State): void {
    const { trustDomains, state } = this.#options
    const bundles = new Map<string, { readonly roots: Buffer; readonly chain: readonly Buffer[] }>()
    for (const [id, roots] of federatedBundles) {
      const parsed = parseSpiffeId(id)
      if (parsed.ok && parsed.id.path === '') bundles.set(parsed.id.trustDomain, { roots, chain: [] })
    }
    for (const { spiffeId, bundle, certificates } of svids.toReversed()) {
      const parsed = parseSpiffeId(spiffeId)
      if (!parsed.ok) continue
      bundles.set(parsed.id.trustDomain, { roots: bundle, chain: splitDer(certificates) ?? [] })
    }
    for (const trustDomain of trustDomains) {
      const found = bundles.get(trustDomain)
      if (!found) {
        state.withdraw(trustDomain, 'the SPIFFE agent gives no bundle of it')
        continue
      }
      const parsed = parseDerBundle(found.roots, found.chain)
      if (parsed.ok) state.accept(trustDomain, parsed.bundle)
      else state.fail(trustDomain, parsed.problem)
    }
  }

  #readLists(
    ders: readonly Buffer[],
  ):
    | { readonly ok: true; readonly lists: readonly RevocationList[] }
    | { readonly ok: false; readonly problem: string } {
    const lists: RevocationList[] = []
    let problem = ders.length > MAX_CRLS ? `more than ${MAX_CRLS} revocation lists` : undefined
    for (const [index, der] of ders.slice(0, MAX_CRLS).entries()) {
      const parsed = parseRevocationList(der, this.#options.nowMs())
      if (parsed.ok) lists.push(parsed.list)
      else problem ??= `revocation list ${index + 1}: ${parsed.problem}`
    }
    if (problem !== this.#listProblem) this.#note('error', "the agent's revocation lists refused", problem)
    this.#listProblem = problem
    return problem === undefined ? { ok: true, lists } : { ok: false, problem }
  }

  async #takeSvid(svid: OwnSvid | undefined, message: number): Promise<void> {
    const { target, log, nowMs } = this.#options
    const read = svid ? await readOwnSvid(svid, nowMs()) : 'the SPIFFE agent gives this process no SVID'
    if (message !== this.#messages) return
    const moved =
      typeof read !== 'string' && this.#svid !== undefined && this.#svid.trustDomain !== read.trustDomain
    const problem =
      typeof read === 'string' ? read : moved ? 'the SVID is of another trust domain than before' : undefined
    if (problem !== this.#svidProblem) this.#note('warn', 'own SVID not renewed', problem)
    this.#svidProblem = problem
    if (typeof read === 'string' || moved) return
    this.#svid = read
    log('info', 'own SVID received', {
      agent: target,
      spiffeId: read.spiffeId,
      expires: new Date(read.notAfterMs).toISOString(),
    })
    for (const listener of this.#listeners) this.#tell(listener, read.material)
    for (const done of this.#waiting) done()
  }

  #tell(listener: (material: TlsMaterial) => void, material: TlsMaterial): void {
    try {
      listener(material)
    } catch (error) {
      this.#note('error', 'own SVID refused, the old one stays', messageOf(error))
    }
  }

  #watchJwtBundles(): void {
    const { trustDomains, state, log, target } = this.#options
    this.#api.watchJwtBundles({
      message: (bundles) => {
        this.#jwtProblem = undefined
        const texts = new Map<string, string>()
        for (const [id, text] of bundles) {
          const parsed = parseSpiffeId(id)
          if (parsed.ok && parsed.id.path === '') texts.set(parsed.id.trustDomain, text)
        }
        for (const trustDomain of trustDomains) {
          const text = texts.get(trustDomain)
          if (text === undefined) state.withdrawJwtKeys(trustDomain)
          else state.acceptJwtKeys(trustDomain, text, true)
        }
      },
      failed: (problem) => {
        if (problem !== this.#jwtProblem)
          log('warn', 'the SPIFFE agent gives no JWT bundles', { agent: target, problem })
        this.#jwtProblem = problem
      },
    })
  }

  #failed(problem: string, stopped: boolean): void {
    const { trustDomains, state, log, target } = this.#options
    if (problem !== this.#agentProblem) {
      const message = stopped ? 'the SPIFFE agent is asked no more' : 'the SPIFFE agent is not heard'
      log('warn', message, { agent: target, problem })
    }
    this.#agentProblem = problem
    for (const trustDomain of trustDomains) state.fail(trustDomain, problem)
    this.#heard()
    if (stopped) for (const done of this.#waiting) done()
  }

  #note(level: 'warn' | 'error', message: string, problem: string | undefined): void {
    if (problem !== undefined) this.#options.log(level, message, { agent: this.#options.target, problem })
  }
}

/** The identity, or what is wrong with it. */
async function readOwnSvid(svid: OwnSvid, nowMs: number): Promise<OwnIdentity | string> {
  const chain = splitDer(svid.certificates)
  const roots = splitDer(svid.bundle)
  const id = parseSpiffeId(svid.spiffeId)
  const bundle = parseDerBundle(svid.bundle)
  if (!chain || !roots || !id.ok || !bundle.ok) return 'the SVID that the SPIFFE agent gives is malformed'
  const { trustDomain } = id.id
  const own = { get: (name: string) => (name === trustDomain ? bundle.bundle : undefined) }
  const verdict = await verifyPresentedChain(chain, own, nowMs)
  if (!verdict.ok) return `own SVID: ${verdict.message}`
  if (verdict.spiffeId.text !== svid.spiffeId) return `own SVID: it is ${verdict.spiffeId.text}`
  if (!isKeyOf(svid.key, chain[0])) return 'own SVID: the key is not the one of its certificate'
  return {
    spiffeId: svid.spiffeId,
    trustDomain,
    notAfterMs: verdict.notAfterMs,
    material: {
      certificate: toPem('CERTIFICATE', chain),
      key: toPem('PRIVATE KEY', [svid.key]),
      clientCa: toPem('CERTIFICATE', roots),
    },
  }
}

function isKeyOf(key: Buffer, leaf: Buffer | undefined): boolean {
  try {
    const privateKey = createPrivateKey({ key, format: 'der', type: 'pkcs8' })
    return leaf !== undefined && new X509Certificate(leaf).checkPrivateKey(privateKey)
  } catch {
    return false
  }
}

function toPem(label: string, ders: readonly Buffer[]): string {
  return ders
    .map((der) => `-----BEGIN ${label}-----\n${der.toString('base64')}\n-----END ${label}-----\n`)
    .join('')
}
