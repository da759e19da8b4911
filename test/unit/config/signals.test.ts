import { describe, expect, test } from '@jest/globals'
import { stringify } from 'yaml'
import { loadConfig } from '../../../src/config/load.js'
import { formatProblem } from '../../../src/schema/problem.js'

const PROXY = { identity: 'spiffe://cluster.local/ns/edge/sa/gateway', self: true }

type Options = {
  readonly listener?: Record<string, unknown>
  readonly env?: Record<string, string>
  readonly [section: string]: unknown
}

const load = ({ listener = {}, env = {}, ...sections }: Options) =>
  loadConfig({
    file: '/etc/portcullis/portcullis.yaml',
    text: stringify({
      apiVersion: 'portcullis.dev/v1beta1',
      kind: 'Configuration',
      listeners: [{ name: 'mesh', address: '127.0.0.1:0', ...listener }],
      trustDomains: { 'cluster.local': { bundle: { file: 'ca.pem' } } },
      ...sections,
    }),
    env,
    flags: {},
  })

const problemsOf = (options: Options): string[] => {
  const loaded = load(options)
  return 'problems' in loaded ? loaded.problems.map(formatProblem) : []
}

const loadedOf = (options: Options) => {
  const loaded = load(options)
  if ('problems' in loaded) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  return loaded
}

const redis = (fields: Record<string, unknown>): Options => ({ store: { type: 'Redis', ...fields } })
const webhook = (fields: Record<string, unknown>): Options => ({
  alerts: { sinks: [{ type: 'Webhook', ...fields }] },
})

