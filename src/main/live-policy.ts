import { listPolicyFiles, sizeOfFiles } from '../adapters/files.js'
import { plannedSinks } from '../config/audit.js'
import type { Config } from '../config/config.js'
import { loadPolicyInSteps, type LoadOptions, type Policy } from '../policy/load-policy.js'
import { openPolicyInSteps } from '../policy/packed-policy.js'
import { formatProblem, type Problem } from '../schema/problem.js'
import { inTurns } from './in-turns.js'
import { openResources } from './live-resources.js'
import type { Judge } from './live-webhook.js'
import { type Log, StartFailure } from './log.js'
import { readPolicyFiles, unreadable } from './policy-files.js'
import { readPolicyInThread } from './policy-thread.js'
import { watched } from './watched.js'

/** A larger policy is read by another thread; a smaller one is read between calls sooner than a thread begins. */
const LARGE_BYTES = 256 * 1024

/** What is in a directory, made ready to decide. */
type Read =
  | { readonly ok: true; readonly policy: Policy; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** What the policy is loaded into. */
export type PolicySurroundings = Omit<LoadOptions, 'directory'>

type PolicyPlace = Pick<
  Config,
  'policy' | 'trustDomain' | 'trustDomains' | 'geo' | 'deviceInventory' | 'audit'
>

/**
 * The policy in force, reloaded when its directory changes. A directory with any error is refused whole:
 * the old policy stays, and `lastProblems` says why until a good one is read.
 */
export type LivePolicy = {
  readonly current: Policy
  /** Milliseconds since the epoch. */
  readonly loadedAtMs: number
  /** The newest reading, where it was refused. */
  readonly refused: { readonly atMs: number; readonly problems: readonly Problem[] } | undefined
  /** Problems of the newest reading that was refused; empty when the policy in force is the newest. */
  readonly lastProblems: readonly string[]
  /** Undefined where policy comes from files. */
  readonly resources: (() => ResourceFigures) | undefined
  /** Says what would become of a resource; undefined where policy comes from files. */
  readonly judge: Judge | undefined
  close(): void
}

/** How custom resources stand. */
export type ResourceFigures = {
  /** Resources whose newest version is in force, and those where it is refused. */
  readonly accepted: number
  readonly refused: number
  /** Names in accepted resources that nothing has: what they would open is closed. */
  readonly unresolved: number
  /** Since when the API server can't be followed, milliseconds since the epoch; undefined while it can. */
  readonly awaySinceMs: number | undefined
  /** Statuses that are to be written, and attempts that failed. */
  readonly statusesWaiting: number
  readonly statusFailures: number
}

/** Throws StartFailure with every problem that keeps the first policy from being read. */
export async function openPolicy(place: PolicyPlace, log: Log): Promise<LivePolicy> {
  const { kubernetes, directory } = place.policy
  return kubernetes ? openResources(kubernetes, surroundingsOf(place), log) : openFiles(directory, place, log)
}

function surroundingsOf({
  trustDomain,
  trustDomains,
  geo,
  deviceInventory,
  audit,
}: PolicyPlace): PolicySurroundings {
  return {
    localTrustDomain: trustDomain,
    trustDomains: [...trustDomains.keys()],
    hasPlaces: geo !== undefined,
    hasDevices: deviceInventory.enabled,
    auditSinks: plannedSinks(audit),
  }
}

async function openFiles(directory: string, place: PolicyPlace, log: Log): Promise<LivePolicy> {
  const closing = new AbortController()
  let current: Policy | undefined
  let loadedAtMs = 0
  let refusedReading: LivePolicy['refused']
  let lastProblems: readonly string[] = []
  const read = async (): Promise<void> => {
    const loaded = await load(directory, surroundingsOf(place), closing.signal)
    if (!loaded.ok) {
      const problems = loaded.problems.map(formatProblem)
      if (!current) throw new StartFailure(problems)
      lastProblems = problems
      refusedReading = { atMs: Date.now(), problems: loaded.problems }
      log('error', 'policy refused, the old one stays', { revision: current.revision, problems })
      return
    }
    lastProblems = []
    refusedReading = undefined
    const { policy, warnings } = loaded
    if (policy.revision === current?.revision) return
    log('info', current ? 'policy reloaded' : 'policy loaded', {
      revision: policy.revision,
      services: policy.matrix.counts.services,
    })
    if (warnings.length > 0) log('warn', 'policy warnings', { warnings: warnings.map(formatProblem) })
    if (!current) for (const inert of policy.inert) log('info', `built-in rule without a source: ${inert}`)
    current = policy
    loadedAtMs = Date.now()
  }
  const reading = await watched([directory], read, 'policy', log)
  return {
    get current() {
      if (!current) throw new Error('a policy was read and is not there')
      return current
    },
    get loadedAtMs() {
      return loadedAtMs
    },
    get refused() {
      return refusedReading
    },
    get lastProblems() {
      return lastProblems
    },
    resources: undefined,
    judge: undefined,
    close: () => {
      reading.close()
      closing.abort()
    },
  }
}

async function load(directory: string, surroundings: PolicySurroundings, signal: AbortSignal): Promise<Read> {
  const options = { ...surroundings, directory }
  const listed = await listPolicyFiles(directory)
  if (!listed.ok) return unreadable([listed.problem])
  if ((await sizeOfFiles(listed.files)) > LARGE_BYTES) {
    const read = await readPolicyInThread(options, signal)
    if (!read.ok) return read
    const policy = await inTurns(openPolicyInSteps(read.packed, options))
    return { ok: true, policy, warnings: read.packed.warnings }
  }
  const read = await readPolicyFiles(listed.files)
  return read.ok ? inTurns(loadPolicyInSteps(read.files, options)) : read
}
