import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { openPlaceDatabase, type PlaceDatabase } from '../../../../src/adapters/geo/mmdb.js'
import { Raw, writeDatabase } from '../../../support/mmdb.js'

const CORPUS = fileURLToPath(new URL('../../../../../shared/corpora/mmdb/', import.meta.url))

const BERLIN = { country: { iso_code: 'DE' }, location: { latitude: 52.52, longitude: 13.405 } }
/** The leading bits of 1.0.0.0/8 and of 2.0.0.0/8. */
const ONE = '00000001'
const TWO = '00000010'

function databaseOf(bytes: Buffer): PlaceDatabase {
  const opened = openPlaceDatabase(bytes)
  if (!opened.ok) throw new Error(opened.problem)
  return opened.database
}

const good = (): Buffer => writeDatabase([[ONE, BERLIN]])

/** A control byte and a pointer of 11 bits. */
const pointer = (to: number): Raw => new Raw(0x20 | (to >> 8), to & 0xff)

describe('openPlaceDatabase refuses', () => {
  test.each([
    { name: 'nothing', bytes: Buffer.alloc(0), says: 'it has no metadata' },
    { name: 'a text', bytes: Buffer.from('DE,52.52,13.405\n'), says: 'it has no metadata' },
    { name: 'a compressed one', bytes: Buffer.from([0x1f, 0x8b, 8, 0]), says: 'it has no metadata' },
    { name: 'half of one', bytes: good().subarray(0, 40), says: 'it has no metadata' },
    { name: 'a cut one', bytes: good().subarray(0, -20), says: 'beyond the end of the file' },
    {
      name: 'metadata that is no map',
      bytes: Buffer.concat([good(), Buffer.from('\xab\xcd\xefMaxMind.com\x41a', 'latin1')]),
      says: 'its metadata is no map',
    },
    {
      name: 'a marker within a marker',
      bytes: Buffer.concat([good(), Buffer.from('\xab\xcd\xefMaxMind.com\xefMaxMind.com', 'latin1')]),
      says: 'its metadata is no map',
    },
    {
      name: 'a tree larger than the file',
      bytes: writeDatabase([[ONE, BERLIN]], { metadata: { node_count: 1_000_000 } }),
      says: 'its search tree is larger than the file',
    },
    {
      name: 'no nodes',
      bytes: writeDatabase([[ONE, BERLIN]], { metadata: { node_count: 0 } }),
      says: 'its search tree is larger',
    },
    {
      name: 'a count of nodes that is a text',
      bytes: writeDatabase([[ONE, BERLIN]], { metadata: { node_count: 'many' } }),
      says: 'its search tree is larger',
    },
    {
      name: 'records of another size',
      bytes: writeDatabase([[ONE, BERLIN]], { metadata: { record_size: 25 } }),
      says: 'its metadata is broken',
    },
    {
      name: 'another IP',
      bytes: writeDatabase([[ONE, BERLIN]], { metadata: { ip_version: 5 } }),
      says: 'it is for no version of IP',
    },
    {
      name: 'metadata in a circle',
      bytes: writeDatabase([[ONE, BERLIN]], { metadata: { description: pointer(0) } }),
      says: 'nested too deeply',
    },
    {
      name: 'a list of sixteen millions',
      bytes: writeDatabase([[ONE, BERLIN]], { metadata: { languages: new Raw(0x1f, 4, 0xff, 0xff, 0xff) } }),
      says: 'too many values',
    },
  ])('$name', ({ bytes, says }) => {
    const opened = openPlaceDatabase(bytes)
    expect(opened.ok ? '' : opened.problem).toContain(says)
  })
})

describe('a record that is broken is an unknown place, and the others are known', () => {
  const repeated = (times: number, ...bytes: number[]): number[] =>
    Array.from({ length: times }, () => bytes).flat()
  const lists = (depth: number): Raw => new Raw(...repeated(depth, 1, 4), 0x40)
  /** Each list has twenty pointers to the next one: 20 to the power of 9 values out of some 400 bytes. */
  const fan = new Raw(
    ...Array.from({ length: 9 }, (_, index) => {
      const to = (index + 1) * 42
      return [20, 4, ...repeated(20, 0x20 | (to >> 8), to & 0xff)]
    }).flat(),
    0x40,
  )
  test.each([
    { name: 'a pointer to itself', record: pointer(0) },
    { name: 'a map that holds itself', record: new Raw(0xe1, 0x41, 0x61, 0x20, 0) },
    { name: 'a pointer beyond the file', record: new Raw(0x38, 0xff, 0xff, 0xff, 0xff) },
    { name: 'lists within lists', record: lists(10_000) },
    { name: 'a fan of pointers', record: fan },
    { name: 'a list of sixteen millions', record: new Raw(0x1f, 4, 0xff, 0xff, 0xff) },
    { name: 'a map of sixteen millions', record: new Raw(0xff, 0xff, 0xff, 0xff) },
    { name: 'a text of sixteen megabytes', record: new Raw(0x5f, 0xff, 0xff, 0xff) },
    { name: 'a number of thirty bytes', record: new Raw(0xdd, 1) },
    {
      name: 'half of a double',
      record: { country: { iso_code: 'DE' }, location: new Raw(0x64, 1, 2, 3, 4) },
    },
    { name: 'a type that is none', record: new Raw(0, 99) },
    { name: 'a list', record: [BERLIN] },
    { name: 'a text', record: 'DE' },
    { name: 'a country that is none', record: { country: { iso_code: 'Germany' } } },
    { name: 'a country that is a number', record: { country: 49, country_code: 49 } },
    { name: 'coordinates off the earth', record: { location: { latitude: 91.5, longitude: 0 } } },
    { name: 'half of coordinates', record: { location: { latitude: 52.5 } } },
    { name: 'coordinates as words', record: { latitude: 'north', longitude: '1e1' } },
    { name: 'a prototype', record: { ['__proto__']: BERLIN } },
  ])('$name', ({ record }) => {
    const database = databaseOf(
      writeDatabase([
        [ONE, record],
        [TWO, BERLIN],
      ]),
    )
    const startedAt = performance.now()
    expect(database.placeOf('1.2.3.4')).toBe(undefined)
    expect(performance.now() - startedAt).toBeLessThan(200)
    expect(database.placeOf('2.2.3.4')).toEqual({ country: 'DE', latitude: 52.52, longitude: 13.405 })
  })
})

