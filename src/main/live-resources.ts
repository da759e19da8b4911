import { inCluster } from '../adapters/kubernetes/access.js'
import { ApiClient } from '../adapters/kubernetes/api-client.js'
import type { CollectionLimits } from '../adapters/kubernetes/collection.js'
import { ofKubeconfig } from '../adapters/kubernetes/kubeconfig.js'
import type { KubernetesPolicyConfig } from '../config/policy.js'
import type { Policy } from '../policy/load-policy.js'
import { judgeInSteps } from '../policy/resources/judge.js'
import { keyOf, type Resource } from '../policy/resources/resource.js'
import { type InForce, settleInSteps, type Verdict } from '../policy/resources/settle.js'
import { formatProblem, type Problem } from '../schema/problem.js'
import { FollowedKinds } from './followed-kinds.js'
import { inTurns } from './in-turns.js'
import type { LivePolicy, PolicySurroundings } from './live-policy.js'
import { type Log, messageOf, StartFailure } from './log.js'
import { StatusWriter } from './status-writer.js'

export type ResourceTimes = {
  /** How long the first reading may take. */
  readonly startMs: number
  /** Changes that come this close together are taken together, for at most `mostSettleMs`. */
  readonly settleMs: number
  readonly mostSettleMs: number
  readonly limits: Partial<CollectionLimits>
}

const TIMES: ResourceTimes = { startMs: 20_000, settleMs: 50, mostSettleMs: 500, limits: {} }

/**
 * The policy in force out of custom resources, made anew when one changes. What is wrong with one is told in its status
 * and keeps nothing else. While the API server is away the last policy stays. Throws StartFailure when there is no first
 * policy within `startMs`: without the resources nobody knows what is forbidden.
 */
export async function openResources(
  config: KubernetesPolicyConfig,
  surroundings: PolicySurroundings,
  log: Log,
  times: ResourceTimes = TIMES,
): Promise<LivePolicy> {
  const found =
    config.kubeconfig === undefined ? inCluster(process.env) : await ofKubeconfig(config.kubeconfig)
  if (!found.ok) throw new StartFailure([`policy.kubernetes: ${found.problem}`])
  const client = new ApiClient(found.access, Date.now)
  const live = new LiveResources(client, config, surroundings, log, times)
  try {
    await live.start()
  } catch (error) {
    live.close()
    throw error
  }
  return live
}

class LiveResources implements LivePolicy {
  readonly #client: ApiClient
  readonly #options: PolicySurroundings & Pick<KubernetesPolicyConfig, 'grants' | 'writesStatuses'>
  readonly #namespaces: readonly string[]
  readonly #log: Log
  readonly #times: ResourceTimes
  readonly #followed: FollowedKinds
  readonly #statuses: StatusWriter
  #policy: Policy | undefined
  #inForce: ReadonlyMap<string, InForce> = new Map()
  #verdicts: readonly Verdict[] = []
  /** What the policy was made of, and where it lies. */
  #madeOf = ''
  #refused: LivePolicy['refused']
  #loadedAtMs = 0
  #timer: NodeJS.Timeout | undefined
  #firstChangeMs: number | undefined
  #lastTookMs = 0
  #lastEndMs = 0
  #making = false
  /** A change came due while the policy was being made. */
  #again = false
  #closed = false
  #started: { readonly done: () => void } | undefined

