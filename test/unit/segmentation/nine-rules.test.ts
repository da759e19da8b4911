import { describe, expect, test } from '@jest/globals'
import { ask, baseline, type Call, matrixOf, service, verdictOf, type Written } from '../../support/mesh.js'

const payments = { name: 'Pay', paths: ['/pay'], methods: ['POST'] }
const list = { name: 'List', paths: ['/pay'], methods: ['GET'] }

type Case = readonly [name: string, call: Call, verdict: string]
const table = (documents: readonly Written[], cases: readonly Case[]) => {
  const matrix = matrixOf(...documents)
  test.each(cases)('%s', (_, call, verdict) => {
    expect(ask(matrix, call)).toBe(verdict)
  })
}
const pay = (call: Partial<Call> = {}): Call => ({
  from: 'shop/checkout',
  to: 'shop/payment',
  method: 'POST',
  path: '/pay',
  ...call,
})

describe('rule 1: both sides agree', () => {
  table(
    [
      service('shop/checkout', {
        calls: [{ service: 'payment', endpoints: ['Pay'] }, { service: 'ledger' }],
      }),
      service('shop/order', {
        calls: [{ service: 'payment' }, { service: 'ledger' }, { service: 'bank/vault' }],
      }),
      service('shop/idle'),
      service('bank/clerk', { calls: [{ service: 'shop/ledger' }, { service: 'vault' }] }),
      service('shop/payment', {
        endpoints: [payments, list],
        rules: [
          { name: 'checkout', from: [{ services: ['checkout'] }], to: [{ endpoints: ['Pay', 'List'] }] },
        ],
        forbid: [
          {
            name: 'never',
            from: [{ services: ['checkout'] }],
            when: [{ key: 'request.headers[x-forbid]', present: true }],
          },
        ],
      }),
      service('shop/ledger', { endpoints: [{ name: 'Read', paths: ['/ledger'], methods: ['GET'] }] }),
      service('bank/vault', { endpoints: [{ name: 'Open', paths: ['/vault'], methods: ['GET'] }] }),
    ],
    [
      ['the caller has no calls', pay({ from: 'shop/idle' }), 'call-not-allowed'],
      ['the calls name another endpoint', pay({ method: 'GET' }), 'call-not-allowed'],
      ['the target names another caller', pay({ from: 'shop/order' }), 'rule-not-matched'],
      ['a forbid wins over both', pay({ headers: [['x-forbid', '1']] }), 'forbidden'],
      [
        'across namespaces without rules',
        { from: 'shop/order', to: 'bank/vault', path: '/vault' },
        'rule-not-matched',
      ],
      [
        'into another namespace without rules',
        { from: 'bank/clerk', to: 'shop/ledger', path: '/ledger' },
        'rule-not-matched',
      ],
      ['nothing at that path', pay({ path: '/pay/' }), 'endpoint-not-exposed'],
      ['both agree', pay(), 'allow by checkout'],
      ['neighbours without rules', { from: 'shop/order', to: 'shop/ledger', path: '/ledger' }, 'allow'],
      ['neighbours elsewhere', { from: 'bank/clerk', to: 'bank/vault', path: '/vault' }, 'allow'],
    ],
  )
})

