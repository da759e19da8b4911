import { describe, expect, test } from '@jest/globals'
import {
  baseline,
  matrixOf,
  problemsOf,
  service,
  type ServiceSpec,
  type Written,
} from '../../support/mesh.js'

type Endpoint = NonNullable<ServiceSpec['endpoints']>[number]
type Rule = NonNullable<ServiceSpec['rules']>[number]

const http = (name: string, paths: string[], methods = ['GET']): Endpoint => ({ name, paths, methods })
const pay = (spec: ServiceSpec): Written => service('shop/pay', spec)
const endpoints = (...list: Endpoint[]): Written => pay({ endpoints: list })
const rule = (written: Partial<Rule>): Written =>
  pay({ endpoints: [http('Pay', ['/pay'])], rules: [{ name: 'r', from: [{ any: true }], ...written }] })
const from = (element: Rule['from'][number]): Written => rule({ from: [element] })

describe('refused at load', () => {
  test.each<readonly [string, readonly Written[], readonly string[]]>([
    [
      'a name twice',
      [service('shop/pay'), service('shop/pay')],
      ['pay metadata.name duplicate-name: there is a ServicePolicy shop/pay already (pay:metadata.name)'],
    ],
    [
      'an unknown service',
      [service('shop/web', { calls: [{ service: 'pya' }] }), service('shop/pay')],
      [
        'web spec.calls.0.service unknown-service: no ServicePolicy names the service `shop/pya`: did you mean `pay`?',
      ],
    ],
    [
      'a service of another namespace by its bare name',
      [service('shop/web', { calls: [{ service: 'vault' }] }), service('bank/vault')],
      [
        'web spec.calls.0.service unknown-service: no ServicePolicy names the service `shop/vault`: did you mean `bank/vault`?',
      ],
    ],
    [
      'an unknown endpoint called',
      [
        service('shop/web', { calls: [{ service: 'pay', endpoints: ['Pai'] }] }),
        endpoints(http('Pay', ['/pay'])),
      ],
      ['web spec.calls.0.endpoints.0 unknown-endpoint: shop/pay has no endpoint `Pai`: did you mean `Pay`?'],
    ],
    [
      'an unknown endpoint in a rule',
      [rule({ to: [{ endpoints: ['Pay', 'pay2'] }] })],
      [
        'pay spec.rules.0.to.0.endpoints.1 unknown-endpoint: this document has no endpoint `pay2`: did you mean `Pay`?',
      ],
    ],
    [
      'an unknown endpoint in a forbid',
      [pay({ forbid: [{ name: 'f', to: [{ endpoints: ['X'] }] }] })],
      ['pay spec.forbid.0.to.0.endpoints.0 unknown-endpoint: this document has no endpoint `X`'],
    ],
    [
      'an endpoint name twice',
      [endpoints(http('a', ['/a']), http('a', ['/b']))],
      ['pay spec.endpoints.1.name duplicate-name: there is an endpoint `a` already'],
    ],
    [
      'a rule name twice',
      [
        pay({
          rules: [
            { name: 'r', from: [{ any: true }] },
            { name: 'r', from: [{ any: true }] },
          ],
        }),
      ],
      ['pay spec.rules.1.name duplicate-name: there is a rule `r` already'],
    ],
    [
      'a forbid name twice',
      [pay({ forbid: [{ name: 'r' }, { name: 'r' }] })],
      ['pay spec.forbid.1.name duplicate-name: there is a rule `r` already'],
    ],
    [
      'a service account twice',
      [service('shop/a', { serviceAccounts: ['b'] }), service('shop/b')],
      [
        'b metadata.name identity-claimed-twice: spiffe://cluster.local/ns/shop/sa/b belongs to shop/a already (a:metadata.name)',
      ],
    ],
    [
      'an identity under a pattern',
      [service('shop/a', { identities: ['spiffe://cluster.local/ns/*/sa/b'] }), service('shop/b')],
      [
        'b metadata.name identity-claimed-twice: spiffe://cluster.local/ns/shop/sa/b belongs to shop/a already (a:metadata.name)',
      ],
    ],
    [
      'a pattern over an identity',
      [service('shop/b'), service('shop/a', { identities: ['spiffe://cluster.local/ns/*/sa/b'] })],
      [
        'a spec.identities.0 identity-claimed-twice: spiffe://cluster.local/ns/*/sa/b belongs to shop/b already (b:metadata.name)',
      ],
    ],
    [
      'two patterns that cross',
      [
        service('shop/a', { identities: ['spiffe://partner.example/*/b'] }),
        service('shop/b', { identities: ['spiffe://partner.example/a/*'] }),
      ],
      [
        'b spec.identities.0 identity-claimed-twice: spiffe://partner.example/a/* belongs to shop/a already (a:metadata.name)',
      ],
    ],
    [
      'a route twice',
      [
        service('shop/a', { routes: [{ host: 'x.example', pathPrefix: '/p' }] }),
        service('shop/b', { routes: [{ host: 'x.example', pathPrefix: '/p/' }] }),
      ],
      ['b spec.routes.0 route-claimed-twice: x.example/p belongs to shop/a already (a:metadata.name)'],
    ],
    [
      'a host in capitals',
      [pay({ routes: [{ host: 'X.example' }] })],
      [
        'pay spec.routes.0.host bad-host: `X.example` is no host name in lower case without port: did you mean `x.example`?',
      ],
    ],
    [
      'a host with a port',
      [pay({ routes: [{ host: 'x.example:80' }] })],
      ['pay spec.routes.0.host bad-host: `x.example:80` is no host name in lower case without port'],
    ],
    [
      'a prefix with a parameter',
      [pay({ routes: [{ host: 'x', pathPrefix: '/{a}' }] })],
      ['pay spec.routes.0.pathPrefix bad-path-prefix: the prefix `/{a}`: a prefix has no parameters'],
    ],
    [
      'a strip that is no prefix',
      [pay({ routes: [{ host: 'x', pathPrefix: '/payments', stripPrefix: '/pay' }] })],
      [
        'pay spec.routes.0.stripPrefix bad-strip-prefix: only what pathPrefix asks for can be taken off: `/payments` does not begin with it',
      ],
    ],
    [
      'a trust domain nobody configured',
      [pay({ identities: ['spiffe://partner.exampel/x'] })],
      [
        'pay spec.identities.0 unknown-trust-domain: the trust domain `partner.exampel` is not configured: did you mean `partner.example`?',
      ],
    ],
    [
      'the same in from',
      [from({ identities: ['spiffe://nowhere.test/x'] })],
      [
        'pay spec.rules.0.from.0.identities.0 unknown-trust-domain: the trust domain `nowhere.test` is not configured',
      ],
    ],
    [
      'the same in trustDomains',
      [from({ trustDomains: ['nowhere.test'] })],
      [
        'pay spec.rules.0.from.0.trustDomains.0 unknown-trust-domain: the trust domain `nowhere.test` is not configured',
      ],
    ],
    [
      '* for the trust domain',
      [pay({ identities: ['spiffe://*/ns/a'] })],
      [
        'pay spec.identities.0 bad-spiffe-id: `spiffe://*/ns/a` is no SPIFFE ID: the trust domain may hold only a-z 0-9 . _ -',
      ],
    ],
    [
      '* for a part of a segment',
      [pay({ identities: ['spiffe://cluster.local/ns/a*'] })],
      [
        'pay spec.identities.0 bad-spiffe-id: `spiffe://cluster.local/ns/a*` is no SPIFFE ID: path segments may hold only A-Z a-z 0-9 . _ -',
      ],
    ],
    [
      'a service account that is none',
      [pay({ serviceAccounts: ['a/b'] })],
      ['pay spec.serviceAccounts.0 bad-service-account: `a/b` is no name of a service account'],
    ],
    [
      '/* in paths',
      [endpoints(http('a', ['/a/*']))],
      [
        'pay spec.endpoints.0.paths.0 bad-path: the path `/a/*`: /* is refused: write {name} for one segment or a last /** for zero or more',
      ],
    ],
    [
      'a method in lower case',
      [endpoints(http('a', ['/a'], ['get']))],
      ['pay spec.endpoints.0.methods.0 bad-method: `get` is no method in upper case: did you mean `GET`?'],
    ],
    [
      'any method',
      [endpoints(http('a', ['/a'], ['*']))],
      ['pay spec.endpoints.0.methods.0 bad-method: methods are named one by one'],
    ],
    [
      'gRPC without a service',
      [endpoints({ name: 'a', grpc: ['Refund'] })],
      [
        'pay spec.endpoints.0.grpc.0 bad-grpc-method: `Refund` is no gRPC method such as shop.v1.Payments/Refund or shop.v1.Payments/*',
      ],
    ],
    [
      'gRPC as a path',
      [endpoints({ name: 'a', grpc: ['/a.B/C'] })],
      [
        'pay spec.endpoints.0.grpc.0 bad-grpc-method: `/a.B/C` is no gRPC method such as shop.v1.Payments/Refund or shop.v1.Payments/*: did you mean `a.B/C`?',
      ],
    ],
    [
      'paths without methods',
      [endpoints({ name: 'a', paths: ['/a'] })],
      ['pay spec.endpoints.0 missing-methods: an endpoint with paths names its methods'],
    ],
    [
      'methods without paths',
      [endpoints({ name: 'a', grpc: ['a.B/C'], methods: ['GET'] })],
      ['pay spec.endpoints.0.methods missing-paths: methods go with paths; gRPC calls are always POST'],
    ],
    [
      'nothing exposed',
      [endpoints({ name: 'a' })],
      ['pay spec.endpoints.0 missing-paths: an endpoint needs paths with methods, grpc, or protocol: TCP'],
    ],
    [
      'TCP with paths',
      [endpoints({ name: 'a', protocol: 'TCP', ports: [1], paths: ['/a'] })],
      [
        'pay spec.endpoints.0.paths tcp-with-http: a TCP endpoint has no paths: it sees a connection and no request',
      ],
    ],
    [
      'TCP without ports',
      [endpoints({ name: 'a', protocol: 'TCP' })],
      ['pay spec.endpoints.0 missing-ports: a TCP endpoint names its ports'],
    ],
    [
      'TCP with a user',
      [endpoints({ name: 'a', protocol: 'TCP', ports: [1], require: 'Both' })],
      ['pay spec.endpoints.0.require tcp-with-http: no user can be verified on a TCP connection'],
    ],
    [
      'gRPC over a WebSocket',
      [endpoints({ name: 'a', protocol: 'WebSocket', grpc: ['a.B/C'] })],
      ['pay spec.endpoints.0.grpc websocket-with-grpc: gRPC is not spoken over a WebSocket'],
    ],
    [
      'a scope with *',
      [endpoints({ ...http('a', ['/a']), workloadScopes: ['pay:*'] })],
      [
        'pay spec.endpoints.0.workloadScopes.0 bad-scope: `pay:*` is no scope: they are exact, without blanks or *',
      ],
    ],
    [
      'one template twice',
      [endpoints(http('a', ['/u/{id}']), http('b', ['/u/{name}']))],
      [
        'pay spec.endpoints.1.paths.0 endpoint-tie: /u/{name} (GET) of b and /u/{id} (GET) of a match the same requests and neither is more specific',
      ],
    ],
    [
      'templates that cross',
      [endpoints(http('a', ['/u/{id}']), http('b', ['/{x}/me'], ['PUT', 'GET']))],
      [
        'pay spec.endpoints.1.paths.0 endpoint-tie: /{x}/me (GET) of b and /u/{id} (GET) of a match the same requests and neither is more specific',
      ],
    ],
    [
      'a gRPC method twice',
      [endpoints({ name: 'a', grpc: ['a.B/C'] }, { name: 'b', grpc: ['a.B/C'] })],
      [
        'pay spec.endpoints.1.grpc.0 endpoint-tie: gRPC /a.B/C of b and gRPC /a.B/C of a match the same requests and neither is more specific',
      ],
    ],
    [
      'a TCP port twice',
      [
        endpoints(
          { name: 'a', protocol: 'TCP', ports: [1, 2] },
          { name: 'b', protocol: 'TCP', ports: [2, 3] },
        ),
      ],
      [
        'pay spec.endpoints.1 endpoint-tie: TCP port 2, 3 of b and TCP port 1, 2 of a match the same requests and neither is more specific',
      ],
    ],
    [
      'from that says nothing',
      [from({})],
      [
        'pay spec.rules.0.from.0 empty-from: an empty element would mean everybody to some: write `any: true` for that',
      ],
    ],
    [
      'any with others',
      [from({ any: true, namespaces: ['a'] })],
      ['pay spec.rules.0.from.0.any any-not-alone: any: true stands alone, or namespaces would say nothing'],
    ],
    [
      'a pattern of namespaces',
      [from({ namespaces: ['*'] })],
      ['pay spec.rules.0.from.0.namespaces.0 bad-namespace: `*` is no name of a namespace'],
    ],
    [
      'an empty selector',
      [from({ selector: {} })],
      [
        'pay spec.rules.0.from.0.selector empty-selector: an empty selector says nothing: name a label or leave the selector out',
      ],
    ],
    [
      'In without values',
      [from({ selector: { matchExpressions: [{ key: 'a', operator: 'In' }] } })],
      ['pay spec.rules.0.from.0.selector.matchExpressions.0 selector-values: In needs values'],
    ],
    [
      'Exists with values',
      [from({ selector: { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['b'] }] } })],
      ['pay spec.rules.0.from.0.selector.matchExpressions.0 selector-values: Exists takes no values'],
    ],
    [
      'a condition nobody knows',
      [rule({ when: [{ key: 'user.rols', values: ['a'] }] })],
      ['pay spec.rules.0.when.0.key condition-key: no key `user.rols`; did you mean `user.roles`?'],
    ],
    [
      'a bare name in a cluster-wide kind',
      [service('shop/pay'), baseline({ forbid: [{ name: 'f', from: [{ services: ['pay'] }] }] })],
      [
        'default spec.forbid.0.from.0.services.0 bare-service-name: write the service as namespace/name, not `pay`: did you mean `shop/pay`?',
      ],
    ],
    [
      'the same in to',
      [
        service('shop/pay'),
        baseline({ allow: [{ name: 'f', from: [{ any: true }], to: [{ services: ['pay'] }] }] }),
      ],
      [
        'default spec.allow.0.to.0.services.0 bare-service-name: write the service as namespace/name, not `pay`: did you mean `shop/pay`?',
      ],
    ],
    [
      'to that says nothing',
      [baseline({ forbid: [{ name: 'f', to: [{}] }] })],
      ['default spec.forbid.0.to.0 empty-to: an empty element says nothing: leave `to` out for everything'],
    ],
    [
      'paths with grpc',
      [baseline({ forbid: [{ name: 'f', to: [{ paths: ['/a'], grpc: ['a.B/C'] }] }] })],
      [
        'default spec.forbid.0.to.0.grpc paths-and-grpc: paths and grpc of one element never both hold: write two elements',
      ],
    ],
    [
      'a path that is none',
      [baseline({ forbid: [{ name: 'f', to: [{ paths: ['/a/*'] }] }] })],
      [
        'default spec.forbid.0.to.0.paths.0 bad-path: the path `/a/*`: /* is refused: write {name} for one segment or a last /** for zero or more',
      ],
    ],
    [
      'two defaults',
      [baseline({ defaults: { mode: 'Shadow' } }), baseline({ defaults: { mode: 'Enforce' } }, 'more')],
      ['more spec.defaults duplicate-default: another BaselinePolicy sets the same default'],
    ],
    [
      'two baselines of one name',
      [baseline({}), baseline({})],
      ['default metadata.name duplicate-name: there is a BaselinePolicy `default` already'],
    ],
    [
      'rule 8: None without a rule',
      [pay({ endpoints: [{ ...http('a', ['/a']), require: 'None' }] })],
      [
        'pay spec.endpoints.0.require open-without-rule: require: None on `a` needs a rule for it with `any: true`',
      ],
    ],
    [
      'rule 8: None with a rule for others',
      [
        pay({
          require: 'None',
          endpoints: [http('a', ['/a']), http('b', ['/b'])],
          rules: [
            { name: 'r', from: [{ any: true }], to: [{ endpoints: ['b'] }] },
            { name: 'u', from: [{ users: true }] },
          ],
        }),
      ],
      ['pay spec.require open-without-rule: require: None on `a` needs a rule for it with `any: true`'],
    ],
    [
      'everything at once',
      [pay({ calls: [{ service: 'x' }, { service: 'y' }], endpoints: [http('a', ['b'], ['get'])] })],
      [
        'pay spec.endpoints.0.methods.0 bad-method: `get` is no method in upper case: did you mean `GET`?',
        'pay spec.endpoints.0.paths.0 bad-path: the path `b`: a path begins with /',
        'pay spec.calls.0.service unknown-service: no ServicePolicy names the service `shop/x`',
        'pay spec.calls.1.service unknown-service: no ServicePolicy names the service `shop/y`',
      ],
    ],
  ])('%s', (_, written, problems) => {
    expect(problemsOf(...written)).toEqual(problems)
  })
})

