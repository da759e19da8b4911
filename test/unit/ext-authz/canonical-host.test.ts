import { expect, test } from '@jest/globals'
import { canonicalHost } from '../../../src/ext-authz/canonical-host.js'

test.each([
  '',
  'a b',
  'user@shop.example',
  'shop.example.',
  '.shop.example',
  'shop..example',
  '-shop.example',
  'shop.example:',
  'shop.example:x',
  'shop.example:70000',
  'shop.example:80:80',
  '::1',
  '[::1',
  '[::1]x',
  '[fe80::1%25eth0]',
  'shöp.example',
  'shop.example/path',
  'a,b',
  `${'a'.repeat(64)}.example`,
  `${'a.'.repeat(130)}a`,
])('%j is no host', (authority) => {
  expect(canonicalHost(authority)).toBeUndefined()
})

test.each([
  ['shop.example', 'shop.example'],
  ['Shop.EXAMPLE:8443', 'shop.example'],
  ['10.1.2.3:80', '10.1.2.3'],
  ['[2001:DB8::1]:443', '[2001:db8::1]'],
  ['[::1]', '[::1]'],
  ['outbound_.8080_._.payment.shop.svc', 'outbound_.8080_._.payment.shop.svc'],
])('%s is %s', (authority, host) => {
  expect(canonicalHost(authority)).toBe(host)
})