describe('rule 2: one endpoint', () => {
  const verdicts = (endpoints: NonNullable<Parameters<typeof service>[1]>['endpoints']) => [
    service('shop/checkout', { calls: [{ service: 'payment' }] }),
    service('shop/payment', {
      endpoints: endpoints ?? [],
      rules: (endpoints ?? []).map(({ name }) => ({
        name,
        from: [{ services: ['checkout'] }],
        to: [{ endpoints: [name] }],
      })),
    }),
  ]
  table(
    verdicts([
      { name: 'Grpc', grpc: ['shop.v1.Payments/Refund'] },
      { name: 'GrpcAny', grpc: ['shop.v1.Payments/*'] },
      { name: 'Everything', paths: ['/**'], methods: ['GET', 'POST'] },
      { name: 'One', paths: ['/users/{id}'], methods: ['GET'] },
      { name: 'Me', paths: ['/users/me'], methods: ['PUT'] },
      { name: 'Live', paths: ['/ws'], methods: ['GET'], protocol: 'WebSocket' },
      { name: 'Plain', paths: ['/ws'], methods: ['GET', 'CONNECT'] },
      { name: 'Sql', protocol: 'TCP', ports: [5432] },
      { name: 'Admin', paths: ['/admin'], methods: ['GET'], ports: [9090] },
      { name: 'AdminElsewhere', paths: ['/admin'], methods: ['GET'], ports: [9091] },
      { name: 'Left', paths: ['/x/{b}'], methods: ['GET'] },
      { name: 'Right', paths: ['/{a}/y'], methods: ['PUT'] },
    ]),
    [
      [
        'the most specific template has another method',
        pay({ path: '/users/me', method: 'GET' }),
        'endpoint-not-exposed',
      ],
      ['no fallback to a wider template', pay({ path: '/users/1', method: 'POST' }), 'endpoint-not-exposed'],
      ['HEAD is not GET', pay({ path: '/users/1', method: 'HEAD' }), 'endpoint-not-exposed'],
      ['OPTIONS is not GET', pay({ path: '/users/1', method: 'OPTIONS' }), 'endpoint-not-exposed'],
      [
        'a gRPC method by GET',
        pay({ path: '/shop.v1.Payments/Refund', method: 'GET' }),
        'endpoint-not-exposed',
      ],
      [
        'a gRPC method as an upgrade',
        pay({ path: '/shop.v1.Payments/Refund', upgrade: true }),
        'endpoint-not-exposed',
      ],
      ['an upgrade elsewhere', pay({ path: '/other', method: 'GET', upgrade: true }), 'endpoint-not-exposed'],
      [
        'CONNECT of an HTTP endpoint',
        pay({ path: '/ws', method: 'CONNECT', upgrade: true }),
        'endpoint-not-exposed',
      ],
      ['another port', pay({ path: '/admin', method: 'GET', port: 8080 }), 'endpoint-not-exposed'],
      ['another TCP port', pay({ tcp: true, port: 5433 }), 'endpoint-not-exposed'],
      ['HTTP on the TCP port', pay({ path: '/users/me', method: 'GET', port: 5432 }), 'endpoint-not-exposed'],
      ['gRPC whatever the content type', pay({ path: '/shop.v1.Payments/Refund' }), 'allow by Grpc'],
      [
        'any method of a gRPC service',
        pay({ path: '/shop.v1.Payments/Other', grpc: true }),
        'allow by GrpcAny',
      ],
      ['no method of a gRPC service', pay({ path: '/shop.v1.Payments/' }), 'allow by Everything'],
      ['the literal wins', pay({ path: '/users/me', method: 'PUT' }), 'allow by Me'],
      ['the parameter', pay({ path: '/users/1', method: 'GET' }), 'allow by One'],
      ['the rest', pay({ path: '/users/1/files', method: 'GET' }), 'allow by Everything'],
      ['an upgrade', pay({ path: '/ws', method: 'GET', upgrade: true }), 'allow by Live'],
      ['no upgrade', pay({ path: '/ws', method: 'GET' }), 'allow by Plain'],
      ['TCP', pay({ tcp: true, port: 5432 }), 'allow by Sql'],
      ['its port', pay({ path: '/admin', method: 'GET', port: 9090 }), 'allow by Admin'],
      ['its other port', pay({ path: '/admin', method: 'GET', port: 9091 }), 'allow by AdminElsewhere'],
      [
        'where two templates cross, the one with the method: left',
        pay({ path: '/x/y', method: 'GET' }),
        'allow by Left',
      ],
      [
        'where two templates cross, the one with the method: right',
        pay({ path: '/x/y', method: 'PUT' }),
        'allow by Right',
      ],
      [
        'where two templates cross, neither has it',
        pay({ path: '/x/y', method: 'POST' }),
        'endpoint-not-exposed',
      ],
    ],
  )
})

