import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { transformSync } from '@swc/core'

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url))

let built: string | undefined

/**
 * The program as JavaScript, made of the sources once a test file, so that processes of it start as fast as they do
 * where it is installed. Returns the path of `portcullis`; the folder goes with this process.
 */
export function builtProgram(): string {
  if (built !== undefined) return built
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-built-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const name of ['node_modules', 'proto', 'package.json']) {
    symlinkSync(join(REPOSITORY, name), join(folder, name))
  }
  for (const name of readdirSync(join(REPOSITORY, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue
    const source = join(REPOSITORY, 'src', name)
    const { code } = transformSync(readFileSync(source, 'utf8'), {
      filename: source,
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
      module: { type: 'es6' },
    })
    const target = join(folder, 'dist', name.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, code)
  }
  built = join(folder, 'dist/cli/portcullis.js')
  return built
}
