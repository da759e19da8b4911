import type { Metrics } from '../../adapters/telemetry/metrics.js'
import type { LivePolicy } from '../live-policy.js'

/** How custom resources stand; only where policy comes from them. */
export function registerResourceMetrics(
  metrics: Metrics,
  figures: NonNullable<LivePolicy['resources']>,
): void {
  metrics.register({
    name: 'portcullis_policy_resources',
    help: 'Custom resources whose newest version is in force (accepted), and where it is not (refused).',
    type: 'gauge',
    read: () => {
      const { accepted, refused } = figures()
      return [
        { labels: { verdict: 'accepted' }, value: accepted },
        { labels: { verdict: 'refused' }, value: refused },
      ]
    },
  })
  metrics.register({
    name: 'portcullis_policy_unresolved',
    help: 'Names in custom resources that nothing has: what they would open stays closed.',
    type: 'gauge',
    read: () => figures().unresolved,
  })
  metrics.register({
    name: 'portcullis_policy_away_since_seconds',
    help: 'Since when custom resources can not be followed, since the epoch; absent while they can.',
    type: 'gauge',
    read: () => {
      const { awaySinceMs } = figures()
      return awaySinceMs === undefined ? undefined : awaySinceMs / 1000
    },
  })
  metrics.register({
    name: 'portcullis_policy_statuses_waiting',
    help: 'Statuses of custom resources that are to be written.',
    type: 'gauge',
    read: () => figures().statusesWaiting,
  })
  metrics.register({
    name: 'portcullis_policy_status_failures_total',
    help: 'Attempts to write the status of a custom resource that failed.',
    type: 'counter',
    read: () => figures().statusFailures,
  })
}
