/**
 * A stranger's text made harmless for a terminal: no control characters, none that turn the writing direction, no
 * line ends, no halves of characters.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '?')
}

/** As `printable`, for texts of several lines: line ends stay. */
export function printableLines(text: string): string {
  return text.replaceAll(/(?!\r?\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '?')
}

/** One line of JSON that no terminal obeys: what `JSON.stringify` leaves of control characters is escaped too. */
export function printableJson(value: unknown): string {
  const json = JSON.stringify(value) ?? 'null'
  return json.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}
