import type { Refusal } from '../decision/decision.js'
import type { UserPrincipal } from '../identity/principal.js'
import { challenge } from '../session/step-up.js'
import type { Finding } from './finding.js'
import type { RiskPolicy } from './risk-policy.js'
import { beganMs, total } from './score.js'
import { levelOf, signalsOf, unanswered } from './signals.js'

/** What becomes of a user's session on this call. */
export type SessionVerdict = {
  readonly refusal: Refusal | undefined
  /** The session is to be ended on every replica. */
  readonly terminate: boolean
}

const KEEP: SessionVerdict = { refusal: undefined, terminate: false }

/**
 * The verdict on a session by what was computed about its user and is not answered yet: above one threshold another
 * authentication, above the other the end; so many signals at once refuse, and one asks for MFA. What the token claims
 * itself is for adaptive rules. Source: REQUIREMENTS R3, R4.
 */
export function judgeSession(
  findings: readonly Finding[],
  user: UserPrincipal,
  policy: RiskPolicy,
  maxAuthAgeMs: number,
  nowMs: number,
): SessionVerdict {
  if (findings.length === 0) return KEEP
  const own = findings.filter(({ shared }) => shared === undefined)
  const open = unanswered(own, user, maxAuthAgeMs, nowMs)
  const score = total(open)
  if (score > policy.session.terminateAbove) {
    const message = `a risk of ${score} ends the session (${names(open)})`
    return { refusal: { reason: 'session-terminated', message }, terminate: true }
  }
  const level = levelOf(signalsOf(open, policy.signals), policy.signals)
  if (level === 'high') {
    const message = `too much is wrong at once (${names(open)})`
    return { refusal: { reason: 'risk-too-high', message }, terminate: false }
  }
  if (level === 'low' && score <= policy.session.stepUpAbove) return KEEP
  const message = `a risk of ${score} asks for another authentication (${names(open)})`
  return {
    refusal: {
      reason: 'step-up-required',
      message,
      stepUp: challenge('mfa', maxAuthAgeMs, beganMs(open), nowMs),
    },
    terminate: false,
  }
}

function names(findings: readonly Finding[]): string {
  return findings.map(({ factor, points }) => `${factor} ${points}`).join(', ')
}
