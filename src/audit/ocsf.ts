import { eventId, type EventFields, numberOf, parseEventLine, printableJson, textOf } from './event-fields.js'
import { CONTROL_FIELDS, controlOf } from './ocsf-control.js'
import { actorOf, destinationOf, type Part, PARTY_FIELDS, requestOf, sourceOf } from './ocsf-parties.js'

const VERSION = '1.8.0'
const PRODUCT = { name: 'Portcullis', vendor_name: 'Portcullis' }
const CATEGORY = 6
const CLASS = 6003
const ACTIVITY = { Unknown: 0, Create: 1, Read: 2, Update: 3, Delete: 4, Other: 99 } as const
type Activity = (typeof ACTIVITY)[keyof typeof ACTIVITY]

const ACTIVITY_OF_METHOD: ReadonlyMap<string, Activity> = new Map([
  ['GET', ACTIVITY.Read],
  ['HEAD', ACTIVITY.Read],
  ['OPTIONS', ACTIVITY.Read],
  ['QUERY', ACTIVITY.Read],
  ['POST', ACTIVITY.Create],
  ['PUT', ACTIVITY.Update],
  ['PATCH', ACTIVITY.Update],
  ['DELETE', ACTIVITY.Delete],
])
/** By the verb of an administrator's action, as in `grant.create`; every other one changes something. */
const ACTIVITY_OF_VERB: ReadonlyMap<string, Activity> = new Map([
  ['create', ACTIVITY.Create],
  ['add', ACTIVITY.Create],
  ['revoke', ACTIVITY.Delete],
  ['remove', ACTIVITY.Delete],
  ['lift', ACTIVITY.Delete],
  ['terminate', ACTIVITY.Delete],
])

const SEVERITY = { Informational: 1, Low: 2, Medium: 3, High: 4, Critical: 5 } as const
const SEVERITY_OF_NAME: ReadonlyMap<string, number> = new Map(
  Object.entries(SEVERITY).map(([name, id]) => [name.toLowerCase(), id]),
)

/** Fields that attributes of the class tell; every other one is `unmapped`. */
const MAPPED: ReadonlySet<string> = new Set([
  ...PARTY_FIELDS,
  ...CONTROL_FIELDS,
  'timestamp',
  'eventType',
  'decisionId',
  'decision',
  'decisionReason',
  'message',
  'success',
  'errorCode',
  'resourceType',
  'resourceId',
  'traceId',
  'spanId',
  'durationUs',
])

/**
 * A security event of any type as an OCSF record: one JSON object on one line. Class API Activity; a decision with the
 * profile security_control, a traced one with the profile trace. Source: SPECS 6.
 */
export function renderOcsf(line: string): string {
  const event = parseEventLine(line)
  const time = Date.parse(textOf(event, 'timestamp') ?? '')
  const activity = activityOf(event)
  const isDecision = event.decision !== undefined
  const trace = traceOf(event, time)
  const resource = textOf(event, 'resourceId')
  return printableJson({
    time,
    class_uid: CLASS,
    category_uid: CATEGORY,
    activity_id: activity,
    activity_name: activity === ACTIVITY.Other ? textOf(event, 'eventType') : undefined,
    type_uid: CLASS * 100 + activity,
    severity_id: severityOf(event),
    metadata: metadataOf(event, line, isDecision, trace !== undefined),
    actor: actorOf(event),
    api: apiOf(event),
    src_endpoint: sourceOf(event),
    dst_endpoint: destinationOf(event),
    http_request: requestOf(event),
    resources: resource === undefined ? undefined : [{ uid: resource, type: textOf(event, 'resourceType') }],
    status_id: typeof event.success === 'boolean' ? (event.success ? 1 : 2) : undefined,
    status_code: textOf(event, 'decisionReason') ?? textOf(event, 'errorCode'),
    status_detail: textOf(event, 'message'),
    message: summaryOf(event),
    is_alert: event.eventType === 'anomaly' ? true : undefined,
    ...(isDecision && controlOf(event)),
    trace,
    unmapped: unmappedOf(event, isDecision),
  })
}

