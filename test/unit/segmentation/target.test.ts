import { describe, expect, test } from '@jest/globals'
import type { Asker, ListenerRules } from '../../../src/request/listener.js'
import { identitiesOf, serviceOfIdentity } from '../../../src/segmentation/compile.js'
import { resolveTarget } from '../../../src/segmentation/target.js'
import { aCall } from '../../support/facts.js'
import { baseline, listenerOf, matrixOf, requestOf, service, spiffeId } from '../../support/mesh.js'

const matrix = matrixOf(
  service('shop/pay', {
    routes: [
      { host: 'shop.example', pathPrefix: '/pay', stripPrefix: '/pay' },
      { host: 'shop.example', pathPrefix: '/pay/raw/deep' },
    ],
  }),
  service('shop/web', { mode: 'Shadow', routes: [{ host: 'shop.example' }] }),
  service('default/plain', { serviceAccounts: ['a', 'b'] }),
  service('shop/far', { serviceAccounts: [], identities: ['spiffe://partner.example/far/*'] }),
  baseline({ defaults: { mode: 'Observe' } }),
)
const PAY = 'spiffe://cluster.local/ns/shop/sa/pay'
const WEB = 'spiffe://cluster.local/ns/shop/sa/web'

type Asked = {
  readonly principal?: string
  readonly extension?: string
  readonly host?: string
  readonly path?: string
  readonly tcp?: boolean
  readonly listener?: Partial<ListenerRules>
  readonly asker?: string
}

function resolve({ principal = '', extension, host = '', path = '/', tcp = false, listener, asker }: Asked) {
  const request = requestOf({})
  const found = resolveTarget(
    matrix,
    {
      ...request,
      destination: { ...request.destination, principal },
      http: tcp ? undefined : aCall({ host, path }),
      contextExtensions: new Map(extension === undefined ? [] : [['portcullis.service', extension]]),
    },
    listenerOf(listener),
    { spiffeId: asker } satisfies Asker,
  )
  return found.ok
    ? [found.target.id, found.target.path, found.target.mode, found.target.spiffeId?.text]
    : found.refusal.reason
}

const GATEWAY: Partial<ListenerRules> = {
  role: 'Gateway',
  peerIdentity: 'None',
  target: ['extension', 'route'],
}

