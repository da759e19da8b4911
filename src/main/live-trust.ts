import type { FederationEndpoint } from '../adapters/federation.js'
import type { Config } from '../config/config.js'
import {
  type CertificatePolicy,
  checkCertificate,
  compileCertificatePolicy,
} from '../identity/certificate-policy.js'
import type { KeySource } from '../identity/key-source.js'
import type { ListHealth } from '../identity/revocation-lists.js'
import type { LiveTrustBundles } from '../identity/trust-bundles.js'
import { openBundleFile } from './bundle-files.js'
import { openFederation } from './federated-bundles.js'
import { type AgentHealth, LiveAgent } from './live-agent.js'
import { type Log, StartFailure } from './log.js'
import { openRevocationFile, type RevocationFile } from './revocation-files.js'
import { type BundleHealth, TrustState } from './trust-state.js'

export type TrustHealth = {
  readonly bundles: readonly BundleHealth[]
  readonly agents: readonly AgentHealth[]
  readonly lists: readonly ListHealth[]
  /** For an operator to read; empty when everything is as it should be. */
  readonly problems: readonly string[]
}

/** Whom one believes, out of files, SPIFFE agents and federation endpoints, as they are now. */
export type LiveTrust = {
  readonly bundles: LiveTrustBundles
  /** With the revocation lists in force. */
  readonly policy: CertificatePolicy
  /** Keys of a trust domain's JWT-SVIDs; undefined for one that isn't configured. */
  readonly jwtKeys: (trustDomain: string) => KeySource | undefined
  /** Agents by target. */
  readonly agents: ReadonlyMap<string, LiveAgent>
  readonly health: () => TrustHealth
  close(): void
}

type TrustConfig = Pick<Config, 'trustDomains' | 'certificates' | 'listeners'> & {
  /** Whether JWT-SVIDs are verified. */
  readonly jwtSvids: boolean
}

const EXPIRY_LOOK_MS = 60_000

/**
 * Opens every source of trust. Throws StartFailure with every file that can't be used and every wrong entry of the
 * deny-list. Agents and endpoints may be away: their trust domains are not trusted until they are there.
 */
export async function openTrust(config: TrustConfig, log: Log, nowMs: () => number): Promise<LiveTrust> {
  const state = new TrustState(config.trustDomains.keys(), log, nowMs)
  const opened: { close(): void }[] = []
  const close = (): void => {
    for (const each of opened.splice(0)) each.close()
  }
  const problems: string[] = []
  const open = async <T extends { close(): void }>(opening: Promise<T>): Promise<T | undefined> => {
    try {
      const one = await opening
      opened.push(one)
      return one
    } catch (error) {
      if (!(error instanceof StartFailure)) throw error
      problems.push(...error.problems)
      return undefined
    }
  }
  const compiled = compileCertificatePolicy(config.certificates, state.lists)
  if (!compiled.ok) {
    for (const { list, index, problem } of compiled.problems)
      problems.push(`certificates.revoked.${list}[${index}]: ${problem}`)
  }
  const policy = compiled.ok ? compiled.policy : undefined
  const web: FederationEndpoint[] = []
  /** Proved by bundles, which are there by then. */
  const spiffe: FederationEndpoint[] = []
  const files: RevocationFile[] = []
  try {
    for (const [trustDomain, source] of config.trustDomains) {
      if (source.kind === 'file') await open(openBundleFile(trustDomain, source.path, state, log))
      if (source.kind !== 'HttpsWeb' && source.kind !== 'HttpsSpiffe') continue
      const refusal = (verdict: Parameters<typeof checkCertificate>[0]): string | undefined => {
        const refused = policy && checkCertificate(verdict, policy, nowMs())
        return refused?.reason === 'certificate-revoked' ? refused.message : undefined
      }
      const endpoint = await open(openFederation(trustDomain, source, { state, nowMs, refusal }))
      if (endpoint) (source.kind === 'HttpsWeb' ? web : spiffe).push(endpoint)
    }
    for (const path of config.certificates.revoked.crls) {
      const file = await open(openRevocationFile(path, state.lists, log, nowMs))
      if (file) files.push(file)
    }
    if (problems.length > 0 || policy === undefined) throw new StartFailure(problems)
    const agents = openAgents(config, state, log, nowMs)
    opened.push(...agents.values())
    await Promise.all([...agents.values()].map((agent) => agent.started()))
    await Promise.all(web.map((endpoint) => endpoint.start()))
    await Promise.all(spiffe.map((endpoint) => endpoint.start()))
    const health = (): TrustHealth => healthOf(state, agents, files, nowMs())
    const look = expiryLog(health, log, nowMs)
    look()
    const timer = setInterval(look, EXPIRY_LOOK_MS).unref()
    opened.push({ close: () => clearInterval(timer) })
    const jwtKeys = (trustDomain: string): KeySource | undefined => state.jwtKeys(trustDomain)
    return { bundles: state.bundles, policy, jwtKeys, agents, health, close }
  } catch (error) {
    close()
    throw error
  }
}

