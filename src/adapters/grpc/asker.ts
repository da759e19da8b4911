import type { TLSSocket } from 'node:tls'
import type { DatedIdentity } from '../../identity/certificate-policy.js'
import { marksOf } from '../../identity/peer-certificate.js'
import { readSvidLeaf } from '../../identity/x509-svid.js'
import { parseCertificate } from '../../identity/x509-certificate.js'
import type { Asker } from '../../request/listener.js'
import { GRPC_STATUS } from './refusal.js'

/** Who is at the other end of a connection and until when, or why nothing is answered to it. */
export type Admission =
  | {
      readonly ok: true
      readonly asker: Asker
      /** Inclusive, milliseconds since the epoch: the notAfter of the client's certificate; Infinity without one. */
      readonly untilMs: number
      /** What its certificate can be revoked by; undefined for who has none or no SVID. */
      readonly certificate: AskerCertificate | undefined
    }
  | { readonly ok: false; readonly status: number; readonly message: string }

export type AskerCertificate = Pick<DatedIdentity, 'spiffeId' | 'path'>

export const ANYBODY = {
  ok: true,
  asker: { spiffeId: undefined },
  untilMs: Infinity,
  certificate: undefined,
} as const satisfies Admission

/**
 * The asker of a connection whose client certificate TLS has verified. `allowed` undefined: whoever got through
 * the handshake may ask, and is nobody in particular unless the certificate is an SVID.
 */
export function admit(
  socket: Pick<TLSSocket, 'getPeerX509Certificate'> | undefined,
  allowed: ((spiffeId: string) => boolean) | undefined,
): Admission {
  const certificate = socket?.getPeerX509Certificate()
  if (certificate === undefined) return refused(GRPC_STATUS.unauthenticated, 'no client certificate')
  const untilMs = Date.parse(certificate.validTo)
  if (Number.isNaN(untilMs)) return refused(GRPC_STATUS.unauthenticated, 'a certificate without an end')
  const parsed = parseCertificate(certificate.raw)
  const leaf = parsed.ok ? readSvidLeaf(parsed.certificate) : parsed
  if (!leaf.ok || !parsed.ok) {
    if (allowed === undefined) return { ...ANYBODY, untilMs }
    return refused(GRPC_STATUS.unauthenticated, 'the client is no SPIFFE workload')
  }
  const spiffeId = leaf.spiffeId.text
  if (allowed !== undefined && !allowed(spiffeId)) {
    return refused(GRPC_STATUS.permissionDenied, 'this client may not ask here')
  }
  const certificateOf = { spiffeId: leaf.spiffeId, path: [marksOf(parsed.certificate)] }
  return { ok: true, asker: { spiffeId }, untilMs, certificate: certificateOf }
}

function refused(status: number, message: string): Admission {
  return { ok: false, status, message }
}
