import { callHttp, type HttpRequest, type Way } from '../../../demo/calls.js'

export type Load = {
  /** How often each status came, once the last call is back. */
  stop(): Promise<ReadonlyMap<string, number>>
  /** Calls answered so far. */
  count(): number
}

/** Calls one after the other from each of `callers` until stopped, at most `limitMs`. */
export function startLoad(way: Way, request: HttpRequest, callers: number, limitMs: number): Load {
  const statuses = new Map<string, number>()
  const end = Date.now() + limitMs
  let calls = 0
  const stopping = new AbortController()
  const loops = Array.from({ length: callers }, async () => {
    while (!stopping.signal.aborted && Date.now() < end) {
      const { status } = await callHttp(way, request)
      calls += 1
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  })
  return {
    count: () => calls,
    async stop() {
      stopping.abort()
      await Promise.all(loops)
      return statuses
    },
  }
}
