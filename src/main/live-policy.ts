import { relative } from 'node:path'
import { listPolicyFiles, readFileBounded, watchPaths } from '../adapters/files.js'
import type { Config } from '../config/config.js'
import { loadPolicy, type LoadedPolicy, type Policy } from '../policy/load-policy.js'
import { formatProblem } from '../schema/problem.js'
import { type Log, StartFailure } from './log.js'

const MAX_FILE_BYTES = 16 * 1024 * 1024
const SETTLE_MS = 100

type PolicyPlace = Pick<Config, 'policy' | 'trustDomain' | 'trustDomains'>

/**
 * The policy in force, reloaded when its directory changes. A directory with any error is refused whole:
 * the old policy stays, and `lastProblems` says why until a good one is read.
 */
export class LivePolicy {
  readonly #config: PolicyPlace
  readonly #log: Log
  #current: Policy
  #lastProblems: readonly string[] = []
  #watcher: { close(): void } | undefined
  #loading: Promise<void> | undefined

  private constructor(config: PolicyPlace, log: Log, first: Policy) {
    this.#config = config
    this.#log = log
    this.#current = first
  }

  /** Throws StartFailure with every problem of the directory. */
  static async open(config: PolicyPlace, log: Log): Promise<LivePolicy> {
    const loaded = await load(config)
    if (!loaded.ok) throw new StartFailure(loaded.problems.map(formatProblem))
    const live = new LivePolicy(config, log, loaded.policy)
    live.#announce('policy loaded', loaded)
    for (const inert of loaded.policy.inert) log('info', `built-in rule without a source: ${inert}`)
    live.#watcher = watchPaths([config.policy.directory], () => void live.reload(), { settleMs: SETTLE_MS })
    return live
  }

  get current(): Policy {
    return this.#current
  }

  /** Problems of the newest reading that was refused; empty when the policy in force is the newest. */
  get lastProblems(): readonly string[] {
    return this.#lastProblems
  }

  /** Reads the directory again; calls that come while it does share one more reading. */
  async reload(): Promise<void> {
    if (this.#loading) {
      await this.#loading
      return this.reload()
    }
    this.#loading = this.#reloadOnce().finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  close(): void {
    this.#watcher?.close()
  }

  async #reloadOnce(): Promise<void> {
    const loaded = await load(this.#config)
    if (!loaded.ok) {
      this.#lastProblems = loaded.problems.map(formatProblem)
      this.#log('error', 'policy refused, the old one stays', {
        revision: this.#current.revision,
        problems: this.#lastProblems,
      })
      return
    }
    this.#lastProblems = []
    if (loaded.policy.revision === this.#current.revision) return
    this.#current = loaded.policy
    this.#announce('policy reloaded', loaded)
  }

  #announce(message: string, { policy, warnings }: Extract<LoadedPolicy, { ok: true }>): void {
    this.#log('info', message, { revision: policy.revision, services: policy.matrix.counts.services })
    if (warnings.length > 0) this.#log('warn', 'policy warnings', { warnings: warnings.map(formatProblem) })
  }
}

/** Documents are named by their place below the directory, as operators name them. */
async function load({ policy, trustDomain, trustDomains }: PolicyPlace): Promise<LoadedPolicy> {
  const { directory } = policy
  const listed = await listPolicyFiles(directory)
  if (!listed.ok) return refused([listed.problem])
  const files = []
  const problems = []
  for (const path of listed.files) {
    const read = await readFileBounded(path, MAX_FILE_BYTES)
    if (read.ok) files.push({ file: relative(directory, path), text: read.bytes })
    else problems.push(read.problem)
  }
  if (problems.length > 0) return refused(problems)
  return loadPolicy(files, { localTrustDomain: trustDomain, trustDomains: [...trustDomains.keys()] })
}

function refused(messages: readonly string[]): LoadedPolicy {
  return {
    ok: false,
    problems: messages.map((message) => ({
      severity: 'error',
      code: 'unreadable',
      message,
      position: undefined,
    })),
  }
}
