import { describe, expect, test } from '@jest/globals'
import { MAX_ENTRIES, readAccessLogs } from '../../../src/ext-authz/access-log-reader.js'
import { encodeHttpLogs, encodeTcpLogs, type EntryFields } from '../../support/access-logs.js'

/** Length-delimited fields around each other, outermost first. */
function nested(path: readonly number[], inner: Buffer): Buffer {
  return path.reduceRight((content, field) => {
    const tag = field > 15 ? [((field << 3) & 0x7f) | 0x82, field >>> 4] : [(field << 3) | 2]
    const length =
      content.length < 128 ? [content.length] : [(content.length & 0x7f) | 0x80, content.length >>> 7]
    return Buffer.concat([Buffer.from([...tag, ...length]), content])
  }, inner)
}

const HTTP_ENTRY = [2, 1]
const id = nested(
  [1],
  Buffer.concat([nested([1], Buffer.from('decision_id')), nested([2, 3], Buffer.from('d1'))]),
)
const filter = (value: Buffer): Buffer =>
  Buffer.concat([nested([1], Buffer.from('envoy.filters.http.ext_authz')), value])

describe('what is refused whole', () => {
  test.each<{ name: string; message: Buffer; problem: string }>([
    {
      name: 'half a message',
      message: encodeHttpLogs({ decisionId: 'd1' }).subarray(0, 30),
      problem: 'truncated',
    },
    {
      name: 'HTTP and TCP at once',
      message: Buffer.concat([encodeHttpLogs({}), nested([3], Buffer.alloc(0))]),
      problem: 'twice',
    },
    { name: 'a group', message: Buffer.from([0x0b, 0x0c]), problem: 'wrong wire type' },
    { name: 'an unknown group', message: Buffer.from([0x7b, 0x7c]), problem: 'groups' },
    { name: 'entries as a number', message: Buffer.from([0x10, 1]), problem: 'wrong wire type' },
    {
      name: 'a response twice',
      message: nested(
        HTTP_ENTRY,
        Buffer.concat([nested([4], Buffer.alloc(0)), nested([4], Buffer.alloc(0))]),
      ),
      problem: 'twice',
    },
    {
      name: 'metadata twice',
      message: nested(
        [...HTTP_ENTRY, 1],
        Buffer.concat([nested([17], Buffer.alloc(0)), nested([17], Buffer.alloc(0))]),
      ),
      problem: 'twice',
    },
    {
      name: 'a response code of four digits',
      message: encodeHttpLogs({ code: 1000 }),
      problem: 'out of range',
    },
    {
      name: 'more bytes than a number holds',
      message: nested([...HTTP_ENTRY, 4], Buffer.from([0x18, ...Array<number>(9).fill(0xff), 1])),
      problem: 'out of range',
    },
    {
      name: 'an id that is no UTF-8',
      message: nested(
        [...HTTP_ENTRY, 1, 17, 1],
        filter(
          nested(
            [2, 1],
            Buffer.concat([nested([1], Buffer.from('decision_id')), nested([2, 3], Buffer.from([0xff]))]),
          ),
        ),
      ),
      problem: 'UTF-8',
    },
    {
      name: 'an id that is two values',
      message: nested(
        [...HTTP_ENTRY, 1, 17, 1],
        filter(
          nested(
            [2, 1],
            Buffer.concat([
              nested([1], Buffer.from('decision_id')),
              nested([2], Buffer.from([0x1a, 1, 0x61, 0x1a, 1, 0x62])),
            ]),
          ),
        ),
      ),
      problem: 'several',
    },
  ])('$name', ({ message, problem }) => {
    expect(readAccessLogs(message)).toEqual({ ok: false, problem: expect.stringContaining(problem) })
  })

  test('more entries than there may be', () => {
    const empty = Array.from({ length: MAX_ENTRIES }, (): EntryFields => ({}))
    expect(readAccessLogs(encodeHttpLogs(...empty))).toMatchObject({ ok: true, passedOver: MAX_ENTRIES })
    expect(readAccessLogs(encodeHttpLogs(...empty, {}))).toEqual({ ok: false, problem: 'too many entries' })
  })
})

