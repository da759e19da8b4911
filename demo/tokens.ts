import { createHmac } from 'node:crypto'
import { decodeJwt, type JWTPayload } from 'jose'
import { mintServiceToken } from '../src/identity/token.js'
import type { CallableMesh } from './mesh.js'
import { laptopOf } from './people.js'

const ALL_SCOPES = 'orders:read orders:write users:read users:write'

/** The people of the example and what their identity provider says of them. */
export const PEOPLE = {
  alice: { sub: 'alice', email: 'alice@shop.example', email_verified: true, scope: ALL_SCOPES },
  'alice, MFA': { sub: 'alice', scope: ALL_SCOPES, mfa_verified: true },
  'alice, read scopes': { sub: 'alice', scope: 'orders:read users:read' },
  'alice, low-trust device': { sub: 'alice', scope: ALL_SCOPES, device_trust_level: 'low' },
  'alice, risk 71': { sub: 'alice', scope: ALL_SCOPES, risk_score: 71 },
  'alice, risk 95': { sub: 'alice', scope: ALL_SCOPES, risk_score: 95, mfa_verified: true, amr: ['mfa'] },
  'alice, MFA, risk 71': { sub: 'alice', scope: ALL_SCOPES, risk_score: 71, mfa_verified: true },
  'paula, payments': { sub: 'paula', roles: ['payment-processor'] },
  'root, MFA': { sub: 'root', roles: ['admin'], mfa_verified: true },
  'root, no MFA': { sub: 'root', roles: ['admin'] },
  'dora, data scientist': { sub: 'dora', roles: ['data-scientist'], scope: ALL_SCOPES },
  dan: { sub: 'dan', scope: ALL_SCOPES },
  'dan, MFA': { sub: 'dan', scope: ALL_SCOPES, mfa_verified: true },
} as const satisfies Record<string, JWTPayload>

export type Person = keyof typeof PEOPLE

/** An `authorization` value. */
export async function bearer(mesh: CallableMesh, person: Person, other: JWTPayload = {}): Promise<string> {
  const claims: JWTPayload = { ...PEOPLE[person], ...other }
  // Everybody calls from a laptop of their own unless said otherwise.
  const device_id = laptopOf(claims.sub ?? '')
  return `Bearer ${await mesh.identityProvider.userToken({ device_id, ...claims })}`
}

export type ServiceTokenChoices = {
  readonly audience?: string
  readonly scopes?: readonly string[]
  readonly lifetimeSeconds?: number
}

/** A token that order-service mints for payment-service, as it should be but for the choices. */
export function orderToken(mesh: CallableMesh, choices: ServiceTokenChoices = {}): Promise<string> {
  return mintServiceToken({
    issuer: 'order-service',
    audience: 'shop/payment-service',
    scopes: ['payments:process'],
    key: keyOf(mesh, 'order-service').privateKey,
    ...choices,
  })
}

/** The same claims as `token` has, but unsigned. */
export function withoutSignature(token: string): string {
  return `${encode({ alg: 'none', typ: 'JWT' })}.${encode(decodeJwt(token))}.`
}

/** The same claims as `token` has, signed with a public key's text as if it were a shared secret. */
export function signedWithPublicKey(token: string, publicKey: string): string {
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(decodeJwt(token))}`
  return `${signed}.${createHmac('sha256', publicKey).update(signed).digest('base64url')}`
}

export function publicKeyPem(mesh: CallableMesh, service: string): string {
  return keyOf(mesh, service).publicKey.export({ format: 'pem', type: 'spki' }).toString()
}

function keyOf(
  mesh: CallableMesh,
  service: string,
): NonNullable<ReturnType<CallableMesh['tokenKeys']['get']>> {
  const keys = mesh.tokenKeys.get(service)
  if (!keys) throw new Error(`${service} mints no tokens in this mesh`)
  return keys
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