function activityOf(event: EventFields): Activity {
  if (event.eventType === 'administration') {
    const verb = textOf(event, 'action')?.replace(/^.*\./, '') ?? ''
    return ACTIVITY_OF_VERB.get(verb) ?? ACTIVITY.Update
  }
  if (event.eventType !== 'authorization') return ACTIVITY.Other
  const method = textOf(event, 'requestMethod')
  if (method === undefined) return event.protocol === 'TCP' ? ACTIVITY.Other : ACTIVITY.Unknown
  return ACTIVITY_OF_METHOD.get(method) ?? ACTIVITY.Other
}

/** What an event says itself; else by what was decided: what Portcullis failed at itself is high. */
function severityOf(event: EventFields): number {
  const own = SEVERITY_OF_NAME.get((textOf(event, 'severity') ?? '').toLowerCase())
  if (own !== undefined) return own
  if (event.eventType === 'withdrawal') return SEVERITY.High
  if (event.decision !== undefined && event.errorCode !== undefined) return SEVERITY.High
  const isFine = event.success !== false && event.wouldBeDecision === undefined
  return isFine ? SEVERITY.Informational : SEVERITY.Low
}

function metadataOf(event: EventFields, line: string, isDecision: boolean, isTraced: boolean): Part {
  const requestId = textOf(event, 'requestId')
  // A decision's own id is its uid; what is told later about a decision leads back to it.
  const correlation =
    event.eventType === 'authorization' ? requestId : (textOf(event, 'decisionId') ?? requestId)
  return {
    version: VERSION,
    product: PRODUCT,
    profiles: [isDecision ? 'security_control' : undefined, isTraced ? 'trace' : undefined].filter(isGiven),
    uid: eventId(event, line),
    correlation_uid: correlation,
    event_code: textOf(event, 'eventType'),
  }
}

/** The endpoint that the policy names, else what was called as far as that could be read. */
function apiOf(event: EventFields): Part {
  const operation =
    textOf(event, 'endpoint') ??
    textOf(event, 'grpcMethod') ??
    textOf(event, 'action') ??
    textOf(event, 'signalType') ??
    textOf(event, 'requestMethod') ??
    textOf(event, 'protocol') ??
    (event.eventType === 'authorization' ? 'unknown' : textOf(event, 'eventType'))
  const service = textOf(event, 'targetService')
  const request = textOf(event, 'requestId')
  const error = textOf(event, 'errorCode')
  return {
    operation: operation ?? 'unknown',
    service: service === undefined ? undefined : { name: service },
    request: request === undefined ? undefined : { uid: request },
    response: error === undefined ? undefined : { error },
  }
}

/** The span is the one that the request came with; its times are those of the decision within it. */
function traceOf(event: EventFields, time: number): Part | undefined {
  const [trace, span] = [textOf(event, 'traceId'), textOf(event, 'spanId')]
  if (trace === undefined) return undefined
  const end = time + Math.ceil((numberOf(event, 'durationUs') ?? 0) / 1000)
  return { uid: trace, span: span === undefined ? undefined : { uid: span, start_time: time, end_time: end } }
}

function summaryOf(event: EventFields): string {
  if (event.decision === undefined) {
    const what = textOf(event, 'action') ?? textOf(event, 'message') ?? textOf(event, 'signalType')
    return [textOf(event, 'eventType'), what].filter(isGiven).join(': ')
  }
  return `${textOf(event, 'decision') ?? 'unknown'}: ${textOf(event, 'decisionReason') ?? 'unknown'}`
}

function unmappedOf(event: EventFields, isDecision: boolean): Part {
  const unmapped: Part = {}
  for (const field of Object.keys(event)) {
    const isTold = MAPPED.has(field) && (isDecision || !TOLD_OF_DECISIONS.has(field))
    if (!isTold) unmapped[field] = event[field]
  }
  // With a hop between, the source has another port than the peer.
  if (event.clientIp === undefined || event.clientIp === event.sourceIp) unmapped.sourcePort = undefined
  return unmapped
}

const TOLD_OF_DECISIONS: ReadonlySet<string> = new Set(CONTROL_FIELDS)

function isGiven(text: string | undefined): text is string {
  return text !== undefined
}
