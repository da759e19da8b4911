import type { ApiClient } from '../adapters/kubernetes/api-client.js'
import { pluralOf } from '../policy/resources/crds.js'
import { keyOf, type Resource } from '../policy/resources/resource.js'
import type { Verdict } from '../policy/resources/settle.js'
import { isToldAlready, type ResourceStatus, statusOf } from '../policy/resources/status.js'
import { API_VERSION } from '../segmentation/vocabulary.js'
import type { Log } from './log.js'

type Clock = { readonly nowMs: () => number; readonly random: () => number }

type Wanted = { readonly resource: Resource; readonly status: ResourceStatus; readonly says: string }

const AT_ONCE = 4
const TIMEOUT_MS = 5000
const MAX_ANSWER_BYTES = 8 * 1024 * 1024
/** Replicas come to the same verdict: one that waits longer finds it told. */
const SPREAD_MS = 150
const LEAST_BACKOFF_MS = 500
const MOST_BACKOFF_MS = 60_000

/**
 * Writes verdicts to the status of their resources. Every replica does, as they agree: what is told already is not
 * written, and a write counts only for the version of the resource that was looked at. A replica tells a verdict of its
 * own once, so that two that don't agree don't write against each other for ever.
 */
export class StatusWriter {
  readonly #client: Pick<ApiClient, 'patch'>
  readonly #log: Log
  readonly #clock: Clock
  readonly #abort = new AbortController()
  readonly #waiting = new Map<string, Wanted>()
  /** What was last written, by key: with the uid and everything but times. */
  readonly #written = new Map<string, string>()
  #atWork = 0
  #timer: NodeJS.Timeout | undefined
  #problem: string | undefined
  #failuresInRow = 0
  #failures = 0

  constructor(client: Pick<ApiClient, 'patch'>, log: Log, clock: Clock) {
    this.#client = client
    this.#log = log
    this.#clock = clock
  }

  get figures(): { readonly statusesWaiting: number; readonly statusFailures: number } {
    return { statusesWaiting: this.#waiting.size + this.#atWork, statusFailures: this.#failures }
  }

  /** Takes the place of all that was to be told before. */
  tell(verdicts: readonly Verdict[], revision: string): void {
    const now = new Date(this.#clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z')
    this.#waiting.clear()
    const keys = new Set<string>()
    for (const verdict of verdicts) {
      const key = keyOf(verdict.resource)
      keys.add(key)
      const status = statusOf(verdict, revision, now)
      const says = textOf(verdict.resource, status)
      if (isToldAlready(verdict.resource, status) || this.#written.get(key) === says) continue
      this.#waiting.set(key, { resource: verdict.resource, status, says })
    }
    for (const key of this.#written.keys()) if (!keys.has(key)) this.#written.delete(key)
    if (this.#waiting.size > 0 && this.#timer === undefined) this.#wake(this.#clock.random() * SPREAD_MS)
  }

  close(): void {
    this.#abort.abort()
    clearTimeout(this.#timer)
    this.#waiting.clear()
  }

  #wake(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      while (this.#atWork < AT_ONCE && this.#next()) this.#atWork++
    }, ms)
    this.#timer.unref()
  }

  /** Begins with one; false when there is none. */
  #next(): boolean {
    const [first] = this.#waiting
    if (!first || this.#abort.signal.aborted) return false
    const [key, wanted] = first
    this.#waiting.delete(key)
    void this.#write(key, wanted)
    return true
  }

  async #write(key: string, { resource, status, says }: Wanted): Promise<void> {
    const reply = await this.#client.patch(
      pathOf(resource),
      JSON.stringify({ metadata: { resourceVersion: resource.resourceVersion, uid: resource.uid }, status }),
      { timeoutMs: TIMEOUT_MS, maxBytes: MAX_ANSWER_BYTES, signal: this.#abort.signal },
    )
    this.#atWork--
    if (this.#abort.signal.aborted) return
    if (reply.ok) {
      this.#written.set(key, says)
      this.#succeed()
    } else if (reply.status !== 404 && reply.status !== 409) {
      // Somebody changed or deleted it: the watch brings what it is now. Anything else is tried again.
      this.#failAt(key, { resource, status, says }, reply.problem)
      return
    }
    if (this.#next()) this.#atWork++
  }

  #succeed(): void {
    if (this.#problem !== undefined) this.#log('info', 'statuses are written again')
    this.#problem = undefined
    this.#failuresInRow = 0
  }

  #failAt(key: string, wanted: Wanted, problem: string): void {
    this.#failures++
    this.#failuresInRow++
    if (!this.#waiting.has(key)) this.#waiting.set(key, wanted)
    if (this.#problem === undefined)
      this.#log('warn', 'the status of a custom resource can not be written', { resource: key, problem })
    this.#problem = problem
    const ceiling = Math.min(MOST_BACKOFF_MS, LEAST_BACKOFF_MS * 2 ** Math.min(this.#failuresInRow, 20))
    if (this.#timer === undefined) this.#wake(ceiling * (0.5 + 0.5 * this.#clock.random()))
  }
}

function pathOf({ kind, namespace, name }: Resource): string {
  const within = namespace === undefined ? '' : `/namespaces/${namespace}`
  return `/apis/${API_VERSION}${within}/${pluralOf(kind)}/${name}/status?fieldManager=portcullis`
}

function textOf({ uid }: Resource, status: ResourceStatus): string {
  const { conditions, observedGeneration, programmedGeneration } = status
  const told = conditions.map(({ type, status: is, reason, message }) => [type, is, reason, message])
  return JSON.stringify([uid, observedGeneration, programmedGeneration, told])
}
