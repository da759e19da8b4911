import { describe, expect, test } from '@jest/globals'
import { stateKey } from '../../src/state/record.js'
import { COLLECTIONS, type Collection, MAX_DOCUMENT, type StateStore } from '../../src/state/store.js'
import { readFields, type Replicas } from './replicas.js'

const LONGEST = 512
const MANY = 1000
const MANY_MS = 30_000

const NAMES = [
  'a',
  '/',
  'a/b',
  ':',
  'doc:grants:',
  '{0}',
  ' ',
  '  two  ',
  'ünïcödé €',
  '\u2028',
  '\ud83d\ude00',
  '\ud800',
  '\ud801',
  '__proto__',
  'constructor',
  '*',
  '"\\',
  'https://idp.example/\ttenant',
  'x'.repeat(LONGEST),
  '\uffff'.repeat(LONGEST),
]

async function pages(
  store: StateStore,
  collection: Collection,
  limit: number,
): Promise<[string, string][][]> {
  const all: [string, string][][] = []
  for (let cursor: string | undefined, n = 0; n === 0 || cursor !== undefined; n++) {
    if (n > MANY) throw new Error('a list without end')
    const page = await store.documents.list(collection, cursor, limit)
    if (page === 'unavailable') throw new Error('the store is not there')
    all.push(page.documents.map(({ name, text }) => [name, text]))
    cursor = page.next
  }
  return all
}

const listed = async (store: StateStore, collection: Collection): Promise<Map<string, string>> =>
  new Map((await pages(store, collection, 100)).flat())

async function clear(store: StateStore): Promise<void> {
  for (const collection of COLLECTIONS) {
    for (const name of (await listed(store, collection)).keys()) {
      expect(await store.documents.remove(collection, name)).toBe(true)
    }
  }
}

