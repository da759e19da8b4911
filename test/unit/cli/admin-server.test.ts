import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import type { AdminPorts, Outcome } from '../../../src/admin/ports.js'
import type { DeviceAnswer } from '../../../src/admin/schemas/devices.js'
import type { GrantAnswer } from '../../../src/admin/schemas/grants.js'
import type { QuarantineEntry } from '../../../src/admin/schemas/subjects.js'
import { type AdminServer, startAdminServer } from '../../../src/admin/server.js'
import { hashTokens } from '../../../src/admin/tokens.js'
import { runCli } from '../../support/cli.js'

const ISSUER = 'https://idp.example'
const WORKLOAD = 'spiffe://cluster.local/ns/shop/sa/api'
const tokens = { alice: randomBytes(32).toString('hex'), rita: randomBytes(32).toString('hex') }
const SIX = ['--managed', '--os-patched', '--disk-encrypted', '--firewall', '--antivirus', '--no-jailbroken']

let directory: string
let server: AdminServer

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cli-admin-server-'))
  for (const [name, text] of Object.entries(tokens)) await writeFile(join(directory, name), `${text}\n`)
  const hashed = hashTokens([
    { name: 'alice', role: 'Admin', text: tokens.alice },
    { name: 'rita', role: 'Reader', text: tokens.rita },
  ])
  if (!hashed.ok) throw new Error(hashed.problems.join())
  let ids = 0
  server = await startAdminServer({
    listen: { host: '127.0.0.1', port: 0 },
    tls: undefined,
    actors: { tokens: hashed.tokens, clients: [] },
    ports: portsInMemory(),
    isRevoked: () => false,
    nowMs: Date.now,
    newId: () => `id-${++ids}`,
    warn: (message) => {
      throw new Error(message)
    },
  })
})
afterAll(async () => {
  await server.close()
  await rm(directory, { recursive: true })
})

const as = (name: keyof typeof tokens | 'nobody', ...args: string[]) =>
  runCli([...args, '--server', `http://${server.address}`, '--token-file', join(directory, name)])

test('a stranger: exit 2', async () => {
  await writeFile(join(directory, 'nobody'), randomBytes(32).toString('hex'))
  const ran = await as('nobody', 'grants', 'list')
  expect(ran).toMatchObject({ exitCode: 2, stdout: '' })
  expect(ran.stderr).toContain('(401)\n  your token or certificate is none of those')
})

test.each([
  [
    'grants',
    'create',
    '--subject',
    'ada',
    '--service',
    'lab/records',
    '--operation',
    'Read',
    '--requester',
    'bea',
    '--for',
    '1h',
    '--reason',
    'r',
  ],
  ['grants', 'revoke', 'id-1', '--reason', 'r'],
  ['sessions', 'end', '--subject', 'ada', '--reason', 'r'],
  ['devices', 'set', 'lap-7', ...SIX, '--reason', 'r'],
  ['devices', 'remove', 'lap-7', '--reason', 'r'],
  ['risk', 'set', '--subject', 'ada', '--level', 'HIGH', '--reason', 'r'],
  ['quarantine', 'add', WORKLOAD, '--for', '1h', '--reason', 'r'],
  ['quarantine', 'lift', WORKLOAD, '--reason', 'r'],
])('a Reader may not: %s %s', async (...args) => {
  expect(await as('rita', ...args)).toMatchObject({
    exitCode: 1,
    stdout: '',
    stderr: expect.stringContaining('(403)'),
  })
})

test.each([
  {
    args: ['devices', 'set', 'lap-7', ...SIX, '--reason', 'r', '--last-seen', '2130-01-01T00:00:00Z'],
    says: '`lastSeen` is later',
  },
  { args: ['devices', 'set', 'lap-7', ...SIX, '--reason', '', '--issuer', ISSUER], says: '`reason`' },
  {
    args: ['quarantine', 'add', 'shop/api', '--for', '1h', '--reason', 'r'],
    says: '`workload` is `shop/api`',
  },
  { args: ['sessions', 'list', '--issuer', ISSUER], says: '`subject`' },
  { args: ['grants', 'list', '--service', 'records'], says: '`service` is `records`' },
])('not valid: $says', async ({ args, says }) => {
  const ran = await as('alice', ...args)
  expect(ran.stderr).toContain(says)
  expect(ran).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining('(400)') })
})

