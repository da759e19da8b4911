import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rename, rm, rmdir, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { HttpSinkOptions } from '../../../../src/adapters/audit-http/sink.js'
import { openSpool, type Spool } from '../../../../src/adapters/audit-http/spool.js'
import { type SpoolKey, spoolKeyOf } from '../../../../src/adapters/audit-http/spool-file.js'
import { type Collector, status } from '../../../support/collector.js'
import { eventually } from '../../../support/eventually.js'
import { collect, endAll, event, numbersIn, sinkTo, upTo } from './sinks.js'

const MIB = 1024 * 1024
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portcullis-spool-'))
})
afterEach(async () => {
  await endAll()
  await rm(directory, { recursive: true, force: true })
})

function keyOf(digit: string): SpoolKey {
  const key = spoolKeyOf(digit.repeat(64))
  if (!key) throw new Error('no key')
  return key
}

const KEYS = [
  { how: 'in plain', key: undefined },
  { how: 'encrypted', key: keyOf('a') },
]

async function spoolOf(key?: SpoolKey, maxBytes = MIB): Promise<Spool> {
  const opened = await openSpool({ directory, maxBytes, key })
  if (!opened.ok) throw new Error(opened.problem)
  return opened.spool
}

async function spooling(url: string, over: Partial<HttpSinkOptions> = {}, key?: SpoolKey, maxBytes?: number) {
  return sinkTo(url, { spool: await spoolOf(key, maxBytes), ...over })
}

const files = async (): Promise<string[]> => (await readdir(directory)).toSorted()
const taken = ({ posted }: Collector, from = 0): unknown[] =>
  posted.slice(from).flatMap(({ records }) => numbersIn(records))

/** Leaves batches of one event in the folder, as a process does that ends while the collector is away. */
async function leaveBehind(events: readonly number[], key?: SpoolKey): Promise<void> {
  const collector = await collect(status(500))
  const sink = await spooling(collector.url, { batchEvents: 1 }, key)
  for (const n of events) sink.take(event(n))
  await sink.drain(1000)
  expect(sink.figures()).toMatchObject({ pending: events.length, lost: 0, written: 0 })
}

describe('a folder that is refused', () => {
  test('it is not there', async () => {
    await rm(directory, { recursive: true })
    expect(await openSpool({ directory, maxBytes: MIB, key: undefined })).toEqual({
      ok: false,
      problem: `${directory} can't be used: ENOENT`,
    })
  })

  test.each([
    { name: 'another key', key: keyOf('b'), problem: 'another key' },
    { name: 'no key', key: undefined, problem: 'a key, and no `keyFile` is given' },
  ])('its batches were encrypted, and now there is $name; they stay', async ({ key, problem }) => {
    await leaveBehind([1, 2], keyOf('a'))
    const before = await files()
    expect(await openSpool({ directory, maxBytes: MIB, key })).toEqual({
      ok: false,
      problem: `${directory} holds 2 batches that are encrypted with ${problem}`,
    })
    expect(await files()).toEqual(before)
  })
})

describe('a file that is damaged', () => {
  const damages = [
    {
      name: 'a byte is changed',
      change: (bytes: Buffer) =>
        Buffer.concat([bytes.subarray(0, -1), Buffer.from([(bytes.at(-1) ?? 0) ^ 1])]),
    },
    { name: 'its end is missing', change: (bytes: Buffer) => bytes.subarray(0, -1) },
    { name: 'it is empty', change: () => Buffer.alloc(0) },
    { name: 'it is something else', change: () => Buffer.from('something else') },
    { name: 'its head alone is left', change: (bytes: Buffer) => bytes.subarray(0, 12) },
  ]
  test.each(
    damages.flatMap((each) => [
      { ...each, key: undefined },
      { ...each, key: keyOf('a') },
    ]),
  )('$name ($how): it is set aside and told, and the others are sent', async ({ change, key }) => {
    await leaveBehind([1, 2, 3], key)
    const [, second = ''] = await files()
    await writeFile(join(directory, second), change(await readFile(join(directory, second))))
    const collector = await collect()
    const sink = await spooling(collector.url, {}, key)
    await eventually(() => expect(sink.figures()).toMatchObject({ pending: 0, written: 2, lost: 1 }))
    expect(taken(collector)).toEqual([1, 3])
    expect(await files()).toEqual([`${second}.bad`])
    expect(sink.told).toContainEqual({
      level: 'error',
      message: 'security events are lost',
      fields: { lost: 1, problem: `${second} is damaged and was kept as ${second}.bad` },
    })
  })

  test.each(KEYS)('a file under the name of another is none of that name ($how)', async ({ key }) => {
    await leaveBehind([1, 2], key)
    const [first = '', second = ''] = await files()
    await writeFile(join(directory, second), await readFile(join(directory, first)))
    const collector = await collect()
    const sink = await spooling(collector.url, {}, key)
    await eventually(() => expect(sink.figures()).toMatchObject({ pending: 0, written: 1, lost: 1 }))
    expect(taken(collector)).toEqual([1])
  })

  test('a file that somebody removed is told as lost', async () => {
    await leaveBehind([1, 2])
    const spool = await spoolOf()
    const [first = ''] = await files()
    await rm(join(directory, first))
    const collector = await collect()
    const sink = sinkTo(collector.url, { spool })
    await eventually(() => expect(sink.figures()).toMatchObject({ pending: 0, written: 1, lost: 1 }))
    expect(sink.told[0]?.fields).toEqual({ lost: 1, problem: `${first} is gone` })
  })

  test('a link is not followed', async () => {
    await leaveBehind([1])
    const [first = ''] = await files()
    await rename(join(directory, first), join(directory, 'elsewhere'))
    await symlink(join(directory, 'elsewhere'), join(directory, first))
    expect(await openSpool({ directory, maxBytes: MIB, key: undefined })).toEqual({
      ok: false,
      problem: `${directory} can't be used: ELOOP`,
    })
  })
})

