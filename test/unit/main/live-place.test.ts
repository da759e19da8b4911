import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { openPlaces, type LivePlaces, type PlaceSources } from '../../../src/main/live-place.js'
import { StartFailure } from '../../../src/main/log.js'
import { eventually } from '../../support/eventually.js'
import { writeDatabase } from '../../support/mmdb.js'

let folder = ''
let open: LivePlaces | undefined
let logged: string[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'portcullis-place-'))
  logged = []
})
afterEach(() => {
  open?.close()
  open = undefined
  rmSync(folder, { recursive: true })
})

function write(name: string, content: string | Buffer): string {
  const path = join(folder, name)
  writeFileSync(`${path}.new`, content)
  renameSync(`${path}.new`, path)
  return path
}

async function opened(sources: Partial<PlaceSources>): Promise<LivePlaces> {
  open = await openPlaces({ geo: undefined, threats: { files: [] }, ...sources }, (level, message) => {
    logged.push(`${level} ${message}`)
  })
  return open
}

async function refusal(sources: Partial<PlaceSources>): Promise<readonly string[]> {
  const failure: unknown = await opened(sources).catch((error: unknown) => error)
  if (!(failure instanceof StartFailure)) throw new Error('was not refused')
  return failure.problems
}

const country = (code: string): Buffer => writeDatabase([['00000001', { country_code: code }]])

describe('openPlaces refuses', () => {
  test('everything that is wrong, at once', async () => {
    const bad = write('bad.txt', '1.2.3.4\nx\ny\n')
    const absent = join(folder, 'absent.txt')
    const mmdb = write('g.mmdb', 'no database')
    expect(await refusal({ geo: { kind: 'mmdb', path: mmdb }, threats: { files: [bad, absent] } })).toEqual([
      `${mmdb} is no database in MaxMind format that can be read: it has no metadata`,
      `${bad}:2: \`x\` is not an IP address or range such as 10.0.0.0/8`,
      `${bad}:3: \`y\` is not an IP address or range such as 10.0.0.0/8`,
      `${absent} can't be read: no such file or folder`,
    ])
  })

  test.each(['mmdb', 'table'] as const)('%s that is not there, or a folder', async (kind) => {
    expect(await refusal({ geo: { kind, path: join(folder, 'x') } })).toEqual([
      expect.stringContaining('no such file'),
    ])
    expect(await refusal({ geo: { kind, path: folder } })).toEqual([
      expect.stringContaining('is not a regular file'),
    ])
  })
})

describe('openPlaces', () => {
  test('without sources nobody knows anything', async () => {
    const places = await opened({ geo: { kind: 'header', name: 'x-edge-country' } })
    expect([places.placeOf('1.2.3.4'), places.isMalicious('1.2.3.4'), places.problems()]).toEqual([
      undefined,
      false,
      [],
    ])
  })

  test('a database: a broken new one is refused and the old one stays; a good one counts at once', async () => {
    const path = write('g.mmdb', country('DE'))
    const places = await opened({ geo: { kind: 'mmdb', path } })
    expect(places.placeOf('1.2.3.4')?.country).toBe('DE')
    write('g.mmdb', country('AU').subarray(0, 50))
    await eventually(() => expect(places.problems()).toEqual([expect.stringContaining('it has no metadata')]))
    expect(places.placeOf('1.2.3.4')?.country).toBe('DE')
    write('g.mmdb', country('AU'))
    await eventually(() => expect(places.placeOf('1.2.3.4')?.country).toBe('AU'))
    expect(places.problems()).toEqual([])
  })

  test('a table', async () => {
    const path = write('p.csv', 'cidr,country\n1.0.0.0/8,DE\n1.2.3.0/24,AU\n')
    const places = await opened({ geo: { kind: 'table', path } })
    expect(['1.1.1.1', '1.2.3.4', '2.2.2.2'].map((ip) => places.placeOf(ip)?.country)).toEqual([
      'DE',
      'AU',
      undefined,
    ])
    write('p.csv', '1.0.0.0/8\n')
    await eventually(() =>
      expect(places.problems()).toEqual([`${path}:1: has neither a country nor coordinates`]),
    )
    expect(places.placeOf('1.1.1.1')?.country).toBe('DE')
  })

  test('lists: one that is wrong keeps what it said, another one is read meanwhile', async () => {
    const files = [write('a.txt', '1.1.1.1\n'), write('b.txt', '2.2.2.0/24\n')]
    const places = await opened({ threats: { files } })
    const malicious = (): string[] =>
      ['1.1.1.1', '2.2.2.2', '3.3.3.3', 'nowhere'].filter((ip) => places.isMalicious(ip))
    expect(malicious()).toEqual(['1.1.1.1', '2.2.2.2'])
    write('a.txt', 'x\n')
    write('b.txt', '3.3.3.3\n')
    await eventually(() => expect(malicious()).toEqual(['1.1.1.1', '3.3.3.3']))
    expect(places.problems()).toEqual([
      `${files[0]}:1: \`x\` is not an IP address or range such as 10.0.0.0/8`,
    ])
    write('a.txt', '')
    await eventually(() => expect(malicious()).toEqual(['3.3.3.3']))
    expect(places.problems()).toEqual([])
    expect(logged.filter((line) => line.startsWith('error'))).not.toEqual([])
  })

  test('remembers no more than it may, however many ask', async () => {
    const places = await opened({ threats: { files: [write('a.txt', '10.0.0.0/8\n')] } })
    for (let index = 0; index < 120_000; index += 1) {
      const ip = `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`
      if (!places.isMalicious(ip)) throw new Error(ip)
    }
    expect(places.isMalicious('x'.repeat(10_000_000))).toBe(false)
  })
})
