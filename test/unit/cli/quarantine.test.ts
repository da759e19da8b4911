import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type AdminCli, minutesFromNow, startAdminCli } from '../../support/admin-cli.js'
import { refusal } from '../../support/recorded-api.js'

let cli: AdminCli
beforeAll(async () => {
  cli = await startAdminCli()
})
afterAll(() => cli.close())

const WORKLOAD = 'spiffe://cluster.local/ns/shop/sa/api'

test.each([
  {
    name: 'no workload',
    args: ['add', '--for', '1h', '--reason', 'r'],
    says: "missing required argument 'workload'",
  },
  { name: 'no length', args: ['add', WORKLOAD, '--reason', 'r'], says: "required option '--for <duration>'" },
  { name: 'a bad length', args: ['add', WORKLOAD, '--for', '1', '--reason', 'r'], says: 'give a duration' },
  { name: 'no reason', args: ['add', WORKLOAD, '--for', '1h'], says: "required option '--reason <text>'" },
  { name: 'lifted without a reason', args: ['lift', WORKLOAD], says: "required option '--reason <text>'" },
])('wrong usage: $name', async ({ args, says }) => {
  cli.api.answers({ body: {} })
  const ran = await cli.run('quarantine', ...args)
  expect(ran.stderr).toContain(says)
  expect([ran.exitCode, cli.api.asked]).toEqual([2, []])
})

test('what is not quarantined is not lifted: exit 1', async () => {
  cli.api.answers(refusal(404, 'It is not quarantined.'))
  expect(await cli.run('quarantine', 'lift', WORKLOAD, '--reason', 'r')).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: 'error: It is not quarantined. (404)\n',
  })
})

test('list: the workload is whole, the reason gives way', async () => {
  const body = {
    quarantined: [
      {
        workload: WORKLOAD,
        until: minutesFromNow(42),
        since: minutesFromNow(-18),
        by: 'alice',
        reason: 'odd '.repeat(30),
      },
      { workload: `${WORKLOAD}-2`, until: minutesFromNow(5) },
    ],
  }
  cli.api.answers({ body })
  const { stdout } = await cli.run('quarantine', 'list')
  expect(stdout).toBe(
    [
      'WORKLOAD                                 ENDS       SINCE       BY     REASON\n',
      `${WORKLOAD}    in 42 min  18 min ago  alice  odd odd odd odd odd odd odd…\n`,
      `${WORKLOAD}-2  in 5 min\n`,
    ].join(''),
  )
  const json = await cli.run('quarantine', 'list', '-o', 'json')
  expect(JSON.parse(json.stdout)).toEqual(body)
})

test('add', async () => {
  cli.api.answers({ status: 201, body: { workload: WORKLOAD, until: minutesFromNow(42) } })
  const { stdout } = await cli.run('quarantine', 'add', WORKLOAD, '--for', '42m', '--reason', 'odd')
  expect(cli.api.asked).toMatchObject([{ method: 'POST', path: '/v1/quarantine' }])
  expect(cli.api.asked[0]?.body).toEqual({ workload: WORKLOAD, duration: '42m', reason: 'odd' })
  expect(stdout).toMatch(/^spiffe:\S+ is quarantined until .* UTC \(in 42 min\)\.\n$/)
})

test('lift', async () => {
  cli.api.answers({ status: 204 })
  const text = await cli.run('quarantine', 'lift', WORKLOAD, '--reason', 'a b&c')
  expect(cli.api.asked).toMatchObject([{ method: 'DELETE', path: '/v1/quarantine', body: undefined }])
  expect(cli.api.asked[0]?.query).toEqual({ workload: WORKLOAD, reason: 'a b&c' })
  expect(text.stdout).toBe(`${WORKLOAD} is quarantined no longer.\n`)
  const json = await cli.run('quarantine', 'lift', WORKLOAD, '--reason', 'r', '-o', 'json')
  expect(JSON.parse(json.stdout)).toEqual({ lifted: WORKLOAD })
})
