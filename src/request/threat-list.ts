import { parseRange } from '../segmentation/when/address.js'
import type { CidrEntry } from './cidr-table.js'
import { readLines, type ReadLines } from './range-lines.js'

/**
 * A list of malicious addresses and ranges, one a line: `203.0.113.7`, `198.51.100.0/24`, `2001:db8::/32`. The value of
 * an entry is the list's own name.
 */
export function readThreatList(file: string, bytes: Buffer): Generator<void, ReadLines<CidrEntry<string>>> {
  return readLines(file, bytes, (text) => {
    const range = parseRange(text)
    if ('problem' in range) return range
    if (range.prefixLength === 0) return { problem: `\`${text}\` would make every address malicious` }
    return { value: { range, value: file } }
  })
}