test('a grant: created, listed, shown, reviewed, revoked', async () => {
  const create = ['--subject', 'ada', '--service', 'lab/records', '--operation', 'Read', '--requester', 'bea']
  const made = await as(
    'alice',
    'grants',
    'create',
    ...create,
    '--for',
    '1h',
    '--reason',
    'study',
    '-o',
    'json',
  )
  expect(made.stderr).toBe('')
  const { id }: { id: string } = JSON.parse(made.stdout)
  expect((await as('rita', 'grants', 'list', '--state', 'live')).stdout).toMatch(
    new RegExp(`\n${id} +live +ada +lab/records`),
  )
  expect((await as('rita', 'grants', 'show', id)).stdout).toMatch(/\napprover +alice\n/)
  expect((await as('rita', 'grants', 'review', '-o', 'csv')).stdout).toBe('id\r\n')
  const revoked = await as('alice', 'grants', 'revoke', id, '--reason', 'done')
  expect(revoked.stdout).toMatch(new RegExp(`^Grant ${id} of ada for lab/records is revoked, `))
  expect((await as('alice', 'grants', 'show', 'id-none')).exitCode).toBe(1)
})

test('devices: imported, set, shown, removed', async () => {
  const facts = {
    managed: true,
    osPatched: true,
    diskEncrypted: true,
    firewall: true,
    antivirus: true,
    jailbroken: false,
  }
  const fleet = Array.from({ length: 1500 }, (_, n) =>
    JSON.stringify({ id: `d-${n}`, ...facts, model: 'M'.repeat(128) }),
  )
  await writeFile(join(directory, 'fleet.jsonl'), fleet.join('\n'))
  const imported = await as(
    'alice',
    'devices',
    'import',
    join(directory, 'fleet.jsonl'),
    '--reason',
    'nightly',
  )
  expect(imported).toEqual({ exitCode: 0, stdout: '1,500 devices were taken.\n', stderr: '' })
  const set = await as('alice', 'devices', 'set', 'ä/../b?', ...SIX, '--reason', 'r')
  expect(set).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^id +ä\/\.\.\/b\?\n/) })
  expect((await as('rita', 'devices', 'show', 'ä/../b?')).exitCode).toBe(0)
  expect(JSON.parse((await as('rita', 'devices', 'list', '-o', 'json')).stdout).devices).toHaveLength(1000)
  expect((await as('alice', 'devices', 'remove', '..', '--reason', 'r')).stderr).toContain('(404)')
  expect((await as('alice', 'devices', 'remove', 'd-0', '--reason', 'sold')).exitCode).toBe(0)
  expect((await as('rita', 'devices', 'show', 'd-0')).exitCode).toBe(1)
})

test('sessions, risk and quarantine', async () => {
  expect((await as('alice', 'sessions', 'end', '--subject', 'ada', '--reason', 'lost')).stdout).toMatch(
    /^Every session of ada/,
  )
  expect((await as('rita', 'sessions', 'list', '--subject', 'ada')).stdout).toBe(
    'No session of ada is known.\n',
  )
  expect(
    (await as('alice', 'risk', 'set', '--workload', WORKLOAD, '--level', 'HIGH', '--reason', 'r')).exitCode,
  ).toBe(0)
  expect((await as('rita', 'risk', 'show', '--subject', 'ada')).stdout).toMatch(/^subject +ada/)
  expect(
    (await as('alice', 'quarantine', 'add', WORKLOAD, '--for', '1h', '--reason', 'odd')).stdout,
  ).toContain('(in 60 min)')
  expect((await as('rita', 'quarantine', 'list')).stdout).toContain(`\n${WORKLOAD}  in 60 min`)
  expect((await as('alice', 'quarantine', 'lift', WORKLOAD, '--reason', 'fine')).exitCode).toBe(0)
  expect((await as('alice', 'quarantine', 'lift', WORKLOAD, '--reason', 'fine')).exitCode).toBe(1)
  expect((await as('rita', 'quarantine', 'list')).stdout).toBe('No workload is quarantined.\n')
})

