import { appendFile, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { compactDecrypt, decodeProtectedHeader } from 'jose'
import type { LogSigner } from '../../../../src/audit/chain/log-lines.js'
import type { Recipient } from '../../../../src/audit/chain/audit-keys.js'
import { readAuditLog } from '../../../support/audit-log.js'
import { eventOf, newRecipient, newSigner, openLog, until } from '../../../support/file-log.js'

let folder = ''
const at = (name: string): string => join(folder, name)

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'audit-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

const numbers = (events: readonly Readonly<Record<string, unknown>>[]): unknown[] => events.map(({ n }) => n)
const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1)

describe('taking', () => {
  test('has room for as many as may be held, and tells when there is some again', async () => {
    const { sink } = await openLog(folder, { bufferEvents: 2, flushIntervalMs: 30 })
    let rooms = 0
    sink.onRoom(() => rooms++)
    for (const n of [1, 2]) {
      expect(sink.hasRoom()).toBe(true)
      expect(sink.take(eventOf(n))).toBeUndefined()
    }
    expect(sink.hasRoom()).toBe(false)
    expect(sink.figures()).toMatchObject({ pending: 2, written: 0 })
    await until(() => sink.hasRoom())
    expect(rooms).toBe(1)
    expect(sink.figures()).toMatchObject({ pending: 0, written: 2, lost: 0 })
    await sink.drain()
    expect(sink.hasRoom()).toBe(false)
  })

  test('after the end it counts as lost', async () => {
    const { sink } = await openLog(folder, { fsync: 'Always' })
    await sink.drain()
    await expect(sink.take(eventOf(1))).resolves.toBe('lost')
    expect(sink.figures()).toMatchObject({ lost: 1 })
  })

  test('what fills a batch is written at once, however long an event may wait', async () => {
    const { sink } = await openLog(folder, { flushIntervalMs: 60_000 })
    for (let n = 1; n <= 20; n++) void sink.take(eventOf(n, undefined, 'x'.repeat(10_000)))
    await until(() => sink.figures().written >= 14)
    expect(sink.figures().pending).toBeGreaterThan(0)
    await sink.drain()
    expect(numbers((await readAuditLog(folder, 'events')).events)).toEqual(upTo(20))
  })

  test('Always: settles when the event is in the file; many that come at once share the wait', async () => {
    const { sink } = await openLog(folder, { fsync: 'Always', flushIntervalMs: 60_000 })
    for (let round = 0; round < 20; round++) {
      const taken = upTo(50).map(async (n) => sink.take(eventOf(round * 50 + n)))
      await expect(Promise.all(taken)).resolves.toEqual(Array.from({ length: 50 }, () => 'kept'))
      const { events, problems } = await readAuditLog(folder, 'events')
      expect([events.length, problems]).toEqual([(round + 1) * 50, []])
    }
    await sink.drain()
  })

  test.each(['Never', 'Interval', 'Always'] as const)(
    '%s: nothing that was taken is missing after a drain',
    async (fsync) => {
      const { sink } = await openLog(folder, { fsync, flushIntervalMs: 60_000 })
      for (const n of upTo(1000)) void sink.take(eventOf(n, n % 3 === 0 ? 'restricted' : undefined))
      await sink.drain(5000)
      const plain = await readAuditLog(folder, 'events')
      const restricted = await readAuditLog(folder, 'events.restricted')
      expect([...plain.problems, ...restricted.problems]).toEqual([])
      expect(numbers(plain.events)).toEqual(upTo(1000).filter((n) => n % 3 !== 0))
      expect(numbers(restricted.events)).toEqual(upTo(1000).filter((n) => n % 3 === 0))
      expect(plain.own.at(-1)).toMatchObject({
        reason: 'close',
        covered: plain.lastSeq - 1,
        streams: { restricted: { seq: restricted.lastSeq } },
      })
      expect(restricted.own.at(-1)).toMatchObject({ reason: 'close', stream: 'restricted' })
    },
  )
})