test('what was not finished is removed, what is foreign is left alone', async () => {
  await writeFile(join(directory, '0000000000000007-1.batch.tmp'), 'half')
  await writeFile(join(directory, 'README'), 'foreign')
  const opened = await openSpool({ directory, maxBytes: MIB, key: undefined })
  expect(opened).toMatchObject({ ok: true, leftOver: 1, spool: { found: [] } })
  expect(await files()).toEqual(['README'])
})

test.each(KEYS)('its owner alone may read it ($how)', async ({ key }) => {
  await leaveBehind([7], key)
  const [file = ''] = await files()
  expect((await stat(join(directory, file))).mode & 0o777).toBe(0o600)
  const head = (await readFile(join(directory, file))).subarray(0, 9).toString('latin1')
  expect(head).toBe(`PCSPOOL1${key ? '\u0001' : '\0'}`)
})

test.each(KEYS)(
  'a collector that is away for long: nothing is lost, all of it comes afterwards, in order ($how)',
  async ({ key }) => {
    const collector = await collect(status(500))
    const sink = await spooling(collector.url, { buffer: 20, batchEvents: 10 }, key)
    const all = upTo(500)
    for (const n of all) {
      await eventually(() => expect(sink.hasRoom()).toBe(true))
      sink.take(event(n))
    }
    await eventually(() => expect(sink.figures()).toMatchObject({ pending: 500, problem: 'status 500' }))
    await eventually(async () => expect((await files()).length).toBeGreaterThanOrEqual(50))
    const tries = collector.posted.length
    collector.answer = status(200)
    await eventually(() => expect(sink.figures()).toMatchObject({ pending: 0, written: 500, lost: 0 }))
    const inOrder = taken(collector, tries)
    expect(inOrder.slice(-500)).toEqual(all)
    expect(await files()).toEqual([])
  },
)

test('a start finds what another left, counts it, and sends it before its own', async () => {
  await leaveBehind([1, 2, 3])
  const collector = await collect(status(503))
  const sink = await spooling(collector.url)
  expect(sink.figures().pending).toBe(3)
  sink.take(event(4))
  await eventually(() => expect(sink.figures().pending).toBe(4))
  const tries = collector.posted.length
  collector.answer = status(200)
  await eventually(() => expect(sink.figures()).toMatchObject({ pending: 0, written: 4, lost: 0 }))
  expect(taken(collector, tries).slice(-4)).toEqual([1, 2, 3, 4])
})

test('a file in plain is sent under a key too', async () => {
  await leaveBehind([1])
  const collector = await collect()
  const sink = await spooling(collector.url, {}, keyOf('a'))
  await eventually(() => expect(sink.figures()).toMatchObject({ pending: 0, written: 1, lost: 0 }))
})

test('a batch that is too large is sent in halves, and its file goes once both are through', async () => {
  const collector = await collect((response, { records }) =>
    response.writeHead(records.length > 3 ? 413 : 200).end(),
  )
  const sink = await spooling(collector.url)
  for (const n of upTo(10)) sink.take(event(n))
  await eventually(() => expect(sink.figures()).toMatchObject({ pending: 0, written: 10, lost: 0 }))
  const through = collector.posted.filter(({ records }) => records.length <= 3)
  expect(through.flatMap(({ records }) => numbersIn(records))).toEqual(upTo(10))
  expect(await files()).toEqual([])
})