/** One connection an agent, whoever needs it. */
function openAgents(
  { trustDomains, listeners, jwtSvids }: TrustConfig,
  state: TrustState,
  log: Log,
  nowMs: () => number,
): ReadonlyMap<string, LiveAgent> {
  const domainsOf = new Map<string, string[]>()
  for (const { tls } of listeners) if (tls?.kind === 'workloadApi') domainsOf.set(tls.target, [])
  for (const [trustDomain, source] of trustDomains) {
    if (source.kind !== 'workloadApi') continue
    domainsOf.set(source.target, [...(domainsOf.get(source.target) ?? []), trustDomain])
  }
  return new Map(
    [...domainsOf].map(([target, domains]) => [
      target,
      new LiveAgent({
        target,
        trustDomains: domains,
        jwt: jwtSvids && domains.length > 0,
        state,
        log,
        nowMs,
      }),
    ]),
  )
}

function healthOf(
  state: TrustState,
  agents: ReadonlyMap<string, LiveAgent>,
  files: readonly RevocationFile[],
  nowMs: number,
): TrustHealth {
  const bundles = state.health
  const lists = state.lists.health
  const agentHealth = [...agents.values()].map((agent) => agent.health)
  const problems = [
    ...bundles.flatMap(({ trustDomain, problem, anchors }) =>
      problem === undefined
        ? []
        : [`trust domain ${trustDomain}${anchors === 0 ? ' is not trusted' : ''}: ${problem}`],
    ),
    ...agentHealth.flatMap(({ target, problem }) =>
      problem === undefined ? [] : [`SPIFFE agent ${target}: ${problem}`],
    ),
    ...files.flatMap(({ path, problem }) =>
      problem === undefined ? [] : [`revocation list ${path}: ${problem}`],
    ),
    ...lists.flatMap((list) => listProblem(list, nowMs)),
  ]
  return { bundles, agents: agentHealth, lists, problems }
}

function listProblem({ source, issuer, nextUpdateMs, trustDomains }: ListHealth, nowMs: number): string[] {
  const named = `revocation list ${source} of ${issuer}`
  if (trustDomains.length === 0)
    return [`${named}: signed by no CA of a trust bundle, so certificates of its issuer are refused`]
  return nowMs > nextUpdateMs ? [`${named}: expired, so certificates of its issuer are refused`] : []
}

/** Revocation lists expire, and CAs go, without anything happening. Each such problem is told once. */
function expiryLog(health: () => TrustHealth, log: Log, nowMs: () => number): () => void {
  let told = new Set<string>()
  return () => {
    const now = new Set(health().lists.flatMap((list) => listProblem(list, nowMs())))
    for (const problem of now) if (!told.has(problem)) log('error', 'revocation list', { problem })
    told = now
  }
}
