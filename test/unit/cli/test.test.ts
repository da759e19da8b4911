import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Command, CommanderError } from 'commander'
import type { CliIo } from '../../../src/cli/io.js'
import { register } from '../../../src/cli/test.js'
import { runOnChange } from '../../../src/cli/test-watch.js'
import { blocksOf } from '../../docs/blocks.js'
import type { CliRun } from '../../support/cli.js'

const MESH = 'examples/mesh/policy'
const HEAD =
  'apiVersion: portcullis.dev/v1beta1\nkind: PolicyTest\nmetadata: { name: mine }\nspec:\n  cases:\n'
const PASSES = `    - { name: mail, caller: shop/order-service, request: { target: shop/email-service, method: POST, path: /api/emails }, expect: { decision: allow } }\n`
const FAILS = `    - { name: cash, caller: shop/email-service, request: { target: shop/payment-service, path: /api/payments/1 }, expect: { decision: allow, reason: allowed } }\n`

function run(...args: string[]): Promise<CliRun> {
  return runOn({ isTerminal: false, env: {} }, ...args)
}

async function runOn(place: Pick<CliIo, 'isTerminal' | 'env'>, ...args: string[]): Promise<CliRun> {
  let [stdout, stderr] = ['', '']
  const io: CliIo = {
    stdout: (text) => void (stdout += text),
    stderr: (text) => void (stderr += text),
    exitCode: 0,
    ...place,
  }
  const program = new Command('portcullis')
    .exitOverride()
    .configureOutput({ writeOut: io.stdout, writeErr: io.stderr })
  register(program, io)
  try {
    await program.parseAsync(['test', ...args], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    io.exitCode = error.exitCode === 0 ? 0 : 2
  }
  return { exitCode: io.exitCode, stdout, stderr }
}

let folder = ''
const file = (name: string) => join(folder, name)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'portcullis-test-'))
  await writeFile(file('pass.yaml'), HEAD + PASSES)
  await writeFile(file('fail.yaml'), HEAD.replace('mine', 'other') + PASSES + FAILS)
  await writeFile(file('bad.yaml'), HEAD + PASSES.replace('caller', 'callar'))
  await writeFile(file('unsound.yaml'), HEAD + PASSES.replace('caller: shop/order-service', 'caller: orders'))
  await writeFile(file('broken.yaml'), 'apiVersion: portcullis.dev/v1beta1\nkind: ServicePolicy\n')
})
afterAll(() => rm(folder, { recursive: true }))

describe('wrong usage and bad files are exit 2, and nothing is run', () => {
  test.each([
    {
      name: 'a file that is not there',
      args: () => ['/nowhere/t.yaml', '--policy', MESH],
      says: "/nowhere/t.yaml can't be read",
    },
    { name: 'no cases beside the policy', args: () => ['--policy', 'src/policy'], says: 'error' },
    {
      name: 'a file with an error',
      args: () => [file('bad.yaml'), '--policy', MESH],
      says: 'bad.yaml:6:21: error: ',
    },
    {
      name: 'a case that makes no sense',
      args: () => [file('unsound.yaml'), '--policy', MESH],
      says: 'unsound.yaml:6:29: error: `caller` orders is neither',
    },
    {
      name: 'a policy that does not load',
      args: () => [file('pass.yaml'), '--policy', folder],
      says: 'error',
    },
    {
      name: 'a policy that is not there',
      args: () => [file('pass.yaml'), '--policy', '/nowhere'],
      says: "/nowhere can't be read",
    },
    {
      name: 'a configuration that is not there',
      args: () => ['-c', '/nowhere/p.yaml'],
      says: "/nowhere/p.yaml can't be read",
    },
    {
      name: 'a filter that nothing fits',
      args: () => [file('pass.yaml'), '--policy', MESH, '--filter', 'zzz'],
      says: 'no case has `zzz` in its name',
    },
    {
      name: 'a percentage that is none',
      args: () => ['--min-coverage', '101'],
      says: 'a percentage from 0 to 100',
    },
    { name: 'an unknown form', args: () => ['-o', 'yaml'], says: 'Allowed choices' },
  ])('$name', async ({ args, says }) => {
    const { exitCode, stdout, stderr } = await run(...args())
    expect(stderr).toContain(says)
    expect([exitCode, stdout]).toEqual([2, ''])
  })
})

