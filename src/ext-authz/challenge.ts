import type { Decision } from '../decision/decision.js'
import { ALGORITHMS } from '../identity/jwt.js'
import { quoted } from './header-value.js'

/** How a refusal is worded. Source: FORMATS 2. */
export type RefusalWording = {
  /** Status of a challenge. */
  readonly stepUpStatus: 401 | 403
  /** Authentication contexts that a challenge for factor `mfa` asks for, best first. */
  readonly acrValues: readonly string[]
  /** '' for none. */
  readonly realm: string
  /** Callers see the decision's own message instead of a general one. */
  readonly showMessages: boolean
}

/**
 * The `WWW-Authenticate` of a refusal, undefined where it has none. Every 401 has one: bare where nothing was
 * presented, else with what was wrong. Source: RFC 6750 section 3, RFC 9449
 * section 7.1, RFC 9470 section 3, FORMATS 4.
 */
export function challengeOf(
  decision: Decision,
  httpStatus: number,
  { realm, acrValues }: Pick<RefusalWording, 'realm' | 'acrValues'>,
): string | undefined {
  const parameters: string[] = []
  let scheme = 'Bearer'
  if (decision.outcome === 'challenge') {
    const { factor, maxAgeSeconds } = decision.stepUp ?? { factor: 'mfa', maxAgeSeconds: 0 }
    // Any one of them suffices for the client, so none is named that would not be taken.
    const wanted = factor === 'mfa' ? acrValues : [factor]
    parameters.push(
      'error="insufficient_user_authentication"',
      ...(wanted.length === 0 ? [] : [`acr_values=${quoted(wanted.join(' '))}`]),
      `max_age="${maxAgeSeconds}"`,
    )
  } else if (decision.reason === 'scope-missing') {
    parameters.push('error="insufficient_scope"')
    if (decision.scopes && decision.scopes.length > 0) {
      parameters.push(`scope=${quoted(decision.scopes.join(' '))}`)
    }
  } else if (httpStatus !== 401) return undefined
  else if (decision.dpop) {
    scheme = 'DPoP'
    parameters.push(`error="${decision.dpop.error}"`, `algs="${ALGORITHMS.join(' ')}"`)
  } else if (decision.reason !== 'no-credentials' && decision.reason !== 'certificate-required') {
    parameters.push('error="invalid_token"')
  }
  if (realm !== '') parameters.push(`realm=${quoted(realm)}`)
  return parameters.length === 0 ? scheme : `${scheme} ${parameters.join(', ')}`
}