describe('rule 3: who is not named', () => {
  table(
    [
      service('shop/checkout', { calls: [{ service: 'payment' }] }),
      service('shop/payment', {
        endpoints: [payments],
        rules: [{ name: 'anyone', from: [{ any: true }] }],
      }),
    ],
    [
      ['can not call, whatever the rules say', pay({ from: 'shop/stranger' }), 'caller-unknown'],
      [
        'of another trust domain neither',
        pay({ from: 'spiffe://partner.example/ns/shop/sa/checkout' }),
        'caller-unknown',
      ],
      ['can not be called', pay({ to: 'shop/stranger' }), 'target-unknown'],
      ['a service without calls calls nobody', pay({ from: 'shop/payment' }), 'call-not-allowed'],
      ['who is named can', pay(), 'allow by anyone'],
    ],
  )

  test('the default mode is that of a target no document names', () => {
    const matrix = matrixOf(service('shop/a'), baseline({ defaults: { mode: 'Shadow' } }))
    expect(matrix.defaults).toEqual({ mode: 'Shadow', require: 'Workload' })
    expect(matrix.services.get('shop/a')?.mode).toBe('Shadow')
  })
})

describe('rule 4: identities', () => {
  table(
    [
      service('shop/checkout', {
        serviceAccounts: ['web', 'worker'],
        identities: ['spiffe://partner.example/shop/*/web'],
        calls: [{ service: 'payment' }],
      }),
      service('shop/payment', {
        endpoints: [payments],
        rules: [{ name: 'r', from: [{ services: ['checkout'] }] }],
      }),
    ],
    [
      ['serviceAccounts replace the default', pay(), 'caller-unknown'],
      ['* is one segment, not two', pay({ from: 'spiffe://partner.example/shop/a/b/web' }), 'caller-unknown'],
      ['* is one segment, not none', pay({ from: 'spiffe://partner.example/shop/web' }), 'caller-unknown'],
      ['the trust domain counts', pay({ from: 'spiffe://cluster.local/shop/a/web' }), 'caller-unknown'],
      ['one service account', pay({ from: 'shop/web' }), 'allow by r'],
      ['another', pay({ from: 'shop/worker' }), 'allow by r'],
      ['a pattern', pay({ from: 'spiffe://partner.example/shop/eu/web' }), 'allow by r'],
    ],
  )
})

describe('rule 5: namespaces and labels', () => {
  const caller = (id: string, labels?: Record<string, string>, identities: string[] = []) =>
    service(id, { identities, calls: [{ service: 'shop/payment' }] }, labels)
  const partner = 'spiffe://partner.example/ns/shop/sa/x'
  const documents = (
    from: NonNullable<NonNullable<Parameters<typeof service>[1]>['rules']>[number]['from'],
  ) => [
    caller('shop/web', { tier: 'web' }, [partner]),
    caller('shop/batch', { tier: 'batch' }),
    caller('other/web', { tier: 'web' }),
    service('shop/payment', {
      endpoints: [payments],
      ...(from.length > 0 && { rules: [{ name: 'r', from }] }),
    }),
  ]
  describe('no rules', () => {
    table(documents([]), [
      ['a federated workload is no neighbour', pay({ from: partner }), 'rule-not-matched'],
      ['another namespace', pay({ from: 'other/web' }), 'rule-not-matched'],
      ['a neighbour', pay({ from: 'shop/web' }), 'allow'],
    ])
  })
  describe('namespaces', () => {
    table(documents([{ namespaces: ['shop'] }]), [
      ['a federated workload is in none', pay({ from: partner }), 'rule-not-matched'],
      ['another', pay({ from: 'other/web' }), 'rule-not-matched'],
      ['this one', pay({ from: 'shop/web' }), 'allow by r'],
    ])
  })
  describe('notNamespaces', () => {
    table(documents([{ notNamespaces: ['other'] }]), [
      ['a federated workload is in none', pay({ from: partner }), 'rule-not-matched'],
      ['named', pay({ from: 'other/web' }), 'rule-not-matched'],
      ['not named', pay({ from: 'shop/web' }), 'allow by r'],
    ])
  })
  describe('a selector', () => {
    table(documents([{ selector: { matchLabels: { tier: 'web' } } }]), [
      ['other labels', pay({ from: 'shop/batch' }), 'rule-not-matched'],
      ['another namespace', pay({ from: 'other/web' }), 'rule-not-matched'],
      ['a federated workload', pay({ from: partner }), 'rule-not-matched'],
      ['the labels', pay({ from: 'shop/web' }), 'allow by r'],
    ])
  })
  describe('a selector with namespaces', () => {
    table(documents([{ selector: { matchLabels: { tier: 'web' } }, namespaces: ['other'] }]), [
      ['its own namespace is not among them', pay({ from: 'shop/web' }), 'rule-not-matched'],
      ['the one named', pay({ from: 'other/web' }), 'allow by r'],
    ])
  })
  describe('expressions', () => {
    table(
      documents([
        {
          selector: {
            matchExpressions: [
              { key: 'tier', operator: 'In', values: ['web', 'api'] },
              { key: 'canary', operator: 'DoesNotExist' },
              { key: 'tier', operator: 'NotIn', values: ['batch'] },
              { key: 'tier', operator: 'Exists' },
            ],
          },
        },
      ]),
      [
        ['not in', pay({ from: 'shop/batch' }), 'rule-not-matched'],
        ['all hold', pay({ from: 'shop/web' }), 'allow by r'],
      ],
    )
  })
  describe('other fields', () => {
    table(documents([{ trustDomains: ['partner.example'] }]), [
      ['another trust domain', pay({ from: 'shop/web' }), 'rule-not-matched'],
      ['that trust domain', pay({ from: partner }), 'allow by r'],
    ])
    table(documents([{ identities: ['spiffe://cluster.local/ns/*/sa/web'], notNamespaces: ['shop'] }]), [
      ['one of two fields', pay({ from: 'shop/web' }), 'rule-not-matched'],
      ['both fields', pay({ from: 'other/web' }), 'allow by r'],
    ])
    table(documents([{ services: ['batch'] }, { services: ['other/web'] }]), [
      ['no element', pay({ from: 'shop/web' }), 'rule-not-matched'],
      ['a bare name', pay({ from: 'shop/batch' }), 'allow by r'],
      ['a whole name', pay({ from: 'other/web' }), 'allow by r'],
    ])
  })
})

