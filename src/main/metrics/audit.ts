import type { Metrics } from '../../adapters/telemetry/metrics.js'
import type { Trail, TrailFigures } from '../../audit/trail.js'

/** Labels are the sinks of the configuration, by type and number. */
export function registerAuditMetrics(metrics: Metrics, trail: Pick<Trail, 'figures'>): void {
  const ofSinks = (read: (figures: TrailFigures) => number) => () =>
    [...trail.figures()].map(([sink, figures]) => ({ labels: { sink }, value: read(figures) }))
  metrics.register({
    name: 'portcullis_audit_written_total',
    help: 'Security events that the sink has written.',
    type: 'counter',
    read: ofSinks(({ written }) => written),
  })
  metrics.register({
    name: 'portcullis_audit_dropped_total',
    help: 'Security events lost.',
    type: 'counter',
    read: ofSinks(({ dropped }) => dropped),
  })
  metrics.register({
    name: 'portcullis_audit_refused_total',
    help: 'Security events that could not be taken, whose calls were refused.',
    type: 'counter',
    read: ofSinks(({ refused }) => refused),
  })
  metrics.register({
    name: 'portcullis_audit_pending',
    help: 'Security events taken and not written yet.',
    type: 'gauge',
    read: ofSinks(({ pending }) => pending),
  })
  metrics.register({
    name: 'portcullis_audit_problem',
    help: '1 while something keeps the sink from writing; /readyz tells what.',
    type: 'gauge',
    read: ofSinks(({ problem }) => (problem === undefined ? 0 : 1)),
  })
}
