import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type AdminCli, minutesFromNow, startAdminCli } from '../../support/admin-cli.js'
import { refusal } from '../../support/recorded-api.js'

let cli: AdminCli
beforeAll(async () => {
  cli = await startAdminCli()
})
afterAll(() => cli.close())

test.each([
  { name: 'no level', args: ['set', '--reason', 'r'], says: "missing required argument 'level'" },
  { name: 'a level that is none', args: ['set', 'trace', '--reason', 'r'], says: 'give one of debug, info' },
  { name: 'no reason', args: ['set', 'debug'], says: "required option '--reason <text>'" },
  {
    name: 'a length that is none',
    args: ['set', 'debug', '--reason', 'r', '--for', '5'],
    says: 'give a duration',
  },
])('wrong usage: $name', async ({ args, says }) => {
  cli.api.answers({ body: {} })
  const ran = await cli.run('log-level', ...args)
  expect(ran.stderr).toContain(says)
  expect([ran.exitCode, cli.api.asked]).toEqual([2, []])
})

test('what the API refuses is exit 1', async () => {
  cli.api.answers(refusal(403, 'Changes need the role Admin.'))
  const { exitCode, stderr } = await cli.run('log-level', 'set', 'debug', '--reason', 'r')
  expect([exitCode, stderr]).toEqual([1, 'error: Changes need the role Admin. (403)\n'])
})

test('set sends what was written, in the words of the API', async () => {
  cli.api.answers({ body: { level: 'Debug', configured: 'Info', until: minutesFromNow(10) } })
  const { stdout } = await cli.run('log-level', 'set', 'DEBUG', '--for', '10m', '--reason', 'odd')
  expect(cli.api.asked).toMatchObject([{ method: 'PUT', path: '/v1/log-level' }])
  expect(cli.api.asked[0]?.body).toEqual({ level: 'Debug', duration: '10m', reason: 'odd' })
  expect(stdout).toMatch(
    /^The log level is Debug until \S+ \S+ UTC \(in (?:10|9) min\); configured is Info\.\n$/,
  )
})

test('get', async () => {
  const body = { level: 'Info', configured: 'Info' }
  cli.api.answers({ body })
  expect((await cli.run('log-level', 'get')).stdout).toBe('The log level is Info.\n')
  expect(JSON.parse((await cli.run('log-level', 'get', '-o', 'json')).stdout)).toEqual(body)
})
