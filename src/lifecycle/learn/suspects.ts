import type { TrafficEvent } from '../traffic.js'
import { probeOf } from './fold-segment.js'
import { Room } from './room.js'

/** Callers that are followed; a caller beyond them is not suspected. */
const MAX_ACTORS = 50_000
/** As many different paths of one target as are counted. */
const MAX_PATHS = 64
/** Over all callers and targets. */
const MAX_ENTRIES = 1_000_000
/** This many different paths, most of them asked for once, are a scan. */
const SCAN_PATHS = 30
/** Fewer refusals say nothing. */
const LEAST_REFUSALS = 10

export type Suspect = { readonly actor: string; readonly why: string; readonly calls: number }

type Account = {
  passed: number
  refused: number
  /** The target whose paths are counted: a scan tries one. */
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
  for (const [target, paths] of targets) {
    if (paths.size < SCAN_PATHS) continue
    const once = [...paths.values()].filter((count) => count === 1).length
    if (2 * once > paths.size) {
      return `it tried ${paths.size === MAX_PATHS ? 'over ' : ''}${paths.size} paths of ${target}, most of them once`
    }
  }
  return undefined
}
