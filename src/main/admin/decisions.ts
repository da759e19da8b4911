import type { AdminPorts } from '../../admin/ports.js'
import type { RecentDecisions } from '../../admin/recent-decisions.js'
import type { Others } from '../workers/team.js'

/** Decisions of this process, and of the others that answer together with it. */
export function decisionsPort(
  recent: Pick<RecentDecisions, 'newest' | 'follow'>,
  others: Pick<Others, 'decisions' | 'follow'> | undefined,
): AdminPorts['decisions'] {
  if (!others) {
    return {
      newest: () => ({ ok: true, value: recent.newest() }),
      follow: (listener) => recent.follow(listener),
    }
  }
  return {
    newest: async () => {
      const { lines, silent } = await others.decisions()
      if (silent.length > 0) {
        const message = `worker ${silent.join(' and ')} did not tell its decisions in time; ask again`
        return { ok: false, status: 503, problems: [{ pointer: [], code: 'worker-silent', message }] }
      }
      return { ok: true, value: newestOfAll([[...recent.newest()], ...lines]) }
    },
    follow: (listener) => {
      const leaves = [recent.follow(listener), others.follow(listener)]
      return () => {
        for (const leave of leaves) leave()
      }
    },
  }
}

const TIMESTAMP = /"timestamp":"([^"]+)"/

/** One list, newest first, of lists that each are. */
export function newestOfAll(lists: readonly (readonly string[])[]): string[] {
  const timed = lists.flat().map((line) => ({ line, at: TIMESTAMP.exec(line)?.[1] ?? '' }))
  // Times of one form and zone sort as text; those of one list keep their order where they are equal.
  return timed.toSorted((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0)).map(({ line }) => line)
}
