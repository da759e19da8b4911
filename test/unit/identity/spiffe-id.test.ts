import { describe, expect, test } from '@jest/globals'
import { compileSpiffePattern, parseSpiffeId } from '../../../src/identity/spiffe-id.js'

const LONG_DOMAIN = 'a'.repeat(256)

describe('parseSpiffeId refuses', () => {
  test.each([
    ['nothing', '', 'does not begin with spiffe://'],
    ['another scheme', 'https://prod.example/x', 'does not begin with spiffe://'],
    ['a scheme in capitals', 'SPIFFE://prod.example/x', 'does not begin with spiffe://'],
    ['no trust domain', 'spiffe:///x', 'has no trust domain'],
    ['a trust domain in capitals', 'spiffe://Prod.example/x', 'the trust domain may hold only a-z 0-9 . _ -'],
    ['a port', 'spiffe://prod.example:443/x', 'the trust domain may hold only a-z 0-9 . _ -'],
    ['userinfo', 'spiffe://me@prod.example/x', 'the trust domain may hold only a-z 0-9 . _ -'],
    ['a wildcard trust domain', 'spiffe://*/x', 'the trust domain may hold only a-z 0-9 . _ -'],
    ['a trailing slash', 'spiffe://prod.example/', 'the path has an empty segment or ends with /'],
    ['an empty segment', 'spiffe://prod.example/a//b', 'the path has an empty segment or ends with /'],
    ['a dot segment', 'spiffe://prod.example/a/../b', 'the path has a dot segment'],
    ['percent-encoding', 'spiffe://prod.example/%61', 'path segments may hold only A-Z a-z 0-9 . _ -'],
    ['a wildcard', 'spiffe://prod.example/*', 'path segments may hold only A-Z a-z 0-9 . _ -'],
    ['a query', 'spiffe://prod.example/x?y', 'path segments may hold only A-Z a-z 0-9 . _ -'],
    ['a newline at the end', 'spiffe://prod.example/x\n', 'path segments may hold only A-Z a-z 0-9 . _ -'],
    ['a long trust domain', `spiffe://${LONG_DOMAIN}/x`, 'the trust domain is longer than 255 bytes'],
    ['a long ID', `spiffe://a/${'b'.repeat(2038)}`, 'longer than 2048 bytes'],
  ])('%s', (_name, text, problem) => {
    expect(parseSpiffeId(text)).toEqual({ ok: false, problem })
  })
})

describe('parseSpiffeId accepts', () => {
  test.each([
    ['a workload', 'spiffe://prod.example/ns/pay/sa/api', 'prod.example', '/ns/pay/sa/api'],
    ['a trust domain', 'spiffe://prod.example', 'prod.example', ''],
    ['dots within a segment', 'spiffe://prod.example/..a', 'prod.example', '/..a'],
    ['2048 bytes', `spiffe://a/${'b'.repeat(2037)}`, 'a', `/${'b'.repeat(2037)}`],
  ])('%s', (_name, text, trustDomain, path) => {
    expect(parseSpiffeId(text)).toEqual({ ok: true, id: { text, trustDomain, path } })
  })
})

describe('compileSpiffePattern', () => {
  test.each([
    'spiffe://*/ns/a',
    'spiffe://prod.example/ns/a*',
    'spiffe://prod.example/**',
    'spiffe://prod.example/*/',
  ])('refuses %s', (text) => {
    expect(compileSpiffePattern(text)).toMatchObject({ ok: false })
  })

  test.each([
    ['spiffe://prod.example/ns/*/sa/api', 'spiffe://prod.example/ns/pay/extra/sa/api', false],
    ['spiffe://prod.example/ns/*/sa/api', 'spiffe://prod.example/ns/sa/api', false],
    ['spiffe://prod.example/ns/*/sa/api', 'spiffe://test.example/ns/pay/sa/api', false],
    ['spiffe://prod.example/ns/*/sa/api', 'spiffe://prod.example/ns/pay/sa/other', false],
    ['spiffe://prod.example/*', 'spiffe://prod.example', false],
    ['spiffe://prod.example', 'spiffe://prod.example/x', false],
    ['spiffe://prod.example/ns/*/sa/api', 'spiffe://prod.example/ns/pay/sa/api', true],
    ['spiffe://prod.example/x', 'spiffe://prod.example/x', true],
  ])('%s on %s: %s', (text, asked, matches) => {
    const pattern = compileSpiffePattern(text)
    const id = parseSpiffeId(asked)
    if (!pattern.ok || !id.ok) throw new Error('the table holds a wrong text')
    expect(pattern.matches(id.id)).toBe(matches)
  })
})
