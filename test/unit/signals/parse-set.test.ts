import { describe, expect, test } from '@jest/globals'
import { parseStrictJson, isJsonObject } from '../../../src/identity/strict-json.js'
import { type ReadSet, readSet } from '../../../src/signals/parse-set.js'
import { AUDIENCE, CAEP, claimsOf, NOW, NOW_MS, RISC, SSF } from './events.js'

const DAY = 86_400
const TIMES = { eventMaxAgeMs: 7 * DAY * 1000, clockSkewMs: 60_000 }

function read(claims: object): ReadSet {
  const parsed = parseStrictJson(JSON.stringify(claims))
  if (!parsed.ok || !isJsonObject(parsed.value)) throw new Error('no JSON object')
  return readSet(parsed.value, [AUDIENCE], TIMES, NOW_MS)
}

const REVOKED = `${CAEP}session-revoked`
const change = (payload: object, overrides = {}): object =>
  claimsOf(`${CAEP}credential-change`, payload, overrides)

describe('refused', () => {
  test.each<{ name: string; claims: object; says: string; err?: string }>([
    { name: 'no issuer', claims: claimsOf(REVOKED, {}, { iss: undefined }), says: '`iss`' },
    { name: 'no jti', claims: claimsOf(REVOKED, {}, { jti: undefined }), says: '`jti`' },
    { name: 'a jti that is a number', claims: claimsOf(REVOKED, {}, { jti: 1 }), says: '`jti`' },
    { name: 'no iat', claims: claimsOf(REVOKED, {}, { iat: undefined }), says: '`iat`' },
    { name: 'an iat that is text', claims: claimsOf(REVOKED, {}, { iat: '1' }), says: '`iat`' },
    { name: 'exp', claims: claimsOf(REVOKED, {}, { exp: NOW + 60 }), says: 'must not have `exp`' },
    { name: 'sub', claims: claimsOf(REVOKED, {}, { sub: 'x' }), says: 'must not have `sub`' },
    {
      name: 'another audience',
      claims: claimsOf(REVOKED, {}, { aud: ['https://elsewhere.example'] }),
      says: 'another audience',
      err: 'invalid_audience',
    },
    {
      name: 'no audience',
      claims: claimsOf(REVOKED, {}, { aud: undefined }),
      says: 'another audience',
      err: 'invalid_audience',
    },
    { name: 'an audience that is a number', claims: claimsOf(REVOKED, {}, { aud: 7 }), says: '`aud`' },
    { name: 'a future iat', claims: claimsOf(REVOKED, {}, { iat: NOW + 61 }), says: 'in the future' },
    {
      name: 'a future event',
      claims: claimsOf(REVOKED, { event_timestamp: NOW + 61 }),
      says: 'in the future',
    },
    {
      name: 'an event of 2030 in milliseconds',
      claims: claimsOf(REVOKED, { event_timestamp: NOW_MS }),
      says: '`event_timestamp` is not a time',
    },
    { name: 'an old event', claims: claimsOf(REVOKED, { event_timestamp: NOW - 8 * DAY }), says: 'too old' },
    { name: 'an old SET', claims: claimsOf(REVOKED, {}, { iat: NOW - 8 * DAY }), says: 'too old' },
    { name: 'no events', claims: claimsOf(REVOKED, {}, { events: undefined }), says: '`events`' },
    { name: 'events of none', claims: claimsOf(REVOKED, {}, { events: {} }), says: 'exactly one event' },
    { name: 'a list of events', claims: claimsOf(REVOKED, {}, { events: [REVOKED] }), says: '`events`' },
    {
      name: 'two events',
      claims: claimsOf(REVOKED, {}, { events: { [REVOKED]: {}, [`${CAEP}session-presented`]: {} } }),
      says: 'exactly one event',
    },
    {
      name: 'an event that is true',
      claims: claimsOf(REVOKED, {}, { events: { [REVOKED]: true } }),
      says: 'not an object',
    },
    { name: 'no subject', claims: claimsOf(REVOKED, {}, { sub_id: undefined }), says: '`sub_id`' },
    { name: 'a subject that is text', claims: claimsOf(REVOKED, {}, { sub_id: 'alice' }), says: '`sub_id`' },
    {
      name: 'a subject without format',
      claims: claimsOf(REVOKED, {}, { sub_id: { id: 'x' } }),
      says: '`format`',
    },
    {
      name: 'a stream without subject of its own',
      claims: claimsOf(
        `${SSF}verification`,
        { subject: { format: 'opaque', id: 'x' } },
        { sub_id: undefined },
      ),
      says: '`sub_id`',
    },
    {
      name: 'a robot that gives back',
      claims: claimsOf(REVOKED, { initiating_entity: 'robot' }),
      says: '`initiating_entity`',
    },
    {
      name: 'a reason that is text, of a risk that is less',
      claims: claimsOf(`${CAEP}risk-level-change`, {
        principal: 'USER',
        current_level: 'LOW',
        reason_admin: 'x',
      }),
      says: '`reason_admin`',
    },
    {
      name: 'claims that are a list',
      claims: claimsOf(`${CAEP}token-claims-change`, { claims: [] }),
      says: '`claims`',
    },
    { name: 'no kind of credential', claims: change({ change_type: 'revoke' }), says: '`credential_type`' },
    {
      name: 'an unknown change',
      claims: change({ credential_type: 'pin', change_type: 'lost' }),
      says: '`change_type`',
    },
    {
      name: 'a serial that is a number',
      claims: change({ credential_type: 'x509', change_type: 'revoke', x509_serial: 12 }),
      says: '`x509_serial`',
    },
    {
      name: 'a level that is none',
      claims: claimsOf(`${CAEP}risk-level-change`, { principal: 'USER', current_level: 'low' }),
      says: '`current_level`',
    },
    {
      name: 'half compliant',
      claims: claimsOf(`${CAEP}device-compliance-change`, { current_status: 'half' }),
      says: '`current_status`',
    },
    {
      name: 'a status that is none',
      claims: claimsOf(`${SSF}stream-updated`, { status: 'off' }),
      says: '`status`',
    },
  ])('$name', ({ claims, says, err = 'invalid_request' }) => {
    expect(read(claims)).toMatchObject({ ok: false, err, description: expect.stringContaining(says) })
  })
})

