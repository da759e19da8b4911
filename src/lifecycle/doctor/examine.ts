import { findAsks } from './asks.js'
import type { Examined, Rule } from './examined.js'
import { placed, sortDoctorFindings, type DoctorFinding, type Found } from './finding.js'
import type { EnvoyText } from './read-source.js'
import { readSetup } from './read-setup.js'
import { clearRouteCache, headerMutation, loggedDecision } from './rules/answer.js'
import { downstreamTls } from './rules/downstream-tls.js'
import { canBeOff, failureModeAllow, statusOnError } from './rules/fail-open.js'
import {
  clientAddress,
  forwardedCertificate,
  pathNormalisation,
  underscoreHeaders,
} from './rules/http-connections.js'
import { openStreams } from './rules/open-streams.js'
import { jwtOrder, order } from './rules/order.js'
import { googleGrpc, portcullisClusters } from './rules/portcullis-cluster.js'
import { partialBody, peerCertificate, protocol, retries, timeouts, withheld } from './rules/question.js'
import { routes } from './rules/routes.js'
import { accessLogs, openAdmin } from './rules/surroundings.js'
import { noExtAuthz, unaskedListeners, unaskedUpgrades } from './rules/unasked.js'

const RULES: readonly Rule[] = [
  noExtAuthz,
  unaskedListeners,
  unaskedUpgrades,
  order,
  jwtOrder,
  failureModeAllow,
  canBeOff,
  statusOnError,
  protocol,
  timeouts,
  retries,
  peerCertificate,
  partialBody,
  withheld,
  clearRouteCache,
  headerMutation,
  loggedDecision,
  routes,
  pathNormalisation,
  forwardedCertificate,
  clientAddress,
  underscoreHeaders,
  openStreams,
  downstreamTls,
  googleGrpc,
  portcullisClusters,
  accessLogs,
  openAdmin,
]

export type Examination = {
  readonly findings: readonly DoctorFinding[]
  /** What is referred to and was not seen, or can't be read here, so nothing was said about it. */
  readonly unseen: readonly string[]
  /** How many filters ask Portcullis. */
  readonly asks: number
}

export type ExamineOptions = {
  /** Clusters that are Portcullis; without any they are found by what they are called. */
  readonly clusters: readonly string[]
  /** `trustedHops` of the Portcullis listener that is asked. */
  readonly trustedHops: number
}

/**
 * Looks through texts of Envoys: each bootstrap and each config_dump is one, and files of resources belong to all. Pure;
 * the same texts give the same findings in the same order.
 */
export function examine(texts: readonly [EnvoyText, ...EnvoyText[]], options: ExamineOptions): Examination {
  const resources = texts.filter(({ kind }) => kind === 'resources')
  const envoys = texts.filter(({ kind }) => kind !== 'resources')
  const results = envoys.map((envoy) => examineOne([envoy, ...resources], options))
  if (results.length === 0) results.push(examineOne(texts, options))
  // What several read from the same file is told once.
  const findings = new Map<string, DoctorFinding>()
  for (const { found } of results) {
    for (const finding of found.map(placed)) findings.set(identityOf(finding), finding)
  }
  const unseen = results.flatMap((result, index) =>
    envoys.length > 1
      ? result.unseen.map((what) => `${envoys[index]?.root.source.name ?? ''}: ${what}`)
      : result.unseen,
  )
  return {
    findings: sortDoctorFindings([...findings.values()]),
    unseen,
    asks: results.reduce((sum, { asks }) => sum + asks, 0),
  }
}

function examineOne(
  texts: readonly [EnvoyText, ...EnvoyText[]],
  { clusters, trustedHops }: ExamineOptions,
): { readonly found: readonly Found[]; readonly unseen: readonly string[]; readonly asks: number } {
  const { setup, unseen } = readSetup(texts)
  const asks = findAsks(setup, clusters)
  const found: Found[] = []
  const unread: string[] = []
  const examined: Examined = {
    setup,
    asks,
    portcullis: new Set([...clusters, ...asks.map(({ cluster }) => cluster)].filter((name) => name !== '')),
    trustedHops,
    tell: (finding) => void found.push(finding),
    unread: (what) => void unread.push(what),
  }
  for (const rule of RULES) rule(examined)
  return { found, unseen: [...unseen, ...unread], asks: asks.length }
}

function identityOf({ source, code, where, message, fix }: DoctorFinding): string {
  return [source, code, where, message, ...fix.into.pointer].join('\0')
}
