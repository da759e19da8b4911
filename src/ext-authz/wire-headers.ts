import { isUtf8 } from 'node:buffer'
import type { RequestHeaders } from '../request/access-request.js'
import { type HeaderName, HeaderNames, spells } from './header-name.js'

const NAMES = new HeaderNames()

/**
 * The headers of one CheckRequest as places in its bytes; a value is decoded when somebody asks for it.
 * In Envoy's `headers` map repeated headers arrive joined with a comma, in `header_map` one by one.
 */
export class WireHeaders implements RequestHeaders {
  private readonly bytes: Buffer
  private readonly records: HeaderName[] = []
  /** Start and end of each value. */
  private readonly places: number[] = []
  /** Values that were asked for, by index. */
  private readonly decoded: (string | undefined)[] = []
  /** From `header_map`: repetitions show, and values may hold any byte. */
  raw = false

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  get size(): number {
    return this.records.length
  }

  /** False when the name is not one. Places are byte offsets into the message. */
  add(nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): boolean {
    const name = NAMES.at(this.bytes, nameStart, nameEnd)
    if (name === undefined) return false
    this.records.push(name)
    this.places.push(valueStart, valueEnd)
    this.decoded.push(undefined)
    return true
  }

  record(index: number): HeaderName {
    return this.records[index]!
  }

  /** Undefined for bytes that are no UTF-8. */
  value(index: number): string | undefined {
    const known = this.decoded[index]
    if (known !== undefined) return known
    const start = this.places[2 * index]!
    const end = this.places[2 * index + 1]!
    if (this.raw && !isUtf8(this.bytes.subarray(start, end))) return undefined
    return (this.decoded[index] = this.bytes.toString('utf8', start, end))
  }

  /** Whether the value is this ASCII text, without decoding it. */
  holds(index: number, text: string): boolean {
    return spells(text, this.bytes, this.places[2 * index]!, this.places[2 * index + 1]!)
  }

  get(name: string): string | undefined {
    const records = this.records
    let found = -1
    for (let index = 0; index < records.length; index++) {
      if (records[index]!.text !== name) continue
      if (this.raw && found !== -1) return undefined
      found = index
    }
    return found === -1 ? undefined : this.value(found)
  }

  count(name: string): number {
    let count = 0
    for (const record of this.records) if (record.text === name) count++
    return this.raw || count === 0 ? count : 1
  }

  names(): string[] {
    const names: string[] = []
    for (const record of this.records) if (!record.pseudo) names.push(record.text)
    return names
  }
}
