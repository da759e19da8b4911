import { describe, expect, test } from '@jest/globals'
import { Lesson, nothingWritten, takeLine, whatIsWritten } from '../../../../src/lifecycle/learn/learn.js'
import { opensAlso } from '../../../../src/lifecycle/learn/opens-also.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'

/** Traffic of somebody who knows that it will be learned. */

const OPTIONS = { localTrustDomain: 'cluster.local', trustDomains: [] }
const HEAD = 'apiVersion: portcullis.dev/v1beta1\nkind: ServicePolicy\n'

type Call = { readonly by?: string; readonly path: string } & Readonly<Record<string, unknown>>

const event = ({ by = 'cart', path, ...fields }: Call): string =>
  JSON.stringify({
    timestamp: '2026-11-03T10:00:00.000Z',
    eventType: 'authorization',
    decisionId: 'd',
    workloadId: `spiffe://cluster.local/ns/shop/sa/${by}`,
    targetService: 'shop/pay',
    protocol: 'HTTP/2',
    requestMethod: 'GET',
    requestPath: path,
    decision: 'allow',
    decisionReason: 'allowed',
    mode: 'Observe',
    wouldBeDecision: 'deny',
    wouldBeReason: 'endpoint-not-exposed',
    ...fields,
  })

/** Learns, and proves that the result loads and lets pass what was learned. */
function learn(calls: readonly Call[], policy?: string) {
  const files = policy === undefined ? [] : [{ file: 'shop.yaml', text: policy }]
  const loaded = loadPolicy(files, OPTIONS)
  const known = loaded.ok && policy !== undefined ? whatIsWritten(loaded, files) : nothingWritten(OPTIONS)
  const lesson = new Lesson(known, { includeDenied: false, includeAnonymous: false })
  const lines = calls.map(event)
  for (const line of lines) takeLine(line, (each) => lesson.suspicion.note(each))
  for (const line of lines) takeLine(line, (each) => lesson.evidence.note(each))
  const additions = lesson.additions()
  const written = lesson.files(additions)
  const text = written.map((each) => each.text).join('---\n')
  if (written.length === 0)
    return {
      text,
      endpoints: [],
      why: lesson.evidence.notLearned().groups.map((each) => each.why),
      opened: [],
    }
  const result = lesson.result(written, OPTIONS)
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  const proof = lesson.proof(result.policy.matrix)
  for (const line of lines) takeLine(line, (each) => proof.note(each))
  expect(proof.learned).toBe(0)
  const endpoints = additions.find(({ id }) => id === 'shop/pay')?.endpoints ?? []
  const why = lesson.evidence.notLearned().groups.map((each) => each.why)
  return { text, endpoints, why, opened: opensAlso(additions, result.policy.matrix) }
}
const pathsOf = ({ endpoints }: ReturnType<typeof learn>) => endpoints.flatMap(({ paths = [] }) => paths)
const times = (count: number, call: (at: number) => Call) =>
  Array.from({ length: count }, (_, at) => call(at))
const word = (at: number) =>
  `${String.fromCharCode(97 + (at % 26))}${String.fromCharCode(97 + Math.floor(at / 26))}x`
const often = (calls: readonly Call[]) => [...calls, ...calls, ...calls, ...calls]

describe('not learned', () => {
  test.each([
    ['/**', '*'],
    ['/a/**', '*'],
    ['/*', '*'],
    ['/a*b', '*'],
    ['/{id}', '{'],
    ['/a/b}', '}'],
  ])('the path %s, which would be wider than the call', (path, sign) => {
    const lesson = learn([{ path }])
    expect(lesson.endpoints).toEqual([])
    expect(lesson.why).toEqual([`its path has \`${sign}\``])
  })

  test('a port that there is not', () => {
    const tcp = { requestMethod: undefined, requestPath: undefined, protocol: 'TCP', destinationPort: 70_000 }
    expect(learn([{ path: '', ...tcp }]).why).toEqual(['its port is no port'])
  })

  test.each([
    ['36 words below one, once', times(36, (at) => ({ path: `/admin/${word(at)}` }))],
    ['30 first words, three times', times(90, (at) => ({ path: `/${word(at % 30)}` }))],
    [
      '20 words at each of six targets',
      times(120, (at) => ({ path: `/${word(at)}`, targetService: `shop/t${Math.floor(at / 20)}` })),
    ],
  ])('a scan: %s', (_, calls) => {
    const lesson = learn(calls)
    expect(lesson.text).toBe('')
    expect(new Set(lesson.why).size).toBe(1)
    expect(lesson.why[0]).toMatch(/attack: it tried \d+ paths of .*, most of them at most 3 times/)
  })

  test('29 words are no scan yet', () => {
    expect(pathsOf(learn(times(29, (at) => ({ path: `/${word(at)}` }))))).toHaveLength(29)
  })

  test('what one user alone did among many', () => {
    const user = { workloadId: undefined, userIssuer: 'i', wouldBeReason: 'target-unknown' }
    const lesson = learn([
      ...times(30, (at) => ({ path: '/orders', ...user, userId: `u${at}` })),
      { path: '/all', requestMethod: 'DELETE', ...user, userId: 'eve' },
    ])
    expect(pathsOf(lesson)).toEqual(['/orders'])
    expect(lesson.text).toContain('by 30 users of 31')
    expect(lesson.why).toEqual(['one user of 31 alone was seen there, and all would be let in'])
  })
})

