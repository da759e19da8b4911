import { describe, expect, test } from '@jest/globals'
import { ask, baseline, type Call, matrixOf, service, verdictOf } from '../../support/mesh.js'

const PROMETHEUS = 'spiffe://cluster.local/ns/monitoring/sa/prometheus'

describe('the baseline', () => {
  const matrix = matrixOf(
    service('shop/web', { calls: [{ service: 'pay' }] }, { team: 'a' }),
    service('sandbox/toy', { calls: [{ service: 'shop/pay' }, { service: 'prod/api' }] }),
    service('shop/pay', {
      endpoints: [
        { name: 'Pay', paths: ['/pay'], methods: ['POST'] },
        { name: 'Scoped', paths: ['/scoped'], methods: ['GET'], workloadScopes: ['s'], userScopes: ['u'] },
        { name: 'Grpc', grpc: ['a.B/C'] },
      ],
      rules: [{ name: 'own', from: [{ services: ['web', 'sandbox/toy'] }], to: [{ endpoints: ['Pay'] }] }],
      forbid: [{ name: 'late', when: [{ key: 'request.headers[x-late]', present: true }] }],
    }),
    service('prod/api', {
      endpoints: [{ name: 'Api', paths: ['/api'], methods: ['GET'] }],
      rules: [{ name: 'toys', from: [{ namespaces: ['sandbox'] }] }],
    }),
    baseline({
      allow: [
        {
          name: 'metrics',
          from: [{ identities: [PROMETHEUS] }],
          to: [
            { paths: ['/metrics', '/scoped', '/grant'], methods: ['GET'] },
            { grpc: ['a.Health/*'] },
            { ports: [15020] },
          ],
        },
        {
          name: 'pay-only',
          from: [{ services: ['shop/web'] }],
          to: [{ services: ['shop/pay'], paths: ['/debug'] }],
        },
        {
          name: 'grants',
          from: [{ identities: [PROMETHEUS] }],
          to: [{ namespaces: ['shop'], paths: ['/scoped'] }],
          grantScopes: ['s'],
        },
        { name: 'health', from: [{ any: true }], to: [{ paths: ['/healthz'] }] },
      ],
      forbid: [
        { name: 'sandbox', from: [{ namespaces: ['sandbox'] }], to: [{ namespaces: ['prod'] }] },
        { name: 'admin', to: [{ paths: ['/Admin/**'] }, { grpc: ['a.Admin/*'] }], message: 'never' },
        { name: 'trace', to: [{ methods: ['TRACE'] }], mode: 'Observe' },
      ],
    }),
  )
  const scrape = (call: Partial<Call> = {}): Call => ({
    from: PROMETHEUS,
    to: 'shop/pay',
    path: '/metrics',
    ...call,
  })

  test.each<readonly [string, Call, string]>([
    ['an allow has its paths exactly', scrape({ path: '/metrics/' }), 'endpoint-not-exposed'],
    ['an allow has its methods', scrape({ method: 'POST' }), 'endpoint-not-exposed'],
    ['an allow lets no upgrade in', scrape({ upgrade: true }), 'endpoint-not-exposed'],
    ['an allow is for its callers', scrape({ from: 'shop/web' }), 'endpoint-not-exposed'],
    [
      'an allow is for its targets',
      { from: 'shop/web', to: 'prod/api', path: '/debug' },
      'endpoint-not-exposed',
    ],
    ['gRPC is POST', scrape({ path: '/a.Health/Check' }), 'endpoint-not-exposed'],
    ['identities are still required', { to: 'shop/pay', path: '/healthz' }, 'no-credentials'],
    ['what nobody knows of a target binds', { to: 'shop/x', path: '/healthz' }, 'forbidden'],
    ['user scopes still apply', scrape({ path: '/scoped', user: { scopes: [] } }), 'scope-missing'],
    ['a user is still required', scrape({ path: '/scoped' }), 'user-required'],
    ['forbids of the target still apply', scrape({ headers: [['x-late', '1']] }), 'forbidden'],
    ['a forbid wins over both halves', { from: 'sandbox/toy', to: 'prod/api', path: '/api' }, 'forbidden'],
    [
      'who has no document is not out of a forbid',
      { from: 'sandbox/unknown', to: 'prod/api', path: '/metrics' },
      'forbidden',
    ],
    ['without a workload it matches', { to: 'prod/api', path: '/api', user: {} }, 'forbidden'],
    ['a forbid in capitals', { from: 'shop/web', to: 'shop/pay', path: '/ADMIN/x' }, 'forbidden'],
    ['a forbid with a slash', { from: 'shop/web', to: 'shop/pay', path: '/admin/' }, 'forbidden'],
    [
      'a forbidden gRPC method',
      { from: 'shop/web', to: 'shop/pay', path: '/a.admin/X', method: 'POST' },
      'forbidden',
    ],
    [
      'a forbid for a target without a document',
      { from: 'shop/web', to: 'shop/x', path: '/admin' },
      'forbidden',
    ],
    ['the allow', scrape(), 'allow by metrics'],
    ['the allow by gRPC', scrape({ path: '/a.Health/Check', method: 'POST' }), 'allow by metrics'],
    ['the allow by port', scrape({ to: 'shop/web', tcp: true, port: 15020 }), 'allow by metrics'],
    [
      'the allow for an endpoint whose rules say no',
      { from: 'shop/web', to: 'shop/pay', path: '/debug' },
      'allow by pay-only',
    ],
    [
      'the allow that grants what another does not',
      scrape({ path: '/scoped', user: { scopes: ['u'] } }),
      'allow by grants',
    ],
    ['the allow for a target without a document', scrape({ to: 'shop/x' }), 'allow by metrics'],
    [
      'prod is no target of toys alone',
      { from: 'sandbox/toy', to: 'shop/pay', path: '/pay', method: 'POST' },
      'allow by own',
    ],
    ['who is of another namespace for sure', scrape({ to: 'prod/api' }), 'allow by metrics'],
  ])('%s', (_, call, verdict) => {
    expect(ask(matrix, call)).toBe(verdict)
  })

  test('a forbid in Observe is recorded', () => {
    const verdict = verdictOf(matrix, { from: 'shop/web', to: 'shop/pay', path: '/pay', method: 'TRACE' })
    expect(verdict).toMatchObject({
      permit: false,
      refusal: { reason: 'endpoint-not-exposed' },
      shadowed: { rule: 'trace' },
    })
  })

  test('services that the same rules concern share them', () => {
    const of = (id: string) => matrix.services.get(id)?.baseline
    expect(of('shop/web')).not.toBe(of('shop/pay'))
    expect(of('sandbox/toy')).toBe(matrix.services.get('sandbox/toy')?.baseline)
    expect(of('prod/api')?.forbid.map(({ name }) => name)).toEqual(['sandbox', 'admin', 'trace'])
    expect(of('shop/pay')?.forbid.map(({ name }) => name)).toEqual(['admin', 'trace'])
  })
})
