import type { Refusal } from '../decision/decision.js'
import type { Mode } from '../decision/mode.js'
import type { Identity, UserPrincipal } from '../identity/principal.js'
import type { AccessRequest } from '../request/access-request.js'
import type { Endpoint } from '../segmentation/matrix.js'
import {
  evaluateSession,
  type SessionLimits,
  type SessionTimes,
  sessionTimes,
  terminationOf,
} from '../session/session-limits.js'
import { accountRefusal, certificateRevoked } from '../signals/told.js'
import { showsFactor } from '../session/step-up.js'
import type { StateRecord } from '../state/record.js'
import type { Recalled } from '../state/recall.js'
import { type EffectiveRisk, effectiveRisk } from './effective-risk.js'
import type { RiskPolicy } from './risk-policy.js'
import { NO_RISK, type RiskScore, scoreUser, scoreWorkload } from './score.js'
import type { Located } from './locate.js'
import { judgeSession } from './session-verdict.js'
import { type Sighting, userAgentKey } from './sighting.js'
import { highest, withExternal } from './external.js'
import { judgeWorkload, quarantineOf } from './workload-verdict.js'

/** What state and risk say of one call. */
export type Assessment = {
  /** What holds before anything is asked of the matrix: quarantine, sessions that are over or are ended now. */
  readonly standing: Refusal | undefined
  /** What the risk asks for: a refusal, or another authentication. */
  readonly verdicts: readonly (Refusal | undefined)[]
  /** Undefined where nobody evaluates risk: in Observe. */
  readonly risk: EffectiveRisk | undefined
  readonly user: RiskScore
  readonly session: SessionTimes
  readonly terminate: boolean
  readonly quarantine: boolean
}

/** What of a call is assessed. */
export type Assessed = {
  readonly request: AccessRequest
  readonly identity: Identity
  /** Everybody that a credential proved, also where another one failed. */
  readonly verified: Identity
  readonly endpoint: Endpoint | undefined
  readonly mode: Mode
  /** The path as decided on. */
  readonly path: string
  readonly located: Located
  /** Undefined where no inventory is kept, or there is no user. */
  readonly device: Sighting['device']
  readonly nowMs: number
}

const NO_TIMES: SessionTimes = { ageMs: undefined, idleMs: undefined }
const NO_VERDICT = { refusal: undefined, terminate: false, quarantine: false } as const

/**
 * Sessions and quarantine in every mode; risk in all but Observe. Verdicts that would end a session or quarantine a
 * workload do so only where they are enforced: elsewhere they are recorded as a risk too high.
 */
export function assess(
  call: Assessed,
  known: Recalled,
  policy: RiskPolicy,
  limits: SessionLimits & { readonly maxAuthAgeMs: number },
): Assessment {
  const { identity, verified, endpoint, mode, nowMs } = call
  const { user, workload } = identity
  const standing =
    (verified.workload && quarantineOf(known.workload, nowMs)) ??
    (verified.workload?.via && quarantineOf(known.proxy, nowMs)) ??
    revokedBySignal(verified.workload?.certificate, known.workload) ??
    revokedBySignal(verified.workload?.via?.certificate, known.proxy) ??
    (verified.user && terminationOf(known.session, known.user, verified.user, nowMs)) ??
    (verified.user && accountRefusal(known, verified.user, nowMs)) ??
    (user &&
      known.session &&
      evaluateSession(known.session, user, endpoint, limits, known.lostBeforeMs, nowMs))
  const times = user && known.session ? sessionTimes(known.session, user, nowMs) : NO_TIMES
  if (mode === 'Observe') {
    return {
      standing,
      verdicts: [],
      risk: undefined,
      user: NO_RISK,
      session: times,
      terminate: false,
      quarantine: false,
    }
  }
  const { external: levels } = policy
  const externalOfUser = user && highest([known.user, known.session, known.email, known.named], levels, nowMs)
  const externalOfWorkload = workload && highest([known.workload], levels, nowMs)
  const ofUser = user ? scoreUser(known.user, sightingOf(call, user), policy, known.address) : NO_RISK
  const computed = workload ? scoreWorkload(known.workload, policy, nowMs) : NO_RISK
  const ofWorkload = externalOfWorkload ? withExternal(computed, externalOfWorkload) : computed
  const verdict = user ? judgeSession(ofUser.findings, user, policy, limits.maxAuthAgeMs, nowMs) : NO_VERDICT
  const workloadVerdict = judgeWorkload(ofWorkload, policy, computed.score)
  const enforced = mode === 'Enforce'
  // What is over already is not ended again.
  const terminate = enforced && verdict.terminate && standing === undefined
  const ofSession =
    verdict.terminate && !enforced && verdict.refusal
      ? ({ reason: 'risk-too-high', message: verdict.refusal.message } as const)
      : verdict.refusal
  return {
    standing: standing ?? (terminate ? ofSession : undefined),
    verdicts: [workloadVerdict.refusal, verdict.terminate && enforced ? undefined : ofSession],
    risk: effectiveRisk(user, policy.signals, ofUser, ofWorkload, externalOfUser),
    // Whoever calls with a session that is over teaches nothing about its user.
    user: standing ? NO_RISK : ofUser,
    session: times,
    terminate,
    quarantine: enforced && workloadVerdict.quarantine && standing?.reason !== 'quarantined',
  }
}

/** A certificate that somebody revoked by a signal, where it can be told which one was shown. */
function revokedBySignal(
  certificate: NonNullable<Identity['workload']>['certificate'],
  record: StateRecord,
): Refusal | undefined {
  if (!certificate || !certificateRevoked(record, certificate.serialHex, certificate.notBeforeMs)) {
    return undefined
  }
  return { reason: 'certificate-revoked', message: 'the certificate was revoked by a signal of its issuer' }
}

function sightingOf(call: Assessed, user: UserPrincipal): Sighting {
  const { request, endpoint, located, nowMs } = call
  return {
    nowMs,
    place: located.place,
    address: located.client.ip,
    malicious: located.malicious,
    // To send none is a way of calling too.
    agent: request.http && userAgentKey(request.http.headers.get('user-agent') ?? ''),
    deviceId: user.deviceId,
    device: call.device,
    zone: user.zone,
    answeredMs: showsFactor(user, 'mfa') ? user.authTimeMs : undefined,
    path: request.http ? call.path : undefined,
    sensitive: endpoint?.sensitivity === 'High',
  }
}
