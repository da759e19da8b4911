import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  rename,
  rm,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { execFileSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { listPolicyFiles, readFileBounded, watchPaths } from '../../../src/adapters/files.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'portcullis-files-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const at = (name: string): string => join(folder, name)

describe('readFileBounded', () => {
  test.each([
    { name: 'absent', make: () => Promise.resolve(), says: 'no such file or folder' },
    { name: 'a folder', make: (path: string) => mkdir(path), says: 'is not a regular file' },
    { name: 'below a file', make: (path: string) => writeFile(path, ''), says: 'not a folder', below: '/x' },
    { name: 'a circle', make: (path: string) => symlink(path, path), says: 'in a circle' },
    {
      name: 'too large',
      make: (path: string) => writeFile(path, 'x'.repeat(11)),
      says: 'has 11 bytes; at most 10 are read',
    },
    {
      name: 'a FIFO that nobody writes to',
      make: async (path: string) => void execFileSync('mkfifo', [path]),
      says: 'is not a regular file',
    },
  ])('refuses $name', async ({ make, says, below = '' }) => {
    await make(at('f'))
    const read = await readFileBounded(at('f') + below, 10)
    expect(read).toEqual({ ok: false, problem: expect.stringContaining(says) })
    expect(read).toEqual({ ok: false, problem: expect.stringContaining(at('f')) })
  })

  test('refuses a device without end', async () => {
    expect(await readFileBounded('/dev/zero', 10)).toEqual({
      ok: false,
      problem: '/dev/zero is not a regular file',
    })
  })

  test.each([0, 1, 10])('reads %d of at most 10 bytes', async (size) => {
    await writeFile(at('f'), 'x'.repeat(size))
    expect(await readFileBounded(at('f'), 10)).toEqual({ ok: true, bytes: Buffer.from('x'.repeat(size)) })
  })
})

/** As kubelet mounts it: visible names link into ..data, which links to a folder of this version. */
async function mountConfigMap(version: string, files: Record<string, string>): Promise<void> {
  await mkdir(at(`..${version}`))
  for (const [name, text] of Object.entries(files)) {
    await writeFile(at(`..${version}/${name}`), text)
    await symlink(`..data/${name}`, at(name)).catch(() => undefined)
  }
  await symlink(`..${version}`, at('..data_tmp'))
  await rename(at('..data_tmp'), at('..data'))
}

describe('listPolicyFiles', () => {
  const listed = async () => {
    const result = await listPolicyFiles(folder)
    return result.ok ? result.files.map((path) => relative(folder, path)) : result.problem
  }

  test('refuses a folder that is not there, and a file', async () => {
    expect(await listPolicyFiles(at('none'))).toEqual({
      ok: false,
      problem: expect.stringContaining('no such file or folder'),
    })
    await writeFile(at('file'), '')
    expect(await listPolicyFiles(at('file'))).toEqual({
      ok: false,
      problem: expect.stringContaining("can't be read"),
    })
  })

  test('passes over everything that is no policy', async () => {
    await mkdir(at('.git'))
    await writeFile(at('.git/a.yaml'), '')
    for (const name of ['kustomization.yaml', 'Kustomization.yml', 'a.json', 'b.yaml~', '.c.yaml', 'yaml'])
      await writeFile(at(name), '')
    expect(await listed()).toEqual([])
  })

  test('ends where links lead in a circle, and reads no folder twice', async () => {
    await mkdir(at('a/b'), { recursive: true })
    await writeFile(at('a/b/x.yaml'), '')
    await symlink('..', at('a/b/up'))
    await symlink(folder, at('a/root'))
    await symlink('self', at('self'))
    await symlink('a', at('z'))
    expect(await listed()).toEqual(['a/b/x.yaml'])
  })

  test('keeps a link to nothing, so that its reading tells', async () => {
    await symlink('gone', at('a.yaml'))
    await symlink('gone', at('b'))
    expect(await listed()).toEqual(['a.yaml'])
  })

  test('is recursive and sorted', async () => {
    await mkdir(at('b'))
    for (const name of ['b/z.yml', 'b/a.yaml', 'c.yaml', 'a.yml']) await writeFile(at(name), '')
    expect(await listed()).toEqual(['a.yml', 'b/a.yaml', 'b/z.yml', 'c.yaml'])
  })

  test('reads a mounted ConfigMap once', async () => {
    await mountConfigMap('1', { 'a.yaml': '', 'b.yaml': '' })
    expect(await listed()).toEqual(['a.yaml', 'b.yaml'])
  })
})

describe('watchPaths', () => {
  const FAST = { settleMs: 20, pollMs: 100 }
  let close = (): void => undefined
  afterEach(() => close())

  const watched = (paths: string[], options = FAST) => {
    let calls = 0
    const watcher = watchPaths(paths, () => void calls++, options)
    close = () => watcher.close()
    return {
      get calls() {
        return calls
      },
      close,
      async until(count: number, withinMs = 3000) {
        const endsAt = Date.now() + withinMs
        while (Date.now() < endsAt) {
          if (calls >= count) break
          await sleep(10)
        }
        return calls
      },
    }
  }

  test('is silent while nothing changes', async () => {
    await writeFile(at('a.yaml'), 'x')
    const watcher = watched([folder, at('a.yaml'), at('absent')])
    await sleep(500)
    expect(watcher.calls).toBe(0)
  })

  test('is silent once closed', async () => {
    const watcher = watched([folder])
    watcher.close()
    await writeFile(at('a.yaml'), 'x')
    await sleep(300)
    expect(watcher.calls).toBe(0)
  })

  test.each<{ name: string; change: () => Promise<unknown> }>([
    { name: 'a write in place', change: () => writeFile(at('a.yaml'), 'y') },
    { name: 'more at its end', change: () => appendFile(at('a.yaml'), 'y') },
    {
      name: 'a replacement by rename with the same size and time',
      change: async () => {
        await writeFile(at('new'), 'y')
        await utimes(at('new'), 1, 1)
        await rename(at('new'), at('a.yaml'))
      },
    },
    { name: 'its removal', change: () => unlink(at('a.yaml')) },
    { name: 'other rights', change: () => chmod(at('a.yaml'), 0o600) },
    { name: 'the removal of its folder', change: () => rm(folder, { recursive: true }) },
  ])('of a file: $name', async ({ change }) => {
    await writeFile(at('a.yaml'), 'x')
    await utimes(at('a.yaml'), 1, 1)
    const watcher = watched([at('a.yaml')])
    await change()
    expect(await watcher.until(1)).toBe(1)
  })

  test.each<{ name: string; change: () => Promise<unknown> }>([
    { name: 'a new file', change: () => writeFile(at('b.yaml'), '') },
    {
      name: 'a new file deep below',
      change: () => mkdir(at('sub/deep')).then(() => writeFile(at('sub/deep/c.yaml'), '')),
    },
    { name: 'a removed folder', change: () => rm(at('sub'), { recursive: true }) },
    { name: 'a renamed file', change: () => rename(at('a.yaml'), at('c.yaml')) },
  ])('of a folder: $name', async ({ change }) => {
    await writeFile(at('a.yaml'), 'x')
    await mkdir(at('sub'))
    const watcher = watched([folder])
    await change()
    expect(await watcher.until(1)).toBeGreaterThanOrEqual(1)
  })

  test.each([
    { of: 'the folder', path: '' },
    { of: 'one file', path: 'a.yaml' },
  ])('the swap of a mounted ConfigMap, watching $of', async ({ path }) => {
    await mountConfigMap('1', { 'a.yaml': 'x' })
    const watcher = watched([at(path)], { settleMs: 100, pollMs: 750 })
    await mountConfigMap('2', { 'a.yaml': 'y' })
    await rm(at('..1'), { recursive: true })
    const startedAt = Date.now()
    expect(await watcher.until(1)).toBe(1)
    // About a second at worst; more is left for a busy machine.
    expect(Date.now() - startedAt).toBeLessThan(2500)
  })

  test('a path that comes, goes for a moment and comes back', async () => {
    const watcher = watched([at('later/a.yaml')])
    await mkdir(at('later'))
    await writeFile(at('later/a.yaml'), '1')
    expect(await watcher.until(1)).toBe(1)
    await rm(at('later'), { recursive: true })
    expect(await watcher.until(2)).toBe(2)
    await mkdir(at('later'))
    await writeFile(at('later/a.yaml'), '2')
    expect(await watcher.until(3)).toBeGreaterThanOrEqual(3)
  })

  test('many changes at once are one call, and one that never ends is told all the same', async () => {
    const watcher = watched([folder], { settleMs: 50, pollMs: 200 })
    for (let index = 0; index < 50; index++) await writeFile(at(`${index}.yaml`), '')
    await watcher.until(1)
    await sleep(300)
    expect(watcher.calls).toBeLessThanOrEqual(2)
    const before = watcher.calls
    const endsAt = Date.now() + 1500
    for (let index = 0; Date.now() < endsAt; index++) {
      await writeFile(at('busy.yaml'), String(index))
      await sleep(5)
    }
    expect(watcher.calls).toBeGreaterThan(before)
  })
})
