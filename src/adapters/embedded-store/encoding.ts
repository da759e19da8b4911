import type { StateRecord } from '../../state/record.js'

/** A record as it lies in the file, with the time until which it is kept, milliseconds since the epoch. */
export type Kept = { readonly record: StateRecord; readonly expiresAtMs: number }

/** FNV-1a over UTF-16 units, as 8 hexadecimal digits: tells a value that changed on disk, not one that was forged. */
export function checksumOf(text: string): string {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  }
  return (hash >>> 0).toString(16).padStart(8, '0')
}

export function encodeKept({ record, expiresAtMs }: Kept): string {
  const text = JSON.stringify([Math.trunc(expiresAtMs), Object.fromEntries(record)])
  return checksumOf(text) + text
}

/** `corrupt`: the bytes are not what was written. */
export function decodeKept(stored: string): Kept | 'corrupt' {
  const text = stored.slice(8)
  if (checksumOf(text) !== stored.slice(0, 8)) return 'corrupt'
  const [expiresAtMs, fields]: [number, Record<string, number | string>] = JSON.parse(text)
  return { record: new Map(Object.entries(fields)), expiresAtMs }
}
