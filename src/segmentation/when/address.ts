/**
 * An IP address, comparable. IPv4-mapped IPv6 addresses are their IPv4 address, because Envoy shows an
 * IPv4 peer of a `[::]` listener either way.
 */
export type Address = { readonly family: 4 | 6; readonly words: readonly number[] }

/** A range of addresses of one family; `::/0` holds no IPv4 address. */
export type AddressRange = Address & { readonly prefixLength: number }

const DECIMAL_BYTE = /^(?:0|[1-9][0-9]{0,2})$/
const HEX_WORD = /^[0-9a-fA-F]{1,4}$/

/** Undefined for anything but a plain textual address: no zone index, no brackets, no octal, no short IPv4. */
export function parseAddress(text: string): Address | undefined {
  if (!text.includes(':')) {
    const words = ipv4Words(text)
    return words && { family: 4, words }
  }
  const words = ipv6Words(text)
  if (!words) return undefined
  const mapped = words[5] === 0xffff && words.slice(0, 5).every((word) => word === 0)
  return mapped ? { family: 4, words: words.slice(6) } : { family: 6, words }
}

/** `10.0.0.0/8`, or a plain address, which stands for itself. The failure says what to write instead. */
export function parseRange(text: string): AddressRange | { readonly problem: string } {
  const slash = text.indexOf('/')
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash))
  if (!address) return { problem: `\`${text}\` is not an IP address or range such as 10.0.0.0/8` }
  const bits = address.words.length * 16
  if (slash < 0) return { ...address, prefixLength: bits }
  const written = text.slice(slash + 1)
  const mapped = address.family === 4 && text.includes(':')
  const prefixLength = DECIMAL_BYTE.test(written) ? Number(written) - (mapped ? 96 : 0) : -1
  if (prefixLength < 0 || prefixLength > bits) return { problem: `\`${text}\` has a wrong prefix length` }
  const range = { ...address, prefixLength }
  const network = { ...address, words: address.words.map((word, index) => word & mask(prefixLength, index)) }
  return sameWords(address, network)
    ? range
    : {
        problem: `\`${text}\` names a host inside its range; the range itself is ${formatAddress(network)}/${prefixLength}`,
      }
}

export function contains(range: AddressRange, address: Address): boolean {
  if (range.family !== address.family) return false
  for (let index = 0; index * 16 < range.prefixLength; index += 1) {
    const bits = mask(range.prefixLength, index)
    if (((range.words[index] ?? 0) & bits) !== ((address.words[index] ?? 0) & bits)) return false
  }
  return true
}

/** Bits of the 16-bit word at `index` that a prefix of this length covers. */
function mask(prefixLength: number, index: number): number {
  const covered = Math.min(Math.max(prefixLength - index * 16, 0), 16)
  return (0xffff << (16 - covered)) & 0xffff
}

function sameWords(a: Address, b: Address): boolean {
  return a.words.every((word, index) => word === b.words[index])
}

function formatAddress({ family, words }: Address): string {
  return family === 4
    ? words.flatMap((word) => [word >> 8, word & 0xff]).join('.')
    : words.map((word) => word.toString(16)).join(':')
}

function ipv4Words(text: string): number[] | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => DECIMAL_BYTE.test(part) && Number(part) < 256))
    return undefined
  const [a, b, c, d] = parts.map(Number)
  return [(a! << 8) | b!, (c! << 8) | d!]
}

function ipv6Words(text: string): number[] | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map((half, index) => groupWords(half, index === halves.length - 1))
  if (!head) return undefined
  if (halves.length === 1) return head.length === 8 ? head : undefined
  if (!tail || head.length + tail.length > 7) return undefined
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail]
}

/** Groups between colons; the last may be a dotted IPv4 address. */
function groupWords(half: string, last: boolean): number[] | undefined {
  if (half === '') return []
  const words: number[] = []
  const groups = half.split(':')
  for (const [index, group] of groups.entries()) {
    if (HEX_WORD.test(group)) words.push(Number.parseInt(group, 16))
    else {
      const dotted = last && index === groups.length - 1 ? ipv4Words(group) : undefined
      if (!dotted) return undefined
      words.push(...dotted)
    }
  }
  return words
}
