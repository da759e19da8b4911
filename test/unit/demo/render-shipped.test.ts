import { describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { renderShipped } from '../../../demo/render-shipped.js'

const SHIPPED = `# a comment that stays
node: { id: payment-service }
listen: { address: 0.0.0.0, port_value: 8443 }
upstream: { address: portcullis.example, port_value: 9191 }
sni: portcullis.example
file: &file { path: /etc/portcullis/tls/svid.pem }
again: *file
other: { path: /etc/portcullis-other/x, number: 8443 }
`

const NOTHING = { addresses: new Map<string, string>(), directory: '/etc/portcullis' }

describe('renderShipped refuses', () => {
  test.each([
    { name: 'what is no YAML', yaml: 'a: [', names: undefined },
    { name: 'a name that the file does not have', yaml: SHIPPED, names: new Map([['order-service', 'x']]) },
    { name: 'a name that is a key only', yaml: SHIPPED, names: new Map([['sni', 'x']]) },
  ])('$name', ({ yaml, names }) => {
    expect(() => renderShipped(yaml, { ...NOTHING, ...(names ? { names } : {}) })).toThrow()
  })
})

test('renderShipped changes nothing unasked', () => {
  const rendered = renderShipped(SHIPPED, NOTHING)
  expect(parse(rendered)).toEqual(parse(SHIPPED))
  expect(rendered).toContain('# a comment that stays')
})

test('renderShipped changes addresses, ports, paths and names, each only where it is one', () => {
  const rendered = renderShipped(SHIPPED, {
    addresses: new Map([
      ['0.0.0.0', '127.0.0.5'],
      ['portcullis.example', '127.0.0.6'],
    ]),
    ports: new Map([[8443, 18443]]),
    directory: '/tmp/mesh',
    names: new Map([['payment-service', 'order-service']]),
  })
  expect(parse(rendered)).toEqual({
    node: { id: 'order-service' },
    listen: { address: '127.0.0.5', port_value: 18443 },
    upstream: { address: '127.0.0.6', port_value: 9191 },
    sni: 'portcullis.example',
    file: { path: '/tmp/mesh/tls/svid.pem' },
    again: { path: '/tmp/mesh/tls/svid.pem' },
    other: { path: '/etc/portcullis-other/x', number: 8443 },
  })
})
