import { parseAddress, type Address } from '../segmentation/when/address.js'

/**
 * The one spelling of an IP address: IPv4 with dots, also for IPv4-mapped IPv6; IPv6 in lower case with its longest
 * run of zeros left out. Undefined for what is no plain address. Source: RFC 5952 4.
 */
export function canonicalIp(text: string): string | undefined {
  let canonical = recent.get(text)
  if (canonical === undefined && !recent.has(text)) {
    const address = parseAddress(text)
    canonical = address && formatIp(address)
    if (text.length > MAX_TEXT) return canonical
    if (recent.size >= RECENT) recent.clear()
    recent.set(text, canonical)
  }
  return canonical
}

/** Texts that were read lately: a mesh has few peers. */
const recent = new Map<string, string | undefined>()
const RECENT = 10_000
/** No textual IP address is longer. */
const MAX_TEXT = 45

/** As `canonicalIp` writes it. */
export function formatIp({ family, words }: Address): string {
  if (family === 4) return words.flatMap((word) => [word >> 8, word & 0xff]).join('.')
  let longest = { from: 0, length: 1 }
  let from = 0
  words.forEach((word, index) => {
    if (word !== 0) from = index + 1
    else if (index + 1 - from > longest.length) longest = { from, length: index + 1 - from }
  })
  const hex = words.map((word) => word.toString(16))
  if (longest.length === 1) return hex.join(':')
  const end = longest.from + longest.length
  return `${hex.slice(0, longest.from).join(':')}::${hex.slice(end).join(':')}`
}
