import { describe, expect, test } from '@jest/globals'
import { canonicalPath, MAX_TARGET_LENGTH } from '../../../src/ext-authz/canonical-path.js'

describe('refused', () => {
  test.each([
    { target: '', problem: 'no path' },
    { target: `/${'a'.repeat(MAX_TARGET_LENGTH)}`, problem: 'path too long' },
    { target: 'admin', problem: 'no leading slash' },
    { target: '*', problem: 'no leading slash' },
    { target: 'https://shop.example/', problem: 'no leading slash' },
    { target: '//admin', problem: 'empty segment' },
    { target: '/a//b', problem: 'empty segment' },
    { target: '/.', problem: 'dot segment' },
    { target: '/..', problem: 'dot segment' },
    { target: '/a/./b', problem: 'dot segment' },
    { target: '/a/../b', problem: 'dot segment' },
    { target: '/a/..?x=1', problem: 'dot segment' },
    { target: '/a\\b', problem: 'backslash' },
    { target: '/a;b=c', problem: 'path parameter' },
    { target: '/a#b', problem: 'fragment' },
    { target: '/a?b#c', problem: 'fragment' },
    { target: '/a b', problem: 'character not allowed' },
    { target: '/a\0', problem: 'character not allowed' },
    { target: '/é', problem: 'character not allowed' },
    { target: '/a?b=\n', problem: 'character not allowed' },
    { target: '/a%C2%85', problem: 'character not allowed' },
    { target: '/a%', problem: 'malformed percent-encoding' },
    { target: '/a%2', problem: 'malformed percent-encoding' },
    { target: '/a%2?f', problem: 'malformed percent-encoding' },
    { target: '/a%zz', problem: 'malformed percent-encoding' },
    { target: '/caf%c3%a9', problem: 'lower-case percent-encoding' },
    ...[
      '%2F',
      '%5C',
      '%2E',
      '%2E%2E',
      '%00',
      '%0A',
      '%7F',
      '%41',
      '%7E',
      '%25',
      '%3B',
      '%3F',
      '%23',
      '%2C',
      '%40',
    ].map((encoded) => ({
      target: `/a${encoded}`,
      problem: 'encoded character that has a plain or a special form',
    })),
    { target: '/%C0%AF', problem: 'invalid UTF-8' },
    { target: '/%E9', problem: 'invalid UTF-8' },
    { target: '/%C3/%A9', problem: 'invalid UTF-8' },
    { target: '/%ED%A0%80', problem: 'invalid UTF-8' },
    { target: '/a%EF%BC%8Fb', problem: 'look-alike of a special character' },
    { target: '/a%E2%88%95b', problem: 'look-alike of a special character' },
    { target: '/%E2%80%A4%E2%80%A4/b', problem: 'look-alike of a special character' },
  ])('$target: $problem', ({ target, problem }) => {
    expect(canonicalPath(target)).toEqual({ ok: false, problem })
  })
})

describe('taken as it is', () => {
  test.each([
    { target: '/', path: '/', query: '' },
    { target: '/users/42/', path: '/users/42/', query: '' },
    { target: '/.well-known/a..b/.../x.', path: '/.well-known/a..b/.../x.', query: '' },
    { target: "/a-_~!$&'()*+,=:@9", path: "/a-_~!$&'()*+,=:@9", query: '' },
    { target: '/caf%C3%A9/with%20space', path: '/caf%C3%A9/with%20space', query: '' },
    { target: '/a?', path: '/a', query: '' },
    { target: '/a?b=%2e%zz;..//?\\', path: '/a', query: 'b=%2e%zz;..//?\\' },
    { target: '/shop.v1.Payments/Refund', path: '/shop.v1.Payments/Refund', query: '' },
  ])('$target', ({ target, path, query }) => {
    expect(canonicalPath(target)).toEqual({ ok: true, path, query })
  })
})
