export type PemCertificates =
  | { readonly ok: true; readonly certificates: readonly Buffer[] }
  | { readonly ok: false; readonly problem: string }

const BEGIN = '-----BEGIN '
const DASHES = '-----'
const LABEL = 'CERTIFICATE'
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/
const NOT_BLANK = /[^\t\n\r ]/

/**
 * The DER of every CERTIFICATE block of a PEM text. Any other block, base64 that is not canonical, and more than
 * `maxCertificates` are problems. Text between the blocks is a problem too unless `comments`: tools write some
 * into bundle files, nobody writes it for one certificate. Source: RFC 7468.
 */
export function readPemCertificates(
  text: string,
  limits: { readonly maxCertificates: number; readonly comments: boolean },
): PemCertificates {
  const certificates: Buffer[] = []
  let at = 0
  for (;;) {
    const begin = text.indexOf(BEGIN, at)
    const between = text.slice(at, begin < 0 ? undefined : begin)
    if (!limits.comments && NOT_BLANK.test(between)) return problem('text outside of the PEM block')
    if (begin < 0) break
    if (certificates.length === limits.maxCertificates) {
      return problem(
        `more than ${limits.maxCertificates} certificate${limits.maxCertificates === 1 ? '' : 's'}`,
      )
    }
    const opening = `${BEGIN}${LABEL}${DASHES}`
    if (!text.startsWith(opening, begin)) return problem('a PEM block that is no CERTIFICATE')
    const closing = `${DASHES}END ${LABEL}${DASHES}`
    const end = text.indexOf(DASHES, begin + opening.length)
    if (end < 0 || !text.startsWith(closing, end)) return problem('a PEM block without its end')
    const der = decodeBase64(text.slice(begin + opening.length, end).replace(/[\t\n\r ]+/g, ''))
    if (der === undefined) return problem('a PEM block that is not base64')
    certificates.push(der)
    at = end + closing.length
  }
  return certificates.length === 0 ? problem('no PEM certificate') : { ok: true, certificates }
}

/** Decodes padded standard base64; undefined for what is not the one canonical spelling. Source: RFC 4648 4. */
export function decodeBase64(text: string): Buffer | undefined {
  if (text.length === 0 || text.length % 4 !== 0 || !BASE64.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64')
  const tail = text.slice(-4)
  return bytes.subarray(bytes.length - ((bytes.length - 1) % 3) - 1).toString('base64') === tail
    ? bytes
    : undefined
}

function problem(text: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem: text }
}
