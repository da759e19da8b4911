import type { AlertSinkFigures } from '../risk/alert-sink.js'
import type { AlertSinks } from './alert-sinks.js'
import type { Expiries } from './expiries.js'
import type { Feedback } from './feedback.js'
import type { StateStore } from '../state/store.js'
import type { Trail } from '../audit/trail.js'
import type { Metrics } from '../adapters/telemetry/metrics.js'
import { PROCESS_METRICS } from '../adapters/telemetry/process-metrics.js'
import type { LiveKeys } from './live-keys.js'
import type { LiveSsf } from './live-ssf.js'
import type { LiveTrust } from './live-trust.js'
import type { LivePolicy } from './live-policy.js'
import { registerAuditMetrics } from './metrics/audit.js'
import { registerResourceMetrics } from './metrics/resources.js'
import { registerTrustMetrics } from './metrics/trust.js'
import type { LiveVerifiers } from './verifiers.js'

export type Measured = {
  readonly metrics: Metrics
  readonly policy: LivePolicy
  readonly trail: Pick<Trail, 'figures'>
  readonly keys: LiveKeys
  readonly trust: LiveTrust
  readonly verifiers: LiveVerifiers
  readonly store: StateStore
  readonly alertSinks: AlertSinks
  readonly given: Feedback['given']
  readonly ssf: Pick<LiveSsf, 'health'>
  readonly keysMaxStaleMs: number
  readonly expiries: Pick<Expiries, 'all'>
  readonly load: {
    /** Checks that wait for something. */
    readonly deciding: () => number
    /** Calls that were refused unseen. */
    readonly shed: () => number
    /** How long the last call may have waited before it was read, milliseconds. */
    readonly waitedMs: () => number
    /** By listener. */
    readonly connections: () => Iterable<readonly [string, number]>
  }
}

/** What /metrics tells beside decisions. Labels come from the configuration and the policy, never from a request. */
export function registerMetrics(measured: Measured): void {
  const { metrics, policy, trail, keys, trust, verifiers, store, alertSinks, given, ssf } = measured
  registerExpiries(metrics, measured.expiries)
  registerLoad(metrics, measured.load)
  registerTrustMetrics(metrics, trust)
  registerSignalMetrics(metrics, ssf)
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
    help: '1 while the newest policy, or a custom resource, is refused and what was before is in force.',
    type: 'gauge',
    read: () => (policy.refused ? 1 : 0),
  })
  const { resources } = policy
  if (resources) registerResourceMetrics(metrics, resources)
  registerAuditMetrics(metrics, trail)
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
    name: 'portcullis_key_set_expiry_seconds',
    help: 'Until when a key set is believed if it is not fetched again, since the epoch.',
    type: 'gauge',
    read: () =>
      [...keys.health()].flatMap(([url, { lastSuccessMs }]) =>
        lastSuccessMs === undefined
          ? []
          : [{ labels: { url }, value: (lastSuccessMs + measured.keysMaxStaleMs) / 1000 }],
      ),
  })
  metrics.register({
    name: 'portcullis_used_tokens',
    help: 'Service tokens remembered as used.',
    type: 'gauge',
    read: () => ('size' in store.claims ? Number(store.claims.size) : undefined),
  })
  registerStateMetrics(metrics, store)
  registerAlertMetrics(metrics, alertSinks)
  if (given) registerFeedbackMetrics(metrics, given)
}

/** Labels are `admin` and the names of listeners. */
function registerExpiries(metrics: Metrics, expiries: Pick<Expiries, 'all'>): void {
  metrics.register({
    name: 'portcullis_certificate_expiry_seconds',
    help: 'When the certificate of a listener or of the admin API expires, since the epoch; of a chain the first.',
    type: 'gauge',
    read: () =>
      Array.from(expiries.all(), ([certificate, ms]) => ({ labels: { certificate }, value: ms / 1000 })),
  })
}

