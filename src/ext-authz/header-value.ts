/** Longest value of one identity header, in bytes. Envoy takes 60 KiB for all headers of a request. */
export const MAX_HEADER_VALUE_BYTES = 8192

const PLAIN = /^[!-$&-~](?:[ -$&-~]*[!-$&-~])?$/
const PLAIN_ELEMENT = /^[!-$&-+\--~](?:[ -$&-+\--~]*[!-$&-+\--~])?$/

/**
 * A text as a header value that stands for it alone: printable ASCII as it is; `%`, spaces at the ends and all else
 * percent-encoded as UTF-8, so that decoding gives the text back. A cut or dropped character could turn one
 * user into another. Throws for what has no such value: over 8 KiB, or an unpaired surrogate.
 */
export function headerValue(text: string): string {
  const value = PLAIN.test(text) ? text : encode(text, /[^ -$&-~]+|%|^ +| +$/g)
  if (value.length > MAX_HEADER_VALUE_BYTES) throw new Error('a header value would be longer than 8 KiB')
  return value
}

/** Texts joined with commas; a comma within one is encoded too, so an element never becomes two. */
export function headerList(texts: readonly string[]): string {
  let list = ''
  for (const text of texts) {
    const element = PLAIN_ELEMENT.test(text) ? text : encode(text, /[^ -$&-+\--~]+|[%,]|^ +| +$/g)
    list += list === '' ? element : `,${element}`
  }
  if (list.length > MAX_HEADER_VALUE_BYTES) throw new Error('a header value would be longer than 8 KiB')
  return list
}

function encode(text: string, special: RegExp): string {
  return text.replace(special, (found) => encodeURIComponent(found).replaceAll(' ', '%20'))
}

/** A quoted-string of RFC 9110; what can't stand in one becomes `?`. */
export function quoted(text: string): string {
  return `"${text.replace(/[^ -~]/g, '?').replace(/["\\]/g, '\\$&')}"`
}
