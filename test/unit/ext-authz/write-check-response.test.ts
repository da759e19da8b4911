import { describe, expect, test } from '@jest/globals'
import {
  type Allowed,
  type Denied,
  writeAllow,
  writeAllowTcp,
  writeDenied,
} from '../../../src/ext-authz/write-check-response.js'
import { AUTHORIZATION, decodeReply } from '../../support/envoy-wire.js'

const METADATA = { decision: 'allow', decisionId: 'd-1', reason: 'allowed', mode: 'Enforce' }
const ALLOWED: Allowed = { set: [], remove: [], respond: [], removeQueryParameters: [], metadata: METADATA }
const DENIED: Denied = {
  httpStatus: 403,
  rpcCode: 7,
  message: 'forbidden',
  headers: [],
  body: '',
  metadata: METADATA,
}

describe('never written', () => {
  test.each([0, -1, 17, 1.5, Number.NaN])('a refusal with rpc code %d', (rpcCode) => {
    expect(() => writeDenied({ ...DENIED, rpcCode })).toThrow(/is no refusal/)
  })

  test.each([0, 200, 302, 399, 600, Number.NaN])('a refusal with status %d', (httpStatus) => {
    expect(() => writeDenied({ ...DENIED, httpStatus })).toThrow(/is no refusal/)
  })

  test('one name both set and removed', () => {
    const set = [{ name: 'x-user-id', value: 'a' }]
    expect(() => writeAllow({ ...ALLOWED, set, remove: ['x-user-id'] })).toThrow(/both set and removed/)
  })

  test.each(['a\r\nb: c', 'a\0', 'é'])('the header value %j', (value) => {
    const set = [{ name: 'x-a', value }]
    expect(() => writeAllow({ ...ALLOWED, set })).toThrow(/header value/)
    expect(() => writeDenied({ ...DENIED, headers: set })).toThrow(/header value/)
  })

  test('and what failed leaves nothing in the next reply', () => {
    expect(() => writeAllow({ ...ALLOWED, set: [{ name: 'x-a', value: '\n' }] })).toThrow()
    expect(writeAllow(ALLOWED)).toEqual(writeAllow({ ...ALLOWED }))
    expect(decodeReply(writeAllow(ALLOWED)).ok_response?.headers ?? []).toEqual([])
  })
})

describe('the reference decoder reads', () => {
  const option = (name: string, value: string): object => ({
    header: { key: name, value },
    append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
  })

  test('an allow', () => {
    const reply = writeAllow({
      set: [{ name: 'x-user-id', value: 'alice' }],
      remove: ['x-user-roles', 'x_user_id'],
      respond: [{ name: 'x-portcullis-decision-id', value: 'd-1' }],
      removeQueryParameters: ['access_token'],
      metadata: { ...METADATA, user: 'Ålice', riskScore: 12.5, obligations: ['read-only', 'no-download'] },
    })
    expect(AUTHORIZATION.responseDeserialize(reply)).toMatchObject({
      status: {},
      http_response: 'ok_response',
      ok_response: {
        headers: [option('x-user-id', 'alice')],
        response_headers_to_add: [option('x-portcullis-decision-id', 'd-1')],
        query_parameters_to_remove: ['access_token'],
      },
      dynamic_metadata: {
        fields: {
          decision: { stringValue: 'allow' },
          decision_id: { stringValue: 'd-1' },
          reason: { stringValue: 'allowed' },
          mode: { stringValue: 'Enforce' },
          user: { stringValue: 'Ålice' },
          risk_score: { numberValue: 12.5 },
          obligations: {
            listValue: { values: [{ stringValue: 'read-only' }, { stringValue: 'no-download' }] },
          },
        },
      },
    })
    expect(decodeReply(reply).ok_response?.headers_to_remove.toSorted()).toEqual([
      'x-user-roles',
      'x_user_id',
    ])
    expect([...reply.subarray(0, 2)]).toEqual([0x0a, 0])
  })

  test('an allow of a connection, which has no HTTP part', () => {
    const reply = writeAllowTcp(METADATA)
    expect(AUTHORIZATION.responseDeserialize(reply)).not.toHaveProperty('ok_response')
    expect(decodeReply(reply).status).toBeTruthy()
  })

  test('a refusal', () => {
    const reply = writeDenied({
      ...DENIED,
      httpStatus: 401,
      rpcCode: 16,
      headers: [{ name: 'www-authenticate', value: 'Bearer' }],
      body: '{"é":1}',
    })
    expect(AUTHORIZATION.responseDeserialize(reply)).toMatchObject({
      status: { code: 16, message: 'forbidden' },
      http_response: 'denied_response',
      denied_response: {
        status: { code: 401 },
        headers: [option('www-authenticate', 'Bearer')],
        body: '{"é":1}',
      },
    })
  })

  test.each([0, 1, 127, 128, 300, 16_383, 16_384, 70_000, 3_000_000])(
    'a body of %d bytes, and a small one after it',
    (length) => {
      const body = 'b'.repeat(length)
      expect(decodeReply(writeDenied({ ...DENIED, body })).denied_response?.body ?? '').toBe(body)
      expect(
        decodeReply(writeDenied({ ...DENIED, body: 'é'.repeat(length) })).denied_response?.body ?? '',
      ).toBe('é'.repeat(length))
      expect(decodeReply(writeDenied(DENIED)).denied_response?.body ?? '').toBe('')
    },
  )
})