test('the cases of the example mesh pass, and reach every rule and endpoint', async () => {
  const { exitCode, stdout, stderr } = await run('--policy', MESH, '--min-coverage', '100')
  expect([exitCode, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(
    /^100 % of rules \(\d+ of \d+\)\n100 % of endpoints \(\d+ of \d+\)\n(\d+) of \1 cases passed\n$/,
  )
})

test('they pass with the configuration of the example too', async () => {
  const { stdout } = await run('examples/mesh/tests', '--policy', MESH, '-c', 'examples/mesh/portcullis.yaml')
  expect(stdout).toMatch(/^(\d+) of \1 cases passed\n$/)
})

test('a failure is exit 1, with its place, what was expected, and the steps', async () => {
  const { exitCode, stdout } = await run(file('fail.yaml'), '--policy', MESH)
  expect(exitCode).toBe(1)
  expect(stdout).toContain(
    `FAIL  other › cash  ${file('fail.yaml')}:7:7\n  decision: expected allow, got deny\n`,
  )
  expect(stdout).toContain('  reason: expected allowed, got call-not-allowed\n')
  expect(stdout).toContain('✗ calls')
  expect(stdout).toContain('1 of 2 cases passed, 1 failed\n')
  expect(stdout).not.toContain('›  mail')
})

test('a filter chooses by the names of case and document, whatever the case', async () => {
  const all = [file('fail.yaml'), file('pass.yaml'), '--policy', MESH]
  expect((await run(...all, '--filter', 'MAIL')).stdout).toBe('2 of 2 cases passed\n')
  expect((await run(...all, '--filter', 'mine')).stdout).toBe('1 of 1 case passed\n')
})

test('too little covered is exit 1, and what is missing is told with its place', async () => {
  const { exitCode, stdout } = await run(file('pass.yaml'), '--policy', MESH, '--min-coverage', '50')
  expect(exitCode).toBe(1)
  expect(stdout).toMatch(/^0 % of rules \(0 of \d+\), below 50 %; those that never decided:\n/)
  expect(stdout).toContain(`  endpoint  shop/cache-service kv  ${MESH}/cache-service.yaml:6:7\n`)
  expect((await run(file('pass.yaml'), '--policy', MESH, '--coverage')).exitCode).toBe(0)
  const { stderr } = await run(file('pass.yaml'), '--policy', MESH, '--min-coverage', '50', '-o', 'junit')
  expect(stderr).toBe('error: covered less than 50 %\n')
})

test('colours on a terminal, and never with NO_COLOR', async () => {
  const args = [file('fail.yaml'), '--policy', MESH]
  const { stdout, stderr } = await runOn({ isTerminal: true, env: {} }, ...args)
  expect([stdout.includes('\u001b[31mFAIL'), stderr]).toEqual([true, ''])
  const plain = await runOn({ isTerminal: true, env: { NO_COLOR: '1' } }, ...args)
  expect(plain.stdout).not.toContain('\u001b')
})

test('the example of the documentation runs as it is written', async () => {
  const example = blocksOf('docs/testing.md').find(({ info }) => info === 'yaml fragment')
  await writeFile(file('documented.yaml'), example?.text ?? '')
  expect((await run(file('documented.yaml'), '--policy', MESH)).stdout).toBe('2 of 2 cases passed\n')
})

test('as JSON', async () => {
  const { exitCode, stdout } = await run(file('fail.yaml'), '--policy', MESH, '-o', 'json', '--coverage')
  expect(exitCode).toBe(1)
  expect(JSON.parse(stdout)).toMatchObject({
    total: 2,
    passed: 1,
    failed: 1,
    cases: [
      { suite: 'other', name: 'mail', line: 6, passed: true, decision: 'allow', endpoint: 'SendEmail' },
      {
        name: 'cash',
        passed: false,
        reason: 'call-not-allowed',
        mismatches: [{ field: 'decision' }, { field: 'reason' }],
      },
    ],
    coverage: { rules: { covered: 0, percent: 0 }, endpoints: { covered: 2 } },
  })
})

test('as JUnit', async () => {
  const { stdout } = await run(file('fail.yaml'), '--policy', MESH, '-o', 'junit')
  expect(stdout).toContain('<testsuite name="other"')
  expect(stdout).toContain('tests="2" failures="1"')
})

test('with a configuration: its policy and its trust domains', async () => {
  const config = 'examples/mesh/portcullis.yaml'
  expect(await run(file('pass.yaml'), '-c', config)).toEqual({
    exitCode: 0,
    stdout: '1 of 1 case passed\n',
    stderr: '',
  })
  expect((await run(file('pass.yaml'), '-c', config, '--policy', '/nowhere')).exitCode).toBe(2)
})

test('watching runs again after a change of a case, and ends when it is told to', async () => {
  const path = file('watched.yaml')
  await writeFile(path, HEAD + PASSES)
  const outputs: string[] = []
  const stop = new AbortController()
  let seen = (): void => undefined
  const runs = (count: number) =>
    new Promise<void>((resolve) => {
      seen = () => (outputs.length >= count ? resolve() : undefined)
      seen()
    })
  const over = runOnChange(
    [path],
    async () => {
      outputs.push((await run(path, '--policy', MESH)).stdout)
      seen()
    },
    stop.signal,
  )
  await runs(1)
  await writeFile(path, HEAD + PASSES + FAILS)
  await runs(2)
  stop.abort()
  await over
  expect(outputs[0]).toBe('1 of 1 case passed\n')
  expect(outputs.at(-1)).toContain('1 of 2 cases passed, 1 failed\n')
})

test('one that is told to end before it began runs nothing', async () => {
  let runs = 0
  await runOnChange([folder], async () => void runs++, AbortSignal.abort())
  expect(runs).toBe(0)
})
