import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type EmbeddedStore, openEmbeddedStore } from '../../../../src/adapters/embedded-store/store.js'
import type { StateDelta, StateOp, StateRecord } from '../../../../src/state/record.js'
import { stateKey } from '../../../../src/state/record.js'
import type { ReadAnswer } from '../../../../src/state/store.js'

let directory: string
let warnings: string[]
const opened: EmbeddedStore[] = []

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'portcullis-store-'))
  warnings = []
})

afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close(Date.now())))
  rmSync(directory, { recursive: true, force: true })
})

async function open(now: () => number = Date.now, maxCopies?: number): Promise<EmbeddedStore> {
  const warn = (message: string): void => void warnings.push(message)
  const store = await openEmbeddedStore({ directory, startedAtMs: 0, now, warn, maxCopies })
  opened.push(store)
  return store
}

const KEY = stateKey('u', 'https://idp.example', 'alice')
const delta = (key: string, ...ops: readonly StateOp[]): StateDelta => ({
  key,
  ops,
  expiresAtMs: Date.now() + 60_000,
})

function recordOf(answer: ReturnType<EmbeddedStore['read']>): Record<string, unknown> | string {
  if (answer instanceof Promise) throw new Error('the embedded store never waits')
  const read: ReadAnswer = answer
  return read === 'unavailable'
    ? read
    : Object.fromEntries<StateRecord extends ReadonlyMap<string, infer V> ? V : never>(read)
}

const at = (store: EmbeddedStore, key = KEY): Record<string, unknown> | string =>
  recordOf(store.read(key, Date.now()))

describe('what is refused', () => {
  test('a directory that another store holds', async () => {
    await open()
    await expect(open()).rejects.toThrow('is in use by another portcullis')
  })

  test('a directory that is a file', async () => {
    rmSync(directory, { recursive: true })
    writeFileSync(directory, '')
    await expect(open()).rejects.toThrow('EEXIST')
  })

  test('everything once it is closed', async () => {
    const store = await open()
    await store.close(Date.now())
    expect(at(store)).toBe('unavailable')
    expect(await store.commit([delta(KEY, ['add', 'n', 1])])).toBe('unavailable')
    expect(store.health()).toMatchObject({ standing: 'unavailable' })
  })
})

describe('a damaged file is kept aside, told of, and begun anew', () => {
  const file = (): string => join(directory, 'subjects.mdb')
  test.each<[string, () => void]>([
    ['garbage', () => writeFileSync(file(), Buffer.alloc(100_000, 7))],
    ['cut off', () => truncateSync(file(), 5000)],
    ['empty', () => truncateSync(file(), 1)],
    [
      'one byte of a value changed',
      () => {
        const bytes = readFileSync(file())
        const where = bytes.lastIndexOf('"remembered"')
        expect(where).toBeGreaterThan(0)
        for (
          let from = bytes.indexOf('"remembered"');
          from !== -1;
          from = bytes.indexOf('"remembered"', from + 1)
        ) {
          bytes[from + 2] = 0x58
        }
        writeFileSync(file(), bytes)
      },
    ],
  ])('%s', async (_name, damage) => {
    const first = await open()
    await first.commit([delta(KEY, ['add', 'remembered', 1])])
    await first.close(Date.now())
    damage()
    const second = await open()
    expect(at(second)).toEqual({})
    expect(second.health().lostBeforeMs).toBeGreaterThan(Date.now() - 60_000)
    expect(warnings).toEqual([expect.stringContaining('is damaged and was moved to')])
    expect(readdirSync(directory).filter((name) => name.includes('.corrupt-'))).toHaveLength(1)
    expect(await second.commit([delta(KEY, ['add', 'n', 1])])).toBe('committed')
    await second.close(Date.now())
    const third = await open()
    expect(at(third)).toEqual({ n: 1 })
    expect(third.health().lostBeforeMs).toBe(second.health().lostBeforeMs ?? third.health().lostBeforeMs)
    expect(third.health().lostBeforeMs).toBeDefined()
  })
})

