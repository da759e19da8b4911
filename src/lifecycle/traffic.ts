import { isJsonObject, parseStrictJson, type JsonObject } from '../identity/strict-json.js'

/** What a security event says of one call, as far as `lint`, `learn`, `diff` and `explain` need it. Source: FORMATS 5. */
export type TrafficEvent = {
  readonly decisionId: string
  /** Milliseconds since the epoch. */
  readonly atMs: number
  /** SPIFFE ID of the calling workload. */
  readonly workloadId: string | undefined
  /** `namespace/name`, where the policy of then named them; of the target else the usual name of its SPIFFE ID. */
  readonly callerService: string | undefined
  readonly targetService: string | undefined
  readonly endpoint: string | undefined
  /** `TCP`, else `HTTP/1.1`, `HTTP/2`, `HTTP/3`. */
  readonly protocol: string | undefined
  readonly requestMethod: string | undefined
  /** Canonical, without query. */
  readonly requestPath: string | undefined
  readonly requestHost: string | undefined
  /** `package.Service/Method` of a gRPC call. */
  readonly grpcMethod: string | undefined
  readonly destinationPort: number | undefined
  readonly userId: string | undefined
  readonly userIssuer: string | undefined
  readonly userRoles: readonly string[]
  readonly decision: 'allow' | 'deny' | 'challenge'
  readonly decisionReason: string
  readonly message: string | undefined
  readonly rule: string | undefined
  /** `file:line:column` as of the policy of then. */
  readonly ruleSource: string | undefined
  readonly mode: string | undefined
  readonly wouldBeDecision: string | undefined
  readonly wouldBeReason: string | undefined
  readonly riskScore: number | undefined
  readonly policyRevision: string | undefined
  /** Every field as it was written. */
  readonly fields: JsonObject
}

/** Longest line that is read, UTF-16 units. */
const MAX_LINE = 256 * 1024

/** Of a line of an encrypted audit log. */
export const ENCRYPTED = 'encrypted: open it with `portcullis audit decrypt` first'

export type ReadLine =
  | { readonly kind: 'event'; readonly event: TrafficEvent }
  /** A blank line, or an event of another type than a decision's. */
  | { readonly kind: 'other' }
  /** The answer of the event with this id was not given: the call was refused. */
  | { readonly kind: 'withdrawal'; readonly decisionId: string }
  | { readonly kind: 'bad'; readonly problem: string }

/** Reads one line of a log of security events. Bad input is a result. */
export function readTrafficLine(line: string): ReadLine {
  if (line.trim() === '') return { kind: 'other' }
  if (line.length > MAX_LINE) return { kind: 'bad', problem: `longer than ${MAX_LINE} characters` }
  const parsed = parseStrictJson(line)
  if (!parsed.ok) return { kind: 'bad', problem: parsed.problem }
  if (!isJsonObject(parsed.value)) return { kind: 'bad', problem: 'no JSON object' }
  const fields = parsed.value
  if (fields['eventType'] === 'withdrawal' && typeof fields['decisionId'] === 'string')
    return { kind: 'withdrawal', decisionId: fields['decisionId'] }
  if (fields['eventType'] !== 'authorization') {
    if (typeof fields['jwe'] === 'string') return { kind: 'bad', problem: ENCRYPTED }
    return typeof fields['eventType'] === 'string'
      ? { kind: 'other' }
      : { kind: 'bad', problem: 'no security event: `eventType` is missing' }
  }
  const decisionId = text(fields, 'decisionId')
  const atMs = Date.parse(text(fields, 'timestamp') ?? '')
  const decision = OUTCOMES.find((outcome) => outcome === fields['decision'])
  const decisionReason = text(fields, 'decisionReason')
  if (decisionId === undefined || Number.isNaN(atMs) || !decision || decisionReason === undefined) {
    const problem = 'no whole security event: timestamp, decisionId, decision or decisionReason is missing'
    return { kind: 'bad', problem }
  }
  return {
    kind: 'event',
    event: {
      decisionId,
      atMs,
      workloadId: text(fields, 'workloadId'),
      callerService: text(fields, 'callerService'),
      targetService: text(fields, 'targetService') ?? usualName(text(fields, 'targetId')),
      endpoint: text(fields, 'endpoint'),
      protocol: text(fields, 'protocol'),
      requestMethod: text(fields, 'requestMethod'),
      requestPath: text(fields, 'requestPath'),
      requestHost: text(fields, 'requestHost'),
      grpcMethod: text(fields, 'grpcMethod'),
      destinationPort: number(fields, 'destinationPort'),
      userId: text(fields, 'userId'),
      userIssuer: text(fields, 'userIssuer'),
      userRoles: texts(fields['userRoles']),
      decision,
      decisionReason,
      message: text(fields, 'message'),
      rule: text(fields, 'rule'),
      ruleSource: text(fields, 'ruleSource'),
      mode: text(fields, 'mode'),
      wouldBeDecision: text(fields, 'wouldBeDecision'),
      wouldBeReason: text(fields, 'wouldBeReason'),
      riskScore: number(fields, 'riskScore'),
      policyRevision: text(fields, 'policyRevision'),
      fields,
    },
  }
}

/** `namespace/name` of a SPIFFE ID of the usual form; undefined for another. */
function usualName(spiffeId: string | undefined): string | undefined {
  const [, namespace, name] = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(spiffeId ?? '') ?? []
  return namespace === undefined ? undefined : `${namespace}/${name}`
}

const OUTCOMES = ['allow', 'deny', 'challenge'] as const

function text(fields: JsonObject, name: string): string | undefined {
  const value = fields[name]
  return typeof value === 'string' ? value : undefined
}

function number(fields: JsonObject, name: string): number | undefined {
  const value = fields[name]
  return typeof value === 'number' ? value : undefined
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}
