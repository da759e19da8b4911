import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
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
  const program = new Command().exitOverride().version('1.2.3')
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

/** A document with one warning and one note. */
const DOUBTFUL = `${HEAD}metadata: { name: api }
spec:
  endpoints: [{ name: Item, paths: ["/i/{id}"], methods: [GET, PUT] }, { name: One, paths: [/i/1], methods: [GET] }]
  rules: [{ name: w, from: [{ services: [web] }], grantScopes: [none] }]
---
${HEAD}metadata: { name: web }
spec: { calls: [{ service: api }] }
`

describe('doubts', () => {
  const file = () => join(folder, 'sub folder', 'doubtful.yml')
  beforeAll(() => {
    mkdirSync(join(folder, 'sub folder'))
    writeFileSync(file(), DOUBTFUL)
    writeFileSync(join(folder, 'events.jsonl'), `${EVENT}\nnonsense\n\n${EVENT}`)
    writeFileSync(join(folder, 'nonsense.jsonl'), 'nonsense\n')
  })

  test('as text', async () => {
    const { out, exitCode } = await lint(file())
    expect(exitCode).toBe(0)
    expect(out).toBe(
      `${file()}:5:93: info: PUT of Item (/i/{id}) does not reach /i/1: the more specific path takes the request, whatever its method (hidden-method)
${file()}:6:65: warning: the rule w grants none, which none of its endpoints asks for (unneeded-scope)
0 errors, 1 warning, 1 note in 1 file
`,
    )
  })

  test.each([
    { args: ['--strict'], exitCode: 1, err: 'error: 1 warning, and at most 0 may be\n' },
    { args: ['--max-warnings', '0'], exitCode: 1, err: 'error: 1 warning, and at most 0 may be\n' },
    { args: ['--max-warnings', '1'], exitCode: 0, err: '' },
  ])('$args ends with $exitCode', async ({ args, exitCode, err }) => {
    expect(await lint(file(), ...args)).toMatchObject({ exitCode, err })
  })

  test('as JSON', async () => {
    expect(JSON.parse((await lint(file(), '-o', 'json')).out)).toMatchObject({
      errors: 0,
      warnings: 1,
      notes: 1,
      problems: [
        { severity: 'info', code: 'hidden-method', line: 5 },
        { severity: 'warning', code: 'unneeded-scope', line: 6 },
      ],
    })
  })

  test('as SARIF, with addresses relative to where it runs', async () => {
    const { out } = await lint(file(), '-o', 'sarif')
    const { version, $schema, runs } = JSON.parse(out)
    expect({ version, $schema, runs: runs.length }).toEqual({
      version: '2.1.0',
      $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
      runs: 1,
    })
    const [{ tool, results, columnKind }] = runs
    expect(columnKind).toBe('utf16CodeUnits')
    expect(tool.driver).toMatchObject({
      name: 'portcullis',
      version: '1.2.3',
      rules: [
        { id: 'hidden-method', defaultConfiguration: { level: 'note' } },
        { id: 'unneeded-scope', defaultConfiguration: { level: 'warning' } },
      ],
    })
    const uri = relative(process.cwd(), file()).replaceAll(' ', '%20')
    expect(results).toEqual([
      expect.objectContaining({ ruleId: 'hidden-method', ruleIndex: 0, level: 'note' }),
      {
        ruleId: 'unneeded-scope',
        ruleIndex: 1,
        level: 'warning',
        message: { text: 'the rule w grants none, which none of its endpoints asks for' },
        locations: [
          {
            physicalLocation: {
              artifactLocation: { uri, uriBaseId: '%SRCROOT%' },
              region: { startLine: 6, startColumn: 65 },
            },
          },
        ],
      },
    ])
  })

  test('recorded traffic tells what is never used, and lines that are no events', async () => {
    const { out, err, exitCode } = await lint(file(), '--traffic', join(folder, 'events.jsonl'))
    expect(exitCode).toBe(0)
    expect(err).toMatch(/events\.jsonl:2: skipped/)
    expect(out).toContain(
      ':11:17: warning: default/web never called default/api in 2 events from 2026-03-01 to 2026-03-01 (unused-edge)',
    )
    expect(out).toContain(':6:11: warning: the rule w decided nothing in 2 events')
  })

  test.each(['nonsense.jsonl', 'absent.jsonl'])('traffic of %s ends with 2', async (name) => {
    expect(await lint(file(), '--traffic', join(folder, name))).toMatchObject({ out: '', exitCode: 2 })
  })
})

