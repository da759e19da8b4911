import { readdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { mintServiceToken } from '../../src/identity/token.js'
import { adminClient, anAdminToken } from '../support/admin.js'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import { runCli } from '../support/cli.js'
import { AUTHORIZATION, type CheckFields, encodeCheck } from '../support/envoy-wire.js'
import { eventually } from '../support/eventually.js'
import { type Answer, readAnswer } from '../support/portcullis.js'
import { isRunning, Served } from '../support/served.js'
import { jwksText, signedToken, testKey, type TestKey } from '../support/tokens.js'

const POLICY = `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay, namespace: shop }
spec:
  endpoints:
    - { name: Pay, paths: [/pay], methods: [POST], workloadScopes: [payments:process] }
    - { name: Look, paths: ["/look/{id}"], methods: [GET] }
    - { name: Mine, paths: [/mine], methods: [GET], require: Both }
    - { name: Records, paths: ["/records/{id}"], methods: [GET], require: Both, dataPolicy: restricted }
  rules:
    - { name: web, from: [{ services: [web] }], to: [{ endpoints: [Pay, Look] }] }
    - { name: users, from: [{ users: true }], to: [{ endpoints: [Mine, Records] }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: pay }] }
---
apiVersion: portcullis.dev/v1beta1
kind: DataPolicy
metadata: { name: restricted }
spec: { access: [{ role: analyst, operations: [Read], approval: Required }] }
`
const STARTS_WITHIN_MS = 90_000
const ISSUER = 'https://idp.example'
const authority = createAuthority({ name: 'root' })
/** A caller whom Envoy names, in the namespace shop. */
const caller = (name: string): Pick<CheckFields, 'certificate' | 'principal'> => {
  const spiffeId = `spiffe://cluster.local/ns/shop/sa/${name}`
  return { certificate: asEnvoySends(authority.issueSvid({ spiffeId }).certificatePem), principal: spiffeId }
}
const web = caller('web')
const look = (id: string): CheckFields => ({ ...web, service: 'shop/pay', path: `/look/${id}` })
const files = (): Record<string, string> => ({
  'policy/shop.yaml': POLICY,
  'pki/ca.pem': authority.certificatePem,
})
const MESH = {
  listeners: [{ name: 'mesh', address: '127.0.0.1:0' }],
  trustDomains: { 'cluster.local': { bundle: { file: './pki/ca.pem' } } },
  health: { listen: '' },
}

/** Of the supervisor, in the folder of each run. */
const STORE = { type: 'Embedded', directory: './store' }

const clients = new Set<grpc.Client>()

/** A connection of its own. */
function connect(address: string): grpc.Client {
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  })
  clients.add(client)
  return client
}

function check(client: grpc.Client, fields: CheckFields, deadlineMs = 10_000): Promise<Answer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      AUTHORIZATION.path,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      encodeCheck(fields),
      { deadline: Date.now() + deadlineMs },
      (error, reply) =>
        error || !reply ? reject(error ?? new Error('no reply')) : resolve(readAnswer(reply)),
    )
  })
}

async function freePort(): Promise<{ port: number; close: () => void }> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    close: () => server.close(),
  }
}

afterAll(() => {
  for (const client of clients) client.close()
})

