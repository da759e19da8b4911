import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { loadPolicy } from '../../../src/policy/load-policy.js'
import { formatProblem } from '../../../src/schema/problem.js'

const OPTIONS = { localTrustDomain: 'cluster.local', trustDomains: [] }
const HEAD = 'apiVersion: portcullis.dev/v1beta1\n'
const service = (name: string, spec = '{}', namespace = 'shop') =>
  `${HEAD}kind: ServicePolicy\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: ${spec}\n`

function load(...texts: (string | Uint8Array)[]) {
  return loadPolicy(
    texts.map((text, index) => ({ file: `${index}.yaml`, text })),
    OPTIONS,
  )
}
const problemsOf = (...texts: (string | Uint8Array)[]): string[] => {
  const loaded = load(...texts)
  return loaded.ok ? [] : loaded.problems.map(formatProblem)
}

describe('a directory is refused', () => {
  test.each<{ name: string; texts: (string | Uint8Array)[]; problem: string }>([
    {
      name: 'without files',
      texts: [],
      problem: 'error: there is no policy file (*.yaml, *.yml) (no-policy)',
    },
    {
      name: 'with nothing of ours',
      texts: ['apiVersion: v1\nkind: ConfigMap\n'],
      problem:
        'error: none of the files holds a policy document (apiVersion: portcullis.dev/v1beta1) (no-policy)',
    },
    {
      name: 'with bytes that are no text',
      texts: [Buffer.from([0x61, 0xff])],
      problem: '0.yaml:1:2: error: the file is not UTF-8 here (invalid-utf8)',
    },
    {
      name: 'without apiVersion',
      texts: ['kind: ServicePolicy\n'],
      problem: '0.yaml:1:1: error: `apiVersion: portcullis.dev/v1beta1` is missing (missing-field)',
    },
    { name: 'without kind', texts: [HEAD], problem: '0.yaml:1:1: error: `kind` is missing (missing-field)' },
    {
      name: 'with another version of ours',
      texts: ['apiVersion: portcullis.dev/v1\nkind: Whatever\n'],
      problem:
        '0.yaml:1:13: error: not `portcullis.dev/v1`: this version reads `portcullis.dev/v1beta1` (wrong-version)',
    },
    {
      name: 'with a misspelt group of a kind of ours',
      texts: ['apiVersion: portculis.dev/v1beta1\nkind: ServicePolicy\n'],
      problem:
        '0.yaml:1:13: error: not `portculis.dev/v1beta1`: this version reads `portcullis.dev/v1beta1` (wrong-version)',
    },
    {
      name: 'with a misspelt kind',
      texts: [`${HEAD}kind: ServicePolcy\n`],
      problem: '0.yaml:2:7: error: no kind `ServicePolcy`; did you mean `ServicePolicy`? (unknown-kind)',
    },
    {
      name: 'with a kind that is nearly one',
      texts: [`${HEAD}kind: DevicPolicy\n`],
      problem: '0.yaml:2:7: error: no kind `DevicPolicy`; did you mean `DevicePolicy`? (unknown-kind)',
    },
    {
      name: 'with the configuration in it',
      texts: [`${HEAD}kind: Configuration\n`],
      problem:
        '0.yaml:2:7: error: a Configuration belongs in portcullis.yaml, not among policies (unknown-kind)',
    },
    {
      name: 'with a list',
      texts: ['- a\n'],
      problem: '0.yaml:1:1: error: a document holds apiVersion, kind, metadata and spec (wrong-type)',
    },
    {
      name: 'with a name that is no DNS label',
      texts: [service('Payment_Service')],
      problem: '0.yaml:3:19: error: ',
    },
    {
      name: 'with an unknown field',
      texts: [service('a', '{ endpoint: [] }')],
      problem: '0.yaml:4:9: error: ',
    },
    {
      name: 'with an unknown service',
      texts: [service('a', '{ calls: [{ service: b }] }'), service('c')],
      problem: '0.yaml:4:28: error: no ServicePolicy names the service `shop/b`',
    },
    {
      name: 'with a condition of no sense',
      texts: [
        service(
          'a',
          '{ rules: [{ name: r, from: [{ users: true }], when: [{ key: user.rols, values: [x] }] }] }',
        ),
      ],
      problem: '0.yaml:4:67: error: no key `user.rols`; did you mean `user.roles`? (condition-key)',
    },
    {
      name: 'with one document twice',
      texts: [service('a'), service('a')],
      problem: '1.yaml:3:19: error: there is a ServicePolicy shop/a already (0.yaml:3:19) (duplicate-name)',
    },
  ])('$name', ({ texts, problem }) => {
    const problems = problemsOf(...texts)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(problem)
  })

  test('for everything that is wrong, at once and in order', () => {
    const problems = problemsOf(
      service('a', '{ calls: [{ service: nowhere }], mode: Enforced }'),
      service('b', '{ endpoints: [{ name: x, paths: [/a/*], methods: [get] }] }'),
      `${HEAD}kind: AdaptivePolicy\nmetadata: { name: x }\nspec: { session: { idleTimout: 5m } }\n`,
      'a: [\n',
    )
    expect(problems.map((problem) => problem.replace(/^(\S+) error: .*\((.*)\)$/, '$1 $2'))).toEqual([
      '0.yaml:4:46: wrong-word',
      '1.yaml:4:40: bad-path',
      '1.yaml:4:57: bad-method',
      '2.yaml:4:20: unknown-field',
      '3.yaml:2:1: yaml-syntax',
    ])
  })

  test('an unreadable document makes nobody else unknown', () => {
    const problems = problemsOf(service('a', '{ calls: [{ service: b }] }'), service('b', '{ mode: No }'))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain('1.yaml')
  })
})

