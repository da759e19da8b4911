/**
 * The closed list of reasons. A reason is what the caller is told, what the event records and the
 * metric label, so its spelling never changes. Source: FORMATS 4.
 */
export const HTTP_STATUS_OF_REASON = {
  'no-credentials': 401,
  'certificate-required': 401,
  'certificate-invalid': 401,
  'certificate-expired': 401,
  'certificate-not-yet-valid': 401,
  'certificate-lifetime': 401,
  'certificate-revoked': 401,
  'untrusted-domain': 401,
  'svid-invalid': 401,
  'principal-mismatch': 401,
  'xfcc-invalid': 401,
  'service-token-malformed': 401,
  'service-token-expired': 401,
  'service-token-lifetime': 401,
  'service-token-issuer': 401,
  'service-token-signature': 401,
  'service-token-audience': 401,
  'service-token-replayed': 401,
  'service-token-subject': 401,
  'user-token-malformed': 401,
  'user-token-expired': 401,
  'user-token-not-yet-valid': 401,
  'user-token-issuer': 401,
  'user-token-signature': 401,
  'user-token-audience': 401,
  'user-token-type': 401,
  'sender-constraint': 401,
  'session-terminated': 401,
  'session-expired': 401,
  'session-idle': 401,
  'step-up-required': 401,
  'ambiguous-request': 403,
  'target-unknown': 403,
  'target-conflict': 403,
  'asker-not-allowed': 403,
  'caller-unknown': 403,
  'call-not-allowed': 403,
  'endpoint-not-exposed': 403,
  'scope-missing': 403,
  'rule-not-matched': 403,
  forbidden: 403,
  'user-required': 403,
  'mfa-required': 403,
  'risk-too-high': 403,
  quarantined: 403,
  'device-risk': 403,
  'device-read-only': 403,
  'device-tier': 403,
  'data-policy': 403,
  'approval-required': 403,
  'grant-required': 403,
  location: 403,
  'adaptive-deny': 403,
  overloaded: 429,
  'internal-error': 503,
  'state-unavailable': 503,
  'not-ready': 503,
} as const

/** Why a request was not allowed. */
export type RefusalReason = keyof typeof HTTP_STATUS_OF_REASON

/** `allowed` is the reason of every allow. */
export type Reason = 'allowed' | RefusalReason

/** Reasons that hold in every mode, Observe and Shadow included. Source: FORMATS 1, rule 9. */
export const REFUSED_IN_EVERY_MODE: ReadonlySet<Reason> = new Set<Reason>([
  'ambiguous-request',
  'target-conflict',
  // An Envoy that asks about another's service is a conflict between asker and target.
  'asker-not-allowed',
  'certificate-revoked',
  'session-terminated',
  'quarantined',
  // What Portcullis itself could not do is not a finding about the call, so no mode lets it pass.
  'overloaded',
  'internal-error',
  'state-unavailable',
  'not-ready',
])