describe('words are folded no further than everybody used them', () => {
  test('first words stay, behind prefixes too', () => {
    const lesson = learn(often(times(40, (at) => ({ path: `${at % 2 ? '/api/v1' : ''}/${word(at)}` }))))
    expect(pathsOf(lesson).filter((path) => path.includes('{'))).toEqual([])
  })

  test('who used one of them gets no other', () => {
    const lesson = learn(
      often([
        ...times(25, (at) => ({ by: 'odd', path: `/u/${word(at)}` })),
        { by: 'cart', path: '/u/me' },
        { by: 'cart', path: `/u/${word(3)}` },
        { by: 'ops', path: '/u/wipe', requestMethod: 'DELETE' },
      ]),
    )
    expect(lesson.endpoints.map(({ paths, methods, from }) => [paths, methods, from])).toEqual([
      [[`/u/${word(3)}`], ['GET'], ['shop/cart', 'shop/odd']],
      [['/u/me'], ['GET'], ['shop/cart']],
      [['/u/wipe'], ['DELETE'], ['shop/ops']],
      [['/u/{name}'], ['GET'], ['shop/odd']],
    ])
  })

  test('nor where there are more than there is room for', () => {
    const many = Array.from({ length: 21_000 }, (_, at) => ({
      path: `/u/n${'abcdefghij'[at % 10]}${at.toString(36).replaceAll(/[0-9]/g, 'z')}q`,
    }))
    const lesson = learn([...often(many), { by: 'ops', path: '/u/nazq', requestMethod: 'DELETE' }])
    expect(pathsOf(lesson)).toContain('/u/{name}')
  })
})

describe('no secret becomes policy', () => {
  test.each([
    'sk_live_4eC39HqLyjWDarjtT1zdp7dc',
    'dGhpcy1pcy1hLXNlY3JldC0x',
    '0ujtsYcgvSTl8PAuAdqWYSMnLOv',
    'aBcDeFgHiJkLmNoPqRsTuVwX',
  ])('%s', (secret) => {
    const lesson = learn([{ path: `/token/${secret}` }])
    expect(pathsOf(lesson)).toEqual(['/token/{value}'])
    expect(lesson.text).not.toContain(secret)
    expect(lesson.text).toContain('name: get-token-value')
  })

  test.each(['getUserAccountDetails', 'monthly-reports-of-last-year', 'stra%C3%9Fen-verzeichnis'])(
    '%s is a word',
    (each) => expect(pathsOf(learn([{ path: `/a/${each}` }]))).toEqual([`/a/${each}`]),
  )
})

test.each(['y', 'on', 'no', 'null', '123', '0x10', '1e3'])('a caller named %s loads', (by) => {
  expect(learn([{ by, path: '/p' }]).endpoints).toHaveLength(1)
})

const PAY = (rules: string) => `${HEAD}metadata: { name: pay, namespace: shop }
spec:
  endpoints: [{ name: P, paths: [/p], methods: [GET] }]
${rules}---
${HEAD}metadata: { name: web, namespace: shop }
spec: { calls: [{ service: pay }] }
`

describe('a new endpoint is not for those who did not use it', () => {
  test('neighbours keep the old ones only', () => {
    const { text, opened } = learn([{ by: 'ops', path: '/wipe' }], PAY(''))
    expect(text).toMatch(/name: neighbours\n.*\n +to: \[\{ endpoints: \[P\] \}\]/)
    expect(text).toMatch(/services: \[ops\] \}\]\n +to: \[\{ endpoints: \[get-wipe\] \}\]/)
    expect(opened).toEqual([])
  })

  test('a rule without `to` is told', () => {
    const rules = '  rules: [{ name: w, from: [{ services: [web] }] }]\n'
    expect(learn([{ by: 'ops', path: '/wipe' }], PAY(rules)).opened).toEqual([
      { caller: 'shop/web', target: 'shop/pay', endpoint: 'get-wipe', rule: 'w' },
    ])
    expect(learn([{ by: 'web', path: '/wipe' }], PAY(rules)).opened).toEqual([])
  })
})