describe('files', () => {
  test('are closed before they would grow too large, each with its checkpoint', async () => {
    const { signer, publicKey } = newSigner()
    const { sink } = await openLog(folder, { maxBytes: 3000, signer: () => signer, fsync: 'Always' })
    for (const n of upTo(40)) await sink.take(eventOf(n, undefined, 'x'.repeat(100)))
    await sink.drain()
    const log = await readAuditLog(folder, 'events', publicKey)
    expect([numbers(log.events), log.problems]).toEqual([upTo(40), []])
    expect(log.files.length).toBeGreaterThan(3)
    expect(log.files[0]).toBe('events.000000000001.jsonl')
    for (const name of log.files.slice(0, -1)) expect((await readFile(at(name))).length).toBeLessThan(3400)
  })

  test('are closed when they have been open long enough, also without a new event; empty ones are not', async () => {
    const { sink } = await openLog(folder, { maxAgeMs: 40 })
    void sink.take(eventOf(1))
    await until(async () => (await readdir(folder)).includes('events.000000000001.jsonl'))
    await new Promise((resolve) => {
      setTimeout(resolve, 150)
    })
    expect((await readdir(folder)).filter((name) => name.endsWith('.jsonl'))).toHaveLength(2)
    await sink.drain()
    const { own, problems } = await readAuditLog(folder, 'events')
    expect(problems).toEqual([])
    expect(own.map(({ eventType, reason }) => `${String(eventType)} ${String(reason)}`)).toEqual([
      'audit-opened new',
      'audit-checkpoint rotation',
      'audit-opened rotation',
      'audit-checkpoint close',
    ])
  })

  test('have a checkpoint while events come, and none while none do', async () => {
    const { signer, publicKey } = newSigner()
    const { sink } = await openLog(folder, { checkpointIntervalMs: 20, signer: () => signer })
    void sink.take(eventOf(1, 'restricted'))
    const checkpoints = async (stem: string): Promise<unknown[]> =>
      (await readAuditLog(folder, stem, publicKey)).own.filter(({ reason }) => reason === 'interval')
    await until(async () => {
      const [newest] = (await checkpoints('events')).slice(-1)
      return JSON.stringify(newest ?? '').includes('"restricted":{"seq":3')
    })
    const count = (await checkpoints('events')).length
    expect(await checkpoints('events.restricted')).toMatchObject([{ covered: 2 }])
    await new Promise((resolve) => {
      setTimeout(resolve, 120)
    })
    expect(await checkpoints('events')).toHaveLength(count)
    await sink.drain()
  })

  test('go on under a new key', async () => {
    const [first, second] = [newSigner(), newSigner()]
    let signer: LogSigner = first.signer
    const { sink } = await openLog(folder, { checkpointIntervalMs: 20, signer: () => signer })
    await until(async () => (await readFile(at('events.jsonl'), 'utf8')).includes('audit-checkpoint'))
    signer = second.signer
    void sink.take(eventOf(1))
    await sink.drain()
    const { own, problems } = await readAuditLog(folder, 'events')
    expect(problems).toEqual([])
    expect(own[0]).toMatchObject({ keyId: first.signer.keyId })
    expect(own.at(-1)).toMatchObject({ keyId: second.signer.keyId })
  })
})