  constructor(
    client: ApiClient,
    config: KubernetesPolicyConfig,
    surroundings: PolicySurroundings,
    log: Log,
    times: ResourceTimes,
  ) {
    this.#client = client
    this.#options = { ...surroundings, grants: config.grants, writesStatuses: config.writesStatuses }
    this.#namespaces = config.namespaces
    this.#log = log
    this.#times = times
    this.#statuses = new StatusWriter(client, log, { nowMs: Date.now, random: Math.random })
    this.#followed = new FollowedKinds({
      client,
      namespaces: config.namespaces,
      limits: times.limits,
      changed: () => this.#changed(),
      log,
    })
  }

  async start(): Promise<void> {
    const { startMs } = this.#times
    const done = new Promise<void>((resolve) => {
      this.#started = { done: resolve }
    })
    this.#followed.start()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), startMs)
    })
    const outcome = await Promise.race([done, late])
    clearTimeout(timer)
    if (outcome !== 'late' && this.#policy) return
    const refused = this.#refused?.problems.map(formatProblem) ?? []
    throw new StartFailure(
      refused.length > 0
        ? refused
        : this.#followed.unfollowed().map(({ what, problem }) => `policy.kubernetes: ${what}: ${problem}`),
    )
  }

  get current(): Policy {
    if (!this.#policy) throw new Error('a policy was made and is not there')
    return this.#policy
  }

  get loadedAtMs(): number {
    return this.#loadedAtMs
  }

  get refused(): LivePolicy['refused'] {
    return this.#refused
  }

  /** Of resources that are refused, and of what can't be followed now. */
  get lastProblems(): readonly string[] {
    const away = this.#followed
      .unfollowed()
      .map(({ what, problem, sinceMs }) => `${what}: not followed since ${isoOf(sinceMs)}: ${problem}`)
    return [...(this.#refused?.problems.map(formatProblem) ?? []), ...away]
  }

  readonly resources: LivePolicy['resources'] = () => {
    const refused = this.#verdicts.filter(({ inForce }) => inForce !== 'this').length
    const since = this.#followed.unfollowed().map(({ sinceMs }) => sinceMs)
    return {
      accepted: this.#verdicts.length - refused,
      refused,
      unresolved: this.#verdicts.reduce((sum, { unresolved }) => sum + unresolved.length, 0),
      awaySinceMs: since.length === 0 ? undefined : Math.min(...since),
      ...this.#statuses.figures,
    }
  }

  readonly judge: LivePolicy['judge'] = (proposed) =>
    judgeInSteps(
      proposed,
      {
        resources: this.#followed.resources(),
        inForce: this.#inForce,
        namespaces: this.#namespaces,
      },
      this.#options,
    )

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#followed.close()
    this.#statuses.close()
    this.#client.close()
  }

  /** Soon, and never later than `mostSettleMs` after the first change, however many come. */
  #changed(): void {
    const nowMs = performance.now()
    this.#firstChangeMs ??= nowMs
    const { settleMs, mostSettleMs } = this.#times
    // A large policy is made less often: a fifth of the time, at most, belongs to it.
    const restOfPauseMs = this.#lastEndMs + this.#lastTookMs * 4 - nowMs
    const waitMs = Math.max(settleMs, Math.min(mostSettleMs, restOfPauseMs))
    const restMs = this.#firstChangeMs + mostSettleMs - nowMs
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#make(), Math.max(0, Math.min(waitMs, restMs)))
  }

  /** Never rejects. What changes while it is under way is looked at once it is done. */
  async #make(): Promise<void> {
    if (this.#making) {
      this.#again = true
      return
    }
    this.#firstChangeMs = undefined
    if (!this.#followed.isListed) return
    this.#making = true
    const beganMs = performance.now()
    try {
      await this.#settle()
    } catch (error) {
      const message = `making the policy failed: ${messageOf(error)}`
      this.#refuse([{ severity: 'error', code: 'internal-error', message, position: undefined }])
    }
    this.#lastEndMs = performance.now()
    this.#lastTookMs = this.#lastEndMs - beganMs
    this.#making = false
    this.#started?.done()
    if (this.#again && !this.#closed) {
      this.#again = false
      this.#changed()
    }
  }

  async #settle(): Promise<void> {
    const resources = this.#followed.resources()
    const madeOf = fingerprint(resources)
    if (this.#policy && madeOf === this.#madeOf) {
      this.#refreshVerdicts(resources)
      return
    }
    const settled = await inTurns(settleInSteps(resources, this.#inForce, this.#options))
    if (this.#closed) return
    if (!settled.ok) {
      this.#refuse(settled.problems)
      return
    }
    const { policy, warnings } = settled.loaded
    const before = this.#policy
    const changed = policy.revision !== before?.revision
    this.#madeOf = madeOf
    this.#inForce = settled.inForce
    this.#verdicts = settled.verdicts
    if (changed) {
      this.#policy = policy
      this.#loadedAtMs = Date.now()
      this.#log('info', before ? 'policy reloaded' : 'policy loaded', {
        revision: policy.revision,
        services: policy.matrix.counts.services,
        resources: resources.length,
        warnings: warnings.length,
      })
      if (!before)
        for (const inert of policy.inert) this.#log('info', `built-in rule without a source: ${inert}`)
    }
    const problems = settled.verdicts.flatMap((verdict) => verdict.problems)
    if (problems.length > 0) this.#refuse(problems)
    else this.#refused = undefined
    this.#tellStatuses(policy.revision)
  }

  /** Only statuses are other than they were. */
  #refreshVerdicts(resources: readonly Resource[]): void {
    const newest = new Map(resources.map((resource) => [keyOf(resource), resource]))
    this.#verdicts = this.#verdicts.map((verdict) => {
      const resource = newest.get(keyOf(verdict.resource)) ?? verdict.resource
      return resource === verdict.resource ? verdict : Object.assign({}, verdict, { resource })
    })
    this.#tellStatuses(this.current.revision)
  }

  #tellStatuses(revision: string): void {
    if (this.#options.writesStatuses) this.#statuses.tell(this.#verdicts, revision)
  }

  #refuse(problems: readonly Problem[]): void {
    const before = this.#refused?.problems.map(formatProblem).join('\n')
    const texts = problems.map(formatProblem)
    if (before === texts.join('\n')) return
    this.#refused = { atMs: Date.now(), problems }
    this.#log('error', 'custom resources are refused, what was in force stays', {
      problems: texts.slice(0, 100),
    })
  }
}

/** Of everything that decides, in any order. */
function fingerprint(resources: readonly Resource[]): string {
  return resources
    .map((resource) => `${keyOf(resource)} ${resource.uid} ${resource.generation} ${resource.content}`)
    .toSorted()
    .join('\n')
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString()
}
