const ENCODED = /%([0-9a-f]{2})/gi

/** Encodings on top of each other that are undone. */
const MAX_ROUNDS = 4

/**
 * What is left when nothing is percent-encoded any more; what is no encoding stays, and bytes become the characters
 * of their number: good for finding ASCII. Undefined: encoded too often.
 */
export function percentDecoded(text: string): string | undefined {
  let plain = text
  for (let round = 0; round <= MAX_ROUNDS; round++) {
    if (!plain.includes('%')) return plain
    const next = plain.replace(ENCODED, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    if (next === plain) return plain
    plain = next
  }
  return undefined
}