describe('serve --workers 2 does not start', () => {
  test.each([
    {
      name: 'with a policy that no worker can read: each problem is told once',
      policy: POLICY.replace('service: pay', 'serviced: pay'),
      prepare: async () => Promise.resolve({}),
      told: [/^\S+shop\.yaml:18:17: error: .*$/m, /^\S+shop\.yaml:18:19: error: .*$/m],
    },
    {
      name: 'where another program listens',
      policy: POLICY,
      prepare: async () => {
        const taken = await freePort()
        return { taken, listeners: [{ name: 'mesh', address: `127.0.0.1:${taken.port}` }] }
      },
      told: [/^error: listener mesh: cannot listen on \S+: another program listens there$/m],
    },
    {
      name: 'where the second can not write a log of its own',
      policy: POLICY,
      prepare: async () =>
        Promise.resolve({ audit: { sinks: [{ type: 'File', file: './log/events.jsonl' }] } }),
      blocked: 'log/events-2.jsonl/x',
      told: [/^\S+ error: File 0: \S+events-2\.jsonl: .*$|^error: File 0: \S+events-2\.jsonl: .*$/m],
    },
  ])(
    '$name',
    async ({ policy, prepare, blocked, told }) => {
      const { taken, ...over } = (await prepare()) as { taken?: { close: () => void } }
      const served = await Served.start(
        { ...files(), 'policy/shop.yaml': policy, ...(blocked && { [blocked]: '' }) },
        { ...MESH, store: STORE, ...over },
        ['--workers', '2'],
      )
      try {
        const { code } = await served.exit
        const problems = served.stderr.split('\n').filter((line) => line.includes('error: '))
        expect(problems).toHaveLength(told.length)
        for (const each of told) expect(served.stderr).toMatch(each)
        expect(code).toBe(2)
      } finally {
        taken?.close()
        await served.discard()
      }
    },
    STARTS_WITHIN_MS,
  )
})