describe('refused', () => {
  const URL = 'redis://h'
  test.each<{ name: string; options: Options; says: string }>([
    { name: 'Redis nowhere', options: redis({}), says: '`store.type: Redis` needs `url`, `sentinels` or' },
    {
      name: 'Redis at two places',
      options: redis({ url: URL, cluster: ['a:1'] }),
      says: 'a store is at one of `url`, `sentinels` and `cluster`; give one (redis-twice)',
    },
    ...['redis://u:hunter2@h', 'rediss://:hunter2@h:1/0', 'hunter2@h', 'http://u:hunter2@h'].map((url) => ({
      name: `the secret of ${url}`,
      options: redis({ url }),
      says: '(secret-in-url)',
    })),
    ...[
      'http://h',
      'h:6379',
      'redis://',
      'redis://h:0',
      'redis://h:65536',
      'redis://h/x',
      'redis://h?password=hunter2',
      'redis://h/0#hunter2',
      'redis://[1.2.3.4]',
      'redis://h/0/1',
      'REDIS://h',
      'redis://a b',
    ].map((url) => ({ name: `the URL ${url}`, options: redis({ url }), says: '(wrong-url)' })),
    ...['h', ':1', 'h:0', 'h:99999', '::1:6379', '[::1]', '[h]:1', 'redis://h:1'].map((text) => ({
      name: `the address ${text}`,
      options: redis({ cluster: [text] }),
      says: `\`${text}\` `,
    })),
    { name: 'a cluster of none', options: redis({ cluster: [] }), says: 'is an empty list' },
    {
      name: 'a secret in an address',
      options: redis({ cluster: ['u:hunter2@h:1'] }),
      says: '(secret-in-url)',
    },
    {
      name: 'Sentinels without a name',
      options: redis({ sentinels: { addresses: ['a:1'] } }),
      says: 'missing field `name`',
    },
    {
      name: 'a wrong Sentinel',
      options: redis({ sentinels: { name: 'm', addresses: ['a:1', 'b'] } }),
      says: '`b` must be a host and a port',
    },
    {
      name: 'a user without a password',
      options: redis({ url: URL, username: 'p' }),
      says: '(password-missing)',
    },
    {
      name: 'TLS beside redis://',
      options: redis({ url: URL, tls: { ca: 'a' } }),
      says: 'write rediss:// (without-effect)',
    },
    {
      name: 'half a client certificate',
      options: redis({ url: 'rediss://h', tls: { certificate: 'a' } }),
      says: '(tls-incomplete)',
    },
    {
      name: 'a folder for Redis',
      options: redis({ url: URL, directory: './other' }),
      says: '`store.directory` is for `store.type: Embedded`',
    },
    {
      name: 'a blank in a prefix',
      options: redis({ url: URL, keyPrefix: 'a b' }),
      says: 'must be at most 64 characters',
    },
    {
      name: 'an endless command',
      options: redis({ url: URL, commandTimeout: '11s' }),
      says: 'must be from 1ms to 10s',
    },
    {
      name: 'notes that wait for a minute',
      options: redis({ url: URL, flushInterval: '1m' }),
      says: 'must be from 1ms to 1s',
    },
    { name: 'no copies', options: { store: { copies: 0 } }, says: 'must be at least 1' },
    {
      name: 'an inline password',
      options: redis({ url: URL, password: 'hunter2' }),
      says: 'unknown field `store.password`',
    },
    ...Object.entries({
      url: URL,
      sentinels: { name: 'm', addresses: ['a:1'] },
      cluster: ['a:1'],
      username: 'a',
      passwordFile: 'a',
      tls: {},
      keyPrefix: 'portcullis',
      commandTimeout: '50ms',
      flushInterval: '20ms',
      replicasToWait: 0,
    }).map(([option, value]) => ({
      name: `${option} for Embedded`,
      options: { store: { [option]: value } },
      says: `\`store.${option}\` is for \`store.type: Redis\` (without-effect)`,
    })),
    {
      name: 'a time without LastKnown',
      options: { onUnavailable: { for: '30s' } },
      says: '`onUnavailable.for` says nothing under `mode: Deny`',
    },
    {
      name: 'a day on what was known',
      options: { onUnavailable: { mode: 'LastKnown', for: '1d' } },
      says: 'must be from 1s to 1h',
    },
    { name: 'places from nowhere', options: { geo: {} }, says: '`geo` needs `mmdb`, `table` or `header`' },
    { name: 'places twice', options: { geo: { mmdb: 'a', table: 'b' } }, says: '(geo-twice)' },
    {
      name: 'a header that nobody may send',
      options: { geo: { header: 'x-edge-country' } },
      says: '`geo.header` is believed under `role: Gateway`',
    },
    {
      name: 'a header in upper case',
      options: { listener: { role: 'Gateway' }, geo: { header: 'X-Country' } },
      says: 'must be a header name in lower case',
    },
    {
      name: 'a header with a meaning of its own',
      options: { listener: { role: 'Gateway' }, geo: { header: 'x-forwarded-for' } },
      says: '(reserved-header)',
    },
    {
      name: 'a header that is ours',
      options: { listener: { role: 'Gateway' }, geo: { header: 'x-user-id' } },
      says: '(header-twice)',
    },
    {
      name: 'a list twice',
      options: { threats: { files: ['a', 'a'] } },
      says: '`threats.files`',
    },
    {
      name: 'hops that nobody is trusted for',
      options: { listener: { trustedHops: 1 } },
      says: '`trustedHops` says nothing here',
    },
    { name: 'hops below none', options: { listener: { role: 'Gateway', trustedHops: -1 } }, says: '-1' },
    { name: 'too many hops', options: { listener: { role: 'Gateway', trustedHops: 17 } }, says: '17' },
    { name: 'a webhook to nowhere', options: webhook({}), says: '`type: Webhook` needs `url`' },
    ...['http://alerts.example', 'ftp://a', 'alerts.example/x'].map((url) => ({
      name: `a webhook to ${url}`,
      options: webhook({ url }),
      says: '(wrong-url)',
    })),
    ...['https://u:hunter2@a', 'https:/\\u:hunter2@', '//u:hunter2@a'].map((url) => ({
      name: `a webhook with the secret of ${url}`,
      options: webhook({ url }),
      says: '(secret-in-url)',
    })),
    {
      name: 'a webhook that waits for an hour',
      options: webhook({ url: 'https://a', timeout: '1h' }),
      says: 'must be from 100ms to 1m',
    },
    {
      name: 'a webhook with a stream',
      options: webhook({ url: 'https://a', stream: 's' }),
      says: '`stream` says nothing under `type: Webhook`',
    },
    {
      name: 'a log with a URL',
      options: { alerts: { sinks: [{ type: 'Log', url: 'https://a' }] } },
      says: '`url` says nothing under `type: Log`',
    },
    {
      name: 'a log twice',
      options: { alerts: { sinks: [{ type: 'Log' }, { type: 'Log' }] } },
      says: '(sink-twice)',
    },
    {
      name: 'a stream without Redis',
      options: { alerts: { sinks: [{ type: 'RedisStream' }] } },
      says: '`type: RedisStream` needs `store.type: Redis`',
    },
    { name: 'no sink', options: { alerts: { sinks: [] } }, says: 'is an empty list' },
    {
      name: 'a secret in the environment',
      options: { env: { PORTCULLIS__STORE__URL: 'redis://:hunter2@h', PORTCULLIS__STORE__TYPE: 'Redis' } },
      says: 'PORTCULLIS__STORE__URL: a URL here must not hold',
    },
  ])('$name', ({ options, says }) => {
    const problems = problemsOf(options)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(says)
    expect(problems[0]).not.toContain('hunter2')
  })
})

