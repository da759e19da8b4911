import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { readText } from '../../../src/cli/admin/answer.js'
import { openConnection } from '../../../src/cli/admin/connection.js'
import { EXCHANGE_LIMITS, exchange, pathOf } from '../../../src/cli/admin/exchange.js'
import { createAuthority } from '../../support/certificate-authority.js'
import { runCli } from '../../support/cli.js'
import { refusal, startRecordedApi, type RecordedApi } from '../../support/recorded-api.js'

const TOKEN = 'a-token-of-alice-that-is-long-enough-0001'
let directory: string
let api: RecordedApi
const at = (name: string): string => join(directory, name)

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cli-admin-'))
  api = await startRecordedApi()
  await writeFile(at('alice.token'), `${TOKEN}\n`)
  await writeFile(at('two-lines.token'), 'one\ntwo\n')
  await writeFile(at('empty.token'), '\n')
  await writeFile(at('large.token'), 'a'.repeat(5000))
})
afterAll(async () => {
  await api.close()
  await rm(directory, { recursive: true })
})

describe('refused before anything is sent: exit 2', () => {
  test.each([
    { name: 'no token at all', args: [], says: 'say who you are' },
    {
      name: 'a token file that is not there',
      args: ['--token-file', '/nowhere/t'],
      says: "/nowhere/t can't be read",
    },
    { name: 'a folder for a token', args: ['--token-file', '/tmp'], says: '/tmp is not a regular file' },
    { name: 'an empty token', args: ['--token-file', '@empty.token'], says: 'holds no token' },
    { name: 'a token of two lines', args: ['--token-file', '@two-lines.token'], says: 'holds no token' },
    { name: 'a large token', args: ['--token-file', '@large.token'], says: 'at most 4096 are read' },
    { name: 'no URL', args: ['--server', 'localhost'], says: '--server is no http:// or https:// URL' },
    { name: 'another scheme', args: ['--server', 'ftp://localhost'], says: 'is no http:// or https:// URL' },
    {
      name: 'plaintext to another host',
      args: ['--server', 'http://portcullis.example:9192', '--token-file', '@alice.token'],
      says: 'would show your token',
    },
    {
      name: 'plaintext to a name that begins as loopback does',
      args: ['--server', 'http://127.0.0.1.example', '--token-file', '@alice.token'],
      says: 'would show your token',
    },
    {
      name: 'plaintext to every address',
      args: ['--server', 'http://0.0.0.0:9192', '--token-file', '@alice.token'],
      says: 'would show your token',
    },
    { name: 'a password in the URL', args: ['--server', 'https://a:b@localhost'], says: 'holds a password' },
    {
      name: 'a path in the URL',
      args: ['--server', 'http://localhost/v1'],
      says: 'more than host and port: localhost/v1',
    },
    {
      name: 'a certificate without its key',
      args: ['--server', 'https://localhost', '--client-certificate', '@alice.token'],
      says: '--client-certificate and --client-key go together',
    },
    {
      name: 'a certificate for plaintext',
      args: ['--client-certificate', '@alice.token', '--client-key', '@alice.token'],
      says: 'need an https:// server',
    },
    {
      name: 'an authority that is not there',
      args: ['--server', 'https://localhost', '--token-file', '@alice.token', '--ca', '/nowhere/ca.pem'],
      says: "/nowhere/ca.pem can't be read",
    },
  ])('$name', async ({ args, says }) => {
    const named = args.map((arg) => (arg.startsWith('@') ? at(arg.slice(1)) : arg))
    const { exitCode, stdout, stderr } = await runCli(['quarantine', 'list', ...named])
    expect(stderr).toContain(says)
    expect(stderr).not.toContain(TOKEN)
    expect([exitCode, stdout]).toEqual([2, ''])
  })

  test('the token itself is never an option', async () => {
    const { exitCode, stderr } = await runCli(['quarantine', 'list', '--token', TOKEN])
    expect(stderr).toContain("unknown option '--token'")
    expect(exitCode).toBe(2)
  })
})

const list = (...args: string[]) =>
  runCli(['quarantine', 'list', '--server', api.url, '--token-file', at('alice.token'), ...args])

