import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import { CHECK_SERVERS } from '../support/check-servers.js'
import { type CheckFields, encodeCheck } from '../support/envoy-wire.js'
import { startPortcullis, type TestPortcullis } from '../support/portcullis.js'
import { jwksText, signedToken, testKey, type TestKey } from '../support/tokens.js'
import { NOW_SECONDS, POLICY } from './door.js'

const WEB = 'spiffe://cluster.local/ns/shop/sa/web'
const ISSUER = 'https://idp.example'
/** Stands for bytes that are not UTF-8, which no string can hold. */
const PLACE = 'INVALID-UTF8-HERE'
const NOT_UTF8 = Buffer.from([
  0xff, 0xfe, 0xc0, 0x80, 0xed, 0xa0, 0x80, 0xf5, 0x80, 0x80, 0x80, 0xe2, 0x28, 0xa1, 0xc3, 0x28, 0xff,
])

const VALUES = {
  'a line feed': 'a\nb',
  'an event of its own': 'x\n{"schemaVersion":"1.0","eventType":"authorization","decision":"allow"}\n',
  'a carriage return': 'a\r\nb',
  'ANSI escapes': '\u001b[2J\u001b[31mred\u001b]0;title\u0007',
  'C1 controls': '\u009b2J\u0085',
  'NUL and DEL': '\u0000\u007f',
  'line separators': '\u2028\u2029',
  'bidirectional marks': '\u202egnp.exe\u2066',
  'a lone surrogate as JSON': '\\ud800',
  quotes: '"}],{"a":"\\',
  '64 KiB': 'A'.repeat(65_536),
  '64 KiB of line feeds': '\n'.repeat(65_536),
  'invalid UTF-8': PLACE,
} as const

type Place = { readonly name: string; readonly fields: (value: string, key: TestKey) => CheckFields }

const token = (key: TestKey, claims: Readonly<Record<string, unknown>>): string =>
  signedToken(key, {
    iss: ISSUER,
    aud: 'shop',
    sub: 'alice',
    iat: NOW_SECONDS - 10,
    exp: NOW_SECONDS + 600,
    ...claims,
  })

const header =
  (name: string): Place['fields'] =>
  (value) => ({ headers: { [name]: value } })
const claim =
  (name: string): Place['fields'] =>
  (value, key) => ({
    path: '/profile',
    headers: { authorization: `Bearer ${token(key, { [name]: value })}` },
  })

const PLACES: readonly Place[] = [
  { name: 'the method', fields: (value) => ({ method: value }) },
  { name: 'the path', fields: (value) => ({ path: `/${value}` }) },
  { name: 'the query', fields: (value) => ({ path: `/api/payments/1?${value}` }) },
  { name: 'the host', fields: (value) => ({ host: value }) },
  {
    name: 'the peer',
    fields: (value) => ({ principal: `spiffe://cluster.local/${value}`, certificate: '' }),
  },
  { name: 'the certificate', fields: (value) => ({ certificate: value }) },
  { name: 'the source address', fields: (value) => ({ sourceIp: value }) },
  { name: 'the target', fields: (value) => ({ service: value }) },
  { name: 'the target of the certificate', fields: (value) => ({ destinationPrincipal: value }) },
  { name: 'the body', fields: (value) => ({ method: 'POST', body: value }) },
  { name: 'a header', fields: header('x-anything') },
  { name: 'a header that a rule reads', fields: header('x-test') },
  { name: 'x-request-id', fields: header('x-request-id') },
  { name: 'the user agent', fields: header('user-agent') },
  { name: 'traceparent', fields: header('traceparent') },
  { name: 'authorization', fields: header('authorization') },
  { name: 'a service token', fields: header('x-service-token') },
  { name: 'x-forwarded-client-cert', fields: header('x-forwarded-client-cert') },
  { name: 'x-forwarded-for', fields: header('x-forwarded-for') },
  { name: 'content-type', fields: header('content-type') },
  { name: 'the name of a header', fields: (value) => ({ headers: { [`x-${value}`]: 'a' } }) },
  { name: "a user's subject", fields: claim('sub') },
  {
    name: "a user's role",
    fields: (value, key) => ({
      path: '/profile',
      headers: { authorization: `Bearer ${token(key, { roles: [value] })}` },
    }),
  },
  { name: "a user's session", fields: claim('session_id') },
  { name: "a user's device", fields: claim('device_id') },
  { name: "a token's client", fields: claim('client_id') },
]

