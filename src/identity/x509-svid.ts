import { parseSpiffeId, type SpiffeId } from './spiffe-id.js'
import type { X509Certificate } from './x509-certificate.js'
import { KEY_USAGE } from './x509-extensions.js'

export type SvidLeaf =
  { readonly ok: true; readonly spiffeId: SpiffeId } | { readonly ok: false; readonly problem: string }

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
const ANY_PURPOSE = '2.5.29.37.0'

/** The rules for a workload's certificate beyond its path. Source: X509-SVID 2, 4 and 5.2, RFC 5280 4.2.1.6. */
export function readSvidLeaf({ subject, extensions }: X509Certificate): SvidLeaf {
  const { basicConstraints, keyUsage, extendedKeyUsage, subjectAltName } = extensions
  if (!subjectAltName) return problem('the certificate has no subject alternative name')
  const uris = subjectAltName.names.filter(({ form }) => form === 'uri')
  const [uri] = uris
  if (uris.length !== 1 || uri?.form !== 'uri') {
    return problem(`the certificate has ${uris.length} URI names instead of one`)
  }
  const parsed = parseSpiffeId(uri.text)
  if (!parsed.ok) return problem(`the certificate's URI name is no SPIFFE ID: ${parsed.problem}`)
  if (parsed.id.path === '')
    return problem("the certificate's SPIFFE ID names a trust domain and no workload")
  if (subject.parts.length === 0 && !subjectAltName.critical) {
    return problem('the certificate has neither a subject nor a critical subject alternative name')
  }
  if (basicConstraints?.ca) return problem('the certificate is a CA')
  if (!keyUsage?.critical) return problem('the certificate has no critical key usage')
  if ((keyUsage.bits & KEY_USAGE.digitalSignature) === 0)
    return problem("the certificate's key may not make signatures")
  if ((keyUsage.bits & (KEY_USAGE.keyCertSign | KEY_USAGE.crlSign)) !== 0) {
    return problem("the certificate's key may sign certificates or revocation lists")
  }
  if (
    extendedKeyUsage &&
    !(extendedKeyUsage.includes(SERVER_AUTH) && extendedKeyUsage.includes(CLIENT_AUTH))
  ) {
    return problem("the certificate's extended key usage lacks server or client authentication")
  }
  return { ok: true, spiffeId: parsed.id }
}

/**
 * Why a CA certificate may not sign SVIDs; undefined when it may. Its SPIFFE ID, if any, has no path (X509-SVID
 * 2 and 4.1). An extended key usage limits what it issues, as TLS libraries see it; RFC 5280 leaves that open.
 */
export function signingCertificateProblem({ extensions }: X509Certificate): string | undefined {
  const { extendedKeyUsage, subjectAltName } = extensions
  if (
    extendedKeyUsage &&
    !extendedKeyUsage.includes(CLIENT_AUTH) &&
    !extendedKeyUsage.includes(ANY_PURPOSE)
  ) {
    return 'an issuer whose extended key usage lacks client authentication'
  }
  for (const name of subjectAltName?.names ?? []) {
    if (name.form !== 'uri' || !/^spiffe:/i.test(name.text)) continue
    const parsed = parseSpiffeId(name.text)
    if (!parsed.ok || parsed.id.path !== '') return "an issuer whose SPIFFE ID is not a trust domain's"
  }
  return undefined
}

function problem(text: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem: text }
}
