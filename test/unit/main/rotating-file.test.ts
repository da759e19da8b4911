import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { RotatingFile } from '../../../src/main/rotating-file.js'

let folder = ''
let path = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rotating-'))
  path = join(folder, 'f')
})
afterEach(() => rmSync(folder, { recursive: true }))

async function appended(text: string, file = new RotatingFile(path, 1000, 2)) {
  await file.append(text)
  await file.close()
}

test.each([
  { name: 'a file', victim: 'victim' },
  { name: 'nothing', victim: 'missing' },
])('a symbolic link to $name is refused', async ({ victim }) => {
  const target = join(folder, victim)
  if (victim === 'victim') writeFileSync(target, 'kept\n', { mode: 0o644 })
  symlinkSync(target, path)
  await expect(appended('a\n')).rejects.toThrow(/ELOOP/)
  if (victim === 'victim') {
    expect(readFileSync(target, 'utf8')).toBe('kept\n')
    expect(statSync(target).mode & 0o777).toBe(0o644)
  } else expect(() => statSync(target)).toThrow(/ENOENT/)
})

test('a folder is refused', async () => {
  await expect(appended('a\n', new RotatingFile(folder, 1000, 2))).rejects.toThrow(/EISDIR/)
})

test('a pipe is refused without waiting for its reader', async () => {
  execFileSync('mkfifo', ['-m', '644', path])
  await expect(appended('a\n')).rejects.toThrow(/no regular file/)
  expect(statSync(path).mode & 0o777).toBe(0o644)
})

test('a file that others may read becomes the owner’s alone', async () => {
  writeFileSync(path, 'old\n', { mode: 0o644 })
  chmodSync(path, 0o644)
  await appended('new\n')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(readFileSync(path, 'utf8')).toBe('old\nnew\n')
})

test.each([
  { name: 'a torn line is ended first', before: 'good\n{"torn', after: 'good\n{"torn\nnew\n' },
  { name: 'a whole line is left alone', before: 'good\n', after: 'good\nnew\n' },
  { name: 'an empty file begins with its line', before: '', after: 'new\n' },
])('after a crash: $name', async ({ before, after }) => {
  writeFileSync(path, before)
  await appended('new\n')
  expect(readFileSync(path, 'utf8')).toBe(after)
})

test('the line feed of a torn line counts for the size', async () => {
  writeFileSync(path, '12345678')
  await appended('x\n', new RotatingFile(path, 10, 2))
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('12345678\n')
  expect(readFileSync(path, 'utf8')).toBe('x\n')
})

test('what a torn write left behind while the file is open is ended after the next opening', async () => {
  const file = new RotatingFile(path, 1000, 2)
  await file.append('a\n')
  await file.close()
  appendFileSync(path, '{"cut')
  await file.append('b\n')
  expect(readFileSync(path, 'utf8')).toBe('a\n{"cut\nb\n')
  await file.close()
  truncateSync(path, 3)
  await appended('c\n', file)
  expect(readFileSync(path, 'utf8')).toBe('a\n{\nc\n')
})