function encoded(fields: CheckFields): Buffer {
  const message = encodeCheck(fields)
  for (let at = message.indexOf(PLACE); at >= 0; at = message.indexOf(PLACE)) NOT_UTF8.copy(message, at)
  return message
}

// oxlint-disable-next-line no-control-regex -- that is what is looked for
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/

describe.each(CHECK_SERVERS)('whatever stands in a field, before %s', (checkServer) => {
  let portcullis: TestPortcullis
  let key: TestKey
  let peer: CheckFields

  beforeAll(async () => {
    const authority = createAuthority({ name: 'root' })
    key = await testKey('RS256', 'idp-1')
    peer = {
      principal: WEB,
      certificate: asEnvoySends(authority.issueSvid({ spiffeId: WEB }).certificatePem),
      service: 'shop/pay',
      path: '/api/payments/1',
    }
    portcullis = await startPortcullis(
      { 'policy/shop.yaml': POLICY, 'ca.pem': authority.certificatePem, 'idp.json': jwksText(key) },
      {
        listeners: [{ name: 'mesh', address: '127.0.0.1:0', checkServer }],
        trustDomains: { 'cluster.local': { bundle: { file: './ca.pem' } } },
        userTokens: {
          issuers: [{ issuer: ISSUER, audiences: ['shop'], jwksFile: './idp.json', algorithms: ['RS256'] }],
        },
        log: { level: 'Debug' },
        audit: {
          sinks: [
            { type: 'Stdout' },
            { type: 'File', file: './audit/events.jsonl' },
            { type: 'File', file: './ocsf/events.jsonl', format: 'Ocsf' },
          ],
          record: { file: './checks.jsonl' },
        },
      },
    )
  }, 30_000)
  afterAll(() => portcullis.stop())

  test.each(PLACES)('$name: one answer and one well-formed event', async ({ fields }) => {
    for (const [name, value] of Object.entries(VALUES)) {
      const before = portcullis.output().events.split('\n').length
      const answer = await portcullis.check(encoded({ ...peer, ...fields(value, key) }))
      await new Promise(setImmediate)
      const lines = portcullis
        .output()
        .events.split('\n')
        .slice(before - 1, -1)
      expect([name, lines.length]).toEqual([name, 1])
      const event: unknown = JSON.parse(lines[0] ?? '')
      const { id, reason } = { id: answer.headers.get('x-portcullis-decision-id'), reason: answer.reason }
      expect(event).toMatchObject({ eventType: 'authorization', decisionId: id, decisionReason: reason })
      expect(reason).not.toBe('internal-error')
      expect([name, CONTROLS.exec(lines[0] ?? '')]).toEqual([name, null])
      expect((lines[0] ?? '').length).toBeLessThan(32_768)
    }
  })

  test('every file and the log have whole lines of JSON alone, one an event', async () => {
    const { events } = portcullis.output()
    const count = events.split('\n').length - 1
    expect(count).toBe(PLACES.length * Object.keys(VALUES).length)
    await portcullis.running.stop()
    const { log } = portcullis.output()
    for (const line of log.split('\n').slice(0, -1)) {
      expect(typeof JSON.parse(line)).toBe('object')
      expect(CONTROLS.exec(line)).toBeNull()
    }
    for (const [file, isEvent] of [
      ['audit/events.jsonl', (line: string) => line.includes('"eventType":"authorization"')],
      ['ocsf/events.jsonl', (line: string) => line.includes('"class_uid":6003') && !line.includes('"audit-')],
    ] as const) {
      const text = readFileSync(join(portcullis.directory, file), 'utf8')
      expect(text.endsWith('\n')).toBe(true)
      const lines = text.split('\n').slice(0, -1)
      for (const line of lines) {
        expect(typeof JSON.parse(line)).toBe('object')
        expect(CONTROLS.exec(line)).toBeNull()
      }
      expect([file, lines.filter(isEvent).length]).toEqual([file, count])
    }
    const records = readFileSync(join(portcullis.directory, 'checks.jsonl'), 'utf8').split('\n').slice(0, -1)
    for (const line of records) expect(typeof JSON.parse(line)).toBe('object')
  })
})