/** What the API is for, in memory: enough to see that requests and answers fit. */
function portsInMemory(): AdminPorts {
  const grants = new Map<string, GrantAnswer>()
  const devices = new Map<string, DeviceAnswer>()
  const quarantined = new Map<string, QuarantineEntry>()
  const time = (ms = Date.now()): string => new Date(ms).toISOString()
  const fine = async <Value>(value: Value): Promise<Outcome<Value>> => ({ ok: true, value })
  const found = async <Value>(value: Value | undefined): Promise<Outcome<Value>> =>
    value === undefined
      ? { ok: false, status: 404, problems: [{ pointer: [], code: 'unknown', message: 'there is none' }] }
      : { ok: true, value }
  const put = (name: { issuer: string; id: string }, report: object): DeviceAnswer => {
    const device = { ...report, ...name }
    devices.set(name.id, device)
    return device
  }
  return {
    audit: () => 'accepted',
    defaultIssuer: ISSUER,
    issuers: [ISSUER],
    trustDomains: ['cluster.local'],
    decisions: { newest: () => ({ ok: true, value: [] }), follow: () => () => undefined },
    explain: () => found<never>(undefined),
    matrix: () => found<never>(undefined),
    policy: () => found<never>(undefined),
    grants: {
      create: (request, actor, id) => {
        const { duration: _, expiresAt: __, ...rest } = request
        const times = { createdAt: time(), expiresAt: time(Date.now() + 3_600_000) }
        const grant = {
          id,
          state: 'live',
          ...rest,
          approver: actor.name,
          breakGlass: false,
          uses: 0,
          ...times,
        } as const
        grants.set(id, grant)
        return fine(grant)
      },
      get: (id) => found(grants.get(id)),
      list: ({ state }) =>
        fine({ grants: [...grants.values()].filter((grant) => grant.state === (state ?? grant.state)) }),
      revoke: (id, reason, { name }) => {
        const grant = grants.get(id)
        return found(
          grant && ({ ...grant, state: 'revoked', revoked: { at: time(), by: name, reason } } as const),
        )
      },
      review: (_, format) => fine(format === 'csv' ? 'id\r\n' : '{}'),
    },
    sessions: {
      ofUser: () => fine({ sessions: [] }),
      ended: () => fine({ sessions: [] }),
      terminate: (user, _, reason, { name }) =>
        fine({ ...user, state: 'ended', endedAt: time(), endedBy: name, reason }),
    },
    devices: {
      list: ({ limit }) => fine({ devices: [...devices.values()].slice(0, limit) }),
      get: ({ id }) => found(devices.get(id)),
      put: (name, report) => fine(put(name, report)),
      putAll: (all) =>
        fine({ accepted: all.map(({ id, issuer, report }) => put({ id, issuer }, report)).length }),
      remove: async ({ id }) => (devices.delete(id) ? fine(undefined) : found<undefined>(undefined)),
    },
    risk: {
      of: (subject) => fine({ ...subject, score: 0, level: 'low', signals: 0, factors: [] }),
      setLevel: (subject, level) =>
        fine({
          ...subject,
          score: 0,
          level: 'low',
          signals: 0,
          factors: [],
          externalLevel: { level, at: time() },
        }),
    },
    quarantine: {
      list: () => fine([...quarantined.values()]),
      add: (workload, untilMs, reason, { name }) => {
        const entry = { workload, until: time(untilMs), by: name, reason }
        quarantined.set(workload, entry)
        return fine(entry)
      },
      lift: async (workload) =>
        quarantined.delete(workload) ? fine(undefined) : found<undefined>(undefined),
    },
    logLevel: {
      get: () => fine({ level: 'Info', configured: 'Info' } as const),
      set: (level) => fine({ level, configured: 'Info' } as const),
    },
  }
}