describe('what the server answers', () => {
  test.each([
    { name: '400', answer: refusal(400, 'The request is not valid.'), exitCode: 2, says: 'not valid. (400)' },
    {
      name: '401',
      answer: refusal(401, 'Who are you?'),
      exitCode: 2,
      says: 'none of those under admin.tokens',
    },
    {
      name: '403',
      answer: refusal(403, 'Readers only read.'),
      exitCode: 1,
      says: 'Readers only read. (403)',
    },
    {
      name: '404',
      answer: refusal(404, 'No such thing.'),
      exitCode: 1,
      says: 'error: No such thing. (404)\n',
    },
    { name: '409', answer: refusal(409, 'There is one.'), exitCode: 1, says: 'error: There is one. (409)\n' },
    {
      name: '429',
      answer: refusal(429, 'Too many failures.'),
      exitCode: 2,
      says: 'Too many failures. (429)',
    },
    { name: '503', answer: refusal(503, 'No state.'), exitCode: 2, says: 'No state. (503)' },
    {
      name: '500 without problem details',
      answer: { status: 500, type: 'text/html', text: '<h1>oops</h1>' },
      exitCode: 2,
      says: 'answered with status 500 (500)',
    },
    {
      name: 'a redirect, which is not followed',
      answer: { status: 302, headers: { location: 'http://example.com/' } },
      exitCode: 2,
      says: 'answered with status 302',
    },
    { name: 'no JSON', answer: { text: '<html>' }, exitCode: 2, says: "is it Portcullis' admin API" },
    {
      name: 'another JSON',
      answer: { body: { items: [] } },
      exitCode: 2,
      says: "is it Portcullis' admin API",
    },
    { name: 'null', answer: { text: 'null' }, exitCode: 2, says: "is it Portcullis' admin API" },
    {
      name: 'a row of another form',
      answer: { body: { quarantined: [{ workload: 7 }] } },
      exitCode: 2,
      says: "is it Portcullis' admin API",
    },
  ])('$name', async ({ answer, exitCode, says }) => {
    api.answers(answer)
    const ran = await list()
    expect(ran.stderr).toContain(says)
    expect([ran.exitCode, ran.stdout]).toEqual([exitCode, ''])
    expect(api.asked).toHaveLength(1)
  })

  test('each error is told with its field', async () => {
    api.answers(
      refusal(400, 'Two fields are wrong.', [
        { pointer: '/subject/issuer', code: 'missing-field', message: 'is missing' },
        { pointer: '/devices/3/a~1b', code: 'wrong-value', message: 'is odd' },
      ]),
    )
    expect((await list()).stderr).toBe(
      'error: Two fields are wrong. (400)\n  subject.issuer: is missing (missing-field)\n  devices[3].a/b: is odd (wrong-value)\n',
    )
  })

  test('what is said once is not said again', async () => {
    const message = 'requester and approver are one person'
    api.answers(refusal(400, message, [{ pointer: '/requester', code: 'same-person', message }]))
    expect((await list()).stderr).toBe(`error: ${message} (400)\n  requester (same-person)\n`)
    const other = { pointer: '/ticket', code: 'missing-field', message: 'missing field `ticket`' }
    const first = { pointer: '/requester', code: 'same-person', message }
    api.answers(refusal(400, `${message} (and 1 more)`, [first, other]))
    expect((await list()).stderr).toBe(
      `error: 2 things are wrong with the request (400)\n  requester: ${message} (same-person)\n  missing field \`ticket\` (missing-field)\n`,
    )
    api.answers(refusal(404, 'there is none', [{ pointer: '', code: 'unknown', message: 'there is none' }]))
    expect((await list()).stderr).toBe('error: there is none (404)\n')
  })

  test('a flood of errors is cut', async () => {
    const errors = Array.from({ length: 500 }, (_, n) => ({ pointer: `/${n}`, code: 'bad', message: 'bad' }))
    api.answers(refusal(400, 'All wrong.', errors))
    const { stderr } = await list()
    expect(stderr.split('\n')).toHaveLength(23)
    expect(stderr).toContain('and 480 more')
  })

  test('nothing that it says reaches the terminal as a control sequence', async () => {
    const evil = 'a\u001b[2J\u009b31m\u202eb\nerror: fine'
    api.answers(refusal(404, evil, [{ pointer: `/${evil}`, code: evil, message: evil }]))
    const refused = await list()
    expect(refused.stderr.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(refused.stderr.split('\n')).toHaveLength(3)
    const entry = { workload: evil, until: '2026-03-01T12:00:00Z', reason: evil }
    api.answers({ body: { quarantined: [{ ...entry, workload: 'spiffe://a.example/ns/b' }] } })
    for (const form of ['text', 'json']) {
      const { stdout } = await list('-o', form)
      expect(stdout).not.toBe('')
      expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    }
    const asJson = await list('-o', 'json')
    expect(JSON.parse(asJson.stdout)).toMatchObject({ quarantined: [{ reason: evil }] })
  })

  test('fields of a newer server are kept and do no harm', async () => {
    const body = { quarantined: [], note: { new: true } }
    api.answers({ body })
    expect(JSON.parse((await list('-o', 'json')).stdout)).toEqual(body)
    expect((await list()).stdout).toBe('No workload is quarantined.\n')
  })
})

describe('the environment', () => {
  test('names server and token file; options win', async () => {
    api.answers({ body: { quarantined: [] } })
    const env = { PORTCULLIS_SERVER: api.url, PORTCULLIS_TOKEN_FILE: at('alice.token') }
    expect(await runCli(['quarantine', 'list'], { env })).toMatchObject({ exitCode: 0 })
    expect(api.asked[0]).toMatchObject({ authorization: `Bearer ${TOKEN}`, path: '/v1/quarantine' })
    const ran = await runCli(['quarantine', 'list', '--server', 'http://far.example'], { env })
    expect(ran.exitCode).toBe(2)
    expect(api.asked).toHaveLength(1)
  })
})

describe('the network', () => {
  const connect = async (url: string, over = {}) => {
    const opened = await openConnection({ server: url, tokenFile: at('alice.token'), ...over }, {})
    if (!opened.ok) throw new Error(opened.problem)
    return opened.connection
  }
  const ASKED = { method: 'GET' as const, path: '/v1/quarantine' }

  test('nobody listens', async () => {
    const free = createServer()
    await new Promise<void>((done) => {
      free.listen(0, '127.0.0.1', done)
    })
    const address = free.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await new Promise((done) => {
      free.close(done)
    })
    const url = `http://127.0.0.1:${port}`
    const ran = await runCli(['quarantine', 'list', '--server', url, '--token-file', at('alice.token')])
    expect(ran).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('nothing listens there') })
  })

  test('an answer that does not come in time', async () => {
    api.answers({ hang: true })
    const got = await exchange(await connect(api.url), ASKED, { ...EXCHANGE_LIMITS, timeMs: 100 })
    expect(got).toEqual({ ok: false, problem: `127.0.0.1:${api.port}: did not answer within 0.1 s` })
    expect(EXCHANGE_LIMITS).toEqual({ timeMs: 10_000, answerBytes: 64 * 1024 * 1024 })
  })

  test('an answer that is too large', async () => {
    api.answers({ text: 'x'.repeat(2000) })
    const got = await exchange(await connect(api.url), ASKED, { ...EXCHANGE_LIMITS, answerBytes: 1999 })
    expect(got).toMatchObject({ ok: false, problem: expect.stringContaining('more than 1999 bytes') })
  })

  test('a connection that is closed at once', async () => {
    const rude = createServer((socket) => socket.destroy())
    await new Promise<void>((done) => {
      rude.listen(0, '127.0.0.1', done)
    })
    const address = rude.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const got = await exchange(await connect(`http://127.0.0.1:${port}`), ASKED)
    expect(got).toMatchObject({ ok: false, problem: expect.stringContaining('the connection broke off') })
    await new Promise((done) => {
      rude.close(done)
    })
  })

  test('TLS: an unknown authority is refused, a named one and a client certificate pass', async () => {
    const root = createAuthority({ name: 'Root' })
    const server = root.issueSvid({
      spiffeId: 'spiffe://cluster.local/ns/ops/sa/portcullis',
      dnsNames: ['localhost'],
    })
    const client = root.issueSvid({ spiffeId: 'spiffe://cluster.local/ns/ops/sa/ci' })
    await writeFile(at('ca.pem'), root.certificatePem)
    await writeFile(at('client.pem'), client.chainPem)
    await writeFile(at('client.key'), client.keyPem)
    const secure = await startRecordedApi({
      cert: server.chainPem,
      key: server.keyPem,
      ca: root.certificatePem,
      requestCert: true,
      rejectUnauthorized: true,
    })
    const url = `https://localhost:${secure.port}`
    try {
      secure.answers({ body: { quarantined: [] } })
      const unknown = await exchange(await connect(url), ASKED)
      expect(unknown).toMatchObject({ ok: false, problem: expect.stringContaining('--ca') })
      const withoutCertificate = await exchange(await connect(url, { ca: at('ca.pem') }), ASKED)
      expect(withoutCertificate.ok).toBe(false)
      const wrongName = await exchange(await connect(secure.url, { ca: at('ca.pem') }), ASKED)
      expect(wrongName.ok).toBe(false)
      expect(secure.asked).toEqual([])
      const keys = ['--client-certificate', at('client.pem'), '--client-key', at('client.key')]
      const ran = await runCli(['quarantine', 'list', '--server', url, '--ca', at('ca.pem'), ...keys])
      expect(ran).toMatchObject({ exitCode: 0, stderr: '' })
      expect(secure.asked).toMatchObject([{ authorization: undefined }])
    } finally {
      await secure.close()
    }
  })

  test('TLS asked of a server without', async () => {
    const got = await exchange(await connect(api.url.replace('http:', 'https:')), ASKED)
    expect(got).toMatchObject({ ok: false, problem: expect.stringContaining('no TLS connection') })
  })

  test('text is taken as it is, a refusal of a text likewise', () => {
    const bytes = Buffer.from('a,b\n')
    expect(readText('s', { ok: true, status: 200, contentType: 'text/csv', bytes })).toEqual({
      ok: true,
      value: 'a,b\n',
    })
    expect(readText('s', { ok: true, status: 404, contentType: 'text/csv', bytes })).toMatchObject({
      ok: false,
      exitCode: 1,
    })
  })
})

test.each([
  { parts: ['v1', 'devices', '..'], path: '/v1/devices/%2E%2E' },
  { parts: ['v1', 'devices', '.'], path: '/v1/devices/%2E' },
  { parts: ['v1', 'devices', 'a/../b?c#d'], path: '/v1/devices/a%2F..%2Fb%3Fc%23d' },
  { parts: ['v1', 'devices', 'ä b'], path: '/v1/devices/%C3%A4%20b' },
])('a name stays one part of the path: $path', ({ parts, path }) => {
  expect(pathOf(...parts)).toBe(path)
})
