import type { UserPrincipal } from '../identity/principal.js'

/** A user without any role, where only it matters that there is one. */
export const SOMEBODY: UserPrincipal = {
  issuer: 'https://idp.example',
  subject: 'somebody',
  email: undefined,
  roles: [],
  scopes: [],
  clientId: undefined,
  deviceId: undefined,
  deviceTrust: undefined,
  riskScore: undefined,
  mfaVerified: false,
  sessionId: undefined,
  acr: undefined,
  amr: [],
  authTimeMs: undefined,
  zone: undefined,
  claims: {},
}
