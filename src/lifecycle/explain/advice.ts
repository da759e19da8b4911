import type { RefusalReason } from '../../decision/reason.js'

export type RefusedBy = 'policy' | 'credentials' | 'request' | 'state' | 'device' | 'data' | 'risk' | 'server'

type Advice = { readonly by: RefusedBy; readonly advice: string | undefined }

const policy: Advice = { by: 'policy', advice: undefined }
/** Told where no change was found: one that drops such a condition is never looked for. */
const CONDITIONS: Advice = {
  by: 'policy',
  advice:
    'where a condition on risk, device, session or sign-in refuses, the caller must meet it: sign in again (with several factors), use a managed device that is in order, or have the risk looked into (portcullis risk show)',
}
const credentials = (advice: string): Advice => ({ by: 'credentials', advice })
const CERTIFICATE = credentials(
  'the caller must come over mTLS with a valid certificate of its own from a trusted domain',
)
const SERVICE_TOKEN = credentials(
  'the caller must bring a new service token of its own issuer, meant for this target',
)
const USER_TOKEN = credentials('the user must sign in again, for a token of a configured issuer and audience')
const NEW_SESSION = { by: 'state', advice: 'the user must sign in again' } as const
const TRY_LATER = {
  by: 'server',
  advice: 'no policy changes that: look at the health of Portcullis and its store',
} as const

const ADVICE: { readonly [reason in RefusalReason]: Advice } = {
  'no-credentials': credentials('the caller must show who it is: a certificate over mTLS, or a user token'),
  'certificate-required': CERTIFICATE,
  'certificate-invalid': CERTIFICATE,
  'certificate-expired': CERTIFICATE,
  'certificate-not-yet-valid': CERTIFICATE,
  'certificate-lifetime': CERTIFICATE,
  'certificate-revoked': CERTIFICATE,
  'untrusted-domain': CERTIFICATE,
  'svid-invalid': CERTIFICATE,
  'principal-mismatch': CERTIFICATE,
  'xfcc-invalid': credentials('the trusted proxy must write a sound x-forwarded-client-cert'),
  'service-token-malformed': SERVICE_TOKEN,
  'service-token-expired': SERVICE_TOKEN,
  'service-token-lifetime': SERVICE_TOKEN,
  'service-token-issuer': SERVICE_TOKEN,
  'service-token-signature': SERVICE_TOKEN,
  'service-token-audience': SERVICE_TOKEN,
  'service-token-replayed': SERVICE_TOKEN,
  'service-token-subject': SERVICE_TOKEN,
  'user-token-malformed': USER_TOKEN,
  'user-token-expired': USER_TOKEN,
  'user-token-not-yet-valid': USER_TOKEN,
  'user-token-issuer': USER_TOKEN,
  'user-token-signature': USER_TOKEN,
  'user-token-audience': USER_TOKEN,
  'user-token-type': USER_TOKEN,
  'sender-constraint': credentials('the client must prove that it holds the key its token is bound to'),
  'session-terminated': NEW_SESSION,
  'session-expired': NEW_SESSION,
  'session-idle': NEW_SESSION,
  'step-up-required': { by: 'risk', advice: 'the user must authenticate again with the factor asked for' },
  'ambiguous-request': {
    by: 'request',
    advice: 'the client must send a request that can be read in one way only',
  },
  'target-unknown': { by: 'policy', advice: 'write a ServicePolicy for the target' },
  'target-conflict': { by: 'request', advice: "Envoy's configuration must name one target" },
  'asker-not-allowed': {
    by: 'request',
    advice: 'an Envoy may ask about its own service, or be a configured gateway',
  },
  'caller-unknown': { by: 'policy', advice: 'write a ServicePolicy for the caller, with what it calls' },
  'call-not-allowed': policy,
  'endpoint-not-exposed': policy,
  'scope-missing': {
    by: 'policy',
    advice: 'a token must hold the scope, or for a caller without one a rule grant it',
  },
  'rule-not-matched': CONDITIONS,
  forbidden: CONDITIONS,
  'user-required': credentials('the call must carry the token of a user'),
  'mfa-required': credentials('the user must authenticate with several factors'),
  'risk-too-high': { by: 'risk', advice: 'look at what counts against it: portcullis risk show' },
  quarantined: { by: 'state', advice: 'look into it, then lift the quarantine: portcullis quarantine' },
  'device-risk': { by: 'device', advice: 'the device must be brought in order' },
  'device-read-only': { by: 'device', advice: 'this class of devices may only read: use a managed device' },
  'device-tier': {
    by: 'device',
    advice: 'this class of devices may not use the service: use a managed device',
  },
  'data-policy': { by: 'data', advice: 'the data may be used by other roles: ask for one of them' },
  'approval-required': { by: 'data', advice: 'ask for a grant, and have it approved: portcullis grants' },
  'grant-required': { by: 'data', advice: 'the role counts only with a live grant: portcullis grants' },
  location: { by: 'risk', advice: 'the place it comes from is refused' },
  'adaptive-deny': { by: 'risk', advice: 'an adaptive rule refuses it in these circumstances' },
  overloaded: TRY_LATER,
  'internal-error': TRY_LATER,
  'state-unavailable': TRY_LATER,
  'not-ready': TRY_LATER,
}

/** Who refuses for a reason, and what to do where no change of the matrix helps. */
export function adviceOn(reason: RefusalReason): Advice {
  return ADVICE[reason]
}

export function isRefusalReason(reason: string): reason is RefusalReason {
  return Object.hasOwn(ADVICE, reason)
}
