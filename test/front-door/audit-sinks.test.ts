import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { Collector, status } from '../support/collector.js'
import { eventually } from '../support/eventually.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { POLICY } from './door.js'

const CLASSIFIED = `
apiVersion: portcullis.dev/v1beta1
kind: DataPolicy
metadata: { name: restricted }
spec: { audit: { level: Full, encryption: { atRest: A256GCM } } }
`
const KEY = `${'0f'.repeat(32)}\n`
const TOKEN = 'a-token-of-the-collector'
let spool: string
let collector: Collector
const running: TestPortcullis[] = []

beforeEach(async () => {
  spool = await mkdtemp(join(tmpdir(), 'portcullis-spool-'))
  collector = new Collector()
  await collector.open()
})
afterEach(async () => {
  await Promise.all(running.splice(0).map(async (server) => server.stop()))
  await collector.close()
  await rm(spool, { recursive: true, force: true })
})

async function started(http: object, files: Readonly<Record<string, string>> = {}): Promise<TestPortcullis> {
  const server = await startPortcullis(
    { 'policy/shop.yaml': POLICY, 'spool.key': KEY, 'collector.token': TOKEN, ...files },
    {
      listeners: [{ name: 'mesh', address: '127.0.0.1:0', peerIdentity: 'None' }],
      drain: { delay: '0s', timeout: '1s' },
      audit: {
        sinks: [
          { type: 'Stdout', format: 'Ocsf' },
          { type: 'Http', url: collector.url, flushInterval: '20ms', labels: { region: 'eu' }, ...http },
        ],
      },
    },
  )
  running.push(server)
  return server
}

async function stopped(server: TestPortcullis): Promise<void> {
  running.splice(running.indexOf(server), 1)
  await server.stop()
}

/** A call that nobody is known to make: refused, and told of. */
async function call(server: TestPortcullis, path: string): Promise<string> {
  const answer = await server.check({ method: 'GET', path, host: 'pay.shop' })
  expect(answer.outcome).toBe('deny')
  return answer.headers.get('x-portcullis-decision-id') ?? ''
}

const idsOf = (from: number): unknown[] =>
  collector.posted
    .slice(from)
    .flatMap(({ records }) => records)
    .map((record) =>
      typeof record === 'object' && record !== null ? Reflect.get(record, 'decision_id') : record,
    )

describe('a start that is refused', () => {
  test.each([
    {
      name: 'a token that is not there',
      http: { tokenFile: './no.token' },
      problem: /^Http 1: tokenFile: .*no\.token/,
    },
    {
      name: 'authorities that hold no certificate',
      http: { caFile: './spool.key' },
      problem: /^Http 1: caFile: .*spool\.key holds no certificate$/,
    },
    {
      name: 'a key of another form',
      http: { spool: { directory: './spool', keyFile: './collector.token' } },
      problem: /^Http 1: spool\.keyFile: .*collector\.token does not hold 64 hexadecimal digits$/,
    },
    {
      name: 'a file in the place of the spool',
      http: { spool: { directory: './spool.key' } },
      problem: /^Http 1: spool\.directory: .*EEXIST/,
    },
  ])('$name', async ({ http, problem }) => {
    await expect(started(http)).rejects.toThrow(
      expect.objectContaining({ message: expect.stringMatching(problem) }),
    )
  })

  test('a spool in use by another', async () => {
    const http = { spool: { directory: spool } }
    await started(http)
    await expect(started(http)).rejects.toThrow(
      `Http 1: spool.directory: ${spool} is in use by another portcullis`,
    )
  })

  test('a spool in plain, and a DataPolicy that wants stored events to be encrypted', async () => {
    const http = { spool: { directory: spool } }
    await expect(started(http, { 'policy/data.yaml': CLASSIFIED })).rejects.toThrow(
      /data\.yaml:5:.*`Http 1` keeps waiting events on the disk as they are: it needs `spool\.keyFile`/,
    )
  })
})

test('nor is such a DataPolicy taken later', async () => {
  const server = await started({ spool: { directory: spool } })
  await server.write('policy/data.yaml', CLASSIFIED)
  await eventually(() => expect(server.output().log).toContain('it needs `spool.keyFile`'))
  expect(server.output().log).toContain('policy refused, the old one stays')
})

test('a decision reaches standard output in OCSF and the collector as a decision log', async () => {
  const server = await started({ tokenFile: './collector.token', spool: { directory: spool } })
  const id = await call(server, '/api/payments/7?card=planted')
  await eventually(() => expect(collector.posted).toHaveLength(1))
  const [{ headers, records } = { headers: {}, records: [] }] = collector.posted
  expect(headers).toMatchObject({
    authorization: `Bearer ${TOKEN}`,
    'content-type': 'application/json',
    'content-encoding': 'gzip',
  })
  expect(records).toEqual([
    expect.objectContaining({
      labels: { region: 'eu' },
      decision_id: id,
      path: 'portcullis/authorization',
      input: expect.objectContaining({ requestMethod: 'GET', requestPath: '/api/payments/7' }),
      result: expect.objectContaining({ allowed: false, decision: 'deny' }),
    }),
  ])
  expect(server.events()).toEqual([
    expect.objectContaining({
      class_uid: 6003,
      action_id: 2,
      metadata: expect.objectContaining({ version: '1.8.0', uid: id }),
    }),
  ])
  const everything = JSON.stringify([server.output(), records])
  expect(everything).not.toMatch(/planted|a-token|secret-path|secret-query/)
  await eventually(async () => expect(await readdir(spool)).toEqual([]))
})

test.each([
  { how: 'in plain', keyFile: undefined },
  { how: 'encrypted', keyFile: './spool.key' },
])(
  'a stop with the collector away leaves everything in the spool, and the next start delivers it ($how)',
  async (row) => {
    const http = { spool: { directory: spool, ...(row.keyFile !== undefined && { keyFile: row.keyFile }) } }
    collector.answer = status(503)
    const first = await started(http)
    const ids: string[] = []
    for (let n = 0; n < 20; n++) ids.push(await call(first, `/api/payments/${n}`))
    await eventually(() => expect(collector.posted.length).toBeGreaterThan(0))
    await stopped(first)
    expect(first.output().log).not.toContain('security events are lost')
    expect(first.output().log).toContain('"problem":"status 503"')
    expect((await readdir(spool)).length).toBeGreaterThan(0)

    const refusedPosts = collector.posted.length
    collector.answer = status(200)
    const second = await started(http)
    ids.push(await call(second, '/api/payments/20'))
    await eventually(() => expect(idsOf(refusedPosts)).toEqual(ids))
    await stopped(second)
    expect(await readdir(spool)).toEqual([])
  },
)

test('a batch that was damaged meanwhile is kept aside and told', async () => {
  const http = { spool: { directory: spool } }
  collector.answer = status(503)
  const first = await started(http)
  await call(first, '/api/payments/1')
  await stopped(first)
  const [name = ''] = await readdir(spool)
  const bytes = await readFile(join(spool, name))
  await writeFile(join(spool, name), bytes.subarray(0, -1))
  collector.answer = status(200)
  const second = await started(http)
  await eventually(() =>
    expect(second.output().log).toContain(`${name} is damaged and was kept as ${name}.bad`),
  )
  expect(await readdir(spool)).toEqual([`${name}.bad`])
})