describe('what is passed over', () => {
  test.each<{ name: string; fields: EntryFields }>([
    { name: 'no decision', fields: { code: 200 } },
    { name: 'an empty id', fields: { decisionId: '' } },
    { name: 'an id that is too long', fields: { decisionId: 'x'.repeat(65) } },
    {
      name: "another filter's metadata",
      fields: { decisionId: 'd1', filter: 'envoy.filters.http.jwt_authn' },
    },
    { name: 'the beginning of a call', fields: { decisionId: 'd1', type: 4 } },
    { name: 'a call under way', fields: { decisionId: 'd1', type: 5 } },
    { name: 'a call to the upstream', fields: { decisionId: 'd1', type: 9 } },
    { name: 'an intermediate entry of older Envoys', fields: { decisionId: 'd1', intermediate: true } },
  ])('$name', ({ fields }) => {
    const read = readAccessLogs(encodeHttpLogs(fields, { decisionId: 'kept' }))
    expect(read).toMatchObject({ ok: true, entries: [{ decisionId: 'kept' }], passedOver: 1 })
  })

  test("the HTTP filter's metadata of a TCP connection", () => {
    const read = readAccessLogs(encodeTcpLogs({ decisionId: 'd1', filter: 'envoy.filters.http.ext_authz' }))
    expect(read).toEqual({ ok: true, entries: [], passedOver: 1 })
  })
})

describe('what is read', () => {
  test.each([
    { name: 'nothing', message: Buffer.alloc(0), entries: [] },
    {
      name: 'an HTTP call',
      message: encodeHttpLogs({
        decisionId: 'd1',
        code: 503,
        responseBytes: 70_000,
        requestBytes: 12,
        type: 6,
      }),
      entries: [
        {
          kind: 'http',
          decisionId: 'd1',
          responseCode: 503,
          responseBytes: 70_000,
          requestBytes: 12,
          deniedByAuthz: false,
        },
      ],
    },
    {
      name: 'a call that got no response',
      message: encodeHttpLogs({ decisionId: 'd1' }),
      entries: [
        {
          kind: 'http',
          decisionId: 'd1',
          responseCode: 0,
          responseBytes: 0,
          requestBytes: 0,
          deniedByAuthz: false,
        },
      ],
    },
    {
      name: 'a call that Portcullis denied',
      message: encodeHttpLogs({ decisionId: 'd1', code: 403, unauthorized: 1 }),
      entries: [
        {
          kind: 'http',
          decisionId: 'd1',
          responseCode: 403,
          responseBytes: 0,
          requestBytes: 0,
          deniedByAuthz: true,
        },
      ],
    },
    {
      name: 'a TCP connection of more than 4 GiB',
      message: encodeTcpLogs({ decisionId: 'd1', responseBytes: 2 ** 40 + 1, requestBytes: 5, type: 3 }),
      entries: [
        {
          kind: 'tcp',
          decisionId: 'd1',
          responseCode: 0,
          responseBytes: 2 ** 40 + 1,
          requestBytes: 5,
          deniedByAuthz: false,
        },
      ],
    },
    {
      name: 'a map whose value comes before its key',
      message: nested(
        [...HTTP_ENTRY, 1, 17, 1],
        Buffer.concat([nested([2], id), nested([1], Buffer.from('envoy.filters.http.ext_authz'))]),
      ),
      entries: [
        {
          kind: 'http',
          decisionId: 'd1',
          responseCode: 0,
          responseBytes: 0,
          requestBytes: 0,
          deniedByAuthz: false,
        },
      ],
    },
  ])('$name', ({ message, entries }) => {
    expect(readAccessLogs(message)).toEqual({ ok: true, entries, passedOver: 0 })
  })
})
