import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { ReadMetric } from './metrics.js'

/** Of this process, under the names that dashboards know. */
export const PROCESS_METRICS: readonly ReadMetric[] = [
  {
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time.',
    type: 'counter',
    read: () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1e6
    },
  },
  {
    name: 'process_resident_memory_bytes',
    help: 'Resident memory.',
    type: 'gauge',
    read: () => process.memoryUsage.rss(),
  },
  {
    name: 'process_start_time_seconds',
    help: 'Start of the process, since the epoch.',
    type: 'gauge',
    read: () => performance.timeOrigin / 1000,
  },
]

export type EventLoopDelay = { readonly metric: ReadMetric; close(): void }

const RESOLUTION_MS = 20
const WINDOW_MS = 10_000

/** How late the event loop turns, within the last ten to twenty seconds: readers don't disturb each other. */
export function watchEventLoop(): EventLoopDelay {
  let current = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  current.enable()
  let before = current
  const timer = setInterval(() => {
    if (before !== current) before.disable()
    before = current
    current = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    current.enable()
  }, WINDOW_MS).unref()
  /** The turn that is watched comes after the resolution; what is longer is delay. Seconds. */
  const delay = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS) / 1000
  return {
    metric: {
      name: 'portcullis_event_loop_delay_seconds',
      help: 'How late the event loop turned within the last 10 to 20 seconds, by percentile; 100 is the longest.',
      type: 'gauge',
      read: () =>
        [50, 99, 100].map((percent) => ({
          labels: { percentile: String(percent) },
          value: delay(before.percentile(percent)),
        })),
    },
    close: () => {
      clearInterval(timer)
      before.disable()
      current.disable()
    },
  }
}
