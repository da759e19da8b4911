import { expect, test } from '@jest/globals'
import { requestBody } from '../../src/request/body.js'
import { compileConditions, costOf, keysOf } from '../../src/segmentation/when/condition.js'
import { aCall, aUser, factsOf } from '../support/facts.js'
import { Random } from './random.js'

const SEED = Number(process.env['FUZZ_SEED'] ?? 20261125)
const ITERATIONS = Math.ceil(Number(process.env['FUZZ_ITERATIONS'] ?? 20_000) / 4)
const SCOPE = { namespace: 'shop', localTrustDomain: 'cluster.local', hasPlaces: false, hasDevices: false }

const ATOMS = [
  'user.mfa',
  'user.id',
  'user.roles',
  'user.claims',
  'user.claims.a',
  'user.claims["a"].b',
  'user.authAge',
  'user.email',
  'request.body',
  'request.body.items',
  'request.body.n',
  'request.body.t',
  'request.headers["x"]',
  'request.query.q',
  'request.method',
  'destination.port',
  'risk.score',
  'time.hour',
  'time.ofDay',
  'source.ip',
  'workload.service',
  'x',
  'y',
  '1',
  '2.5',
  '0',
  '-1',
  '9223372036854775807',
  '"a"',
  "'POST'",
  '""',
  'true',
  'false',
  'null',
  '[]',
  '["a", "b"]',
  '[1, 2.0]',
  'nothing',
  'request',
] as const
const WRAPS = [
  '(_ && _)',
  '(_ || _)',
  '!_',
  '(_ == _)',
  '(_ != _)',
  '(_ < _)',
  '(_ >= _)',
  '(_ + _)',
  '(_ - _)',
  '(_ * _)',
  '(_ / _)',
  '(_ % _)',
  '-_',
  '(_ ? _ : _)',
  '(_ in _)',
  '_[_]',
  '_.a',
  '_.exists(x, _)',
  '_.all(y, _)',
  '_.exists_one(x, _)',
  '_.contains(_)',
  '_.startsWith(_)',
  '_.matches("^[a-z]+$")',
  'size(_)',
  '_.size()',
  'int(_)',
  'double(_)',
  'string(_)',
  'bool(_)',
  'has(_.a)',
  '[_, _]',
  '_.lowerAscii()',
] as const

function expression(random: Random, depth: number): string {
  if (depth === 0 || random.chance(20)) return random.pick(ATOMS)
  return random.pick(WRAPS).replaceAll('_', (blank: string, at: number, whole: string) => {
    return /[a-z]/.test(whole[at - 1] ?? '') || /[a-z]/.test(whole[at + 1] ?? '')
      ? blank
      : expression(random, depth - 1)
  })
}

function compile(cel: string) {
  const faults: string[] = []
  const holds = compileConditions([{ cel }], [], (_, message) => faults.push(message), SCOPE)
  return { faults, holds }
}

const { headers } = aCall({
  headers: [
    ['content-type', 'application/json'],
    ['x-envoy-auth-partial-body', 'false'],
    ['x', 'abc'],
  ],
})
const body = requestBody(
  () =>
    Buffer.from(
      JSON.stringify({
        items: Array.from({ length: 200 }, (_, id) => ({ a: id })),
        n: 5,
        t: 'a'.repeat(3000),
        a: true,
      }),
    ),
  headers,
)
const FACTS = [
  factsOf(),
  factsOf({
    http: { ...aCall({ query: 'q=1' }), headers, body },
    user: aUser({
      mfaVerified: true,
      roles: ['a', 'b'],
      claims: { a: { b: [1, 'x', null] } },
      authTimeMs: 0,
    }),
    port: 443,
    riskScore: 12,
    sourceIp: '10.0.0.1',
  }),
]

test(`expressions are refused or give true, false or nothing, and soon; FUZZ_SEED=${SEED}`, () => {
  const random = new Random(SEED)
  let [compiled, given, longestMs] = [0, 0, 0]
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    const cel = expression(random, 1 + random.below(4))
    const { faults, holds } = compile(cel)
    expect(costOf([{ cel }])).toBeGreaterThan(0)
    expect(keysOf({ cel }).every((key) => key.includes('.'))).toBe(true)
    if (faults.length > 0) continue
    compiled++
    for (const facts of FACTS) {
      const began = performance.now()
      const answer = holds(facts)
      longestMs = Math.max(longestMs, performance.now() - began)
      if (answer !== undefined) given++
      expect([true, false, undefined]).toContain(answer)
    }
  }
  expect(compiled).toBeGreaterThan(ITERATIONS / 50)
  expect(given).toBeGreaterThan(compiled / 10)
  expect(longestMs).toBeLessThan(500)
})

test('any text is refused or compiled', () => {
  const random = new Random(SEED)
  const pieces = '()[]{}.,:?!&|=<>+-*/%"\'`\\@# \n0aé'.split('')
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    const cel = Array.from({ length: random.below(40) }, () =>
      random.pick(random.chance(50) ? pieces : ATOMS),
    ).join('')
    expect(typeof compile(cel).holds).toBe('function')
  }
})
