import { Reader } from 'maxmind'
import { type Place, placeOf } from '../../request/place.js'
import { BrokenDatabase, checkBounds } from './mmdb-bounds.js'

/** Places out of a database in MaxMind format. */
export type PlaceDatabase = {
  /** As the database calls its kind, and when it was built. */
  readonly kind: string
  readonly builtAtMs: number
  /**
   * The place of an IP address in its one spelling; undefined where the database knows none, or what it has there is broken.
   */
  readonly placeOf: (ip: string) => Place | undefined
}

export type OpenedDatabase =
  { readonly ok: true; readonly database: PlaceDatabase } | { readonly ok: false; readonly problem: string }

const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1')
/** What lies between the search tree and the data. */
const SEPARATOR_BYTES = 16

/**
 * Opens a database of cities or countries, in the layout of MaxMind (`country.iso_code`, `location.latitude`) or of
 * ip-location-db (`country_code`, `latitude`). A broken file is a problem, never an exception, and costs a bounded
 * time; the file is not walked, so what is broken deep within it makes the place of those addresses unknown.
 */
export function openPlaceDatabase(bytes: Buffer): OpenedDatabase {
  try {
    return { ok: true, database: databaseOf(bytes) }
  } catch (error) {
    const detail = error instanceof BrokenDatabase ? error.message : 'its metadata is broken'
    return { ok: false, problem: `is no database in MaxMind format that can be read: ${detail}` }
  }
}

function databaseOf(bytes: Buffer): PlaceDatabase {
  const marker = bytes.lastIndexOf(MARKER)
  if (marker < 0) throw new BrokenDatabase('it has no metadata')
  const start = marker + MARKER.length
  // The reader's search for the marker could overlook one that is followed by its own end.
  const first = bytes[start] ?? 0
  if (first >> 5 !== 7 || bytes.subarray(start, start + 12).equals(MARKER.subarray(2)))
    throw new BrokenDatabase('its metadata is no map')
  checkBounds(bytes, start, start)
  let unchecked = true
  let base = 0
  const reader = new Reader<never>(bytes, {
    cache: {
      // The reader asks before it decodes at an offset: first for a whole record, then at each pointer within it.
      get: (offset) => {
        if (unchecked) checkBounds(bytes, Number(offset), base)
        unchecked = false
        return undefined
      },
      set: () => undefined,
    },
  })
  const { databaseType, nodeCount, nodeByteSize, ipVersion, buildEpoch, searchTreeSize } = reader.metadata
  if (
    !Number.isSafeInteger(nodeCount) ||
    nodeCount < 1 ||
    nodeCount * nodeByteSize + SEPARATOR_BYTES > marker
  )
    throw new BrokenDatabase('its search tree is larger than the file')
  if (ipVersion !== 4 && ipVersion !== 6) throw new BrokenDatabase('it is for no version of IP')
  base = searchTreeSize + SEPARATOR_BYTES
  return {
    kind: databaseType,
    builtAtMs: buildEpoch.getTime(),
    placeOf: (ip) => {
      // A tree of IPv4 would take an IPv6 address for the one of its first 32 bits.
      if (ipVersion === 4 && ip.includes(':')) return undefined
      unchecked = true
      try {
        return placeOfRecord(reader.get(ip))
      } catch {
        // A broken record, and no reason to refuse: an unknown place is what is left of it.
        return undefined
      }
    },
  }
}

function placeOfRecord(record: unknown): Place | undefined {
  const location = field(record, 'location')
  const country = field(field(record, 'country'), 'iso_code') ?? field(record, 'country_code')
  return placeOf(
    degrees(field(location, 'latitude') ?? field(record, 'latitude')),
    degrees(field(location, 'longitude') ?? field(record, 'longitude')),
    country,
  )
}

/** ip-location-db writes coordinates as text. */
function degrees(value: unknown): unknown {
  return typeof value === 'string' && /^-?[0-9]{1,3}(?:\.[0-9]{1,20})?$/.test(value) ? Number(value) : value
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined
}