const EVENT = JSON.stringify({
  eventType: 'authorization',
  timestamp: '2026-03-01T00:00:00Z',
  decisionId: '1',
  decision: 'allow',
  decisionReason: 'allowed',
  callerService: 'default/other',
  targetService: 'default/api',
})

describe('hostile input is refused precisely and soon', () => {
  const laughs = ['a: &a [x, x, x, x, x, x, x, x, x]']
  for (let at = 1; at < 9; at++) {
    const [before, name] = ['abcdefghi'.charAt(at - 1), 'abcdefghi'.charAt(at)]
    laughs.push(`${name}: &${name} [${Array(9).fill(`*${before}`).join(', ')}]`)
  }
  test.each([
    {
      name: 'a cyclic alias',
      text: `${HEAD}metadata: { name: a }\nspec: &s { calls: *s }\n`,
      error: ':4:19: error: the alias `*s` stands within its own anchor (cyclic-alias)',
    },
    {
      name: 'a billion laughs',
      text: `${laughs.join('\n')}\n`,
      error: 'stand for more than 50000 values (too-many-aliases)',
    },
    {
      name: 'brackets without end',
      text: `a: ${'['.repeat(100_000)}`,
      error: 'error: nested deeper than 64 levels (too-deep)',
    },
    {
      name: 'a tab',
      text: `${HEAD}metadata:\n\tname: a\nspec: {}\n`,
      error: ':4:1: error: a tab indents this line; YAML is indented with spaces (yaml-syntax)',
    },
    {
      name: 'another version',
      text: 'apiVersion: portcullis.dev/v9\nkind: ServicePolicy\n',
      error:
        ':1:13: error: not `portcullis.dev/v9`: this version reads `portcullis.dev/v1beta1` (wrong-version)',
    },
    {
      name: 'a misspelt group',
      text: 'apiVersion: portculis.dev/v1beta1\nkind: ServicePolicy\n',
      error:
        ':1:13: error: not `portculis.dev/v1beta1`: this version reads `portcullis.dev/v1beta1` (wrong-version)',
    },
    {
      name: 'NUL',
      text: `${HEAD}metadata: { name: "a\0" }\n`,
      error: "error: the character U+0000 can't be seen here",
    },
    {
      name: 'no UTF-8',
      text: Buffer.from([0x61, 0x3a, 0x20, 0xff]),
      error: ':1:4: error: the file is not UTF-8 here (invalid-utf8)',
    },
  ])('$name', async ({ text, error }) => {
    const file = join(folder, 'hostile.txt')
    writeFileSync(file, text)
    const before = performance.now()
    const { out, exitCode } = await lint(file)
    expect(performance.now() - before).toBeLessThan(3000)
    expect(exitCode).toBe(1)
    expect(out).toContain(error)
  })

  test('100 MB are refused by their size, before they are read', async () => {
    const file = join(folder, 'huge.txt')
    writeFileSync(file, '')
    truncateSync(file, 100 * 1024 * 1024)
    const before = performance.now()
    expect(await lint(file)).toEqual({
      out: '',
      err: `error: ${file} has 104857600 bytes; at most 16777216 are read\n`,
      exitCode: 2,
    })
    expect(performance.now() - before).toBeLessThan(1000)
  })

  test('one name in two files: the second is told where the first is', async () => {
    const [first, second] = [join(folder, 'one.txt'), join(folder, 'two.txt')]
    for (const file of [first, second]) writeFileSync(file, `${HEAD}metadata: { name: same }\nspec: {}\n`)
    const { out, exitCode } = await lint(second, first)
    expect(exitCode).toBe(1)
    expect(out).toContain(
      `${second}:3:19: error: there is a ServicePolicy default/same already (${first}:3:19) (duplicate-name)`,
    )
  })
})
