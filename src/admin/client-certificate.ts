import type { Socket } from 'node:net'
import { type DetailedPeerCertificate, TLSSocket } from 'node:tls'
import type { DatedIdentity } from '../identity/certificate-policy.js'
import { marksOf } from '../identity/peer-certificate.js'
import { parseSpiffeId } from '../identity/spiffe-id.js'
import { parseCertificate, type X509Certificate } from '../identity/x509-certificate.js'
import type { Actor, Role } from './ports.js'

/** A client known by the SPIFFE ID in its certificate. */
export type Client = { readonly name: string; readonly identity: string; readonly role: Role }

/** What a certificate can be revoked by: its identity, and the marks of its path from the leaf to the root. */
export type ShownCertificate = Pick<DatedIdentity, 'spiffeId' | 'path'>

type Verified = ShownCertificate & { readonly notAfterMs: number }

/** TLS does not verify longer paths. */
const MOST_CERTIFICATES = 32

/** Connections serve many requests. */
const known = new WeakMap<TLSSocket, Verified | undefined>()

/**
 * Whose certificate the connection has: verified by TLS, not over or revoked by now, its only URI name one that is
 * configured. Undefined without one.
 */
export function actorOfCertificate(
  socket: Socket,
  clients: readonly Client[],
  isRevoked: (certificate: ShownCertificate) => boolean,
  nowMs: number,
): Actor | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  if (!known.has(socket)) known.set(socket, identityOf(socket))
  const verified = known.get(socket)
  if (!verified || nowMs > verified.notAfterMs || isRevoked(verified)) return undefined
  const client = clients.find(({ identity }) => identity === verified.spiffeId.text)
  return client && { name: client.name, role: client.role }
}

/** Names are read from the DER: Node's text of them has quotes of its own. */
function identityOf(socket: TLSSocket): Verified | undefined {
  const path = pathOf(socket.getPeerCertificate(true))
  const [leaf] = path ?? []
  if (!path || !leaf) return undefined
  const uris = leaf.extensions.subjectAltName?.names.filter(({ form }) => form === 'uri') ?? []
  const [uri] = uris
  if (uris.length !== 1 || uri?.form !== 'uri') return undefined
  const parsed = parseSpiffeId(uri.text)
  if (!parsed.ok) return undefined
  return { spiffeId: parsed.id, path: path.map(marksOf), notAfterMs: leaf.notAfterMs }
}

/** From the leaf to the root; undefined where one of them can't be read. */
function pathOf(leaf: DetailedPeerCertificate): readonly X509Certificate[] | undefined {
  const path: X509Certificate[] = []
  const seen = new Set<DetailedPeerCertificate>()
  let next: DetailedPeerCertificate | undefined = leaf
  while (next && !seen.has(next)) {
    seen.add(next)
    if (!Buffer.isBuffer(next.raw) || path.length >= MOST_CERTIFICATES) return undefined
    const parsed = parseCertificate(next.raw)
    if (!parsed.ok) return undefined
    path.push(parsed.certificate)
    // A root is its own issuer.
    next = next.issuerCertificate
  }
  return path
}