export function describeDocuments({ replica, isShared }: Replicas): void {
  /** Twice the same one where there is but one. */
  async function two(): Promise<readonly [StateStore, StateStore]> {
    const here = await replica('one')
    return [here, isShared ? await replica('two') : here]
  }

  describe('documents', () => {
    test.each([
      ['no name', '', 'text'],
      ['a name that is too long', 'x'.repeat(LONGEST + 1), 'text'],
      ['a text that is too long', 'name', 'x'.repeat(MAX_DOCUMENT + 1)],
    ])('%s is a bug of who writes it', async (_name, name, text) => {
      const { documents } = await replica('one')
      await expect(async () => documents.put('grants', name, text)).rejects.toThrow(TypeError)
      expect(await documents.get('grants', name)).toBeUndefined()
      expect(await documents.remove('grants', name)).toBe(false)
    })

    test.each([
      '',
      'x',
      '0',
      '0.',
      '.0',
      '-1.0',
      '0.-1',
      '999.0',
      '0.99999999999999999999',
      '0.18446744073709551616',
      '1e3.0',
      '0.0\n',
      '__proto__',
      '\ud800',
      '~',
      'x'.repeat(100_000),
    ])('nothing comes after a cursor that was never given (%#)', async (cursor) => {
      const store = await replica('one')
      expect(await store.documents.put('devices', 'name', 'text')).toBe('stored')
      expect(await store.documents.list('devices', cursor, 10)).toEqual({ documents: [], next: undefined })
      await clear(store)
    })

    test('a closed store is unavailable', async () => {
      const { close, documents } = await replica('one').then((store) => ({
        close: () => store.close(Date.now()),
        documents: store.documents,
      }))
      await close()
      expect(await documents.put('grants', 'name', 'text')).toBe('unavailable')
      expect(await documents.get('grants', 'name')).toBe('unavailable')
      expect(await documents.remove('grants', 'name')).toBe('unavailable')
      expect(await documents.list('grants', undefined, 10)).toBe('unavailable')
    })

    test('what is not there', async () => {
      const { documents } = await replica('one')
      expect(await documents.get('grants', 'nobody')).toBeUndefined()
      expect(await documents.remove('grants', 'nobody')).toBe(false)
      expect(await documents.list('grants', undefined, 10)).toEqual({ documents: [], next: undefined })
    })

    test.each(NAMES.map((name) => [name]))('written, read, written again and removed: %j', async (name) => {
      const [here, there] = await two()
      for (const text of ['', '{"a":"ü€\\u0000"}', '\ud83d\ude00 \ud800', '\uffff'.repeat(MAX_DOCUMENT)]) {
        expect(await here.documents.put('sessions', name, text)).toBe('stored')
        expect(await there.documents.get('sessions', name)).toEqual({ text })
        expect([...(await listed(there, 'sessions'))]).toEqual([[name, text]])
      }
      expect(await there.documents.get('grants', name)).toBeUndefined()
      expect(await there.documents.remove('sessions', name)).toBe(true)
      expect(await here.documents.remove('sessions', name)).toBe(false)
      expect(await here.documents.get('sessions', name)).toBeUndefined()
    })

    test('names that are alike are told apart', async () => {
      const [here, there] = await two()
      for (const name of NAMES)
        expect(await here.documents.put('grants', name, `text of ${name}`)).toBe('stored')
      expect(await listed(there, 'grants')).toEqual(new Map(NAMES.map((name) => [name, `text of ${name}`])))
      await clear(there)
    })

    test('of two that remove it, one finds it', async () => {
      const [here, there] = await two()
      await here.documents.put('grants', 'name', 'text')
      const removed = [here, there, here].map((store) => store.documents.remove('grants', 'name'))
      expect((await Promise.all(removed)).filter((wasThere) => wasThere === true)).toHaveLength(1)
    })

    test(
      `${MANY} are listed by pages, whatever comes and goes meanwhile`,
      async () => {
        const [here, there] = await two()
        const name = (n: number): string => `https://idp.example/users/${n}`
        const all = Array.from({ length: MANY }, (_, n) => [name(n), JSON.stringify({ n })] as const)
        await Promise.all(
          all.map(async ([is, text], n) => (n % 2 ? here : there).documents.put('devices', is, text)),
        )
        for (const limit of [100, 7, 0, NaN, -5, 1e9]) {
          // One that is given twice has been moved meanwhile.
          const given = (await pages(there, 'devices', limit)).flat()
          expect(new Map(given)).toEqual(new Map(all))
        }
        const byHundred = await pages(here, 'devices', 100)
        expect(byHundred.length).toBeGreaterThanOrEqual(5)
        expect(Math.max(...byHundred.map((page) => page.length))).toBeLessThan(200)

        const seen = new Set<string>()
        let cursor: string | undefined
        for (let n = 0; n === 0 || cursor !== undefined; n++) {
          const page = await here.documents.list('devices', cursor, 100)
          if (page === 'unavailable') throw new Error('the store is not there')
          for (const document of page.documents) seen.add(document.name)
          cursor = page.next
          if (n < 40) await there.documents.put('devices', `more ${n}`, '{}')
          if (n < 40) await there.documents.remove('devices', name(n * 25))
        }
        for (let n = 0; n < MANY; n++) if (n % 25 !== 0) expect(seen.has(name(n))).toBe(true)
        await clear(here)
      },
      MANY_MS,
    )

    test('they are there after it was closed and opened', async () => {
      const first = await replica('one')
      expect(await first.documents.put('quarantine', 'name', '{"since":1}')).toBe('stored')
      await first.close(Date.now())
      const again = await replica('one')
      expect(await again.documents.get('quarantine', 'name')).toEqual({ text: '{"since":1}' })
      await clear(again)
      await again.close(Date.now())
      expect(await listed(await replica('one'), 'quarantine')).toEqual(new Map())
    })

    test('a document is no record, and a record no document', async () => {
      const store = await replica('one')
      const [written, noted] = [
        stateKey('g', `document ${process.pid}`),
        stateKey('g', `record ${process.pid}`),
      ]
      const ops = [['max', 'until', 5]] as const
      expect(await store.documents.put('grants', written, '{"until":9}')).toBe('stored')
      expect(await store.commit([{ key: noted, ops, expiresAtMs: Date.now() + 60_000 }])).toBe('committed')
      await store.close(Date.now())
      const again = await replica('one')
      expect(await readFields(again, written)).toEqual({})
      expect(await readFields(again, noted)).toEqual({ until: 5 })
      expect(await again.documents.get('grants', noted)).toBeUndefined()
      expect([...(await listed(again, 'grants'))]).toEqual([[written, '{"until":9}']])
      expect(await again.documents.remove('grants', noted)).toBe(false)
      expect(await readFields(again, noted)).toEqual({ until: 5 })
      await clear(again)
    })
  })
}
