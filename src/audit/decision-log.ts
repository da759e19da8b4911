import { eventId, type EventFields, numberOf, parseEventLine, printableJson, textOf } from './event-fields.js'

/** What was decided or came of it; everything else that an event says is `input`. */
const RESULT = new Set([
  'decision',
  'decisionReason',
  'message',
  'rule',
  'ruleSource',
  'riskScore',
  'riskFactors',
  'mode',
  'wouldBeDecision',
  'wouldBeReason',
  'state',
  'grantId',
  'obligations',
  'success',
  'errorCode',
  'effective',
])
/** Said by members of the record's own. */
const OWN = new Set(['timestamp', 'eventType', 'policyRevision', 'traceId', 'spanId', 'durationUs'])
/** What a request has and no event ever holds. */
const ERASED = ['/input/requestHeaders', '/input/requestQuery', '/input/requestBody']

/**
 * A security event as a record of a decision log: one JSON object on one line. `path` names the type of event,
 * for example `portcullis/authorization`. Source: SPECS 7.
 */
export function renderDecisionLog(line: string, labels: Readonly<Record<string, string>>): string {
  const event = parseEventLine(line)
  const [input, result] = split(event)
  const revision = textOf(event, 'policyRevision')
  const durationUs = numberOf(event, 'durationUs')
  return printableJson({
    labels,
    decision_id: eventId(event, line),
    bundles: revision === undefined ? undefined : { policy: { revision } },
    path: `portcullis/${textOf(event, 'eventType') ?? 'unknown'}`,
    input,
    result,
    requested_by: requesterOf(event),
    timestamp: textOf(event, 'timestamp'),
    metrics: durationUs === undefined ? undefined : { timer_server_handler_ns: durationUs * 1000 },
    trace_id: textOf(event, 'traceId'),
    span_id: textOf(event, 'spanId'),
    erased: event.requestMethod === undefined ? undefined : ERASED,
  })
}

/** A decision's result begins with `allowed`, which says whether the call was let pass. */
function split(event: EventFields): [Record<string, unknown>, Record<string, unknown>] {
  const input: Record<string, unknown> = {}
  const result: Record<string, unknown> = {}
  if (event.decision !== undefined) result.allowed = event.decision === 'allow'
  for (const field of Object.keys(event)) {
    if (RESULT.has(field)) result[field] = event[field]
    else if (!OWN.has(field)) input[field] = event[field]
  }
  return [input, result]
}

/** `ip:port` of the peer that the call came from, or of the administrator's. */
function requesterOf(event: EventFields): string | undefined {
  const ip = textOf(event, 'sourceIp') ?? textOf(event, 'remoteIp')
  const port = numberOf(event, 'sourcePort')
  if (ip === undefined || port === undefined) return ip
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
}
