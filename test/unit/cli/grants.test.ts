import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type AdminCli, minutesFromNow, startAdminCli } from '../../support/admin-cli.js'
import { refusal } from '../../support/recorded-api.js'

let cli: AdminCli
beforeAll(async () => {
  cli = await startAdminCli()
})
afterAll(() => cli.close())

const grant = (over: object = {}) => ({
  id: 'g-1',
  state: 'live',
  subject: { issuer: 'https://idp.example', subject: 'ada' },
  service: 'lab/records',
  operations: ['Read', 'Download'],
  requester: 'bea',
  approver: 'alice',
  breakGlass: false,
  ticket: 'LAB-42',
  reason: 'study',
  createdAt: minutesFromNow(-10),
  expiresAt: minutesFromNow(42),
  uses: 3,
  ...over,
})
const WANTED = ['--subject', 'ada', '--service', 'lab/records', '--operation', 'Read', '--requester', 'bea']
const WHY = ['--reason', 'study']

describe('wrong usage asks nothing: exit 2', () => {
  test.each([
    { name: 'no subject', args: ['create', ...WHY], says: "required option '--subject <sub>'" },
    {
      name: 'no reason',
      args: ['create', ...WANTED, '--for', '1h'],
      says: "required option '--reason <text>'",
    },
    { name: 'no end', args: ['create', ...WANTED, ...WHY], says: 'either --for <duration> or --until' },
    {
      name: 'two ends',
      args: ['create', ...WANTED, ...WHY, '--for', '1h', '--until', '2026-03-01T12:00:00Z'],
      says: 'either --for <duration> or --until',
    },
    { name: 'no duration', args: ['create', ...WANTED, ...WHY, '--for', 'soon'], says: 'give a duration' },
    { name: 'no time at all', args: ['create', ...WANTED, ...WHY, '--for', '0h'], says: 'give a duration' },
    {
      name: 'an operation',
      args: ['create', ...WANTED, '--operation', 'Delete'],
      says: 'Allowed choices are',
    },
    { name: 'no uses', args: ['create', ...WANTED, '--max-uses', '0'], says: 'from 1 to 10000' },
    { name: 'too many uses', args: ['create', ...WANTED, '--max-uses', '1e3'], says: 'from 1 to 10000' },
    { name: 'an unknown state', args: ['list', '--state', 'dead'], says: 'Allowed choices are live' },
    { name: 'no limit', args: ['list', '--limit', '0'], says: 'from 1 to 100000' },
    { name: 'revoke without a reason', args: ['revoke', 'g-1'], says: "required option '--reason <text>'" },
    { name: 'revoke nothing', args: ['revoke', ...WHY], says: "missing required argument 'id'" },
    { name: 'show nothing', args: ['show'], says: "missing required argument 'id'" },
    { name: 'no days', args: ['review', '--days', '0'], says: 'from 1 to 3650' },
    { name: 'an unknown form', args: ['review', '-o', 'xml'], says: 'Allowed choices are table, json, csv' },
  ])('$name', async ({ args, says }) => {
    cli.api.answers({ body: grant() })
    const ran = await cli.run('grants', ...args)
    expect(ran.stderr).toContain(says)
    expect([ran.exitCode, ran.stdout, cli.api.asked]).toEqual([2, '', []])
  })
})

describe('refused by the API', () => {
  test('a grant like it is there: exit 1', async () => {
    cli.api.answers(
      refusal(409, 'Grant g-0 overlaps.', [
        { pointer: '/operations', code: 'overlap', message: 'Read is granted by g-0' },
      ]),
    )
    expect(await cli.run('grants', 'create', ...WANTED, ...WHY, '--for', '1h')).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'error: Grant g-0 overlaps. (409)\n  operations: Read is granted by g-0 (overlap)\n',
    })
  })
  test('approver and requester are one: exit 2, with the field', async () => {
    cli.api.answers(
      refusal(400, 'The grant is not valid.', [
        { pointer: '/requester', code: 'same-person', message: 'is who approves' },
      ]),
    )
    const ran = await cli.run('grants', 'create', ...WANTED, ...WHY, '--for', '1h')
    expect(ran).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('  requester: is who approves'),
    })
  })
  test.each([['show', 'g-9'], ['revoke', 'g-9', ...WHY], ['list'], ['review']])(
    '%s: 404',
    async (...args) => {
      cli.api.answers(refusal(404, 'There is no grant g-9.'))
      expect(await cli.run('grants', ...args)).toEqual({
        exitCode: 1,
        stdout: '',
        stderr: 'error: There is no grant g-9. (404)\n',
      })
    },
  )
})