/** Labels are the names of listeners. */
function registerLoad(metrics: Metrics, { deciding, shed, waitedMs, connections }: Measured['load']): void {
  metrics.register({
    name: 'portcullis_calls_shed_total',
    help: 'Checks that were refused unseen, since they had waited for more than half of their time.',
    type: 'counter',
    read: shed,
  })
  metrics.register({
    name: 'portcullis_read_wait_seconds',
    help: 'How long the last Check may have waited before it was read; near 0 while there is time for every call.',
    type: 'gauge',
    read: () => waitedMs() / 1000,
  })
  metrics.register({
    name: 'portcullis_checks_waiting',
    help: 'Checks that wait for a signature, the store or the record of their event before their answer.',
    type: 'gauge',
    read: deciding,
  })
  metrics.register({
    name: 'portcullis_connections',
    help: 'Open connections.',
    type: 'gauge',
    read: () => Array.from(connections(), ([listener, value]) => ({ labels: { listener }, value })),
  })
}

function registerStateMetrics(metrics: Metrics, store: StateStore): void {
  const standings = ['current', 'last-known', 'unavailable'] as const
  metrics.register({
    name: 'portcullis_state_standing',
    help: '1 for how the store of state stands: current, last-known (copies alone) or unavailable.',
    type: 'gauge',
    read: () => {
      const { standing } = store.health()
      return standings.map((each) => ({ labels: { standing: each }, value: each === standing ? 1 : 0 }))
    },
  })
  metrics.register({
    name: 'portcullis_state_copies',
    help: 'Records of subjects held in memory.',
    type: 'gauge',
    read: () => store.health().copies,
  })
  metrics.register({
    name: 'portcullis_state_pending',
    help: 'Changes of records that are not written yet.',
    type: 'gauge',
    read: () => store.health().pending,
  })
  metrics.register({
    name: 'portcullis_state_lost_total',
    help: 'Changes of records that could not be kept.',
    type: 'counter',
    read: () => store.health().lost,
  })
}

function registerAlertMetrics(metrics: Metrics, alertSinks: AlertSinks): void {
  const of = (read: (figures: AlertSinkFigures) => number) => () =>
    Array.from(alertSinks.figures(), ([sink, figures]) => ({ labels: { sink }, value: read(figures) }))
  metrics.register({
    name: 'portcullis_alerts_delivered_total',
    help: 'Alerts that a sink took.',
    type: 'counter',
    read: of(({ delivered }) => delivered),
  })
  metrics.register({
    name: 'portcullis_alerts_dropped_total',
    help: 'Alerts given up.',
    type: 'counter',
    read: of(({ dropped }) => dropped),
  })
  metrics.register({
    name: 'portcullis_alerts_pending',
    help: 'Alerts that wait for a sink.',
    type: 'gauge',
    read: of(({ pending }) => pending),
  })
}

function registerFeedbackMetrics(metrics: Metrics, given: NonNullable<Feedback['given']>): void {
  metrics.register({
    name: 'portcullis_access_log_entries_total',
    help: 'Entries of access logs, by whether they counted: taken once, unknown decision, foreign Envoy, or repeated.',
    type: 'counter',
    read: () =>
      Object.entries({ taken: given.taken, ...given.notTaken }).map(([outcome, value]) => ({
        labels: { outcome },
        value,
      })),
  })
}

/** Labels are the issuers of transmitters in the configuration. */
function registerSignalMetrics(metrics: Metrics, ssf: Pick<LiveSsf, 'health'>): void {
  const outcomes = ['accepted', 'ignored', 'repeated', 'refused', 'unavailable'] as const
  metrics.register({
    name: 'portcullis_signals_total',
    help: 'Security events that transmitters sent. Ignored and repeated ones are accepted too.',
    type: 'counter',
    read: () =>
      [...ssf.health()].flatMap(([transmitter, health]) =>
        outcomes.map((outcome) => ({ labels: { transmitter, outcome }, value: health[outcome] })),
      ),
  })
  metrics.register({
    name: 'portcullis_signal_problem',
    help: '1 while signals of the transmitter may be missing: its stream is paused, or it can not be asked.',
    type: 'gauge',
    read: () =>
      [...ssf.health()].map(([transmitter, { problem }]) => ({
        labels: { transmitter },
        value: problem === undefined ? 0 : 1,
      })),
  })
}
