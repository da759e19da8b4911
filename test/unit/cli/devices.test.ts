import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type AdminCli, minutesFromNow, startAdminCli } from '../../support/admin-cli.js'
import { refusal } from '../../support/recorded-api.js'

let cli: AdminCli
beforeAll(async () => {
  cli = await startAdminCli()
})
afterAll(() => cli.close())

const FACTS = {
  managed: true,
  osPatched: true,
  diskEncrypted: false,
  firewall: true,
  antivirus: true,
  jailbroken: false,
}
const SIX = [
  '--managed',
  '--os-patched',
  '--no-disk-encrypted',
  '--firewall',
  '--antivirus',
  '--no-jailbroken',
]
const WHY = ['--reason', 'inspected']
const device = (over: object = {}) => ({
  id: 'lap-7',
  issuer: 'https://idp.example',
  ...FACTS,
  posture: 25,
  findings: [{ name: 'diskNotEncrypted', points: 25 }],
  tier: 'managed-corporate',
  lastSeen: minutesFromNow(-30),
  owner: 'Ada',
  ...over,
})
const reported = (id: string, over: object = {}) => ({ id, ...FACTS, ...over })

describe('set', () => {
  test.each([
    { name: 'no facts', args: [...WHY], says: 'missing: --managed or --no-managed, --os-patched or' },
    { name: 'one missing', args: [...SIX.slice(1), ...WHY], says: 'missing: --managed or --no-managed\n' },
    { name: 'no reason', args: SIX, says: "required option '--reason <text>'" },
    { name: 'whose', args: [...SIX, ...WHY, '--ownership', 'Mine'], says: 'Allowed choices are Corporate' },
    {
      name: 'a file and facts',
      args: ['--file', 'x.json', '--managed', ...WHY],
      says: 'leave the other options out',
    },
    {
      name: 'a file and texts',
      args: ['--file', 'x.json', '--owner', 'a', ...WHY],
      says: 'leave the other options out',
    },
    { name: 'no such file', args: ['--file', '/nowhere/x', ...WHY], says: "/nowhere/x can't be read" },
  ])('wrong usage: $name', async ({ args, says }) => {
    cli.api.answers({ body: device() })
    const ran = await cli.run('devices', 'set', 'lap-7', ...args)
    expect(ran.stderr).toContain(says)
    expect([ran.exitCode, ran.stdout, cli.api.asked]).toEqual([2, '', []])
  })
  test.each([
    { name: 'no JSON', text: '{', says: 'no JSON: ' },
    {
      name: 'a wrong type',
      text: JSON.stringify({ ...FACTS, managed: 'yes' }),
      says: '`managed` is a string',
    },
    {
      name: 'an unknown field',
      text: JSON.stringify({ ...FACTS, manged: true }),
      says: 'unknown field `manged`',
    },
    { name: 'a missing field', text: '{"managed":true}', says: 'missing field `osPatched`' },
    { name: 'a list', text: '[]', says: 'the document' },
  ])('a bad file: $name', async ({ text, says }) => {
    cli.api.answers({ body: device() })
    const ran = await cli.run(
      'devices',
      'set',
      'lap-7',
      '--file',
      await cli.file('report.json', text),
      ...WHY,
    )
    expect(ran.stderr).toContain(says)
    expect(ran.stderr).toContain('report.json: ')
    expect([ran.exitCode, cli.api.asked]).toEqual([2, []])
  })
  test('a report from 2030 is refused with its field', async () => {
    const errors = [
      {
        pointer: '/lastSeen',
        code: 'wrong-value',
        message: '`lastSeen` is later than now by more than 60 s',
      },
    ]
    cli.api.answers(refusal(400, 'The request is not valid.', errors))
    const ran = await cli.run(
      'devices',
      'set',
      'lap-7',
      ...SIX,
      ...WHY,
      '--last-seen',
      '2030-01-01T00:00:00Z',
    )
    expect(ran).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('  `lastSeen` is later than now'),
    })
  })
  test('sends the six facts and what else was said', async () => {
    cli.api.answers({ body: device() })
    const more = ['--issuer', 'i', '--no-compliant', '--ownership', 'Personal', '--platform', 'macOS 15']
    await cli.run('devices', 'set', 'a/b', ...SIX, ...WHY, ...more, '--model', 'M', '--owner', 'Ada')
    expect(cli.api.asked).toMatchObject([
      { method: 'PUT', path: '/v1/devices/a%2Fb', query: { issuer: 'i' } },
    ])
    expect(cli.api.asked[0]?.body).toEqual({
      ...FACTS,
      compliant: false,
      ownership: 'Personal',
      platform: 'macOS 15',
      model: 'M',
      owner: 'Ada',
      reason: 'inspected',
    })
  })
  test('sends a file', async () => {
    cli.api.answers({ body: device() })
    const file = await cli.file('good.json', JSON.stringify({ ...FACTS, ownership: 'Corporate' }))
    expect(await cli.run('devices', 'set', 'lap-7', '--file', file, ...WHY)).toMatchObject({ exitCode: 0 })
    expect(cli.api.asked[0]?.body).toEqual({ ...FACTS, ownership: 'Corporate', reason: 'inspected' })
  })
})

