import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { exportJWK, type JWTPayload, SignJWT } from 'jose'
import { tokenKeys } from './pki.js'

export const USER_TOKEN_ISSUER = 'https://idp.example'
export const USER_TOKEN_AUDIENCE = 'shop'

/** Key sets are fetched over plain HTTP from nowhere else. */
const HOST = '127.0.0.1'
const KEY_ID = 'idp-1'
const TOKEN_SECONDS = 600

export type IdentityProvider = {
  readonly jwksUri: string
  /** The public key as everybody can fetch it, PEM: what an HS256 forger would use as its secret. */
  readonly publicKeyPem: string
  /** An access token with these claims beside iss, aud, iat and exp; a claim given here wins. */
  userToken(claims: JWTPayload): Promise<string>
  /** A signed security event, addressed to Portcullis. */
  securityEvent(event: SecurityEventClaims): Promise<string>
  close(): Promise<void>
}

export type SecurityEventClaims = {
  /** Its URI. */
  readonly type: string
  /** Of RFC 9493, or complex. */
  readonly subject: Readonly<Record<string, unknown>>
  readonly payload: Readonly<Record<string, unknown>>
}

/** Whom security events are for, as examples/mesh/portcullis.yaml has it. */
const SIGNALS_AUDIENCE = 'https://portcullis.shop.example/ssf'

/** Signs user tokens and serves its key set on a free port of loopback. */
export async function startIdentityProvider(): Promise<IdentityProvider> {
  const { publicKey, privateKey } = tokenKeys()
  const jwk = { ...(await exportJWK(publicKey)), kid: KEY_ID, alg: 'RS256', use: 'sig' }
  const server = createServer((request, response) => {
    response.statusCode = request.url === '/jwks.json' ? 200 : 404
    response.setHeader('content-type', 'application/json')
    response.end(request.url === '/jwks.json' ? JSON.stringify({ keys: [jwk] }) : '{}')
  })
  server.listen(0, HOST)
  await once(server, 'listening')
  return {
    jwksUri: `http://${HOST}:${portOf(server)}/jwks.json`,
    publicKeyPem: publicKey.export({ format: 'pem', type: 'spki' }).toString(),
    userToken(claims) {
      const issuedAt = Math.floor(Date.now() / 1000)
      return new SignJWT({
        iss: USER_TOKEN_ISSUER,
        aud: USER_TOKEN_AUDIENCE,
        iat: issuedAt,
        exp: issuedAt + TOKEN_SECONDS,
        auth_time: issuedAt,
        ...claims,
      })
        .setProtectedHeader({ alg: 'RS256', typ: 'at+jwt', kid: KEY_ID })
        .sign(privateKey)
    },
    securityEvent({ type, subject, payload }) {
      return new SignJWT({
        iss: USER_TOKEN_ISSUER,
        aud: SIGNALS_AUDIENCE,
        iat: Math.floor(Date.now() / 1000),
        jti: randomUUID(),
        sub_id: subject,
        events: { [type]: payload },
      })
        .setProtectedHeader({ alg: 'RS256', typ: 'secevent+jwt', kid: KEY_ID })
        .sign(privateKey)
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}