describe('two workers', () => {
  const token = anAdminToken()
  let served: Served
  let addresses: ReadonlyMap<string, string>
  let webKey: TestKey
  let userKey: TestKey
  let health = ''
  let admin: ReturnType<typeof adminClient>
  let adminAddress = { port: 0 }
  const get = async (path: string, accept = ''): Promise<{ status: number; text: string }> => {
    const response = await fetch(`http://${health}${path}`, { headers: { accept } })
    return { status: response.status, text: await response.text() }
  }
  const mesh = (): string => addresses.get('mesh') ?? ''
  const becomesReady = (): Promise<void> =>
    eventually(async () => expect((await get('/readyz')).status).toBe(200), 60_000)

  beforeAll(async () => {
    webKey = await testKey('ES256')
    userKey = await testKey('ES256', 'idp-1')
    const [healthPort, adminPort] = [await freePort(), await freePort()]
    healthPort.close()
    adminPort.close()
    health = `127.0.0.1:${healthPort.port}`
    adminAddress = adminPort
    admin = adminClient(`127.0.0.1:${adminPort.port}`, token)
    served = await Served.start(
      {
        ...files(),
        'keys/web.pem': webKey.publicKeyPem,
        'keys/idp.json': jwksText(userKey),
        'keys/admin.token': token,
      },
      {
        ...MESH,
        listeners: [...MESH.listeners, { name: 'sock', address: 'unix:./p.sock' }],
        serviceTokens: {
          issuers: { web: { service: 'shop/web', keyFile: './keys/web.pem', scopes: ['payments:*'] } },
        },
        userTokens: {
          issuers: [
            { issuer: ISSUER, audiences: ['shop'], jwksFile: './keys/idp.json', algorithms: ['ES256'] },
          ],
        },
        deviceInventory: { enabled: false },
        health: { listen: health },
        admin: {
          listen: `127.0.0.1:${adminPort.port}`,
          tokens: [{ name: 'ops', file: './keys/admin.token', role: 'Admin' }],
        },
        audit: { sinks: [{ type: 'Stdout' }, { type: 'File', file: './log/events.jsonl' }] },
        store: STORE,
      },
      ['--workers', '2'],
    )
    addresses = await served.ready()
    await becomesReady()
    // A busy machine may be slow to reach its Redis the first time.
    const first = [connect(mesh()), connect(mesh())]
    await eventually(async () => {
      for (const client of first) expect(await check(client, look('0'))).toMatchObject({ outcome: 'allow' })
    }, 20_000)
    for (const client of first) client.close()
  }, STARTS_WITHIN_MS)
  afterAll(() => served.discard())

  test('a call that is refused by one is refused by all, and calls over many connections are answered', async () => {
    const opened = Array.from({ length: 6 }, () => connect(mesh()))
    const cron = caller('cron')
    const refused = await Promise.all(opened.map((client) => check(client, { ...look('1'), ...cron })))
    expect(new Set(refused.map(({ outcome }) => outcome))).toEqual(new Set(['deny']))
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) => check(opened[index % 6] ?? connect(mesh()), look(`${index}`))),
    )
    expect(answers.filter(({ outcome }) => outcome !== 'allow')).toEqual([])
    const { text } = await get('/metrics')
    expect(text).toContain('portcullis_connections{listener="mesh",worker="1"} 3')
    expect(text).toContain('portcullis_connections{listener="mesh",worker="2"} 3')
    for (const client of opened) client.close()
  })

  test('a Unix socket is shared as well', async () => {
    const opened = Array.from({ length: 2 }, () => connect(`unix:${join(served.directory, 'p.sock')}`))
    const answers = await Promise.all(opened.map((client) => check(client, look('1'))))
    expect(answers.map(({ outcome }) => outcome)).toEqual(['allow', 'allow'])
    const { text } = await get('/metrics')
    expect(text).toContain('portcullis_connections{listener="sock",worker="1"} 1')
    expect(text).toContain('portcullis_connections{listener="sock",worker="2"} 1')
  })

  test('a one-time token that was used at one is used up at the other', async () => {
    const opened = [connect(mesh()), connect(mesh())]
    const minted = await mintServiceToken({
      key: webKey.privateKeyPem,
      issuer: 'web',
      audience: 'shop/pay',
      scopes: ['payments:process'],
    })
    const pay = { ...look(''), method: 'POST', path: '/pay', headers: { 'x-service-token': minted } }
    const answers = []
    for (const client of [...opened, ...opened]) answers.push(await check(client, pay))
    expect(answers.map(({ reason }) => reason)).toEqual([
      'allowed',
      'service-token-replayed',
      'service-token-replayed',
      'service-token-replayed',
    ])
  })

  test('a session that is ended is ended at all, and a grant has as many uses as it has over all', async () => {
    const opened = [connect(mesh()), connect(mesh()), connect(mesh()), connect(mesh())]
    const now = Math.floor(Date.now() / 1000)
    const as = (path: string, sub: string): CheckFields => {
      const claims = {
        iss: ISSUER,
        aud: 'shop',
        sub,
        iat: now,
        exp: now + 600,
        session_id: `s-${sub}`,
        roles: ['analyst'],
      }
      return { ...look(''), path, headers: { authorization: `Bearer ${signedToken(userKey, claims)}` } }
    }
    const ofAll = async (fields: CheckFields): Promise<string[]> => {
      const answers = await Promise.all(opened.map((client) => check(client, fields)))
      return answers.map(({ reason }) => reason)
    }
    expect(new Set(await ofAll(as('/mine', 'dana')))).toEqual(new Set(['allowed']))
    const ended = { subject: 'dana', sessionId: 's-dana', reason: 'test' }
    expect(await admin('POST', '/v1/sessions/terminate', ended)).toMatchObject({ status: 200 })
    await eventually(async () => {
      expect(new Set(await ofAll(as('/mine', 'dana')))).toEqual(new Set(['session-terminated']))
    }, 1000)

    const grant = {
      subject: { subject: 'kim' },
      service: 'shop/pay',
      operations: ['Read'],
      requester: 'bob',
      ticket: 'T-1',
      reason: 'test',
      duration: '1h',
      maxUses: 5,
    }
    expect(await admin('POST', '/v1/grants', grant)).toMatchObject({ status: 201 })
    let used = (await ofAll(as('/records/1', 'kim'))).filter((reason) => reason === 'allowed').length
    await eventually(async () => {
      used += (await ofAll(as('/records/1', 'kim'))).filter((reason) => reason === 'allowed').length
      expect(used).toBe(5)
    })
    for (let again = 0; again < 3; again++) {
      expect(await ofAll(as('/records/1', 'kim'))).not.toContain('allowed')
    }
  })

  test('metrics have every series of every worker, in both forms', async () => {
    const prometheus = await get('/metrics')
    const series = prometheus.text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    expect(series.filter((line) => !/worker="(?:1|2|supervisor)"/.test(line))).toEqual([])
    expect(prometheus.text).toMatch(/portcullis_decision_duration_seconds_count\{worker="1"\} [1-9]/)
    expect(prometheus.text).toMatch(/portcullis_decision_duration_seconds_count\{worker="2"\} [1-9]/)
    expect(prometheus.text).toContain('portcullis_worker_up{worker="2"} 1')
    const heads = prometheus.text.split('\n').filter((line) => line.startsWith('# TYPE'))
    expect(new Set(heads).size).toBe(heads.length)
    expect((await get('/metrics', 'application/openmetrics-text')).text).toMatch(/# EOF\n$/)
  })

  test('the admin API knows the decisions of all, and tells all which level the log has', async () => {
    const opened = [connect(mesh()), connect(mesh())]
    const answers = await Promise.all(opened.map((client) => check(client, look('told'))))
    for (const { headers } of answers) {
      const id = headers.get('x-portcullis-decision-id') ?? ''
      expect(await admin('GET', `/v1/decisions/${id}`)).toMatchObject({
        status: 200,
        body: { decisionId: id },
      })
      expect(await admin('GET', `/v1/decisions/${id}/explain`)).toMatchObject({ status: 200 })
    }
    const { body } = await admin('GET', '/v1/decisions?limit=1000')
    const times = body.decisions.map((event: { timestamp: string }) => event.timestamp)
    expect(times).toEqual(times.toSorted((a: string, b: string) => b.localeCompare(a)))
    expect(
      await admin('PUT', '/v1/log-level', { level: 'Debug', duration: '1s', reason: 'test' }),
    ).toMatchObject({
      status: 200,
    })
    await eventually(() => {
      const changed = served
        .log()
        .filter(({ message, to }) => message === 'log level changed' && to === 'debug')
      expect(changed.map(({ worker }) => Number(worker ?? 0)).toSorted((a, b) => a - b)).toEqual([0, 1, 2])
    })
  })

  test('whoever follows decisions sees those of all', async () => {
    const leaving = new AbortController()
    const { port } = adminAddress
    const response = await fetch(`http://127.0.0.1:${port}/v1/decisions?follow=1`, {
      headers: { authorization: `Bearer ${token}` },
      signal: leaving.signal,
    })
    let told = ''
    const reading = (async () => {
      for await (const chunk of response.body ?? []) told += Buffer.from(chunk as Uint8Array).toString()
    })().catch(() => undefined)
    const opened = [connect(mesh()), connect(mesh())]
    await eventually(async () => {
      const answers = await Promise.all(opened.map((client) => check(client, look('followed'))))
      await sleep(50)
      for (const { headers } of answers) expect(told).toContain(headers.get('x-portcullis-decision-id'))
    })
    leaving.abort()
    await reading
  })

  test('one that is killed comes back, and the other goes on', async () => {
    const before = served.workers()
    const [victim = 0] = before
    const opened = Array.from({ length: 4 }, () => connect(mesh()))
    await Promise.all(opened.map((client) => check(client, look('before'))))
    process.kill(victim, 'SIGKILL')
    // New connections are for the one that is left; a connection that the victim had fails at most once.
    const answered = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const client = opened[index % 4] ?? connect(mesh())
        return check(client, look(`${index}`)).catch(() => check(connect(mesh()), look(`${index}`)))
      }),
    )
    expect(answered.filter(({ outcome }) => outcome !== 'allow')).toEqual([])
    expect((await get('/readyz')).status).toBe(503)
    await becomesReady()
    expect(served.workers()).toHaveLength(2)
    expect(served.workers()).not.toContain(victim)
    const told = served.log().find(({ message }) => String(message).includes('SIGKILL'))
    expect(told).toMatchObject({ level: 'error', component: 'workers', pid: victim })
    expect((await get('/metrics')).text).toMatch(/portcullis_worker_restarts_total\{worker="\d"\} 1/)
  }, 90_000)

  test('SIGUSR2 is passed on', async () => {
    const count = (): number => served.log().filter(({ message }) => message === 'log level changed').length
    const before = count()
    served.child.kill('SIGUSR2')
    await eventually(() => expect(count()).toBe(before + 3))
    served.child.kill('SIGUSR2')
    await eventually(() => expect(count()).toBe(before + 6))
  })

  test('SIGTERM under load loses no call and no event, and every line is whole', async () => {
    const long = 'x'.repeat(1500)
    let sent = 0
    let failed = 0
    const over = new AbortController()
    const answered: string[] = []
    const callers = Array.from({ length: 6 }, async () => {
      const client = connect(mesh())
      while (!over.signal.aborted) {
        sent++
        try {
          const { headers } = await check(client, look(long))
          answered.push(headers.get('x-portcullis-decision-id') ?? '')
        } catch (error) {
          // Once nobody listens, new calls have nowhere to go.
          if (!(await isRefused(error))) failed++
          return
        }
      }
    })
    await eventually(() => expect(answered.length).toBeGreaterThan(100), 20_000)
    served.child.kill('SIGTERM')
    const { code } = await served.exit
    over.abort()
    await Promise.all(callers)
    expect({ code, failed }).toEqual({ code: 0, failed: 0 })
    expect(sent - answered.length).toBeLessThanOrEqual(6)
    const events = served.stdout.split('\n')
    expect(events.pop()).toBe('')
    const recorded = new Set(events.map((line) => (JSON.parse(line) as { decisionId: string }).decisionId))
    expect(answered.filter((id) => !recorded.has(id))).toEqual([])
    const logs = await readdir(join(served.directory, 'log'))
    expect(logs).toEqual(expect.arrayContaining(['events.jsonl', 'events-2.jsonl']))
    const verified = await runCli(['audit', 'verify', join(served.directory, 'log')])
    expect({ ...verified, stdout: '' }).toEqual({ exitCode: 0, stdout: '', stderr: '' })
  }, 60_000)
})