describe('create', () => {
  test('sends what was said, and nothing else', async () => {
    cli.api.answers({ status: 201, body: grant() })
    const { exitCode } = await cli.run(
      'grants',
      'create',
      ...WANTED,
      ...WHY,
      '--for',
      '1h',
      '--ticket',
      'LAB-42',
    )
    expect(exitCode).toBe(0)
    expect(cli.api.asked).toMatchObject([{ method: 'POST', path: '/v1/grants', query: {} }])
    expect(cli.api.asked[0]?.body).toEqual({
      subject: { subject: 'ada' },
      service: 'lab/records',
      operations: ['Read'],
      requester: 'bea',
      ticket: 'LAB-42',
      reason: 'study',
      duration: '1h',
    })
  })
  test('every option', async () => {
    cli.api.answers({ status: 201, body: grant() })
    const until = '2026-03-01T12:00:00Z'
    const more = [
      '--issuer',
      'https://idp.example',
      '--endpoint',
      'list',
      'read',
      '--role',
      'auditor',
      '--max-uses',
      '5',
    ]
    const whom = ['--subject', 'ada', '--service', 'lab/records', '--requester', 'alice']
    const ran = await cli.run(
      'grants',
      'create',
      '--operation',
      'Write',
      'Download',
      '--break-glass',
      '--until',
      until,
      ...whom,
      ...WHY,
      ...more,
    )
    expect(ran.stderr).toBe('')
    expect(cli.api.asked[0]?.body).toEqual({
      subject: { issuer: 'https://idp.example', subject: 'ada' },
      service: 'lab/records',
      endpoints: ['list', 'read'],
      operations: ['Write', 'Download'],
      roles: ['auditor'],
      requester: 'alice',
      reason: 'study',
      expiresAt: until,
      maxUses: 5,
      breakGlass: true,
    })
  })
  test('tells the grant', async () => {
    const made = grant({ maxUses: 5, uses: 0, endpoints: ['list'], roles: ['auditor'] })
    cli.api.answers({ status: 201, body: made })
    const text = await cli.run('grants', 'create', ...WANTED, ...WHY, '--for', '1h')
    expect(text.stdout.split('\n')).toEqual([
      'id          g-1',
      'state       live',
      'subject     ada (https://idp.example)',
      'service     lab/records',
      'endpoints   list',
      'operations  Read, Download',
      'roles       auditor',
      'requester   bea',
      'approver    alice',
      'ticket      LAB-42',
      'reason      study',
      expect.stringMatching(/^created {5}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(10 min ago\)$/),
      expect.stringMatching(/^expires {5}.* UTC \(in 42 min\)$/),
      'uses        0 of 5',
      '',
    ])
    const json = await cli.run('grants', 'create', ...WANTED, ...WHY, '--for', '1h', '-o', 'json')
    expect(JSON.parse(json.stdout)).toEqual(made)
  })
})

