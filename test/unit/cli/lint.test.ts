import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Command } from 'commander'
import { register } from '../../../src/cli/lint.js'

const HEAD = 'apiVersion: portcullis.dev/v1beta1\nkind: ServicePolicy\n'
const EXAMPLE = new URL('../../../examples/mesh/policy', import.meta.url).pathname
let folder = ''

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lint-'))
  writeFileSync(join(folder, 'good.yaml'), `${HEAD}metadata: { name: a }\nspec: {}\n`)
  writeFileSync(join(folder, 'bad.yaml'), `${HEAD}metadata: { name: b }\nspec: { mode: Enforcing }\n`)
})
afterAll(() => rmSync(folder, { recursive: true }))

async function lint(...args: string[]) {
  const out: string[] = []
  const err: string[] = []
  const io = {
    stdout: (text: string) => void out.push(text),
    stderr: (text: string) => void err.push(text),
    env: {},
    isTerminal: false,
    exitCode: 0,
  }
  const program = new Command().exitOverride()
  register(program, io)
  await program.parseAsync(['lint', ...args], { from: 'user' })
  return { out: out.join(''), err: err.join(''), exitCode: io.exitCode }
}

test('errors end with 1 and their places', async () => {
  const { out, exitCode } = await lint(folder)
  expect(exitCode).toBe(1)
  expect(out).toMatch(/bad\.yaml:4:15: error: .*Enforce.* \(wrong-word\)\n1 error, 0 warnings in 2 files\n$/)
})

test('errors as JSON', async () => {
  const { out, exitCode } = await lint(join(folder, 'bad.yaml'), '-o', 'json')
  expect(exitCode).toBe(1)
  expect(JSON.parse(out)).toMatchObject({
    errors: 1,
    warnings: 0,
    problems: [
      { severity: 'error', code: 'wrong-word', file: join(folder, 'bad.yaml'), line: 4, column: 15 },
    ],
  })
})

test.each([
  {
    name: 'nothing named',
    args: [],
    err: 'error: name a folder or files of policy documents, or --config\n',
  },
  {
    name: 'a folder that is not there',
    args: ['/nowhere/at/all'],
    err: "error: /nowhere/at/all can't be read: no such file or folder\n",
  },
])('$name ends with 2', async ({ args, err }) => {
  expect(await lint(...args)).toEqual({ out: '', err, exitCode: 2 })
})

test.each([
  { by: 'folder', args: [EXAMPLE] },
  { by: 'configuration', args: ['--config', `${EXAMPLE}/../portcullis.yaml`] },
])('the example mesh is fine, named by its $by', async ({ args }) => {
  expect(await lint(...args)).toEqual({ out: '0 errors, 0 warnings in 15 files\n', err: '', exitCode: 0 })
})