describe('resolveTarget', () => {
  test.each<readonly [string, Asked, ReturnType<typeof resolve>]>([
    ['nothing named', {}, 'target-unknown'],
    [
      'a source that is not asked for',
      { extension: 'shop/pay', listener: { target: ['principal'] } },
      'target-unknown',
    ],
    ['a principal that is no SPIFFE ID', { principal: 'pay.shop.svc' }, 'target-unknown'],
    ['an extension that is no name', { extension: 'shop/pay/x' }, 'target-unknown'],
    ['an empty extension', { extension: '' }, 'target-unknown'],
    ['two services', { principal: PAY, extension: 'shop/web' }, 'target-conflict'],
    [
      'a service and something unreadable',
      { principal: 'pay.shop.svc', extension: 'shop/pay' },
      'target-conflict',
    ],
    ['a service and one without a document', { principal: PAY, extension: 'shop/nobody' }, 'target-conflict'],
    [
      'two without documents',
      { principal: 'spiffe://cluster.local/ns/shop/sa/x', extension: 'shop/y' },
      'target-conflict',
    ],
    ['a bare name of another namespace', { extension: 'pay', principal: PAY }, 'target-conflict'],
    [
      'a route on a sidecar',
      { host: 'shop.example', path: '/pay', listener: { target: ['route'] } },
      'target-unknown',
    ],
    ['no route of that host', { host: 'other.example', listener: GATEWAY }, 'target-unknown'],
    [
      'a route and another extension',
      { host: 'shop.example', path: '/pay', extension: 'shop/web', listener: GATEWAY },
      'target-conflict',
    ],
    ['a route without http', { host: 'shop.example', tcp: true, listener: GATEWAY }, 'target-unknown'],
    ['an asker about another service', { principal: PAY, asker: WEB }, 'asker-not-allowed'],
    [
      'an asker nobody knows',
      { extension: 'shop/pay', asker: 'spiffe://cluster.local/ns/shop/sa/x' },
      'asker-not-allowed',
    ],
    ['an asker whose name is no SPIFFE ID', { extension: 'shop/pay', asker: 'pay' }, 'asker-not-allowed'],
    ['an asker about a service without a document', { extension: 'shop/x', asker: WEB }, 'asker-not-allowed'],
    ['the principal', { principal: PAY }, ['shop/pay', '/', 'Observe', PAY]],
    ['the extension', { extension: 'shop/web' }, ['shop/web', '/', 'Shadow', WEB]],
    ['several identities', { extension: 'default/plain' }, ['default/plain', '/', 'Observe', undefined]],
    ['a bare name', { extension: 'plain' }, ['default/plain', '/', 'Observe', undefined]],
    ['both', { principal: PAY, extension: 'shop/pay', path: '/x' }, ['shop/pay', '/x', 'Observe', PAY]],
    [
      'both without a document',
      { principal: 'spiffe://cluster.local/ns/shop/sa/x', extension: 'shop/x' },
      [undefined, '/', 'Observe', 'spiffe://cluster.local/ns/shop/sa/x'],
    ],
    [
      'an identity by its pattern',
      { principal: 'spiffe://partner.example/far/away' },
      ['shop/far', '/', 'Observe', 'spiffe://partner.example/far/away'],
    ],
    ['TCP', { principal: PAY, tcp: true }, ['shop/pay', '', 'Observe', PAY]],
    ['an asker about itself', { principal: PAY, asker: PAY }, ['shop/pay', '/', 'Observe', PAY]],
    [
      'an asker about itself by its pattern',
      { extension: 'shop/far', asker: 'spiffe://partner.example/far/x' },
      ['shop/far', '/', 'Observe', undefined],
    ],
    [
      'an asker without a document about itself',
      { principal: 'spiffe://cluster.local/ns/a/sa/b', asker: 'spiffe://cluster.local/ns/a/sa/b' },
      [undefined, '/', 'Observe', 'spiffe://cluster.local/ns/a/sa/b'],
    ],
    [
      'a gateway asks about others',
      { extension: 'shop/pay', asker: WEB, listener: GATEWAY },
      ['shop/pay', '/', 'Observe', PAY],
    ],
    [
      'the longest prefix',
      { host: 'shop.example', path: '/pay/x', listener: GATEWAY },
      ['shop/pay', '/x', 'Observe', PAY],
    ],
    [
      'a longer one',
      { host: 'shop.example', path: '/pay/raw/deep/x', listener: GATEWAY },
      ['shop/pay', '/pay/raw/deep/x', 'Observe', PAY],
    ],
    [
      'the prefix itself',
      { host: 'shop.example', path: '/pay', listener: GATEWAY },
      ['shop/pay', '/', 'Observe', PAY],
    ],
    [
      'the prefix with a slash',
      { host: 'shop.example', path: '/pay/', listener: GATEWAY },
      ['shop/pay', '/', 'Observe', PAY],
    ],
    [
      'whole segments',
      { host: 'shop.example', path: '/payx', listener: GATEWAY },
      ['shop/web', '/payx', 'Shadow', WEB],
    ],
    [
      'a route that agrees',
      { host: 'shop.example', path: '/pay/x', extension: 'shop/pay', listener: GATEWAY },
      ['shop/pay', '/x', 'Observe', PAY],
    ],
    [
      'an extension where no route leads',
      { host: 'x', extension: 'shop/pay', listener: GATEWAY },
      ['shop/pay', '/', 'Observe', PAY],
    ],
  ])('%s', (_, asked, expected) => {
    expect(resolve(asked)).toEqual(expected)
  })
})

test('serviceOfIdentity and identitiesOf', () => {
  expect(serviceOfIdentity(matrix, spiffeId('shop/nobody'))).toBeUndefined()
  expect(serviceOfIdentity(matrix, spiffeId('spiffe://partner.example/far/a/b'))).toBeUndefined()
  expect(serviceOfIdentity(matrix, spiffeId('spiffe://partner.example/far/a'))?.id).toBe('shop/far')
  const plain = serviceOfIdentity(matrix, spiffeId('default/b'))
  expect(plain && identitiesOf(plain).map(({ text }) => text)).toEqual([
    'spiffe://cluster.local/ns/default/sa/a',
    'spiffe://cluster.local/ns/default/sa/b',
  ])
})