describe('accepted', () => {
  test.each<readonly [string, readonly Written[]]>([
    ['one name in two namespaces', [service('shop/pay'), service('bank/pay')]],
    [
      'templates that cross with other methods',
      [endpoints(http('a', ['/u/{id}']), http('b', ['/{x}/me'], ['PUT']))],
    ],
    [
      'templates that cross where the crossing is written',
      [endpoints(http('a', ['/u/{id}']), http('b', ['/{x}/me']), http('c', ['/u/me']))],
    ],
    ['one endpoint whose templates cross', [endpoints(http('a', ['/u/{id}', '/{x}/me']))]],
    ['one template by other methods', [endpoints(http('a', ['/u/{id}']), http('b', ['/u/{name}'], ['PUT']))]],
    [
      'one template on other ports',
      [endpoints({ ...http('a', ['/a']), ports: [1] }, { ...http('b', ['/a']), ports: [2] })],
    ],
    [
      'one template over a WebSocket and not',
      [endpoints(http('a', ['/a']), { ...http('b', ['/a']), protocol: 'WebSocket' })],
    ],
    [
      'a gRPC method and its service',
      [endpoints({ name: 'a', grpc: ['a.B/C'] }, { name: 'b', grpc: ['a.B/*'] })],
    ],
    [
      'longer routes of one host',
      [
        service('shop/a', { routes: [{ host: 'x' }] }),
        service('shop/b', { routes: [{ host: 'x', pathPrefix: '/b', stripPrefix: '/b' }] }),
      ],
    ],
    [
      'an identity named twice by its owner',
      [pay({ identities: ['spiffe://cluster.local/ns/shop/sa/pay'] })],
    ],
    [
      'rule 8: None with a rule for anyone',
      [
        pay({
          endpoints: [{ ...http('a', ['/a']), require: 'None' }],
          rules: [{ name: 'r', from: [{ any: true }] }],
        }),
      ],
    ],
  ])('%s', (_, written) => {
    expect(problemsOf(...written)).toEqual([])
  })

  test('a TCP endpoint that inherits a user is warned of', () => {
    const problems = problemsOf(
      pay({ require: 'User', endpoints: [{ name: 'sql', protocol: 'TCP', ports: [5432] }] }),
    )
    expect(problems).toEqual([
      'pay spec.endpoints.0 warning unreachable-endpoint: no user can be verified on the TCP endpoint `sql`: give it require: Workload',
    ])
  })

  test('too many crossings are refused and not computed', () => {
    const crossing = (at: number) =>
      `/${Array.from({ length: 14 }, (_, index) => (index === at ? 'x' : `{p${index}}`)).join('/')}`
    const problems = problemsOf(
      endpoints(
        http(
          'a',
          Array.from({ length: 14 }, (_, at) => crossing(at)),
        ),
      ),
    )
    expect(problems).toEqual([
      'pay spec.endpoints.0.paths.0 endpoint-tie: too many path templates of this service overlap',
    ])
  })

  test('counts', () => {
    const matrix = matrixOf(
      service('shop/web', { calls: [{ service: 'pay' }, { service: 'pay', endpoints: ['a'] }] }),
      pay({
        endpoints: [http('a', ['/a'], ['GET', 'POST'])],
        rules: [{ name: 'r', from: [{ any: true }] }],
        forbid: [{ name: 'f' }],
      }),
      baseline({ allow: [{ name: 'm', from: [{ users: true }] }] }),
    )
    expect(matrix.counts).toEqual({ services: 2, endpoints: 1, edges: 1, rules: 2, forbids: 1 })
  })
})
