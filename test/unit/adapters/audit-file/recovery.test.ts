import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFile,
  copyFile,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { acquireLock } from '../../../../src/adapters/audit-file/lock.js'
import { readAuditLog } from '../../../support/audit-log.js'
import { eventOf, openLog, newSigner } from '../../../support/file-log.js'

let folder = ''
const at = (name: string): string => join(folder, name)
const active = (): string => at('events.jsonl')

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'audit-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** A process that writes events `from`..`to` and stops cleanly. */
async function life(from: number, to: number, options: Parameters<typeof openLog>[1] = {}) {
  const opened = await openLog(folder, options)
  for (let n = from; n <= to; n++) void opened.sink.take(eventOf(n))
  await opened.sink.drain()
  return opened
}

const numbers = (events: readonly Readonly<Record<string, unknown>>[]): unknown[] => events.map(({ n }) => n)

describe('is not opened', () => {
  test('through a symbolic link', async () => {
    await writeFile(at('elsewhere'), '')
    await symlink(at('elsewhere'), active())
    await expect(openLog(folder)).rejects.toThrow(`${active()} is a symbolic link`)
    expect(await readFile(at('elsewhere'), 'utf8')).toBe('')
  })

  test('where the file is none', async () => {
    await mkdir(active())
    await expect(openLog(folder)).rejects.toThrow('EISDIR')
  })

  test('where the folder can not be made', async () => {
    await writeFile(at('file'), '')
    await expect(openLog(at('file/audit'))).rejects.toThrow('ENOTDIR')
  })

  test('where nothing of a long file is a log', async () => {
    await writeFile(active(), '')
    await truncate(active(), 65 * 1024 * 1024)
    await expect(openLog(folder)).rejects.toThrow(
      `${active()}: its last 64 MiB hold no whole line of an audit log`,
    )
  })

  test('twice at once; after the first has closed it is', async () => {
    const first = await openLog(folder)
    const refused = `${active()} is written by another process, which holds events.lock`
    await expect(openLog(folder)).rejects.toThrow(refused)
    void first.sink.take(eventOf(1))
    await first.sink.drain()
    await life(2, 2)
    const { events, problems } = await readAuditLog(folder, 'events')
    expect([numbers(events), problems]).toEqual([[1, 2], []])
  })

  test('while another process holds it, however long its path; a killed one no longer does', async () => {
    const deep = at('long-'.repeat(30))
    await mkdir(deep)
    const lock = join(deep, 'events.lock')
    const script = `require('node:net').createServer().listen('events.lock', () => console.log('held'))`
    const holder = spawn(process.execPath, ['-e', script], {
      cwd: deep,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(holder.stdout, 'data')
    expect(await acquireLock(lock)).toEqual({ ok: false })
    holder.kill('SIGKILL')
    await once(holder, 'exit')
    expect((await stat(lock)).isSocket()).toBe(true)
    const taken = await acquireLock(lock)
    if (!taken.ok) throw new Error('still held')
    expect(await acquireLock(lock)).toEqual({ ok: false })
    await taken.lock.release()
    await expect(stat(lock)).rejects.toThrow('ENOENT')
  })
})

describe('goes on', () => {
  test('over restarts in one chain, readable by its owner alone', async () => {
    const { signer, publicKey } = newSigner()
    for (const n of [1, 3, 5]) await life(n, n + 1, { signer: () => signer })
    const log = await readAuditLog(folder, 'events', publicKey)
    expect(log).toMatchObject({ files: ['events.jsonl'], lastSeq: 12, problems: [] })
    expect(numbers(log.events)).toEqual([1, 2, 3, 4, 5, 6])
    const [opened, closed, again] = log.own
    expect(opened).toMatchObject({ eventType: 'audit-opened', reason: 'new', previousSeq: 0 })
    expect(closed).toMatchObject({ eventType: 'audit-checkpoint', reason: 'close', covered: 3, streams: {} })
    expect(again).toMatchObject({ eventType: 'audit-opened', reason: 'start', previousSeq: 4 })
    expect((await stat(active())).mode & 0o777).toBe(0o600)
    expect((await stat(at('events.head'))).mode & 0o777).toBe(0o600)
    const lines = (await readFile(active(), 'utf8')).trimEnd().split('\n')
    expect(await readFile(at('events.head'), 'utf8')).toBe(`${lines.at(-1)}\n`)
  })

  test('wherever the last line was torn', async () => {
    await life(1, 2)
    const whole = await readFile(active())
    // A crash, so no checkpoint: lines 1 (opened), 2 and 3.
    const lines = whole.toString().split('\n').slice(0, 3).join('\n')
    const start = lines.lastIndexOf('\n') + 1
    for (let cut = start; cut <= lines.length; cut += cut > start + 3 && cut < lines.length - 3 ? 7 : 1) {
      await rm(at('events.head'), { force: true })
      await writeFile(active(), lines.slice(0, cut))
      const { told } = await life(9, 9)
      const { events, own, problems } = await readAuditLog(folder, 'events')
      const isWhole = cut === lines.length
      expect([cut, numbers(events), problems, told]).toEqual([cut, isWhole ? [1, 2, 9] : [1, 9], [], []])
      const torn = cut === start || isWhole ? undefined : cut - start
      expect(own[1]).toMatchObject({ eventType: 'audit-opened', reason: 'start' })
      expect(own[1]?.['tornBytes']).toBe(torn)
    }
  }, 20_000)

  test('behind damage of every kind, torn again and again', async () => {
    await life(1, 2)
    for (const damage of [
      '\0'.repeat(5000),
      '{"half',
      'a\nb\n\n',
      '\n',
      `{"a":1,"chain":{"seq":9,"hash":"${'x'.repeat(43)}"}}\n`,
    ]) {
      await appendFile(active(), damage)
      await life(3, 3)
    }
    const { events, problems } = await readAuditLog(folder, 'events')
    expect(numbers(events)).toEqual([1, 2, 3, 3, 3, 3, 3])
    expect(problems).toEqual([])
  })

  test('where nothing of the file is whole', async () => {
    await writeFile(active(), 'no line')
    await life(1, 1)
    const { events, own, problems } = await readAuditLog(folder, 'events')
    expect([numbers(events), problems]).toEqual([[1], []])
    expect(own[0]).toMatchObject({ reason: 'new', tornBytes: 7 })
  })

  test('behind a line that is longer than one reading', async () => {
    const { sink } = await openLog(folder)
    void sink.take(eventOf(1, undefined, 'x'.repeat(3 * 1024 * 1024)))
    await sink.drain()
    await life(2, 2)
    const { events, problems } = await readAuditLog(folder, 'events')
    expect([numbers(events), problems]).toEqual([[1, 2], []])
  })

  test('in a new file where a crash came between closing one and beginning the next', async () => {
    await life(1, 2)
    await rename(active(), at('events.000000000001.jsonl'))
    const { told } = await life(3, 3)
    const { events, own } = await readAuditLog(folder, 'events')
    expect([numbers(events), told]).toEqual([[1, 2, 3], []])
    expect(own[2]).toMatchObject({ eventType: 'audit-opened', reason: 'start', previousSeq: 4 })
  })
})

describe('what is missing stays missing', () => {
  test('lines that were cut off behind a checkpoint: a gap, and the operator is told', async () => {
    await life(1, 3)
    const lines = (await readFile(active(), 'utf8')).split('\n')
    await writeFile(active(), `${lines.slice(0, 2).join('\n')}\n`)
    const { told } = await life(4, 4)
    expect(told).toEqual([`${active()}: lines 3 to 5 of the stream were written and are missing`])
    const opened = (await readFile(active(), 'utf8')).split('\n')[2] ?? ''
    expect(JSON.parse(opened)).toMatchObject({ previousSeq: 5, chain: { seq: 6 } })
  })

  test('a stream of which everything was deleted: the default one knows of it', async () => {
    const opened = await openLog(folder)
    for (const n of [1, 2]) void opened.sink.take(eventOf(n, 'restricted'))
    await opened.sink.drain()
    for (const name of ['events.restricted.jsonl', 'events.restricted.head']) await rm(at(name))
    await life(3, 3)
    const { own } = await readAuditLog(folder, 'events')
    expect(own.at(-1)).toMatchObject({ streams: { restricted: { seq: 4 } } })
    const again = await openLog(folder)
    void again.sink.take(eventOf(4, 'restricted'))
    await again.sink.drain()
    expect(again.told).toEqual([
      `${at('events.restricted.jsonl')}: lines 1 to 4 of the stream were written and are missing`,
    ])
    const [first] = (await readFile(at('events.restricted.jsonl'), 'utf8')).split('\n')
    expect(JSON.parse(first ?? '')).toMatchObject({ reason: 'start', previousSeq: 4, chain: { seq: 5 } })
  })

  test('a head that is none is told of', async () => {
    await life(1, 1)
    await copyFile(active(), at('events.head'))
    await appendFile(at('events.head'), 'x')
    const { told } = await life(2, 2)
    expect(told).toHaveLength(1)
    expect(told[0]).toContain('events.head is no head of an audit log')
  })
})