describe('a spool without room', () => {
  const SMALL = 300

  test('memory fills then, until there is no room; afterwards all is sent in order', async () => {
    const collector = await collect(status(500))
    const sink = await spooling(collector.url, { buffer: 6, batchEvents: 1 }, undefined, SMALL)
    let last = 0
    await eventually(async () => {
      if (sink.hasRoom()) sink.take(event(++last))
      await new Promise((resolve) => setTimeout(resolve, 5))
      expect(sink.figures().problem).toBe('status 500; the spool is full')
      expect(sink.hasRoom()).toBe(false)
    })
    expect(last).toBeGreaterThan(6)
    expect(sink.figures().pending).toBe(last)
    const tries = collector.posted.length
    collector.answer = status(200)
    await eventually(() => expect(sink.figures()).toMatchObject({ pending: 0, written: last, lost: 0 }))
    expect(taken(collector, tries).slice(-last)).toEqual(upTo(last))
    // The last file goes, and with it the problem, a moment after its events count as written.
    await eventually(async () => {
      expect(sink.figures().problem).toBeUndefined()
      expect(await files()).toEqual([])
    })
  })

  test('what is set aside counts, so that the folder stays within its bound', async () => {
    await leaveBehind([1, 2, 3, 4])
    for (const name of await files()) await rename(join(directory, name), join(directory, `${name}.bad`))
    const collector = await collect(status(500))
    const sink = await spooling(collector.url, { batchEvents: 1 }, undefined, SMALL)
    sink.take(event(5))
    await eventually(() => expect(sink.figures().problem).toContain('the spool is full'))
    expect(sink.told).toContainEqual({
      level: 'error',
      message: 'the spool is full',
      fields: { inMemory: 1 },
    })
  })

  test('drain tries what has no room there, and leaves the rest', async () => {
    const collector = await collect(status(500))
    const sink = await spooling(collector.url, { batchEvents: 1 }, undefined, SMALL)
    for (const n of upTo(6)) sink.take(event(n))
    await eventually(() => expect(sink.figures().problem).toBe('status 500; the spool is full'))
    const stored = (await files()).length
    expect(stored).toBeGreaterThan(0)
    await sink.drain(100)
    expect(sink.figures()).toMatchObject({ pending: stored, written: 0, lost: 6 - stored })
    expect(await files()).toHaveLength(stored)
  })
})

describe('a disk that takes nothing', () => {
  /** A folder in the place of the file that is to be written. */
  async function obstruct(): Promise<void> {
    await rename(directory, `${directory}.away`)
    await writeFile(directory, '')
  }

  afterEach(() => rm(`${directory}.away`, { recursive: true, force: true }))

  test('sending goes on from memory, and the problem is told', async () => {
    const collector = await collect()
    const sink = await spooling(collector.url)
    await obstruct()
    for (const n of upTo(3)) sink.take(event(n))
    await eventually(() => expect(sink.figures()).toMatchObject({ pending: 0, written: 3, lost: 0 }))
    expect(taken(collector)).toEqual([1, 2, 3])
    expect(sink.figures().problem).toBe("the spool can't be written: ENOTDIR")
  })

  test('once it takes batches again, those that wait go there', async () => {
    const collector = await collect(status(500))
    const sink = await spooling(collector.url, { batchEvents: 1 })
    await obstruct()
    for (const n of upTo(3)) sink.take(event(n))
    await eventually(() => expect(sink.figures().problem).toContain('ENOTDIR'))
    await rm(directory)
    await rename(`${directory}.away`, directory)
    await eventually(async () => expect(await files()).toHaveLength(3))
    expect(sink.figures()).toMatchObject({ pending: 3, problem: 'status 500' })
    await sink.drain(1000)
    const next = await spooling((await collect()).url)
    await eventually(() => expect(next.figures()).toMatchObject({ pending: 0, written: 3 }))
  })
})

test('a delivered batch whose file can not be removed is told, and goes with the next one', async () => {
  const collector = await collect((response) => {
    for (const name of readdirSync(directory)) {
      rmSync(join(directory, name))
      mkdirSync(join(directory, name))
    }
    response.end()
  })
  const sink = await spooling(collector.url)
  sink.take(event(1))
  await eventually(() => expect(sink.told).toHaveLength(1))
  expect(sink.told[0]).toMatchObject({
    level: 'error',
    message: 'delivered batches stay in the spool and may be sent again by the next start',
  })
  expect(sink.figures()).toMatchObject({ pending: 0, written: 1, lost: 0 })
  for (const name of await files()) await rmdir(join(directory, name))
  await writeFile(join(directory, '0000000000000001-1.batch'), '')
  collector.answer = status(200)
  sink.take(event(2))
  await eventually(async () => expect(await files()).toEqual([]))
  expect(sink.told).toHaveLength(1)
})