describe('read', () => {
  test.each<{ name: string; claims: object; event: object }>([
    {
      name: 'the time of the event',
      claims: claimsOf(REVOKED, { event_timestamp: NOW - 5.5 }),
      event: { name: 'session-revoked', atMs: NOW_MS - 5500, issuedAtMs: NOW_MS, jti: 'jti-1' },
    },
    {
      name: 'iat where the event does not say',
      claims: claimsOf(`${RISC}account-disabled`, { reason: 'hijacking' }),
      event: { name: 'account-disabled', atMs: NOW_MS },
    },
    {
      name: 'a clock a little ahead',
      claims: claimsOf(REVOKED, { event_timestamp: NOW + 60 }, { iat: NOW + 60 }),
      event: { atMs: NOW_MS + 60_000 },
    },
    ...[
      { type: REVOKED, payload: { reason_admin: 'x', reason_user: 7 } },
      { type: `${RISC}account-disabled`, payload: { reason: {} } },
      { type: `${RISC}credential-compromise`, payload: {} },
      {
        type: `${CAEP}device-compliance-change`,
        payload: { current_status: 'not-compliant', reason_user: '' },
      },
    ].map(({ type, payload }) => ({
      name: `${type} with ${JSON.stringify(payload)}`,
      claims: claimsOf(type, payload),
      event: { type, atMs: NOW_MS },
    })),
    {
      name: 'the subject inside the event',
      claims: claimsOf(REVOKED, { subject: { format: 'opaque', id: 's' } }, { sub_id: undefined }),
      event: { subject: { format: 'opaque', id: 's' } },
    },
    {
      name: 'one event under two URIs',
      claims: claimsOf(REVOKED, {}, { events: { 'https://old.example/session-revoked': {}, [REVOKED]: {} } }),
      event: { name: 'session-revoked', type: REVOKED },
    },
    {
      name: 'an event that nobody knows here',
      claims: claimsOf('https://vendor.example/events/lunch', { event_timestamp: 'noon' }),
      event: { name: undefined, type: 'https://vendor.example/events/lunch', atMs: NOW_MS },
    },
  ])('$name', ({ claims, event }) => {
    expect(read(claims)).toMatchObject({ ok: true, event })
  })
})