describe('the store', () => {
  test.each([
    { url: 'redis://h', host: 'h', port: 6379, db: 0 },
    { url: 'redis://h/', host: 'h', port: 6379, db: 0 },
    { url: 'redis://redis-0.shop.svc:7000/3', host: 'redis-0.shop.svc', port: 7000, db: 3 },
    { url: 'redis://[::1]:1', host: '::1', port: 1, db: 0 },
  ])('$url', ({ url, ...place }) => {
    expect(loadedOf(redis({ url })).config.store).toEqual({
      type: 'Redis',
      deployment: { kind: 'standalone', ...place },
      tls: undefined,
      username: undefined,
      passwordFile: undefined,
      keyPrefix: 'portcullis',
      commandTimeoutMs: 50,
      flushIntervalMs: 20,
      replicasToWait: 0,
      copies: 200_000,
    })
  })

  test('rediss:// is TLS by the roots of the system', () => {
    expect(loadedOf(redis({ url: 'rediss://h' })).config.store).toMatchObject({
      tls: { ca: undefined, certificate: undefined, key: undefined, serverName: undefined },
    })
  })

  test('Sentinels, everything given', () => {
    const { config } = loadedOf(
      redis({
        sentinels: { name: 'main', addresses: ['a:26379', '[fd00::1]:26379'] },
        username: 'portcullis',
        passwordFile: './redis.password',
        tls: { ca: 'ca.pem', certificate: 'c.pem', key: '/k.pem', serverName: 'redis' },
        keyPrefix: 'p:',
        commandTimeout: '20ms',
        flushInterval: '5ms',
        replicasToWait: 1,
        copies: 10,
        directory: './state',
      }),
    )
    expect(config.store).toEqual({
      type: 'Redis',
      deployment: {
        kind: 'sentinel',
        name: 'main',
        sentinels: [
          { host: 'a', port: 26379 },
          { host: 'fd00::1', port: 26379 },
        ],
      },
      tls: {
        ca: '/etc/portcullis/ca.pem',
        certificate: '/etc/portcullis/c.pem',
        key: '/k.pem',
        serverName: 'redis',
      },
      username: 'portcullis',
      passwordFile: '/etc/portcullis/redis.password',
      keyPrefix: 'p:',
      commandTimeoutMs: 20,
      flushIntervalMs: 5,
      replicasToWait: 1,
      copies: 10,
    })
  })

  test('a cluster without and with TLS', () => {
    const nodes = [{ host: 'a', port: 1 }]
    expect(loadedOf(redis({ cluster: ['a:1'] })).config.store).toMatchObject({
      deployment: { kind: 'cluster', nodes },
      tls: undefined,
    })
    expect(loadedOf(redis({ cluster: ['a:1'], tls: {} })).config.store).toMatchObject({ tls: {} })
  })

  test('the environment turns a file for one replica into one for many', () => {
    const { config, originOf } = loadedOf({
      store: { directory: './state' },
      env: {
        PORTCULLIS__STORE__TYPE: 'Redis',
        PORTCULLIS__STORE__SENTINELS: '{"name": "m", "addresses": ["a:1"]}',
        PORTCULLIS__STORE__PASSWORDFILE: '/run/redis.password',
        PORTCULLIS__STORE__REPLICASTOWAIT: '2',
      },
    })
    expect(config.store).toMatchObject({ passwordFile: '/run/redis.password', replicasToWait: 2 })
    expect(originOf(['store', 'passwordFile'])).toBe('PORTCULLIS__STORE__PASSWORDFILE')
  })

  test('what is printed has the defaults of its type only', () => {
    expect({ ...loadedOf({}).effective.store }).toEqual({
      type: 'Embedded',
      directory: './state',
      copies: 200_000,
    })
    const { effective, originOf } = loadedOf(redis({ url: 'redis://h' }))
    expect(effective.store).not.toHaveProperty('directory')
    expect(effective.store.commandTimeout).toBe('50ms')
    expect(originOf(['store', 'commandTimeout'])).toBe('default')
  })

  test.each([
    { written: {}, read: { mode: 'Deny' } },
    { written: { mode: 'LastKnown' }, read: { mode: 'LastKnown', forMs: 30_000 } },
    { written: { mode: 'LastKnown', for: '5s' }, read: { mode: 'LastKnown', forMs: 5000 } },
  ])('onUnavailable $written', ({ written, read }) => {
    expect(loadedOf({ onUnavailable: written }).config.onUnavailable).toEqual(read)
  })
})

