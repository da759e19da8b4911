import type { Metrics } from '../../adapters/telemetry/metrics.js'
import type { ClosedConnections } from '../closed-connections.js'

/** Labels are the names of listeners and a closed list of reasons. */
export function registerClosedConnections(
  metrics: Metrics,
  { counts }: Pick<ClosedConnections, 'counts'>,
): void {
  metrics.register({
    name: 'portcullis_connections_closed_total',
    help: 'Connections that a listener ended or did not let in, by reason; those of its own end are not counted.',
    type: 'counter',
    read: () =>
      Array.from(counts(), ([listener, reason, value]) => ({ labels: { listener, reason }, value })),
  })
}
