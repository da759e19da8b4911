import { describe, expect, test } from '@jest/globals'
import type { AccessRequest } from '../../../src/request/access-request.js'
import { clientAddress } from '../../../src/request/client-address.js'
import { edgePlace } from '../../../src/request/edge-place.js'
import { canonicalIp } from '../../../src/request/ip-text.js'
import { isPublicAddress } from '../../../src/request/public-address.js'

/** `forwarded`: the values of x-forwarded-for; undefined: a TCP check. */
function requestOf(
  ip: string,
  headers: Readonly<Record<string, readonly string[]>> | undefined,
): AccessRequest {
  const peer = { ip, port: 1, principal: '' }
  return {
    requestId: '',
    source: { ...peer, certificate: '' },
    destination: peer,
    contextExtensions: new Map(),
    sni: '',
    http: headers && {
      method: 'GET',
      path: '/',
      query: '',
      host: 'a',
      protocol: 'HTTP/1.1',
      upgrade: false,
      grpc: false,
      headers: {
        get: (name) => (headers[name]?.length === 1 ? headers[name][0] : undefined),
        count: (name) => headers[name]?.length ?? 0,
        names: () => Object.keys(headers),
      },
    },
  }
}

const PEER = '10.0.0.9'

type Case = {
  readonly name: string
  readonly forwarded?: readonly string[] | undefined
  readonly hops?: number
  readonly role?: 'Sidecar' | 'Gateway'
  readonly trusted?: boolean
  readonly peer?: string
  readonly is: string | undefined
}

describe('clientAddress', () => {
  test.each<Case>([
    { name: "a stranger's header is nothing", forwarded: ['1.2.3.4'], is: PEER },
    {
      name: "a stranger's header with hops configured is nothing",
      forwarded: ['1.2.3.4'],
      hops: 1,
      is: PEER,
    },
    { name: 'a gateway that trusts no hop', role: 'Gateway', forwarded: [`1.2.3.4, ${PEER}`], is: PEER },
    { name: 'a gateway that trusts no hop, any header', role: 'Gateway', forwarded: ['x', 'y'], is: PEER },
    ...[
      { name: 'no header', forwarded: [] },
      { name: 'an empty header', forwarded: [''] },
      { name: 'a header twice', forwarded: [`1.2.3.4, ${PEER}`, `1.2.3.4, ${PEER}`] },
      { name: 'too short a header', forwarded: [PEER] },
      { name: 'an Envoy that does not append', forwarded: ['1.2.3.4, 10.0.0.8'] },
      { name: "a caller's garbage that is last", forwarded: [`1.2.3.4, ${PEER},`] },
      { name: 'no address', forwarded: [`unknown, ${PEER}`] },
      { name: 'an octal address', forwarded: [`010.0.0.1, ${PEER}`] },
      { name: 'a short address', forwarded: [`10.1, ${PEER}`] },
      { name: 'a zone index', forwarded: [`fe80::1%eth0, ${PEER}`] },
      { name: 'an element of nothing', forwarded: [`1.2.3.4,,${PEER}`] },
      { name: 'IPv4 in brackets', forwarded: [`[1.2.3.4], ${PEER}`] },
      { name: 'half of brackets', forwarded: [`[::1, ${PEER}`] },
      { name: 'IPv6 with a port but no brackets', forwarded: [`1:2:3:4:5:6:7:8:443, ${PEER}`] },
      { name: 'an endless element', forwarded: [`${'1'.repeat(1000)}, ${PEER}`] },
      { name: 'a line break', forwarded: [`1.2.3.4\n, ${PEER}`] },
    ].map(({ name, forwarded }): Case => ({
      name: `${name}: unknown`,
      forwarded,
      role: 'Gateway',
      hops: 1,
      is: undefined,
    })),
    {
      name: 'a gateway behind a pipe',
      role: 'Gateway',
      hops: 1,
      peer: '',
      forwarded: ['1.2.3.4,'],
      is: undefined,
    },
    { name: 'a proxy, repeated header', trusted: true, forwarded: ['1.2.3.4', '5.6.7.8'], is: undefined },
    { name: 'a proxy, no address', trusted: true, forwarded: ['1.2.3.4, _hidden'], is: undefined },
    { name: 'a proxy, too short', trusted: true, hops: 1, forwarded: ['1.2.3.4'], is: undefined },
    { name: 'a proxy, hops but no header', trusted: true, hops: 1, forwarded: [], is: undefined },
    { name: 'a pipe', peer: '', forwarded: [], is: undefined },

    { name: 'a proxy that forwards for nobody', trusted: true, forwarded: [], is: PEER },
    { name: 'TCP from a proxy', trusted: true, hops: 1, forwarded: undefined, is: PEER },
    { name: 'TCP on a gateway', role: 'Gateway', hops: 1, forwarded: undefined, is: PEER },
    {
      name: 'one hop: what the caller put in front is nothing',
      role: 'Gateway',
      hops: 1,
      forwarded: [`6.6.6.6, 1.2.3.4, ${PEER}`],
      is: '1.2.3.4',
    },
    {
      name: 'two hops',
      role: 'Gateway',
      hops: 2,
      forwarded: [`6.6.6.6, 1.2.3.4, 10.0.0.1, ${PEER}`],
      is: '1.2.3.4',
    },
    { name: 'the first element', role: 'Gateway', hops: 1, forwarded: [`1.2.3.4,${PEER}`], is: '1.2.3.4' },
    { name: 'ports', role: 'Gateway', hops: 1, forwarded: [`1.2.3.4:5, ${PEER}:6`], is: '1.2.3.4' },
    { name: 'IPv6', role: 'Gateway', hops: 1, forwarded: [`2001:DB8:0::1, ${PEER}`], is: '2001:db8::1' },
    {
      name: 'brackets and a port',
      role: 'Gateway',
      hops: 1,
      forwarded: [`[2001:db8::1]:443, ${PEER}`],
      is: '2001:db8::1',
    },
    {
      name: 'IPv4 within IPv6 on both sides',
      role: 'Gateway',
      hops: 1,
      peer: `::ffff:${PEER}`,
      forwarded: [`::ffff:1.2.3.4, ${PEER}`],
      is: '1.2.3.4',
    },
    { name: 'from a proxy the last one', trusted: true, forwarded: ['6.6.6.6, 1.2.3.4'], is: '1.2.3.4' },
    {
      name: 'a proxy and an Envoy that appends',
      trusted: true,
      hops: 1,
      forwarded: [`1.2.3.4, ${PEER}`],
      is: '1.2.3.4',
    },
  ])('$name', ({ forwarded, hops = 0, role = 'Sidecar', trusted = false, peer = PEER, is }) => {
    const request = requestOf(peer, forwarded && { 'x-forwarded-for': forwarded })
    expect(clientAddress(request, { role, trustedHops: hops }, trusted)).toBe(is)
  })

  test('ten megabytes in front cost nothing', () => {
    const request = requestOf(PEER, { 'x-forwarded-for': [`${'6.6.6.6,'.repeat(1_250_000)}1.2.3.4,${PEER}`] })
    const startedAt = performance.now()
    for (let times = 0; times < 100; times += 1)
      expect(clientAddress(request, { role: 'Gateway', trustedHops: 1 }, false)).toBe('1.2.3.4')
    expect(performance.now() - startedAt).toBeLessThan(500)
  })
})

