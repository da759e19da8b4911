import { TLSSocket } from 'node:tls'
import type { Socket } from 'node:net'
import { parseCertificate } from '../identity/x509-certificate.js'
import type { Actor, Role } from './ports.js'

/** A client known by the SPIFFE ID in its certificate. */
export type Client = { readonly name: string; readonly identity: string; readonly role: Role }

type Verified = { readonly identity: string; readonly notAfterMs: number }

/** Connections serve many requests. */
const known = new WeakMap<TLSSocket, Verified | undefined>()

/**
 * Whose certificate the connection has: verified by TLS, not over by now, its only URI name one that is configured.
 * Undefined without one.
 */
export function actorOfCertificate(
  socket: Socket,
  clients: readonly Client[],
  nowMs: number,
): Actor | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  if (!known.has(socket)) known.set(socket, identityOf(socket))
  const verified = known.get(socket)
  if (!verified || nowMs > verified.notAfterMs) return undefined
  const client = clients.find(({ identity }) => identity === verified.identity)
  return client && { name: client.name, role: client.role }
}

/** Names are read from the DER: Node's text of them has quotes of its own. */
function identityOf(socket: TLSSocket): Verified | undefined {
  const { raw } = socket.getPeerCertificate()
  if (!Buffer.isBuffer(raw)) return undefined
  const parsed = parseCertificate(raw)
  if (!parsed.ok) return undefined
  const { extensions, notAfterMs } = parsed.certificate
  const uris = extensions.subjectAltName?.names.filter(({ form }) => form === 'uri') ?? []
  const [uri] = uris
  return uris.length === 1 && uri?.form === 'uri' ? { identity: uri.text, notAfterMs } : undefined
}
