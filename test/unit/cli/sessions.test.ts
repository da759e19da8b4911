import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { type AdminCli, minutesFromNow, startAdminCli } from '../../support/admin-cli.js'
import { refusal } from '../../support/recorded-api.js'

let cli: AdminCli
beforeAll(async () => {
  cli = await startAdminCli()
})
afterAll(() => cli.close())

const session = (over: object = {}) => ({
  issuer: 'https://idp.example',
  subject: 'ada',
  sessionId: 's-1',
  state: 'active',
  startedAt: minutesFromNow(-180),
  lastSeenAt: minutesFromNow(-2),
  ...over,
})

test.each([
  { name: 'nobody', args: ['end', '--reason', 'lost'], says: "required option '--subject <sub>'" },
  { name: 'no reason', args: ['end', '--subject', 'ada'], says: "required option '--reason <text>'" },
  { name: 'a surplus argument', args: ['list', 'ada'], says: 'too many arguments' },
])('wrong usage: $name', async ({ args, says }) => {
  cli.api.answers({ body: session() })
  const ran = await cli.run('sessions', ...args)
  expect(ran.stderr).toContain(says)
  expect([ran.exitCode, cli.api.asked]).toEqual([2, []])
})

test('the API needs the issuer', async () => {
  const errors = [{ pointer: '/issuer', code: 'missing-field', message: 'several are configured: name one' }]
  cli.api.answers(refusal(400, 'The request is not valid.', errors))
  expect(await cli.run('sessions', 'end', '--subject', 'ada', '--reason', 'lost')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('issuer: several are configured'),
  })
})

describe('list', () => {
  test('ids that would obey nobody', async () => {
    cli.api.answers({ body: { sessions: [session({ sessionId: 'a\u202e[2J\u2028b\u200d' })] } })
    const { stdout } = await cli.run('sessions', 'list', '--subject', 'ada')
    expect(stdout).toContain('a?[2J?b?')
    cli.api.answers({ body: { sessions: [session({ sessionId: 'a\u202e[2J\u2028b\u200d' })] } })
    const json = await cli.run('sessions', 'list', '--subject', 'ada', '-o', 'json')
    expect(json.stdout).toContain('a\\u202e[2J\\u2028b\\u200d')
  })

  test("a user's", async () => {
    const ended = session({
      sessionId: 's-0',
      state: 'ended',
      endedAt: minutesFromNow(-60),
      endedBy: 'alice',
    })
    const body = { sessions: [session(), { ...ended, reason: 'lost her phone' }] }
    cli.api.answers({ body })
    const { stdout } = await cli.run(
      'sessions',
      'list',
      '--subject',
      'ada',
      '--issuer',
      'https://idp.example',
    )
    expect(cli.api.asked).toMatchObject([
      { method: 'GET', path: '/v1/sessions', query: { subject: 'ada', issuer: 'https://idp.example' } },
    ])
    expect(stdout).toBe(
      [
        'SUBJECT  SESSION  STATE   STARTED  LAST SEEN  ENDED       BY     REASON\n',
        'ada      s-1      active  3 h ago  2 min ago\n',
        'ada      s-0      ended   3 h ago  2 min ago  60 min ago  alice  lost her phone\n',
      ].join(''),
    )
    const json = await cli.run('sessions', 'list', '--subject', 'ada', '-o', 'json')
    expect(JSON.parse(json.stdout)).toEqual({ ...body, more: false })
  })
  test('the ended ones of everybody, of several issuers', async () => {
    const ended = { sessionId: undefined, state: 'ended', endedAt: minutesFromNow(-60) }
    cli.api.answers({
      body: { sessions: [session(ended), session({ ...ended, issuer: 'https://b.example' })] },
    })
    const { stdout } = await cli.run('sessions', 'list')
    expect(stdout).toContain('https://b.example    every one  ended')
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100)
  })
  test('none', async () => {
    cli.api.answers({ body: { sessions: [] } })
    expect((await cli.run('sessions', 'list')).stdout).toBe('No session was ended.\n')
    const ofAda = await cli.run('sessions', 'list', '--subject', 'ada')
    expect(ofAda.stdout).toBe('No session of ada is known.\n')
  })
})

test('end every session, or one', async () => {
  cli.api.answers({ body: session({ sessionId: undefined, state: 'ended', endedAt: minutesFromNow(0) }) })
  const all = await cli.run('sessions', 'end', '--subject', 'ada', '--reason', 'lost')
  expect(cli.api.asked).toMatchObject([{ method: 'POST', path: '/v1/sessions/terminate' }])
  expect(cli.api.asked[0]?.body).toEqual({ subject: 'ada', reason: 'lost' })
  expect(all.stdout).toMatch(
    /^Every session of ada \(https:\/\/idp.example\) is ended since .* UTC \(.*\)\.\n$/,
  )
  cli.api.answers({ body: session({ state: 'ended' }) })
  const one = ['--subject', 'ada', '--issuer', 'i', '--session', 's-1', '--reason', 'lost']
  expect((await cli.run('sessions', 'end', ...one)).stdout).toMatch(/^Session s-1 of ada .* is ended\.\n$/)
  expect(cli.api.asked[0]?.body).toEqual({ issuer: 'i', subject: 'ada', sessionId: 's-1', reason: 'lost' })
  const json = await cli.run('sessions', 'end', ...one, '-o', 'json')
  expect(JSON.parse(json.stdout)).toMatchObject({ sessionId: 's-1', state: 'ended' })
})
