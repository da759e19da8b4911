import { renderDecisionLog } from '../../audit/decision-log.js'
import type { AuditEvent } from '../../audit/event-sink.js'
import { renderOcsf } from '../../audit/ocsf.js'
import type { AuditFormat, AuditSinkConfig } from '../../config/audit.js'

/** The line of an event in the format that a sink was told. */
export function rendererOf(config: AuditSinkConfig): (event: AuditEvent) => string {
  const labels = config.type === 'Http' ? config.labels : {}
  const renderers = {
    Event: ({ line }) => line,
    Ocsf: ({ line }) => renderOcsf(line),
    DecisionLog: ({ line }) => renderDecisionLog(line, labels),
  } satisfies Record<AuditFormat, (event: AuditEvent) => string>
  return renderers[config.format]
}
