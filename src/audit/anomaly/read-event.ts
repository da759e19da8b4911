import { type EventFacts, userName } from './facts.js'

export type ReadEvent =
  | { readonly kind: 'event'; readonly facts: EventFacts }
  /** The answer of that decision was not given. */
  | { readonly kind: 'withdrawal'; readonly decisionId: string }
  /** A blank line, or an event of another type than a decision's. */
  | { readonly kind: 'other' }
  | { readonly kind: 'bad'; readonly problem: string }

const MAX_LINE = 256 * 1024
const OTHER: ReadEvent = { kind: 'other' }

/** Reads a line of a log of security events. `proxies`: SPIFFE IDs that speak for others. Bad input is a result. */
export function readEvent(line: string, proxies: ReadonlySet<string>): ReadEvent {
  if (line.trim() === '') return OTHER
  if (line.length > MAX_LINE) return bad(`longer than ${MAX_LINE} characters`)
  const fields = parse(line)
  if (!fields) return bad('no JSON object')
  const eventType = fields['eventType']
  if (eventType === 'withdrawal') {
    const decisionId = text(fields['decisionId'])
    return decisionId === undefined
      ? bad('a withdrawal without `decisionId`')
      : { kind: 'withdrawal', decisionId }
  }
  if (eventType !== 'authorization') {
    if (typeof eventType === 'string') return OTHER
    if (typeof fields['jwe'] === 'string')
      return bad('encrypted: open it with `portcullis audit decrypt` first')
    return bad('no security event: `eventType` is missing')
  }
  const decisionId = text(fields['decisionId'])
  const atMs = Date.parse(text(fields['timestamp']) ?? '')
  const reason = text(fields['decisionReason'])
  const decision = fields['decision']
  const isOutcome = decision === 'allow' || decision === 'deny' || decision === 'challenge'
  if (decisionId === undefined || Number.isNaN(atMs) || !isOutcome || reason === undefined) {
    return bad('no whole security event: timestamp, decisionId, decision or decisionReason is missing')
  }
  return { kind: 'event', facts: factsOf(fields, decisionId, atMs, decision, reason, proxies) }
}

function factsOf(
  fields: Fields,
  decisionId: string,
  atMs: number,
  decision: 'allow' | 'deny' | 'challenge',
  reason: string,
  proxies: ReadonlySet<string>,
): EventFacts {
  const workloadId = text(fields['workloadId'])
  const userId = text(fields['userId'])
  const isProxy = workloadId !== undefined && proxies.has(workloadId)
  const wouldBe = text(fields['wouldBeReason'])
  const ownAddress = workloadId === undefined || isProxy || fields['viaWorkloadId'] !== undefined
  const factors = fields['riskFactors']
  return {
    atMs,
    decisionId,
    user: userId === undefined ? undefined : userName(userId, text(fields['userIssuer'])),
    workload: workloadId === undefined || isProxy ? undefined : (text(fields['callerService']) ?? workloadId),
    target: text(fields['targetService']) ?? text(fields['targetId']) ?? text(fields['requestHost']),
    endpoint: text(fields['endpoint']),
    userIp: ownAddress ? text(fields['clientIp']) : undefined,
    allowed: decision === 'allow' && wouldBe === undefined,
    refusedFor: decision === 'allow' ? wouldBe : reason,
    classification: text(fields['dataPolicy']),
    operation: text(fields['operation']),
    impossibleTravel: hasFactor(factors, 'impossible-travel'),
    unusualTime: hasFactor(factors, 'unusual-time'),
  }
}

type Fields = Readonly<Record<string, unknown>>

function parse(line: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return isFields(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function hasFactor(factors: unknown, name: string): boolean {
  return Array.isArray(factors) && factors.some((each) => isFields(each) && each['factor'] === name)
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function bad(problem: string): ReadEvent {
  return { kind: 'bad', problem }
}
