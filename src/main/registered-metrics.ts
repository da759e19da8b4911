import type { EmbeddedReplayGuard } from '../adapters/embedded-replay-guard.js'
import type { LineSink } from '../adapters/line-sink.js'
import { type Metrics, PROCESS_METRICS } from '../adapters/metrics.js'
import type { LiveKeys } from './live-keys.js'
import type { LivePolicy } from './live-policy.js'
import type { LiveVerifiers } from './verifiers.js'

export type Measured = {
  readonly metrics: Metrics
  readonly policy: LivePolicy
  readonly sink: LineSink
  readonly keys: LiveKeys
  readonly verifiers: LiveVerifiers
  readonly usedTokens: EmbeddedReplayGuard
}

/** What /metrics tells beside decisions. Labels come from the configuration and the policy, never from a request. */
export function registerMetrics({ metrics, policy, sink, keys, verifiers, usedTokens }: Measured): void {
  for (const metric of PROCESS_METRICS) metrics.register(metric)
  metrics.register({
    name: 'portcullis_policy_info',
    help: 'The policy in force, by the hash of what it says.',
    type: 'gauge',
    read: () => [{ labels: { revision: policy.current.revision }, value: 1 }],
  })
  metrics.register({
    name: 'portcullis_policy_services',
    help: 'Services that the policy in force names.',
    type: 'gauge',
    read: () => policy.current.matrix.counts.services,
  })
  metrics.register({
    name: 'portcullis_policy_refused',
    help: '1 while the newest policy on disk is refused and an older one is in force.',
    type: 'gauge',
    read: () => (policy.lastProblems.length > 0 ? 1 : 0),
  })
  metrics.register({
    name: 'portcullis_audit_dropped_total',
    help: 'Security events lost.',
    type: 'counter',
    read: () => sink.dropped,
  })
  metrics.register({
    name: 'portcullis_audit_refused_total',
    help: 'Security events that could not be taken, whose calls were refused.',
    type: 'counter',
    read: () => sink.refused,
  })
  metrics.register({
    name: 'portcullis_verdicts',
    help: 'Remembered verdicts on credentials.',
    type: 'gauge',
    read: () =>
      Object.entries(verifiers.sizes()).flatMap(([credential, size]) =>
        Object.entries(size).map(([verdict, value]) => ({ labels: { credential, verdict }, value })),
      ),
  })
  metrics.register({
    name: 'portcullis_key_set_last_success_seconds',
    help: 'When a key set was last fetched, since the epoch.',
    type: 'gauge',
    read: () =>
      [...keys.health()].flatMap(([url, { lastSuccessMs }]) =>
        lastSuccessMs === undefined ? [] : [{ labels: { url }, value: lastSuccessMs / 1000 }],
      ),
  })
  metrics.register({
    name: 'portcullis_used_tokens',
    help: 'Service tokens remembered as used.',
    type: 'gauge',
    read: () => usedTokens.size,
  })
}
