import { describe, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { loadConfig } from '../../../src/config/load.js'
import { formatProblem } from '../../../src/schema/problem.js'

const load = (sections: Record<string, unknown>) =>
  loadConfig({
    file: '/etc/portcullis/portcullis.yaml',
    text: stringify({
      apiVersion: 'portcullis.dev/v1beta1',
      kind: 'Configuration',
      listeners: [{ name: 'mesh', address: '127.0.0.1:9191' }],
      trustDomains: { 'cluster.local': { bundle: { file: 'ca.pem' } } },
      ...sections,
    }),
    env: {},
    flags: {},
  })

const loadedOf = (sections: Record<string, unknown>) => {
  const loaded = load(sections)
  if ('problems' in loaded) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  return loaded
}

const ALICE = { name: 'alice', file: 'alice.token', role: 'Admin' }
const BOB = { name: 'bob', file: 'bob.token', role: 'Reader' }
const CI = { name: 'ci', identity: 'spiffe://cluster.local/ns/ops/sa/ci', role: 'Admin' }
const TLS = { certificate: 'a.pem', key: 'a.key', clientCa: 'ca.pem' }
const LISTEN = '127.0.0.1:9192'

describe('refused', () => {
  const rows: { name: string; admin?: object; more?: Record<string, unknown>; says: string }[] = [
    { name: 'nobody may call', admin: { listen: LISTEN }, says: 'needs `admin.tokens` or `admin.clients`' },
    {
      name: 'plaintext beyond loopback',
      admin: { listen: '0.0.0.0:9192', tokens: [ALICE] },
      says: 'give `admin.tls`, or listen on 127.0.0.1 or [::1] (tls-missing)',
    },
    {
      name: 'plaintext on all of IPv6',
      admin: { listen: '[::]:9192', tokens: [ALICE] },
      says: '(tls-missing)',
    },
    {
      name: 'clients without roots',
      admin: { listen: LISTEN, clients: [CI], tls: { certificate: 'a.pem', key: 'a.key' } },
      says: '`admin.clients` needs `admin.tls.clientCa`',
    },
    { name: 'clients without TLS', admin: { listen: LISTEN, clients: [CI] }, says: '(client-ca-missing)' },
    {
      name: 'roots without clients',
      admin: { listen: LISTEN, tokens: [ALICE], tls: TLS },
      says: '`admin.tls.clientCa` says nothing without `admin.clients`',
    },
    {
      name: 'TLS without its key',
      admin: { listen: LISTEN, tokens: [ALICE], tls: { certificate: 'a.pem' } },
      says: 'missing field `key`',
    },
    {
      name: 'a name twice',
      admin: { listen: LISTEN, tokens: [ALICE, { ...BOB, name: 'Alice' }] },
      says: 'the name `Alice` is given twice (name-twice)',
    },
    {
      name: 'the name of a person for a client',
      admin: { listen: LISTEN, tokens: [ALICE], clients: [{ ...CI, name: 'alice' }], tls: TLS },
      says: '(name-twice)',
    },
    {
      name: 'a file twice',
      admin: { listen: LISTEN, tokens: [ALICE, { ...BOB, file: './alice.token' }] },
      says: 'the file `./alice.token` is given twice (token-twice)',
    },
    {
      name: 'an identity twice',
      admin: { listen: LISTEN, clients: [CI, { ...CI, name: 'cd' }], tls: TLS },
      says: '(identity-twice)',
    },
    {
      name: 'a name with a blank',
      admin: { listen: LISTEN, tokens: [{ ...ALICE, name: 'alice b' }] },
      says: 'must be a name of at most 64 characters',
    },
    {
      name: 'a name that is too long',
      admin: { listen: LISTEN, tokens: [{ ...ALICE, name: 'a'.repeat(65) }] },
      says: 'must be a name of at most 64 characters',
    },
    {
      name: 'an identity with a wildcard',
      admin: {
        listen: LISTEN,
        clients: [{ ...CI, identity: 'spiffe://cluster.local/ns/*/sa/ci' }],
        tls: TLS,
      },
      says: 'must be the SPIFFE ID of one workload',
    },
    {
      name: 'an unknown role',
      admin: { listen: LISTEN, tokens: [{ ...ALICE, role: 'admin' }] },
      says: 'none of Admin, Reader; did you mean `Admin`?',
    },
    {
      name: 'a token in the file itself',
      admin: { listen: LISTEN, tokens: [{ name: 'alice', role: 'Admin', token: 'hunter2' }] },
      says: 'unknown field `admin.tokens[0].token`',
    },
    { name: 'no address', admin: { listen: 'localhost:1', tokens: [ALICE] }, says: '(wrong-address)' },
    {
      name: 'a Unix socket',
      admin: { listen: 'unix:/a', tokens: [ALICE] },
      says: '`admin.listen` must be an IP address and a port',
    },
    {
      name: 'an address that is taken',
      admin: { listen: '127.0.0.1:9191', tokens: [ALICE] },
      says: 'is already taken by listener `mesh`',
    },
    {
      name: 'tokens of nothing',
      admin: { tokens: [ALICE] },
      says: '`admin.tokens` says nothing without `admin.listen`',
    },
    { name: 'TLS of nothing', admin: { tls: TLS }, says: '`admin.tls` says nothing without `admin.listen`' },
    {
      name: 'an inventory that nobody fills',
      more: { deviceInventory: { enabled: true } },
      says: '`deviceInventory.enabled` has nothing to know devices from',
    },
    {
      name: 'break-glass that lasts longest',
      more: { grants: { maxDuration: '1h', breakGlassMaxDuration: '2h' } },
      says: '`breakGlassMaxDuration` is longer than `maxDuration`',
    },
    { name: 'grants for ever', more: { grants: { maxDuration: '1y' } }, says: '(out-of-bounds)' },
    { name: 'grants of no time', more: { grants: { maxDuration: '0s' } }, says: '(out-of-bounds)' },
  ]
  test.each(rows)('$name', ({ admin, more, says }) => {
    const loaded = load({ ...(admin && { admin }), ...more })
    expect('problems' in loaded ? loaded.problems.map(formatProblem).join('\n') : '').toContain(says)
  })
})

describe('taken', () => {
  test('off by default, with the bounds of grants', () => {
    const { config } = loadedOf({})
    expect(config.admin).toBeUndefined()
    expect(config.deviceInventory).toEqual({ enabled: false })
    expect(config.grants).toEqual({ maxDurationMs: 24 * 3_600_000, breakGlassMaxDurationMs: 3_600_000 })
  })

  test('people and clients, files from the folder of the configuration', () => {
    const { config, effective } = loadedOf({
      admin: { listen: '[::]:9192', tokens: [ALICE, BOB], clients: [CI], tls: TLS },
    })
    expect(config.admin).toEqual({
      listen: { host: '::', port: 9192 },
      tls: {
        certificate: '/etc/portcullis/a.pem',
        key: '/etc/portcullis/a.key',
        clientCa: '/etc/portcullis/ca.pem',
      },
      tokens: [
        { ...ALICE, file: '/etc/portcullis/alice.token' },
        { ...BOB, file: '/etc/portcullis/bob.token' },
      ],
      clients: [CI],
    })
    expect(config.deviceInventory.enabled).toBe(true)
    expect(effective.deviceInventory.enabled).toBe(true)
  })

  test.each(['127.0.0.1:9192', '127.1.2.3:1', '[::1]:9192'])('plaintext on %s', (listen) => {
    expect(loadedOf({ admin: { listen, tokens: [ALICE] } }).config.admin?.tls).toBeUndefined()
  })

  test('an inventory can be left off', () => {
    const { config } = loadedOf({
      admin: { listen: LISTEN, tokens: [ALICE] },
      deviceInventory: { enabled: false },
    })
    expect(config.deviceInventory.enabled).toBe(false)
  })
})
