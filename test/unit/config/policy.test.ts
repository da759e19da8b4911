import { describe, expect, test } from '@jest/globals'
import { loadConfig } from '../../../src/config/load.js'
import { formatProblem } from '../../../src/schema/problem.js'

const load = (policy: string, env: Record<string, string> = {}) =>
  loadConfig({
    file: '/etc/portcullis/portcullis.yaml',
    text: `apiVersion: portcullis.dev/v1beta1
kind: Configuration
listeners: [{ name: mesh, address: "127.0.0.1:0", peerIdentity: None }]
${policy}`,
    env,
    flags: {},
  })

describe('policy refuses', () => {
  test.each([
    [
      'both',
      'policy: { directory: ./p, kubernetes: {} }',
      '`kubernetes`, never from both; take one out (policy-twice)',
    ],
    [
      'a namespace that is none',
      'policy: { kubernetes: { namespaces: [Shop] } }',
      'must be the name of a namespace',
    ],
    ['a namespace twice', 'policy: { kubernetes: { namespaces: [a, a] } }', 'namespaces'],
    [
      'a grant to what is no namespace',
      'policy: { kubernetes: { grants: { a/b: [x.example] } } }',
      'wrong-namespace',
    ],
    ['a grant of nothing', 'policy: { kubernetes: { grants: { a: [] } } }', 'grants'],
    [
      'a grant of everything',
      'policy: { kubernetes: { grants: { a: ["*"] } } }',
      'must be a host name in lower case',
    ],
    [
      'a grant of a host in capitals',
      'policy: { kubernetes: { grants: { a: [X.example] } } }',
      'must be a host name',
    ],
    [
      'a grant to a namespace that nobody reads',
      'policy: { kubernetes: { namespaces: [b], grants: { a: [x.example] } } }',
      '`a` is not among `policy.kubernetes.namespaces`',
    ],
    ['an unknown option', 'policy: { kubernetes: { namespace: [a] } }', 'did you mean `namespaces`?'],
  ])('%s', (_name, text, says) => {
    const loaded = load(text)
    const problems = 'problems' in loaded ? loaded.problems.map(formatProblem) : []
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(says)
    expect(problems[0]).toMatch(/^\/etc\/portcullis\/portcullis\.yaml:4:\d+: error: /)
  })

  test('both, where the second one comes from the environment', () => {
    const loaded = load('policy: { kubernetes: {} }', { PORTCULLIS__POLICY__DIRECTORY: '/etc/policy' })
    const problems = 'problems' in loaded ? loaded.problems.map(formatProblem) : []
    expect(problems).toEqual([
      expect.stringMatching(/^error: PORTCULLIS__POLICY__DIRECTORY: .*never from both/),
    ])
  })
})

test.each([
  ['', { directory: '/etc/portcullis/policy', kubernetes: undefined }],
  ['policy: { directory: /p }', { directory: '/p', kubernetes: undefined }],
  [
    'policy: { kubernetes: {} }',
    {
      directory: undefined,
      kubernetes: { namespaces: [], grants: new Map(), kubeconfig: undefined, writesStatuses: true },
    },
  ],
  [
    'policy: { kubernetes: { namespaces: [shop], grants: { shop: ["*.shop.example"] }, kubeconfig: ./kubeconfig } }',
    {
      directory: undefined,
      kubernetes: {
        namespaces: ['shop'],
        grants: new Map([['shop', ['*.shop.example']]]),
        kubeconfig: '/etc/portcullis/kubeconfig',
        writesStatuses: true,
      },
    },
  ],
])('%s', (text, policy) => {
  const loaded = load(text)
  expect('problems' in loaded ? loaded.problems : loaded.config.policy).toEqual(policy)
})