describe('rule 6: scopes', () => {
  table(
    [
      service('shop/checkout', { calls: [{ service: 'payment' }, { service: 'ledger' }] }),
      service('shop/payment', {
        endpoints: [
          { ...payments, workloadScopes: ['pay:process', 'pay:log'] },
          { name: 'User', paths: ['/user'], methods: ['POST'], userScopes: ['pay'] },
        ],
        rules: [
          { name: 'few', from: [{ namespaces: ['shop'] }], grantScopes: ['pay:log'] },
          { name: 'more', from: [{ services: ['checkout'] }], grantScopes: ['pay:process', 'pay:log'] },
        ],
      }),
      service('shop/ledger', {
        endpoints: [{ name: 'Read', paths: ['/ledger'], methods: ['GET'], workloadScopes: ['read'] }],
      }),
      service('shop/other', { calls: [{ service: 'payment' }] }),
    ],
    [
      ['no rule grants them', pay({ from: 'shop/other' }), 'scope-missing'],
      ['a token replaces what a rule grants', pay({ token: [] }), 'scope-missing'],
      ['a token with one of two', pay({ token: ['pay:process'] }), 'scope-missing'],
      [
        "the user's scopes don't help the workload",
        pay({ token: [], user: { scopes: ['pay:process', 'pay:log'] } }),
        'scope-missing',
      ],
      [
        "the workload's scopes don't help the user",
        pay({ path: '/user', token: ['pay'], user: {} }),
        'scope-missing',
      ],
      ['user scopes imply a user', pay({ path: '/user' }), 'user-required'],
      [
        'neighbours without rules get none',
        { from: 'shop/checkout', to: 'shop/ledger', path: '/ledger' },
        'scope-missing',
      ],
      ['one rule grants all', pay(), 'allow by more'],
      [
        'a token holds all',
        pay({ from: 'shop/other', token: ['pay:process', 'pay:log', 'more'] }),
        'allow by few',
      ],
      [
        'neighbours with a token',
        { from: 'shop/checkout', to: 'shop/ledger', path: '/ledger', token: ['read'] },
        'allow',
      ],
      ['the user holds them', pay({ path: '/user', user: { scopes: ['pay'] } }), 'allow by few'],
    ],
  )

  test('user scopes are named for the challenge', () => {
    const matrix = matrixOf(
      service('shop/checkout', { calls: [{ service: 'payment' }] }),
      service('shop/payment', { endpoints: [{ ...payments, userScopes: ['a', 'b'] }] }),
    )
    const verdict = verdictOf(matrix, pay({ user: { scopes: ['a'] } }))
    expect(verdict).toMatchObject({ permit: false, refusal: { reason: 'scope-missing', scopes: ['a', 'b'] } })
  })
})

