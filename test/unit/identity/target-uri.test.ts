import { describe, expect, test } from '@jest/globals'
import { normaliseTargetUri } from '../../../src/identity/target-uri.js'

describe('normaliseTargetUri', () => {
  test.each([
    [''],
    ['shop.example.com/a'],
    ['//shop.example.com/a'],
    ['ftp://shop.example.com/a'],
    ['https:///a'],
    ['https:/shop.example.com/a'],
    ['https://a@shop.example.com/'],
    ['https://shop.example.com:x/'],
    ['https://shop.example.com:123456/'],
    ['https://shop.example.com/%'],
    ['https://shop.example.com/%4'],
    ['https://shop.example.com/%zz'],
    ['https://shop.example.com/a b'],
    ['https://shop.example.com\\a'],
    ['https://shop.example.com/\\a'],
    [' https://shop.example.com/'],
    ['https://shöp.example.com/'],
    [`https://shop.example.com/${'x'.repeat(9000)}`],
  ])('refuses %j', (text) => {
    expect(normaliseTargetUri(text)).toBeUndefined()
  })

  test.each([
    ['https://shop.example.com', 'https://shop.example.com/'],
    ['HTTPS://Shop.Example.COM:443/A', 'https://shop.example.com/A'],
    ['http://shop.example.com:80', 'http://shop.example.com/'],
    ['http://shop.example.com:443/', 'http://shop.example.com:443/'],
    ['https://shop.example.com:8443/', 'https://shop.example.com:8443/'],
    ['https://shop.example.com:/', 'https://shop.example.com/'],
    ['https://[::1]:8443/a', 'https://[::1]:8443/a'],
    ['https://a/x?y=1#z', 'https://a/x'],
    ['https://a#z', 'https://a/'],
    ['https://a/%7euser/%c3%a9/%2f', 'https://a/~user/%C3%A9/%2F'],
    ['https://a/b/../c/./d', 'https://a/c/d'],
    ['https://a/../../b', 'https://a/b'],
    ['https://a/b/..', 'https://a/'],
    ['https://a/b/.', 'https://a/b/'],
    ['https://a/b/%2e%2e/c', 'https://a/c'],
    ['https://a//b/', 'https://a//b/'],
  ])('%j is %j', (text, normal) => {
    expect(normaliseTargetUri(text)).toBe(normal)
    expect(normaliseTargetUri(normal)).toBe(normal)
  })
})