describe('encryption', () => {
  test('leaves nothing of an event in plain; every JOSE library opens it with the private key alone', async () => {
    const { recipient, privateKey } = newRecipient()
    const stranger = newRecipient()
    const recipientOf = (name: string | undefined): Recipient | undefined =>
      name === 'restricted' ? recipient : undefined
    const { sink } = await openLog(folder, { recipient: recipientOf })
    for (const n of upTo(5)) void sink.take(eventOf(n, 'restricted', 'the-secret'))
    void sink.take(eventOf(6, 'internal', 'ü 😀'))
    await sink.drain()
    expect(await readFile(at('events.restricted.jsonl'), 'utf8')).not.toContain('the-secret')
    const { events, problems } = await readAuditLog(folder, 'events.restricted')
    expect(problems).toEqual([])
    const opened = await Promise.all(
      events.map(async ({ jwe, classification }) => {
        expect(classification).toBe('restricted')
        const { plaintext } = await compactDecrypt(String(jwe), privateKey)
        return Buffer.from(plaintext).toString()
      }),
    )
    expect(opened).toEqual(upTo(5).map((n) => eventOf(n, 'restricted', 'the-secret').line))
    expect(decodeProtectedHeader(String(events[0]?.['jwe']))).toMatchObject({
      alg: 'ECDH-ES',
      enc: 'A256GCM',
      kid: recipient.keyId,
      typ: 'portcullis-audit',
      epk: { kty: 'EC', crv: 'P-384' },
    })
    await expect(compactDecrypt(String(events[0]?.['jwe']), stranger.privateKey)).rejects.toThrow(
      'decryption',
    )
    expect((await readAuditLog(folder, 'events.internal')).events).toMatchObject([{ n: 6, text: 'ü 😀' }])
  })

  test('a content key serves one file, one recipient, one process and its time, and no number twice', async () => {
    let recipient = newRecipient().recipient
    let nowMs = Date.now()
    const options = {
      recipient: () => recipient,
      nowMs: () => nowMs,
      keyRotationMs: () => 1000,
      fsync: 'Always' as const,
    }
    let { sink } = await openLog(folder, { ...options, maxBytes: 3600 })
    const take = async (n: number): Promise<void> => void (await sink.take(eventOf(n)))
    await take(1)
    await take(2)
    nowMs += 1000
    await take(3)
    recipient = newRecipient().recipient
    await take(4)
    for (const n of [5, 6, 7, 8, 9]) await take(n)
    await sink.drain()
    ;({ sink } = await openLog(folder, options))
    await take(10)
    await sink.drain()
    const { events, files } = await readAuditLog(folder, 'events')
    expect(files.length).toBeGreaterThan(1)
    const parts = events.map(({ jwe }) => String(jwe).split('.'))
    expect(new Set(parts.map(([header, , iv]) => `${header} ${iv}`)).size).toBe(events.length)
    const [first, second, third, fourth] = parts.map(([header]) => header)
    expect(first).toBe(second)
    expect(new Set([second, third, fourth, parts.at(-2)?.[0], parts.at(-1)?.[0]]).size).toBe(5)
  })
})

describe('retention', () => {
  test('deletes closed files of a stream from the front, after a signed line that says so', async () => {
    const { signer, publicKey } = newSigner()
    let nowMs = Date.now()
    const keepMs = new Map([['short', 1000]])
    const options = {
      signer: () => signer,
      nowMs: () => nowMs,
      fsync: 'Always' as const,
      maxAgeMs: 20,
      retentionMs: (name: string | undefined) => keepMs.get(name ?? ''),
    }
    const { sink } = await openLog(folder, options)
    const closed = async (): Promise<string[]> =>
      (await readdir(folder)).filter((name) => /\d\.jsonl$/.test(name))
    for (const n of [1, 2]) {
      await Promise.all([sink.take(eventOf(n, 'short')), sink.take(eventOf(n, 'long'))])
      nowMs += 500
      await until(async () => (await closed()).length >= n * 2)
    }
    nowMs += 800
    await until(async () => !(await closed()).includes('events.short.000000000001.jsonl'))
    await sink.drain()
    const short = await readAuditLog(folder, 'events.short', publicKey)
    expect([numbers(short.events), short.problems]).toEqual([[2], []])
    const told = short.own.find(({ eventType }) => eventType === 'audit-retention')
    expect(told).toMatchObject({
      stream: 'short',
      removed: [{ file: 'events.short.000000000001.jsonl', firstSeq: 1, lastSeq: 3 }],
    })
    expect(numbers((await readAuditLog(folder, 'events.long')).events)).toEqual([1, 2])
  })

  test('keeps what it can not read, and everything behind that', async () => {
    let nowMs = Date.now()
    const first = await openLog(folder, { maxBytes: 100, fsync: 'Always' })
    for (const n of upTo(3)) await first.sink.take(eventOf(n))
    await first.sink.drain()
    await writeFile(at('events.000000000001.jsonl'), 'no line of a log')
    nowMs += 60_000
    const { sink } = await openLog(folder, { retentionMs: () => 1000, nowMs: () => nowMs })
    await sink.drain()
    const names = await readdir(folder)
    expect(names.filter((name) => /\d\.jsonl$/.test(name))).toHaveLength(2)
    expect(await readFile(at('events.jsonl'), 'utf8')).not.toContain('audit-retention')
  })
})