describe('rule 7: who must be there', () => {
  const user = { subject: 'alice' }
  const at = (path: string, call: Partial<Call> = {}): Call => ({ to: 'shop/payment', path, ...call })
  const endpoint = (require: 'Workload' | 'User' | 'Both' | 'Any' | 'None') => ({
    name: require,
    paths: [`/${require}`],
    methods: ['GET'],
    require,
  })
  table(
    [
      service('shop/checkout', { calls: [{ service: 'payment' }] }),
      service('shop/idle'),
      service('shop/payment', {
        endpoints: [
          endpoint('Workload'),
          endpoint('User'),
          endpoint('Both'),
          endpoint('Any'),
          endpoint('None'),
          { ...endpoint('None'), name: 'Mfa', paths: ['/mfa'], mfa: 'Required' },
          { ...endpoint('None'), name: 'Age', paths: ['/age'], maxAuthAge: '5m' },
          { ...endpoint('User'), name: 'Named', paths: ['/named'] },
        ],
        rules: [
          {
            name: 'users',
            from: [{ users: true }],
            to: [{ endpoints: ['Workload', 'User', 'Both', 'Any'] }],
          },
          { name: 'checkout', from: [{ services: ['checkout'] }], to: [{ endpoints: ['Workload', 'Any'] }] },
          { name: 'anyone', from: [{ any: true }], to: [{ endpoints: ['None', 'Mfa', 'Age'] }] },
          { name: 'both', from: [{ services: ['checkout'], users: true }], to: [{ endpoints: ['Named'] }] },
        ],
        forbid: [
          {
            name: 'header',
            from: [{ namespaces: ['batch'] }],
            when: [{ key: 'request.headers[x-f]', present: true }],
          },
        ],
      }),
    ],
    [
      ['nobody', at('/Workload'), 'no-credentials'],
      ['nobody where Any', at('/Any'), 'no-credentials'],
      ['nobody where User', at('/User'), 'no-credentials'],
      ['a user where Workload', at('/Workload', { user }), 'certificate-required'],
      ['a user where Both', at('/Both', { user }), 'certificate-required'],
      ['a workload where User', at('/User', { from: 'shop/checkout' }), 'user-required'],
      ['a workload where Both', at('/Both', { from: 'shop/checkout' }), 'user-required'],
      ['MFA implies a user', at('/mfa'), 'user-required'],
      ['maxAuthAge implies a user', at('/age'), 'user-required'],
      [
        'a workload is checked against calls where None',
        at('/None', { from: 'shop/idle' }),
        'call-not-allowed',
      ],
      [
        'a workload is checked against calls where User',
        at('/User', { from: 'shop/idle', user }),
        'call-not-allowed',
      ],
      ['without a workload no rule that names one matches', at('/named', { user }), 'rule-not-matched'],
      [
        'without a workload forbids that name some match',
        at('/User', { user, headers: [['x-f', '1']] }),
        'forbidden',
      ],
      [
        'a gateway reaches no Workload endpoint',
        at('/Workload', { user, gateway: true }),
        'endpoint-not-exposed',
      ],
      ['a gateway without a user where Both', at('/Both', { gateway: true }), 'no-credentials'],
      [
        'on a gateway such forbids do not match',
        at('/User', { user, gateway: true, headers: [['x-f', '1']] }),
        'allow by users',
      ],
      ['a gateway, where Both is User', at('/Both', { user, gateway: true }), 'allow by users'],
      ['a workload', at('/Workload', { from: 'shop/checkout' }), 'allow by checkout'],
      ['a user', at('/User', { user }), 'allow by users'],
      ['both', at('/Both', { from: 'shop/checkout', user }), 'allow by users'],
      ['any: the user', at('/Any', { user }), 'allow by users'],
      ['any: the workload', at('/Any', { from: 'shop/checkout' }), 'allow by checkout'],
      ['nobody where None', at('/None'), 'allow by anyone'],
      [
        'a workload and a user whom a rule names together',
        at('/named', { from: 'shop/checkout', user }),
        'allow by both',
      ],
      [
        'forbids of workloads elsewhere',
        at('/Workload', { from: 'shop/checkout', headers: [['x-f', '1']] }),
        'allow by checkout',
      ],
    ],
  )
})

