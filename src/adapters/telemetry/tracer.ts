import { randomFillSync } from 'node:crypto'
import type { TraceContext } from '../../audit/traceparent.js'
import type { Decision } from '../../decision/decision.js'
import { OWN_FAILURES } from './decision-counts.js'
import { encodeSpan } from './otlp/span.js'

export type TracerOptions = {
  /** 0..1, of calls that belong to no trace. */
  readonly sampleRatio: number
  /** Takes a span, encoded if there is room for it. Never waits. */
  readonly add: (encode: () => Buffer) => void
}

/** The span of one Check, which began with its arrival. */
export type CallSpan = {
  readonly traceId: string
  readonly spanId: string
  readonly isRoot: boolean
  /** `startMs` since the epoch. */
  readonly end: (decision: Decision, decisionId: string, startMs: number, durationUs: number) => void
}

export type Tracer = {
  /** Undefined: this call is not sampled. `parent` is the caller's span; a call without one may begin a trace. */
  readonly start: (parent: TraceContext | undefined) => CallSpan | undefined
}

const NAME = 'envoy.service.auth.v3.Authorization/Check'
const SPAN_ID_BYTES = 8
const TRACE_ID_BYTES = 16

/** Makes a span for each sampled Check, of what was decided and by what, never of what came with the request. */
export function createTracer({ sampleRatio, add }: TracerOptions): Tracer {
  const newId = idSource()
  return {
    start: (parent) => {
      if (parent ? !parent.sampled : sampleRatio === 0 || Math.random() >= sampleRatio) return undefined
      const traceId = parent?.traceId ?? newId(TRACE_ID_BYTES)
      const spanId = newId(SPAN_ID_BYTES)
      return {
        traceId,
        spanId,
        isRoot: parent === undefined,
        end: (decision, decisionId, startMs, durationUs) =>
          add(() =>
            encodeSpan({
              traceId,
              spanId,
              parentSpanId: parent?.spanId,
              name: NAME,
              startMs,
              durationUs,
              attributes: attributesOf(decision, decisionId),
              failure: OWN_FAILURES.has(decision.reason) ? decision.reason : undefined,
            }),
          ),
      }
    },
  }
}

/** Names out of the policy and of closed lists. */
function attributesOf(decision: Decision, decisionId: string) {
  return {
    'rpc.system': 'grpc',
    'rpc.service': 'envoy.service.auth.v3.Authorization',
    'rpc.method': 'Check',
    'portcullis.decision': decision.outcome,
    'portcullis.reason': decision.reason,
    'portcullis.decision_id': decisionId,
    'portcullis.mode': decision.mode,
    'portcullis.would_be_decision': decision.wouldBe?.outcome,
    'portcullis.would_be_reason': decision.wouldBe?.reason,
    'portcullis.caller': decision.caller,
    'portcullis.target': decision.target,
    'portcullis.endpoint': decision.endpoint,
    'portcullis.rule': decision.rule,
    'portcullis.risk_score': decision.riskScore === undefined ? undefined : Math.round(decision.riskScore),
    'portcullis.policy_revision': decision.revision,
  }
}

/** Random identifiers in hexadecimal, never all zeros; entropy is fetched for many at once. */
function idSource(): (bytes: number) => string {
  const pool = Buffer.alloc(4096)
  let at = pool.length
  return (bytes) => {
    for (;;) {
      if (at + bytes > pool.length) {
        randomFillSync(pool)
        at = 0
      }
      const id = pool.toString('hex', at, (at += bytes))
      if (!/^0+$/.test(id)) return id
    }
  }
}
