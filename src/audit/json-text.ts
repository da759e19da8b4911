/** Anything but printable ASCII without the quote and the backslash. */
const NEEDS_ESCAPING = /[^\x20\x21\x23-\x5b\x5d-\x7e]/

/**
 * The inside of a JSON string literal: `text`, at most `limit` UTF-16 units of it; a cut is said at the end.
 * Besides what JSON demands, everything is escaped that could break a line or repaint a terminal on its way
 * through other tools: DEL and the C1 controls, line and paragraph separators, bidirectional and invisible
 * marks. A lone surrogate becomes U+FFFD, since strict parsers refuse its escape.
 */
export function jsonText(text: string, limit: number): string {
  const kept = text.length > limit ? cut(text, limit) : text
  return NEEDS_ESCAPING.test(kept) ? escaped(kept) : kept
}

function cut(text: string, limit: number): string {
  const splitsPair = isHighSurrogate(text.charCodeAt(limit - 1)) && isLowSurrogate(text.charCodeAt(limit))
  return `${text.slice(0, splitsPair ? limit - 1 : limit)}...[cut, ${text.length} in all]`
}

function escaped(text: string): string {
  let literal = ''
  let from = 0
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (isPlain(unit)) continue
    if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(at + 1))) {
      at++
      continue
    }
    literal += text.slice(from, at) + escapeOf(unit)
    from = at + 1
  }
  return literal + text.slice(from)
}

function isPlain(unit: number): boolean {
  if (unit < 0x7f) return unit >= 0x20 && unit !== 0x22 && unit !== 0x5c
  if (unit < 0xa0) return false
  if (unit >= 0xd800 && unit <= 0xdfff) return false
  return !isInvisible(unit)
}

/** Separators, bidirectional and zero-width marks of the Basic Multilingual Plane. */
function isInvisible(unit: number): boolean {
  return (
    unit === 0xad ||
    unit === 0x61c ||
    (unit >= 0x200b && unit <= 0x200f) ||
    (unit >= 0x2028 && unit <= 0x202e) ||
    (unit >= 0x2060 && unit <= 0x206f) ||
    unit === 0xfeff
  )
}

function escapeOf(unit: number): string {
  if (unit === 0x22) return '\\"'
  if (unit === 0x5c) return '\\\\'
  if (unit === 0x0a) return '\\n'
  if (unit === 0x0d) return '\\r'
  if (unit === 0x09) return '\\t'
  if (unit >= 0xd800 && unit <= 0xdfff) return '\\ufffd'
  return `\\u${unit.toString(16).padStart(4, '0')}`
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff
}