describe('rule 9: modes', () => {
  const documents = (forbid: NonNullable<NonNullable<Parameters<typeof service>[1]>['forbid']>) => [
    service('shop/checkout', { calls: [{ service: 'payment' }] }),
    service('shop/payment', { mode: 'Shadow', endpoints: [payments, { ...list, mode: 'Enforce' }], forbid }),
  ]

  test('an endpoint may have its own', () => {
    const matrix = matrixOf(...documents([]))
    const [own, inherited] = (['GET', 'POST'] as const).map(
      (method) => verdictOf(matrix, pay({ method })).endpoint,
    )
    expect([own?.mode, inherited?.mode]).toEqual(['Enforce', 'Shadow'])
  })

  test('a forbid that is enforced wins over one that only the target would record', () => {
    const matrix = matrixOf(...documents([{ name: 'a' }, { name: 'b', mode: 'Enforce', message: 'no' }]))
    const refusal = {
      reason: 'forbidden',
      rule: 'b',
      ruleSource: 'payment:spec.forbid.1',
      message: 'no',
      mode: 'Enforce',
    }
    expect(verdictOf(matrix, pay())).toMatchObject({ permit: false, refusal })
  })

  test('a forbid without a mode takes none along', () => {
    const verdict = verdictOf(matrixOf(...documents([{ name: 'a' }])), pay())
    expect(verdict.permit ? undefined : verdict.refusal).toEqual({
      reason: 'forbidden',
      rule: 'a',
      ruleSource: 'payment:spec.forbid.0',
      message: 'forbidden by the rule a',
    })
  })

  test('a forbid in Shadow is recorded and refuses nothing', () => {
    const verdict = verdictOf(matrixOf(...documents([{ name: 'a', mode: 'Shadow' }])), pay())
    expect(verdict).toMatchObject({
      permit: true,
      shadowed: { reason: 'forbidden', rule: 'a', mode: 'Shadow' },
    })
  })

  test('a forbid in Observe does not hide another refusal', () => {
    const matrix = matrixOf(...documents([{ name: 'a', mode: 'Observe' }]))
    const verdict = verdictOf(matrix, pay({ path: '/x' }))
    expect(verdict).toMatchObject({
      permit: false,
      refusal: { reason: 'endpoint-not-exposed' },
      shadowed: { rule: 'a' },
    })
  })
})

describe('forbids', () => {
  table(
    [
      service('shop/checkout', { calls: [{ service: 'payment' }] }),
      service('shop/payment', {
        endpoints: [
          { name: 'Any', paths: ['/api/{x}', '/api/{x}/'], methods: ['GET', 'POST'] },
          { name: 'Admin', paths: ['/api/admin'], methods: ['GET'] },
        ],
        forbid: [
          { name: 'admin', to: [{ endpoints: ['Admin'] }] },
          {
            name: 'unknown',
            when: [
              { key: 'request.headers[x-a]', values: ['1'] },
              { key: 'request.headers[x-b]', values: ['1'] },
            ],
          },
        ],
      }),
    ],
    [
      ['the endpoint', pay({ path: '/api/admin', method: 'GET' }), 'forbidden'],
      ['the endpoint in capitals', pay({ path: '/api/ADMIN', method: 'GET' }), 'forbidden'],
      ['the endpoint with a slash', pay({ path: '/api/admin/', method: 'GET' }), 'forbidden'],
      ['what can not be evaluated', pay({ path: '/api/x', headers: [['x-a', '1']] }), 'forbidden'],
      [
        'what can not be evaluated, but for a part that does not hold',
        pay({
          path: '/api/x',
          headers: [
            ['x-a', '2'],
            ['x-b', '1'],
          ],
        }),
        'allow',
      ],
      ['another method is another endpoint', pay({ path: '/api/ADMIN', headers: [['x-a', '2']] }), 'allow'],
    ],
  )
})