describe('edgePlace', () => {
  const header = 'x-edge-country'
  const ask = (values: readonly string[], role: 'Sidecar' | 'Gateway', trusted: boolean) =>
    edgePlace(requestOf(PEER, { [header]: values }), { role }, trusted, header)?.country

  test.each([
    { name: "a caller's own word", values: ['DE'], role: 'Sidecar', trusted: false, is: undefined },
    { name: 'nothing', values: [], role: 'Gateway', trusted: false, is: undefined },
    { name: 'twice', values: ['DE', 'DE'], role: 'Gateway', trusted: false, is: undefined },
    { name: 'two countries', values: ['DE, US'], role: 'Gateway', trusted: false, is: undefined },
    { name: 'Tor', values: ['T1'], role: 'Gateway', trusted: false, is: undefined },
    { name: 'the unknown country', values: ['XX'], role: 'Gateway', trusted: false, is: undefined },
    { name: 'three letters', values: ['DEU'], role: 'Gateway', trusted: false, is: undefined },
    { name: 'a gateway', values: ['de'], role: 'Gateway', trusted: false, is: 'DE' },
    { name: 'a proxy', values: [' AU '], role: 'Sidecar', trusted: true, is: 'AU' },
  ] as const)('$name', ({ values, role, trusted, is }) => {
    expect(ask(values, role, trusted)).toBe(is)
  })
})

test.each([
  ['', undefined],
  ['1.2.3', undefined],
  ['1.2.3.4.5', undefined],
  [':::', undefined],
  ['1::2::3', undefined],
  ['::ffff:1.2.3.256', undefined],
  ['1.2.3.4', '1.2.3.4'],
  ['::FFFF:102:304', '1.2.3.4'],
  ['0:0:0:0:0:0:0:0', '::'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['2001:db8:0:1:0:0:0:1', '2001:db8:0:1::1'],
  ['2001:0:0:1:0:0:1:1', '2001::1:0:0:1:1'],
  ['2001:DB8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['fe80:0:0:0:0:0:0:0', 'fe80::'],
  ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
])('canonicalIp %s', (text, is) => {
  expect(canonicalIp(text)).toBe(is)
})

test.each([
  ['', false],
  ['nowhere', false],
  ['10.1.2.3', false],
  ['::ffff:10.1.2.3', false],
  ['172.31.255.255', false],
  ['100.64.0.1', false],
  ['169.254.169.254', false],
  ['203.0.113.7', false],
  ['224.0.0.1', false],
  ['255.255.255.255', false],
  ['::1', false],
  ['::', false],
  ['fd00::1', false],
  ['fe80::1', false],
  ['ff02::1', false],
  ['2001:db8::1', false],
  ['2001:0:1::1', false],
  ['64:ff9b::808:808', false],
  ['8.8.8.8', true],
  ['172.32.0.0', true],
  ['::ffff:8.8.8.8', true],
  ['2a00:1450:4001::1', true],
  ['2001:4860:4860::8888', true],
])('isPublicAddress %s is %s', (ip, is) => {
  expect(isPublicAddress(ip)).toBe(is)
})