describe('somebody else', () => {
  const nearlyNow = { flushIntervalMs: 5, maxAgeMs: 100_000 }
  /** The files are looked for once a second. */
  const look = (): Promise<void> =>
    new Promise((resolve) => {
      setTimeout(resolve, 1050)
    })

  test('deletes the file that is written: what it held is written again', async () => {
    const { sink, told } = await openLog(folder, nearlyNow)
    void sink.take(eventOf(1))
    await until(() => sink.figures().written === 1)
    await rm(at('events.jsonl'))
    await look()
    void sink.take(eventOf(2))
    await until(() => sink.figures().written === 2)
    await sink.drain()
    const { events, files, problems } = await readAuditLog(folder, 'events')
    expect([numbers(events), problems]).toEqual([[1, 2], []])
    expect(files).toEqual(['events.000000000001.jsonl', 'events.jsonl'])
    expect(told).toEqual([`${at('events.jsonl')} was moved or deleted: what it held is written again`])
  })

  test('puts another file in its place: nothing is written into it, and nothing lost', async () => {
    const { sink, problems: told } = await openLog(folder, nearlyNow)
    void sink.take(eventOf(1))
    await until(() => sink.figures().written === 1)
    await rename(at('events.jsonl'), at('moved'))
    await writeFile(at('events.jsonl'), 'mine')
    await look()
    void sink.take(eventOf(2))
    await until(() => sink.figures().problem !== undefined)
    expect(sink.figures().problem).toBe(`${at('events.jsonl')} is there and is not the file that was written`)
    expect(await readFile(at('events.jsonl'), 'utf8')).toBe('mine')
    await rm(at('events.jsonl'))
    await until(() => sink.figures().written === 2)
    await sink.drain()
    expect(told.at(-1)).toBe('ok')
    const { events, problems } = await readAuditLog(folder, 'events')
    expect([numbers(events), problems]).toEqual([[1, 2], []])
  })

  test('writes into it: the file stays as it is, and a new one goes on', async () => {
    const { sink, told } = await openLog(folder, nearlyNow)
    void sink.take(eventOf(1))
    await until(() => sink.figures().written === 1)
    await appendFile(at('events.jsonl'), 'foreign')
    await look()
    void sink.take(eventOf(2))
    await until(() => sink.figures().written === 2)
    await sink.drain()
    expect(told[0]).toContain('events.jsonl was changed by somebody else')
    expect((await readFile(at('events.000000000001.jsonl'), 'utf8')).endsWith('foreign')).toBe(true)
    expect(numbers((await readAuditLog(folder, 'events')).events)).toEqual([1, 2])
  })

  test('moves the folder away: nothing is lost once it is back', async () => {
    const inner = at('audit')
    const { sink, problems } = await openLog(inner, nearlyNow)
    void sink.take(eventOf(1))
    await until(() => sink.figures().written === 1)
    await rename(inner, at('away'))
    await look()
    void sink.take(eventOf(2))
    await until(() => problems.length > 0)
    expect(problems[0]).toContain('ENOENT')
    await rename(at('away'), inner)
    await until(() => sink.figures().written === 2)
    await sink.drain()
    const log = await readAuditLog(inner, 'events')
    expect([numbers(log.events), log.problems, log.files]).toEqual([[1, 2], [], ['events.jsonl']])
  })

  test('takes the lock away: it is there again', async () => {
    const { sink, told } = await openLog(folder, nearlyNow)
    await rm(at('events.lock'))
    await look()
    void sink.take(eventOf(1))
    await until(() => told.length > 0)
    await expect(openLog(folder)).rejects.toThrow('is written by another process')
    await sink.drain()
  })
})
