import type { StateDelta } from '../../state/record.js'
import { append, type Waiting } from '../../state/coalesce.js'

/** Commits so young are made again after an outage: the server that took over may not have had them. */
const RECENT_MS = 10_000

type Commits = Waiting & { readonly at: number }

/** What was committed lately, by record. Times are of this process, in milliseconds. */
export class RecentCommits {
  /** The least lately committed first. */
  readonly #commits = new Map<string, Commits>()

  add({ key, ops, expiresAtMs }: StateDelta, at: number): void {
    const earlier = this.#commits.get(key)
    const commits: Commits = {
      ops: [...(earlier?.ops ?? [])],
      expiresAtMs: earlier?.expiresAtMs ?? expiresAtMs,
      at,
    }
    const isTaken = append(commits, { ops, expiresAtMs })
    this.#commits.delete(key)
    this.#commits.set(key, isTaken ? commits : { ops: [...ops], expiresAtMs, at })
    for (const [oldest, { at: committedAt }] of this.#commits) {
      if (at - committedAt <= RECENT_MS) break
      this.#commits.delete(oldest)
    }
  }

  /** What may be done once more without harm. */
  *repeatable(now: number): Generator<StateDelta> {
    for (const [key, { ops, expiresAtMs, at }] of this.#commits) {
      const again = ops.filter(([kind]) => kind === 'max' || kind === 'min' || kind === 'latest')
      if (now - at <= RECENT_MS && again.length > 0) yield { key, ops: again, expiresAtMs }
    }
  }
}