describe('the end', () => {
  const started = async (over: Record<string, unknown> = {}): Promise<Served> => {
    const served = await Served.start(files(), { ...MESH, store: STORE, ...over }, ['--workers', '2'])
    await served.ready()
    return served
  }
  const areGone = (pids: readonly number[]): Promise<void> =>
    eventually(() => expect(pids.filter(isRunning)).toEqual([]))

  test(
    'a supervisor that is killed takes its workers with it',
    async () => {
      const served = await started()
      const pids = served.workers()
      expect(pids).toHaveLength(2)
      served.child.kill('SIGKILL')
      await areGone(pids)
      await served.discard()
    },
    STARTS_WITHIN_MS,
  )

  test(
    'a second signal ends at once what waits',
    async () => {
      const served = await started({ drain: { delay: '60s' } })
      const pids = served.workers()
      served.child.kill('SIGTERM')
      await sleep(300)
      expect(pids.filter(isRunning)).toHaveLength(2)
      served.child.kill('SIGINT')
      expect(await served.exit).toEqual({ code: null, signal: 'SIGINT' })
      await areGone(pids)
      await served.discard()
    },
    STARTS_WITHIN_MS,
  )
})

/** Whether a call failed because it could not be sent. */
async function isRefused(error: unknown): Promise<boolean> {
  return Promise.resolve(/ECONNREFUSED|No connection established/.test(String(error)))
}