describe('import', () => {
  test.each([
    { name: 'an empty file', text: '', says: 'holds no device' },
    { name: 'an empty list', text: '[]', says: 'holds no device' },
    { name: 'a broken list', text: '[{', says: 'fleet: no JSON: ' },
    { name: 'a broken line', text: `${JSON.stringify(reported('a'))}\n\n{"id":`, says: 'fleet:3: no JSON: ' },
    {
      name: 'a device without an ID',
      text: `[${JSON.stringify(FACTS)}]`,
      says: 'fleet: element 1: missing field `id`',
    },
    { name: 'a field twice', text: '{"id":"a","managed":true,"managed":false}', says: 'fleet:1: no JSON: ' },
    { name: 'a number', text: '7', says: 'fleet:1: `the document` is the number' },
    {
      name: 'an unknown field of the last',
      text: [reported('a'), reported('b', { osPatch: true })].map((one) => JSON.stringify(one)).join('\n'),
      says: 'fleet:2: unknown field `osPatch`',
    },
    {
      name: 'a device twice',
      text: [reported('a'), reported('a', { issuer: 'i' }), reported('a')]
        .map((one) => JSON.stringify(one))
        .join('\n'),
      says: 'fleet:3: the same device as ',
    },
    {
      name: 'what is all wrong',
      text: Array.from({ length: 30 }, () => '{}').join('\n'),
      says: 'fleet has more problems\n',
    },
  ])('refused as a whole: $name', async ({ text, says }) => {
    cli.api.answers({ body: { accepted: 1 } })
    const ran = await cli.run('devices', 'import', await cli.file('fleet', text), ...WHY)
    expect(ran.stderr).toContain(says)
    expect([ran.exitCode, ran.stdout, cli.api.asked]).toEqual([2, '', []])
  })
  test('what is no UTF-8 is refused, a byte order mark is not', async () => {
    cli.api.answers({ body: { accepted: 1 } })
    const latin = await cli.file('latin', Buffer.from(JSON.stringify(reported('b\u00e4r')), 'latin1'))
    expect(await cli.run('devices', 'import', latin, ...WHY)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('latin is not UTF-8'),
    })
    const marked = await cli.file('marked', `\ufeff${JSON.stringify(reported('b\u00e4r'))}`)
    expect(await cli.run('devices', 'import', marked, ...WHY)).toMatchObject({ exitCode: 0 })
    expect(cli.api.asked).toMatchObject([{ body: { devices: [{ id: 'b\u00e4r' }] } }])
  })
  test('a batch that the API refuses ends it, and is told by the place in the file', async () => {
    const fleet = Array.from({ length: 2500 }, (_, n) => JSON.stringify(reported(`d-${n}`))).join('\n')
    const errors = [
      { pointer: '/devices/17/lastSeen', code: 'wrong-time', message: '`lastSeen` is later than now' },
    ]
    cli.api.answers({ body: { accepted: 1000 } }, refusal(400, 'One device is wrong.', errors))
    const file = await cli.file('fleet.jsonl', fleet)
    expect(await cli.run('devices', 'import', file, ...WHY)).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `error: One device is wrong. (400)\n  ${file}:1018: \`lastSeen\` is later than now (wrong-time)\nnote: 1,000 of 2,500 devices were taken before; the same file may be imported again\n`,
    })
    expect(cli.api.asked).toHaveLength(2)
  })
  test.each([
    {
      name: 'JSON lines',
      written: (all: object[]) => `${all.map((one) => JSON.stringify(one)).join('\r\n')}\n`,
    },
    { name: 'a JSON array', written: (all: object[]) => JSON.stringify(all, undefined, 1) },
  ])('in batches of 1,000: $name', async ({ written }) => {
    const fleet = Array.from({ length: 2001 }, (_, n) => reported(`d-${n}`, { issuer: 'i' }))
    cli.api.answers({ body: { accepted: 1000 } }, { body: { accepted: 1000 } }, { body: { accepted: 1 } })
    const ran = await cli.run('devices', 'import', await cli.file('fleet', written(fleet)), ...WHY)
    expect(ran).toEqual({ exitCode: 0, stdout: '2,001 devices were taken.\n', stderr: '' })
    const bodies = cli.api.asked.map(({ body }) => body as { reason: string; devices: object[] })
    expect(cli.api.asked[0]).toMatchObject({ method: 'POST', path: '/v1/devices' })
    expect(bodies.map(({ reason, devices }) => [reason, devices.length])).toEqual([
      ['inspected', 1000],
      ['inspected', 1000],
      ['inspected', 1],
    ])
    expect(bodies.flatMap(({ devices }) => devices)).toEqual(fleet)
  })
  test('a slow one shows how far it is, on a terminal only', async () => {
    const fleet = Array.from({ length: 1001 }, (_, n) => reported(`d-${n}`))
    const file = await cli.file('fleet', JSON.stringify(fleet))
    const slow = [{ body: { accepted: 1000 }, delayMs: 1050 }, { body: { accepted: 1 } }]
    cli.api.answers(...slow)
    const ran = await cli.runOnTerminal('devices', 'import', file, ...WHY, '-o', 'json')
    expect(ran.stderr).toBe('\r1,000 of 1,001 devices\r1,001 of 1,001 devices\r\u001b[K')
    expect(JSON.parse(ran.stdout)).toEqual({ accepted: 1001 })
    cli.api.answers(...slow)
    expect((await cli.run('devices', 'import', file, ...WHY)).stderr).toBe('')
  })
})

