import { parseRange } from '../segmentation/when/address.js'
import type { CidrEntry } from './cidr-table.js'
import { type Place, placeOf } from './place.js'
import { readLines, type ReadLines } from './range-lines.js'

const TITLE = /^"?cidr"?\s*,/i
const NUMBER = /^-?[0-9]{1,3}(?:\.[0-9]{1,20})?$/

/**
 * A table of places: lines `cidr,country,latitude,longitude`, for example `203.0.113.0/24,DE,52.52,13.405`. A line of
 * titles may come first, fields may stand in double quotes, and country or both coordinates may be empty or left out.
 */
export function readPlaceTable(file: string, bytes: Buffer): Generator<void, ReadLines<CidrEntry<Place>>> {
  let first = true
  return readLines(file, bytes, (text) => {
    const isTitle = first && TITLE.test(text)
    first = false
    return isTitle ? undefined : rowOf(text)
  })
}

function rowOf(text: string): { readonly value: CidrEntry<Place> } | { readonly problem: string } {
  const fields = text.split(',').map((field) => {
    const trimmed = field.trim()
    return /^"[^"]*"$/.test(trimmed) ? trimmed.slice(1, -1).trim() : trimmed
  })
  if (fields.length > 4) return { problem: 'has more than the fields cidr,country,latitude,longitude' }
  const [cidr = '', country = '', latitude = '', longitude = ''] = fields
  const range = parseRange(cidr)
  if ('problem' in range) return range
  if (country !== '' && !/^[A-Za-z]{2}$/.test(country))
    return { problem: `\`${country}\` is no country of two letters such as DE` }
  const located = latitude !== '' || longitude !== ''
  const place = placeOf(degrees(latitude), degrees(longitude), country)
  if (located && place?.latitude === undefined)
    return { problem: `\`${latitude},${longitude}\` is no latitude and longitude in degrees` }
  if (!place) return { problem: 'has neither a country nor coordinates' }
  return { value: { range, value: place } }
}

function degrees(text: string): number | undefined {
  return NUMBER.test(text) ? Number(text) : undefined
}
