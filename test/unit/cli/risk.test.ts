import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { type AdminCli, minutesFromNow, startAdminCli } from '../../support/admin-cli.js'
import { refusal } from '../../support/recorded-api.js'

let cli: AdminCli
beforeAll(async () => {
  cli = await startAdminCli()
})
afterAll(() => cli.close())

const WORKLOAD = 'spiffe://cluster.local/ns/shop/sa/api'
const RISK = {
  issuer: 'https://idp.example',
  subject: 'ada',
  score: 63,
  level: 'medium',
  signals: 4,
  factors: [
    { factor: 'impossibleTravel', points: 30 },
    { factor: 'failedAttempts', points: 12.34 },
  ],
}

test.each([
  { name: 'nobody', args: ['show'], says: 'either --subject or --workload' },
  {
    name: 'two',
    args: ['show', '--subject', 'ada', '--workload', WORKLOAD],
    says: 'either --subject or --workload',
  },
  {
    name: 'the issuer of a workload',
    args: ['show', '--workload', WORKLOAD, '--issuer', 'i'],
    says: 'goes with --subject',
  },
  {
    name: 'set for nobody',
    args: ['set', '--level', 'LOW', '--reason', 'r'],
    says: 'either --subject or --workload',
  },
  {
    name: 'no level',
    args: ['set', '--subject', 'ada', '--reason', 'r'],
    says: "required option '--level <level>'",
  },
  {
    name: 'an unknown level',
    args: ['set', '--level', 'low'],
    says: 'Allowed choices are LOW, MEDIUM, HIGH',
  },
  {
    name: 'no reason',
    args: ['set', '--subject', 'ada', '--level', 'LOW'],
    says: "required option '--reason <text>'",
  },
])('wrong usage: $name', async ({ args, says }) => {
  cli.api.answers({ body: RISK })
  const ran = await cli.run('risk', ...args)
  expect(ran.stderr).toContain(says)
  expect([ran.exitCode, cli.api.asked]).toEqual([2, []])
})

test('refused', async () => {
  cli.api.answers(refusal(403, 'bob may only read.'))
  expect(await cli.run('risk', 'set', '--subject', 'ada', '--level', 'HIGH', '--reason', 'r')).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: 'error: bob may only read. (403)\n',
  })
})

test('show', async () => {
  cli.api.answers({ body: { ...RISK, externalLevel: { level: 'HIGH', at: minutesFromNow(-180) } } })
  const { stdout } = await cli.run('risk', 'show', '--subject', 'ada')
  expect(cli.api.asked).toMatchObject([{ method: 'GET', path: '/v1/risk' }])
  expect(cli.api.asked[0]?.query).toEqual({ subject: 'ada' })
  expect(stdout.split('\n')).toEqual([
    'subject             ada (https://idp.example)',
    'score               63 of 100',
    'signals             4 (medium)',
    expect.stringMatching(/^level from outside {2}HIGH, .* UTC \(3 h ago\)$/),
    '',
    'FACTOR            POINTS',
    'impossibleTravel  30',
    'failedAttempts    12.3',
    '',
  ])
  const json = await cli.run('risk', 'show', '--subject', 'ada', '-o', 'json')
  expect(JSON.parse(json.stdout)).toMatchObject(RISK)
})

test('set, of a workload that has no factor', async () => {
  cli.api.answers({ body: { workload: WORKLOAD, score: 0, level: 'low', signals: 0, factors: [] } })
  const { stdout } = await cli.run(
    'risk',
    'set',
    '--workload',
    WORKLOAD,
    '--level',
    'LOW',
    '--reason',
    'fine',
  )
  expect(cli.api.asked).toMatchObject([{ method: 'POST', path: '/v1/risk' }])
  expect(cli.api.asked[0]?.body).toEqual({ workload: WORKLOAD, level: 'LOW', reason: 'fine' })
  expect(stdout).toBe(
    `workload  ${WORKLOAD}\nscore     0 of 100\nsignals   0 (low)\nNo factor counts against it now.\n`,
  )
})