describe('places', () => {
  const place = { country: 'DE', latitude: 52.52, longitude: 13.405 }
  test.each([
    { name: "MaxMind's cities", record: BERLIN, is: place },
    {
      name: 'ip-location-db with texts',
      record: { country_code: 'DE', city: 'Berlin', latitude: '52.52', longitude: '13.405' },
      is: place,
    },
    {
      name: 'ip-location-db with numbers',
      record: { country_code: 'de', latitude: 52.52, longitude: 13.405 },
      is: place,
    },
    {
      name: 'a country alone',
      record: { country_code: 'AU' },
      is: { country: 'AU', latitude: undefined, longitude: undefined },
    },
    {
      name: 'coordinates alone',
      record: { location: { latitude: -33.9, longitude: 151 } },
      is: { country: undefined, latitude: -33.9, longitude: 151 },
    },
  ])('$name', ({ record, is }) => {
    const database = databaseOf(writeDatabase([[ONE, record]]))
    expect(database.placeOf('1.2.3.4')).toEqual(is)
    expect(database.placeOf('3.2.3.4')).toBe(undefined)
  })

  test('one of IPv4 knows no IPv6, not even by its first bits', () => {
    expect(databaseOf(good()).placeOf('100::1')).toBe(undefined)
  })

  test('one of IPv6 has IPv4 where ::/96 is', () => {
    const database = databaseOf(
      writeDatabase(
        [
          [`${'0'.repeat(96)}${ONE}`, BERLIN],
          ['0010000000000001', { country_code: 'AU' }],
        ],
        { ipVersion: 6 },
      ),
    )
    expect([database.placeOf('1.2.3.4'), database.placeOf('2001:db8::1')]).toMatchObject([
      { country: 'DE' },
      { country: 'AU' },
    ])
  })

  test.each(['', 'nowhere', '1.2.3', '::ffff:zz', '1'.repeat(1_000_000)])('no address, %#', (ip) => {
    expect(() => databaseOf(good()).placeOf(ip)).not.toThrow()
  })
})

type Expected = {
  readonly databases: readonly { readonly file: string; readonly opens: boolean }[]
  readonly broken: readonly { readonly file: string }[]
  readonly lookups: readonly { readonly file: string; readonly ip: string; readonly record: unknown }[]
}

const present = existsSync(`${CORPUS}expected.json`)
if (!present) process.stdout.write(`${CORPUS} is not there: the public databases were not tried\n`)

/** Public databases, good and broken, with what a reference reader finds in them; written by Python, which knows infinity. */
const expected: Expected = present
  ? JSON.parse(readFileSync(`${CORPUS}expected.json`, 'utf8').replace(/: ?(?:-?Infinity|NaN)/g, ':null'))
  : { databases: [], broken: [], lookups: [] }

const publicDatabases = (): void => {
  const broken = new Set(expected.broken.map(({ file }) => file))
  const asked = [
    '1.1.1.1',
    '0.0.0.0',
    '255.255.255.255',
    '81.2.69.142',
    '::1',
    '2001:220::',
    '::',
    'ffff:ffff::',
    '1.2.3.4',
  ]

  test.each([...broken])('%s: refused or harmless, at once', (file) => {
    const startedAt = performance.now()
    const before = process.memoryUsage().rss
    const opened = openPlaceDatabase(readFileSync(CORPUS + file))
    if (opened.ok) for (const ip of asked) opened.database.placeOf(ip)
    expect(performance.now() - startedAt).toBeLessThan(500)
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024)
  })

  test.each(expected.databases.filter(({ file, opens }) => opens && !broken.has(file)))(
    '$file opens',
    ({ file }) => {
      expect(openPlaceDatabase(readFileSync(CORPUS + file))).toMatchObject({ ok: true })
    },
  )

  const files = [...new Set(expected.lookups.map(({ file }) => file))].filter((file) => !broken.has(file))
  test.each(files)('%s says what the reference reader says', (file) => {
    const database = databaseOf(readFileSync(CORPUS + file))
    for (const { ip, record } of expected.lookups.filter((lookup) => lookup.file === file)) {
      const found = database.placeOf(ip)
      expect([ip, found?.country, found?.latitude, found?.longitude]).toEqual([
        ip,
        pick(record, 'country', 'iso_code'),
        pick(record, 'location', 'latitude'),
        pick(record, 'location', 'longitude'),
      ])
    }
  })
}
if (present) describe('public databases', publicDatabases)

function pick(record: unknown, ...names: readonly string[]): unknown {
  let value = record
  for (const name of names)
    value = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
  return value
}
