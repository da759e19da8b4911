import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from '@jest/globals'
import { CHANGE_KINDS } from '../../bench/soak/schedule.js'
import { REPOSITORY } from '../../demo/lay.js'

const out = mkdtempSync(join(tmpdir(), 'portcullis-soak-report-'))
afterAll(() => rmSync(out, { recursive: true, force: true }))

/** Exit code and what it said. */
function soak(...args: readonly string[]): Promise<{ readonly code: number | null; readonly said: string }> {
  const child = spawn(
    process.execPath,
    ['--import', './test/support/ts.js', 'bench/soak/run.ts', '--out', out, ...args],
    { cwd: REPOSITORY, env: { ...process.env, NODE_OPTIONS: '' }, stdio: ['ignore', 'inherit', 'pipe'] },
  )
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, said })))
}

test('wrong options are refused before anything is started', async () => {
  expect(await soak('--seconds', 'some')).toMatchObject({
    code: 2,
    said: expect.stringContaining('must be a number'),
  })
  expect(existsSync(join(out, 'report.html'))).toBe(false)
}, 20_000)

test('a short soak gives no wrong answer, and its report shows what happened', async () => {
  const { code, said } = await soak('--seconds', '20', '--rate', '80')
  expect({ code, said }).toMatchObject({
    code: 0,
    said: expect.stringMatching(/\d+ Checks, 0 wrong answers/),
  })
  const report = readFileSync(join(out, 'report.html'), 'utf8')
  expect(report).toContain('passed')
  expect(report.match(/<svg /g)).toHaveLength(5)
  const { happened, stretches } = JSON.parse(readFileSync(join(out, 'figures.json'), 'utf8'))
  const kinds = new Set(happened.map(({ kind }: { kind: string }) => kind))
  // A busy machine gets through fewer of them.
  expect(CHANGE_KINDS.filter((kind) => kinds.has(kind)).length).toBeGreaterThan(3)
  const checks = stretches.reduce((sum: number, each: { checks: number }) => sum + each.checks, 0)
  expect(checks).toBeGreaterThan(200)
}, 90_000)
