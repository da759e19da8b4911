import { describe, expect, test } from '@jest/globals'
import type { Step } from '../../../src/decision/decision.js'
import { operationOf } from '../../../src/segmentation/evaluate.js'
import { baseline, type Call, factsFor, matrixOf, requestOf, service, verdictOf } from '../../support/mesh.js'

const matrix = matrixOf(
  service('shop/web', { calls: [{ service: 'pay' }] }),
  service('shop/pay', {
    endpoints: [
      { name: 'Read', paths: ['/pay'], methods: ['GET', 'POST'] },
      { name: 'Search', paths: ['/search'], methods: ['POST'], operation: 'Read', workloadScopes: ['s'] },
      { name: 'Export', paths: ['/export'], methods: ['GET'], operation: 'Download', userScopes: ['x'] },
      { name: 'Sql', protocol: 'TCP', ports: [5432] },
      { name: 'Live', paths: ['/ws'], methods: ['GET'], protocol: 'WebSocket' },
      { name: 'Grpc', grpc: ['a.B/C'] },
    ],
    rules: [
      { name: 'far', from: [{ namespaces: ['z'] }], to: [{ endpoints: ['Sql'] }] },
      {
        name: 'near',
        from: [{ services: ['web'] }],
        to: [{ endpoints: ['Read', 'Search', 'Export'] }],
        when: [{ key: 'request.headers[x-go]', values: ['1'] }],
      },
    ],
    forbid: [{ name: 'watch', mode: 'Shadow', when: [{ key: 'request.headers[x-watch]', present: true }] }],
  }),
  service('shop/plain', { endpoints: [{ name: 'P', paths: ['/'], methods: ['GET'] }] }),
  baseline({ allow: [{ name: 'metrics', from: [{ services: ['shop/web'] }], to: [{ ports: [9] }] }] }),
)

function explain(call: Call): string[] {
  const steps: Step[] = []
  verdictOf(matrix, call, steps)
  return steps.map(({ step, outcome, detail }) => `${step} ${outcome}: ${detail}`)
}

const NO_FORBID = 'forbids pass: none of 1 that concern the target matches'
const pay = (call: Partial<Call> = {}): Call => ({ from: 'shop/web', to: 'shop/pay', path: '/pay', ...call })

describe('what an engineer reads at night', () => {
  test.each<readonly [string, Call, readonly string[]]>([
    [
      'another method',
      pay({ method: 'PUT' }),
      [
        NO_FORBID,
        'endpoint fail: shop/pay does not expose PUT /pay; there it exposes Read (POST); Read (GET)',
      ],
    ],
    ['nothing there', pay({ path: '/x' }), [NO_FORBID, 'endpoint fail: shop/pay exposes nothing at GET /x']],
    [
      'another TCP port',
      pay({ tcp: true, port: 1 }),
      [
        'forbids info: watch (pay:spec.forbid.0) matches, and its own mode Shadow lets the call pass',
        'endpoint fail: shop/pay does not expose TCP port 1; there it exposes Sql (TCP on port 5432)',
      ],
    ],
    [
      'an unknown target',
      pay({ to: 'shop/x' }),
      [
        'forbids pass: none of 0 that concern the target matches',
        'endpoint fail: no ServicePolicy names shop/x',
      ],
    ],
    [
      'nobody',
      pay({ from: undefined }),
      [
        NO_FORBID,
        'endpoint pass: Read',
        'requirement fail: neither a workload nor a user was verified, and one is required',
      ],
    ],
    [
      'no calls',
      pay({ from: 'shop/plain' }),
      [
        NO_FORBID,
        'endpoint pass: Read',
        'requirement pass: require: Workload is met',
        'calls fail: the calls of shop/plain do not name shop/pay',
      ],
    ],
    [
      'the nearest rule',
      pay(),
      [
        NO_FORBID,
        'endpoint pass: Read',
        'requirement pass: require: Workload is met',
        'calls pass: shop/web calls shop/pay',
        'rules fail: none of 2 matches; nearest is near (pay:spec.rules.1): when can not be evaluated',
      ],
    ],
    [
      'a scope',
      pay({ path: '/search', method: 'POST', headers: [['x-go', '1']] }),
      [
        NO_FORBID,
        'endpoint pass: Search',
        'requirement pass: require: Workload is met',
        'calls pass: shop/web calls shop/pay',
        'rules pass: near (pay:spec.rules.1) matches',
        'scopes fail: no rule grants the workload s',
      ],
    ],
    [
      'allowed',
      pay({ headers: [['x-go', '1']] }),
      [
        NO_FORBID,
        'endpoint pass: Read',
        'requirement pass: require: Workload is met',
        'calls pass: shop/web calls shop/pay',
        'rules pass: near (pay:spec.rules.1) matches',
        'scopes pass: every scope that the endpoint asks for is held',
      ],
    ],
    [
      'allowed by the baseline',
      pay({ port: 9 }),
      [
        NO_FORBID,
        'endpoint pass: Read',
        'requirement pass: require: Workload is met',
        'calls pass: shop/web calls shop/pay',
        'rules fail: none of 2 matches; nearest is near (pay:spec.rules.1): when can not be evaluated',
        "baseline pass: the baseline's metrics (default:spec.allow.0) stands for both halves",
        'scopes pass: every scope that the endpoint asks for is held',
      ],
    ],
  ])('%s', (_, call, steps) => {
    expect(explain(call)).toEqual(steps)
  })
})

test.each<readonly [string, Partial<Call>, string | undefined, string]>([
  ['unknown to the matrix, by method', { path: '/x', method: 'DELETE' }, undefined, 'Write'],
  ['unknown to the matrix, reading', { path: '/x', method: 'HEAD' }, undefined, 'Read'],
  ['unknown to the matrix, upgrading', { path: '/x', upgrade: true }, undefined, 'Write'],
  ['unknown to the matrix, TCP', { tcp: true, port: 1 }, undefined, 'Write'],
  ['one endpoint, writing', { method: 'POST' }, 'Read', 'Write'],
  ['one endpoint, reading', { method: 'GET' }, 'Read', 'Read'],
  ['said by the endpoint', { path: '/search', method: 'POST' }, 'Search', 'Read'],
  ['a download', { path: '/export' }, 'Export', 'Download'],
  ['TCP', { tcp: true, port: 5432 }, 'Sql', 'Write'],
  ['a WebSocket', { path: '/ws', upgrade: true }, 'Live', 'Write'],
  ['gRPC', { path: '/a.B/C', method: 'POST' }, 'Grpc', 'Write'],
])('the operation of %s', (_, call, name, operation) => {
  const { endpoint } = factsFor(matrix, pay(call))
  expect([endpoint?.name, operationOf(endpoint, requestOf(pay(call)))]).toEqual([name, operation])
})