test('list', async () => {
  cli.api.answers({
    body: {
      devices: [
        device(),
        { id: 'phone-1', issuer: 'https://idp.example', posture: 20, tier: 'unmanaged', findings: [] },
      ],
    },
  })
  const { stdout } = await cli.run('devices', 'list')
  expect(cli.api.asked).toMatchObject([{ method: 'GET', path: '/v1/devices', query: { limit: '1000' } }])
  expect(stdout).toBe(
    [
      'ID       TIER               POSTURE  FINDINGS          SEEN        OWNER\n',
      'lap-7    managed-corporate  25       diskNotEncrypted  30 min ago  Ada\n',
      'phone-1  unmanaged          20\n',
    ].join(''),
  )
  cli.api.answers({ body: { devices: [] } })
  expect((await cli.run('devices', 'list')).stdout).toBe('No device is in the inventory.\n')
  expect(JSON.parse((await cli.run('devices', 'list', '-o', 'json')).stdout)).toEqual({
    devices: [],
    more: false,
  })
})

test('show', async () => {
  cli.api.answers(refusal(404, 'No such device.'))
  expect(await cli.run('devices', 'show', 'lap-8')).toMatchObject({ exitCode: 1, stdout: '' })
  cli.api.answers({ body: device({ compliant: false, externalLevel: 'HIGH', ownership: 'Corporate' }) })
  const { stdout } = await cli.run('devices', 'show', 'lap-7', '--issuer', 'i')
  expect(cli.api.asked).toMatchObject([{ method: 'GET', path: '/v1/devices/lap-7', query: { issuer: 'i' } }])
  expect(stdout.split('\n')).toEqual([
    'id                  lap-7',
    'issuer              https://idp.example',
    'managed             yes',
    'os patched          yes',
    'disk encrypted      no',
    'firewall            yes',
    'antivirus           yes',
    'jailbroken          no',
    'compliant           no',
    'ownership           Corporate',
    'owner               Ada',
    expect.stringMatching(/^last seen {11}.* UTC \(30 min ago\)$/),
    'level from outside  HIGH',
    'posture             25 of 100',
    'findings            diskNotEncrypted 25',
    'tier                managed-corporate',
    '',
  ])
})

test('remove', async () => {
  cli.api.answers({ status: 204 })
  const { stdout } = await cli.run('devices', 'remove', 'lap-7', '--reason', 'sold')
  expect(cli.api.asked).toMatchObject([
    { method: 'DELETE', path: '/v1/devices/lap-7', query: { reason: 'sold' }, body: undefined },
  ])
  expect(stdout).toBe('lap-7 is in the inventory no longer.\n')
  expect(await cli.run('devices', 'remove', 'lap-7')).toMatchObject({ exitCode: 2 })
})
