import type { TrafficEvent } from '../traffic.js'
import { probeOf } from './fold-segment.js'
import { Room } from './room.js'

/** Callers that are followed; a caller beyond them is not suspected. */
const MAX_ACTORS = 50_000
/** As many different paths of one target, with their methods, as are counted; and as many targets. */
const MAX_PATHS = 512
/** Over all callers and targets. */
const MAX_ENTRIES = 1_000_000
/** This many different paths of one target, most of them hardly asked for, are a scan. */
const SCAN_PATHS = 30
/** The same over all targets. */
const SCAN_PATHS_IN_ALL = 120
/** A path that is asked for more often is in use. */
const HARDLY = 3
/** Fewer refusals say nothing. */
const LEAST_REFUSALS = 10

export type Suspect = { readonly actor: string; readonly why: string; readonly calls: number }

type Account = {
  passed: number
  refused: number
  /** By target, then by method and path. */
  readonly targets: Map<string, Map<string, number>>
}

/** Reasons that say that the caller, not the policy, is the matter. */
const ATTACK: ReadonlySet<string> = new Set(['quarantined', 'ambiguous-request', 'certificate-revoked'])

/** Who makes a call: the workload, else the user, else the address. */
export function actorOf({ callerService, workloadId, userId, userIssuer, fields }: TrafficEvent): string {
  if (callerService !== undefined) return callerService
  if (workloadId !== undefined) return workloadId
  if (userId !== undefined) return `user ${userId}${userIssuer === undefined ? '' : ` of ${userIssuer}`}`
  const ip = fields['clientIp'] ?? fields['sourceIp']
  return typeof ip === 'string' ? `address ${ip}` : 'nobody'
}

/** Keeps account of callers, so that traffic that looks like an attack is not learned. Memory is bounded. */
export class Suspicion {
  readonly #accounts = new Map<string, Account>()
  readonly #room = new Room(MAX_ENTRIES)

  note(event: TrafficEvent): void {
    const actor = actorOf(event)
    let account = this.#accounts.get(actor)
    if (!account) {
      if (this.#accounts.size >= MAX_ACTORS) return
      this.#accounts.set(actor, (account = { passed: 0, refused: 0, targets: new Map() }))
    }
    if (event.decision === 'allow' && !ATTACK.has(event.wouldBeReason ?? '')) account.passed++
    else account.refused++
    const { targetService, requestPath, requestMethod, endpoint } = event
    // What some endpoint stands for is no probing.
    if (targetService === undefined || requestPath === undefined || endpoint !== undefined) return
    let paths = account.targets.get(targetService)
    if (!paths) {
      if (account.targets.size >= MAX_PATHS) return
      account.targets.set(targetService, (paths = new Map()))
    }
    const path = `${requestMethod ?? ''} ${probeOf(requestPath)}`
    const count = paths.get(path)
    if (count !== undefined) paths.set(path, count + 1)
    else if (paths.size < MAX_PATHS && this.#room.take()) paths.set(path, 1)
  }

  /** By actor. */
  suspects(): ReadonlyMap<string, Suspect> {
    const found = new Map<string, Suspect>()
    for (const [actor, account] of this.#accounts) {
      const why = suspicionOf(account)
      if (why !== undefined) found.set(actor, { actor, why, calls: account.passed + account.refused })
    }
    return found
  }
}

function suspicionOf({ passed, refused, targets }: Account): string | undefined {
  if (refused >= LEAST_REFUSALS && refused > passed) {
    return `most of its calls were refused (${refused} of ${passed + refused})`
  }
  let [all, allTried] = [0, 0]
  for (const [target, asked] of targets) {
    const { paths, tried } = triedOf(asked)
    all += paths
    allTried += tried
    if (paths >= SCAN_PATHS && 2 * tried > paths) {
      const over = asked.size === MAX_PATHS ? 'over ' : ''
      return `it tried ${over}${paths} paths of ${target}, ${SELDOM}`
    }
  }
  if (all >= SCAN_PATHS_IN_ALL && 2 * allTried > all) {
    return `it tried ${all} paths of ${targets.size} targets, ${SELDOM}`
  }
  return undefined
}

const SELDOM = `most of them at most ${HARDLY} times`

/** How many paths there are, and how many of them were hardly asked for by any method. */
function triedOf(asked: ReadonlyMap<string, number>): { readonly paths: number; readonly tried: number } {
  const mostOf = new Map<string, number>()
  for (const [methodAndPath, count] of asked) {
    const path = methodAndPath.slice(methodAndPath.indexOf(' ') + 1)
    mostOf.set(path, Math.max(count, mostOf.get(path) ?? 0))
  }
  return { paths: mostOf.size, tried: [...mostOf.values()].filter((count) => count <= HARDLY).length }
}
