import { randomBytes } from 'node:crypto'
import { type CheckFields, encodeCheck } from '../test/support/envoy-wire.js'

/** A call that is allowed, taken apart so that each credential can be spoilt. */
export type FloodSeed = {
  readonly fields: CheckFields
  /** Compact tokens. */
  readonly userToken: string
  readonly serviceToken: string
}

/** One way of spoiling a call; no two of its calls are the same bytes. */
type Spoil = (seed: FloodSeed) => CheckFields

const SPOILS: readonly Spoil[] = [
  (seed) => withUser(seed, withSignature(withFreshId(seed.userToken), 256)),
  (seed) => withUser(seed, withClaim(seed.userToken, 'iss', `https://${random(9)}.example`)),
  (seed) => withUser(seed, `${random(60)}.${random(600)}.${random(256)}`),
  (seed) => ({
    ...seed.fields,
    headers: {
      ...seed.fields.headers,
      'x-service-token': withSignature(withFreshId(seed.serviceToken), 64),
    },
  }),
  (seed) => withCertificate(seed, (der) => void randomBytes(8).copy(der, der.length - 8)),
  (seed) =>
    withCertificate(seed, (der) => {
      const name = der.indexOf('intermediate')
      der.write(randomBytes(6).toString('hex'), name, 'latin1')
    }),
]

export function goodMessage({ fields }: FloodSeed): Buffer {
  return encodeCheck(fields)
}

/**
 * Calls with bad credentials, all different, in equal shares: user tokens with a wrong signature, of an unknown
 * issuer and of no form at all, service tokens with a wrong signature, certificates with a wrong signature and of an
 * issuer that nobody knows.
 */
export function badMessages(seed: FloodSeed, count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) =>
    encodeCheck((SPOILS[index % SPOILS.length] ?? SPOILS[0]!)(seed)),
  )
}

function withUser({ fields }: FloodSeed, token: string): CheckFields {
  return { ...fields, headers: { ...fields.headers, authorization: `Bearer ${token}` } }
}

function withCertificate({ fields }: FloodSeed, spoil: (der: Buffer) => void): CheckFields {
  const base64 = decodeURIComponent(fields.certificate ?? '').replace(/-----[A-Z ]+-----|\s/g, '')
  const der = Buffer.from(base64, 'base64')
  spoil(der)
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  const pem = `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
  return { ...fields, certificate: encodeURIComponent(pem) }
}

function withFreshId(token: string): string {
  return withClaim(token, 'jti', random(16))
}

function withClaim(token: string, name: string, value: string): string {
  const [header, payload = '', signature] = token.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
  const changed = Buffer.from(JSON.stringify({ ...claims, [name]: value })).toString('base64url')
  return `${header}.${changed}.${signature}`
}

function withSignature(token: string, bytes: number): string {
  return `${token.slice(0, token.lastIndexOf('.'))}.${randomBytes(bytes).toString('base64url')}`
}

function random(bytes: number): string {
  return randomBytes(bytes).toString('base64url')
}