describe('what is kept', () => {
  test('what was committed and what was noted, over a clean end', async () => {
    const first = await open()
    expect(at(first)).toEqual({})
    first.note([delta(KEY, ['add', 'n', 1]), delta(KEY, ['add', 'n', 2])])
    expect(at(first)).toEqual({ n: 3 })
    expect(await first.commit([delta(KEY, ['max', 'x', 7], ['latest', 'p', 5, 'Berlin\n\u0000"'])])).toBe(
      'committed',
    )
    await first.close(Date.now())
    const second = await open()
    expect(at(second)).toEqual({ n: 3, x: 7, p: '5|Berlin\n\u0000"' })
    expect(warnings).toEqual([])
    expect(second.health()).toMatchObject({ standing: 'current', lostBeforeMs: undefined, lost: 0 })
  })

  test('what was noted is written by itself', async () => {
    const store = await open()
    store.note([delta(KEY, ['add', 'n', 1])])
    await sleep(200)
    expect(store.health().pending).toBe(0)
  })

  test('what was noted while something was written is written too', async () => {
    const store = await open()
    for (let round = 0; round < 50; round++) {
      store.note([delta(stateKey('u', String(round)), ['add', 'n', 1])])
      await sleep(3)
    }
    await sleep(300)
    expect(store.health().pending).toBe(0)
  })

  test('more records than there is room for copies', async () => {
    const store = await open(Date.now, 10)
    const keys = Array.from({ length: 100 }, (_, index) => stateKey('w', String(index)))
    await store.commit(keys.map((key, index) => delta(key, ['add', 'n', index])))
    for (const [index, key] of keys.entries()) expect(at(store, key)).toEqual({ n: index })
    expect(store.health().copies).toBeLessThanOrEqual(11)
  })

  test('nothing that has expired', async () => {
    let nowMs = Date.now()
    const store = await open(() => nowMs)
    await store.commit([delta(KEY, ['add', 'n', 1])])
    nowMs += 61_000
    expect(recordOf(store.read(KEY, nowMs))).toEqual({})
    store.note([{ key: KEY, ops: [['add', 'm', 1]], expiresAtMs: nowMs + 1000 }])
    expect(recordOf(store.read(KEY, nowMs))).toEqual({ m: 1 })
  })
})

describe('documents in the file', () => {
  const file = (): string => join(directory, 'subjects.mdb')
  const names = Array.from({ length: 600 }, (_, n) => `device ${n}`)
  const put = (store: EmbeddedStore): Promise<unknown> =>
    Promise.all(names.map((name) => store.documents.put('devices', name, '{"n":1}')))

  test('a damaged one is noticed at the start', async () => {
    const first = await open()
    await first.documents.put('grants', 'name', '"remembered"')
    await first.close(Date.now())
    const bytes = readFileSync(file())
    expect(bytes.includes('remembered')).toBe(true)
    writeFileSync(file(), bytes.toString('latin1').replaceAll('remembered', 'xemembered'), 'latin1')
    const second = await open()
    expect(warnings).toEqual([expect.stringContaining('is damaged and was moved to')])
    expect(await second.documents.get('grants', 'name')).toBeUndefined()
  })

  test('sound ones pass the look after an end without a word', async () => {
    const first = await open()
    await put(first)
    await first.close(Date.now())
    rmSync(join(directory, 'subjects.clean'))
    const second = await open()
    expect(warnings).toEqual([])
    expect(await second.documents.get('devices', 'device 599')).toEqual({ text: '{"n":1}' })
  })

  test('they stay when records that have expired are swept away, more than one slice of them', async () => {
    let nowMs = Date.now()
    const store = await open(() => nowMs)
    await put(store)
    const keys = Array.from({ length: 600 }, (_, index) => stateKey('u', 'swept', String(index)))
    await store.commit(keys.map((key) => delta(key, ['add', 'n', 1])))
    nowMs += 3_600_000
    await sleep(2800)
    expect(warnings).toEqual([])
    await store.close(nowMs)
    const again = await open()
    for (const key of keys) expect(at(again, key)).toEqual({})
    for (const name of names) expect(await again.documents.get('devices', name)).toEqual({ text: '{"n":1}' })
  })
})
