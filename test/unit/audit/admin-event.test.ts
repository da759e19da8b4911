import { expect, test } from '@jest/globals'
import { type AdminEvent, writeAdminEvent } from '../../../src/audit/admin-event.js'

const EVENT: AdminEvent = {
  atMs: Date.parse('2026-03-01T12:00:00.042Z'),
  actor: 'alice',
  role: 'Admin',
  action: 'grant.create',
  resourceType: 'grant',
  resourceId: 'g1',
  reason: 'analysis',
  remoteIp: '127.0.0.1',
  requestId: 'id-1',
  success: true,
  errorCode: undefined,
}

test('one line with its fields in their order', () => {
  expect(writeAdminEvent(EVENT)).toBe(
    '{"schemaVersion":"1.0","timestamp":"2026-03-01T12:00:00.042Z","eventType":"administration","actor":"alice",' +
      '"role":"Admin","action":"grant.create","resourceType":"grant","resourceId":"g1","reason":"analysis",' +
      '"remoteIp":"127.0.0.1","requestId":"id-1","success":true}',
  )
})

test.each<{ name: string; event: Partial<AdminEvent>; has: object; line?: RegExp }>([
  { name: 'text that would break the line', event: { reason: 'a"}\n{"b' }, has: { reason: 'a"}\n{"b' } },
  {
    name: 'text that would repaint a terminal',
    event: { resourceId: '\u009b2J\u202e' },
    has: {},
    line: /\\u009b2J\\u202e/,
  },
  {
    name: 'a long reason',
    event: { reason: 'x'.repeat(5000) },
    has: {},
    line: /x{1024}\.\.\.\[cut, 5000 in all\]/,
  },
  {
    name: 'what is asked for',
    event: { details: { service: 'a"b', uses: 3, breakGlass: true, roles: ['a', '"'], gone: undefined } },
    has: { details: { service: 'a"b', uses: 3, breakGlass: true, roles: ['a', '"'] } },
    line: /"details":\{"service":"a\\"b","uses":3,"breakGlass":true,"roles":\["a","\\""\]\}/,
  },
  {
    name: 'details within bounds',
    event: {
      details: {
        long: 'x'.repeat(600),
        list: ['x'.repeat(500), 'y'.repeat(13), 'z'],
        ...Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`n${n}`, n])),
      },
    },
    has: { details: { list: ['x'.repeat(500), '...[cut, 3 in all]'], n13: 13 } },
    line: /x{512}\.\.\.\[cut, 600 in all\].*"n13":13\},/,
  },
  { name: 'no details', event: { details: { gone: undefined } }, has: {}, line: /^((?!details).)*$/ },
  {
    name: 'a failure',
    event: { success: false, errorCode: 'role-missing', reason: undefined },
    has: { success: false, errorCode: 'role-missing' },
  },
])('$name', ({ event, has, line }) => {
  const written = writeAdminEvent({ ...EVENT, ...event })
  expect(written).not.toContain('\n')
  expect(JSON.parse(written)).toMatchObject(has)
  if (line) expect(written).toMatch(line)
})
