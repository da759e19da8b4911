const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const CHARACTERS = /^[A-Za-z0-9_-]*$/

/**
 * Decodes base64url without padding; undefined for anything that is not the one canonical spelling of its bytes
 * (blanks, `=`, `+`, `/`, an impossible length, unused bits that are not zero). Source: RFC 7515 2, RFC 4648 3.5.
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const rest = text.length % 4
  if (rest === 1 || !CHARACTERS.test(text)) return undefined
  if (rest !== 0) {
    const unusedBits = rest === 2 ? 0b1111 : 0b11
    if ((ALPHABET.indexOf(text.charAt(text.length - 1)) & unusedBits) !== 0) return undefined
  }
  return Buffer.from(text, 'base64url')
}