describe('a directory is taken', () => {
  test('with foreign documents passed over', () => {
    const loaded = load(service('a'), 'apiVersion: apps/v1\nkind: Deployment\n', '# nothing\n')
    expect(loaded.ok && loaded.policy.documents).toBe(1)
  })

  test('and its revision is that of names and contents, in any order, wherever it is mounted', () => {
    const revision = (directory: string, ...files: [string, string][]) => {
      const loaded = loadPolicy(
        files.map(([file, text]) => ({ file: join(directory, file), text })),
        { ...OPTIONS, directory },
      )
      return loaded.ok ? loaded.policy.revision : undefined
    }
    const [a, b] = [service('a'), service('b')]
    const first = revision('/x', ['a.yaml', a], ['b.yaml', b])
    expect(first).toMatch(/^[0-9a-f]{64}$/)
    expect(revision('/y/z/', ['b.yaml', b], ['a.yaml', a])).toBe(first)
    expect(revision('/x', ['a.yaml', b], ['b.yaml', a])).not.toBe(first)
    expect(revision('/x', ['a.yaml', a], ['b.yaml', `${b}# more\n`])).not.toBe(first)
  })

  test('and rule sources are relative to it', () => {
    const text = service('a', '{ rules: [{ name: r, from: [{ users: true }] }] }')
    const loaded = loadPolicy([{ file: '/etc/p/shop/a.yaml', text }], { ...OPTIONS, directory: '/etc/p' })
    expect(loaded.ok && loaded.policy.matrix.services.get('shop/a')?.source).toBe('shop/a.yaml:3:19')
  })
})