describe('signals', () => {
  test.each([
    { geo: { mmdb: 'g.mmdb' }, read: { kind: 'mmdb', path: '/etc/portcullis/g.mmdb' } },
    { geo: { table: '/p.csv' }, read: { kind: 'table', path: '/p.csv' } },
    { geo: { header: 'x-edge-country' }, read: { kind: 'header', name: 'x-edge-country' } },
  ])('$geo', ({ geo, read }) => {
    expect(loadedOf({ geo, listener: { trustedProxies: [PROXY] } }).config.geo).toEqual(read)
  })

  test.each([
    { role: 'Gateway', trustedHops: 2 },
    { trustedProxies: [PROXY], trustedHops: 16 },
  ])('hops of %j', (listener) => {
    expect(loadedOf({ listener }).config.listeners[0]?.trustedHops).toBe(listener.trustedHops)
  })

  test('threats and access logs', () => {
    const { config } = loadedOf({ threats: { files: ['t.txt'] }, accessLogService: { enabled: true } })
    expect(config.threats).toEqual({ files: ['/etc/portcullis/t.txt'] })
    expect(config.accessLogService).toEqual({ enabled: true })
  })

  test('alerts', () => {
    const { config } = loadedOf({
      ...redis({ url: 'redis://h' }),
      alerts: {
        sinks: [
          { type: 'Log' },
          { type: 'Webhook', url: 'https://soc.example/hook', tokenFile: 't' },
          { type: 'Webhook', url: 'http://127.0.0.1:8080/', timeout: '1s', retries: 0 },
          { type: 'RedisStream' },
          { type: 'RedisStream', stream: 'other', maxLength: 5 },
        ],
        buffer: 7,
      },
    })
    expect(config.alerts).toEqual({
      sinks: [
        { type: 'Log' },
        {
          type: 'Webhook',
          url: 'https://soc.example/hook',
          tokenFile: '/etc/portcullis/t',
          timeoutMs: 5000,
          retries: 5,
        },
        {
          type: 'Webhook',
          url: 'http://127.0.0.1:8080/',
          tokenFile: undefined,
          timeoutMs: 1000,
          retries: 0,
        },
        { type: 'RedisStream', stream: 'portcullis:alerts', maxLength: 10_000 },
        { type: 'RedisStream', stream: 'other', maxLength: 5 },
      ],
      buffer: 7,
    })
  })
})