describe('list', () => {
  test('asks with the filters, page after page', async () => {
    cli.api.answers(
      { body: { grants: [grant()], next: 'abc' } },
      { body: { grants: [grant({ id: 'g-2' })] } },
    )
    const filters = ['--state', 'live', '--subject', 'ada', '--issuer', 'i', '--service', 'lab/records']
    const ran = await cli.run('grants', 'list', ...filters, '-o', 'json')
    const query = { state: 'live', subject: 'ada', issuer: 'i', service: 'lab/records' }
    expect(cli.api.asked.map((one) => one.query)).toEqual([
      { ...query, limit: '1000' },
      { ...query, limit: '999', cursor: 'abc' },
    ])
    expect(JSON.parse(ran.stdout)).toMatchObject({ grants: [{ id: 'g-1' }, { id: 'g-2' }], more: false })
  })
  test('stops at the limit and says so', async () => {
    cli.api.answers({ body: { grants: [grant()], next: 'abc' } })
    const ran = await cli.run('grants', 'list', '--limit', '1')
    expect(cli.api.asked.map((one) => one.query)).toEqual([{ limit: '1' }])
    expect(ran.stdout).toContain('There are more than these 1; --limit <n> shows them.\n')
  })
  test('pages that are empty without end come to one', async () => {
    cli.api.answers({ body: { grants: [], next: 'abc' } })
    expect(await cli.run('grants', 'list')).toMatchObject({ exitCode: 0 })
    expect(cli.api.asked).toHaveLength(1000)
  })
  test('tells them in a table of 100 columns', async () => {
    cli.api.answers({
      body: {
        grants: [
          grant(),
          grant({ id: 'g-2', state: 'expired', expiresAt: minutesFromNow(-180), uses: 5, maxUses: 5 }),
          grant({ id: 'g-3', approver: undefined, breakGlass: true, operations: ['Write'] }),
        ],
      },
    })
    const { stdout } = await cli.run('grants', 'list')
    expect(stdout).toBe(
      [
        'ID   STATE    SUBJECT  SERVICE      OPERATIONS     ENDS       USES    APPROVER\n',
        'g-1  live     ada      lab/records  Read,Download  in 42 min  3       alice\n',
        'g-2  expired  ada      lab/records  Read,Download  3 h ago    5 of 5  alice\n',
        'g-3  live     ada      lab/records  Write          in 42 min  3       break-glass\n',
      ].join(''),
    )
    const onTerminal = await cli.runOnTerminal('grants', 'list')
    expect(onTerminal.stdout).toContain('\u001b[31mbreak-glass\u001b[0m')
  })
  test('none', async () => {
    cli.api.answers({ body: { grants: [] } })
    expect((await cli.run('grants', 'list')).stdout).toBe('There are no such grants.\n')
    const live = await cli.run('grants', 'list', '--state', 'live')
    expect(live.stdout).toBe('There are no such grants that are live.\n')
  })
})

test('show tells what became of it', async () => {
  const revoked = { at: minutesFromNow(-5), by: 'carl', reason: 'study is done' }
  cli.api.answers({
    body: grant({ state: 'revoked', revoked, lastUsedAt: minutesFromNow(-7), breakGlass: true }),
  })
  const { stdout } = await cli.run('grants', 'show', 'g-1')
  expect(cli.api.asked).toMatchObject([{ method: 'GET', path: '/v1/grants/g-1', body: undefined }])
  expect(stdout).toContain('approver    nobody: break-glass\n')
  expect(stdout).toMatch(/\nlast used {3}.* \(7 min ago\)\n/)
  expect(stdout).toMatch(/\nrevoked {5}.* \(5 min ago\) by carl: study is done\n/)
})

test('revoke', async () => {
  const revoked = { at: minutesFromNow(0), by: 'alice', reason: 'done' }
  cli.api.answers({ body: grant({ state: 'revoked', revoked }) })
  const { stdout } = await cli.run('grants', 'revoke', 'g-1', '--reason', 'done')
  expect(cli.api.asked).toMatchObject([
    { method: 'POST', path: '/v1/grants/g-1/revoke', body: { reason: 'done' } },
  ])
  expect(stdout).toMatch(/^Grant g-1 of ada for lab\/records is revoked, .* UTC \(.*\)\.\n$/)
})

test.each([
  { form: [], format: 'table', text: 'GRANT  STATE\ng-1    live\n' },
  { form: ['-o', 'csv'], format: 'csv', text: 'id,state\r\ng-1,live\r\n' },
  { form: ['-o', 'json'], format: 'json', text: '{"live":[]}' },
])('review as $format', async ({ form, format, text }) => {
  cli.api.answers({ type: 'text/plain', text })
  const { exitCode, stdout } = await cli.run('grants', 'review', '--days', '90', ...form)
  expect(cli.api.asked).toMatchObject([
    { method: 'GET', path: '/v1/grants/review', query: { days: '90', format } },
  ])
  expect([exitCode, stdout]).toEqual([0, text.endsWith('\n') ? text : `${text}\n`])
})