describe('warnings', () => {
  const get = '{ name: read, paths: [/a], methods: [GET] }'
  const warningsOf = (...texts: string[]) => {
    const loaded = load(...texts)
    if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
    return loaded.warnings.map(formatProblem)
  }
  test.each<{ name: string; texts: string[]; warning: string | undefined }>([
    {
      name: 'a call that a rule for users lets in',
      texts: [
        service('a', '{ calls: [{ service: b }] }'),
        service(
          'b',
          `{ endpoints: [${get}], rules: [{ name: r, from: [{ users: true }], to: [{ endpoints: [read] }] }], routes: [{ host: x.example }] }`,
        ),
      ],
      warning: undefined,
    },
    {
      name: 'a call across namespaces without consent',
      texts: [service('a', '{ calls: [{ service: other/b }] }'), service('b', '{}', 'other')],
      warning:
        '0.yaml:4:17: warning: shop/a calls other/b, which has no rule that lets it in: the edge stays closed (one-sided-edge)',
    },
    {
      name: 'a rule for a caller that does not call',
      texts: [service('a', '{}'), service('b', '{ rules: [{ name: r, from: [{ services: [a] }] }] }')],
      warning:
        "1.yaml:4:48: warning: the rule lets shop/a in, which doesn't name shop/b in its `calls`: the edge stays closed (one-sided-edge)",
    },
    {
      name: 'an endpoint that nobody calls',
      texts: [service('b', `{ endpoints: [${get}] }`)],
      warning: '0.yaml:4:21: warning: nobody can call the endpoint read (uncallable-endpoint)',
    },
    {
      name: 'an endpoint without identity',
      texts: [
        service(
          'b',
          '{ endpoints: [{ name: login, paths: [/login], methods: [POST], require: None }], rules: [{ name: r, from: [{ any: true }] }] }',
        ),
      ],
      warning: '0.yaml:4:79: warning: the endpoint login asks for no identity (open-endpoint)',
    },
    {
      name: 'every path',
      texts: [
        service('a', '{ calls: [{ service: b }] }'),
        service('b', '{ endpoints: [{ name: all, paths: [/**], methods: [GET] }] }'),
      ],
      warning: '1.yaml:4:42: warning: the endpoint all is every path (over-broad)',
    },
    {
      name: 'every workload of a trust domain',
      texts: [
        service('a', '{ calls: [{ service: b }] }'),
        service('b', '{ rules: [{ name: r, from: [{ identities: ["spiffe://cluster.local/*/*/*/*"] }] }] }'),
      ],
      warning:
        '1.yaml:4:35: warning: the rule r lets every workload of `spiffe://cluster.local/*/*/*/*` in (over-broad)',
    },
    {
      name: 'an edge that both sides declare',
      texts: [service('a', '{ calls: [{ service: b }] }'), service('b', `{ endpoints: [${get}] }`)],
      warning: undefined,
    },
  ])('$name', ({ texts, warning }) => {
    expect(warningsOf(...texts)).toEqual(warning === undefined ? [] : [warning])
  })
})

test('one round tells unknown fields, bad values and broken references together', () => {
  const texts = [
    service(
      'a',
      '{ calls: [{ service: zzz }], colour: red, endpoints: [{ name: E, paths: [/*], methods: [get] }] }',
    ),
    service('b', '{ calls: [{ service: a, endpoints: [Nope] }] }'),
  ]
  const codes = problemsOf(...texts).map((problem) => /\(([a-z-]+)\)$/.exec(problem)?.[1])
  expect(codes).toEqual(expect.arrayContaining(['unknown-field', 'unknown-service', 'unknown-endpoint']))
  expect(codes.length).toBeGreaterThanOrEqual(5)
})

test('what is wrong in `cel` is said where it is written', () => {
  const rule = '{ name: r, from: [{ any: true }], when: [{ cel: "user.mfaa" }, {}] }'
  const text = service('a', `{ endpoints: [{ name: E, paths: [/e], methods: [GET] }], rules: [${rule}] }`)
  expect(problemsOf(text)).toEqual([
    expect.stringMatching(
      /^0\.yaml:4:\d+: error: no key `user\.mfaa`; did you mean `user\.mfa`\? \(condition-key\)$/,
    ),
    expect.stringMatching(/^0\.yaml:4:\d+: error: a condition needs a `key` or `cel` \(missing-field\)$/),
  ])
})
