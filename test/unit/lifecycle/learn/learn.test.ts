import { describe, expect, test } from '@jest/globals'
import { Lesson, nothingWritten, takeLine, whatIsWritten } from '../../../../src/lifecycle/learn/learn.js'
import type { LearnOptions } from '../../../../src/lifecycle/learn/evidence.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'

const OPTIONS = { localTrustDomain: 'cluster.local', trustDomains: [] }
const LEARN: LearnOptions = { includeDenied: false, includeAnonymous: false }
const HEAD = 'apiVersion: portcullis.dev/v1beta1\nkind: ServicePolicy\n'

type Fields = Readonly<Record<string, unknown>>

/** An event of an observed mesh: cart calls pay. */
const event = (fields: Fields = {}): string =>
  JSON.stringify({
    schemaVersion: '1.0',
    timestamp: '2026-11-03T10:00:00.000Z',
    eventType: 'authorization',
    decisionId: 'd',
    workloadId: 'spiffe://cluster.local/ns/shop/sa/cart',
    targetService: 'shop/pay',
    destinationPort: 8443,
    protocol: 'HTTP/2',
    requestMethod: 'GET',
    requestPath: '/orders',
    decision: 'allow',
    decisionReason: 'allowed',
    mode: 'Observe',
    wouldBeDecision: 'deny',
    wouldBeReason: 'target-unknown',
    ...fields,
  })
const from = (service: string) => ({
  workloadId: `spiffe://cluster.local/ns/${service.replace('/', '/sa/')}`,
})
const get = (requestPath: string, fields: Fields = {}) => event({ requestPath, ...fields })
const TCP = { requestMethod: undefined, requestPath: undefined, protocol: 'TCP' }

/** Learns, and proves that the result loads without a new warning but those named, and lets pass all that was learned. */
function learn(lines: readonly string[], policy?: string, options = LEARN, warnings: readonly string[] = []) {
  const file = { file: 'shop.yaml', text: policy ?? '' }
  const loaded = policy === undefined ? undefined : loadPolicy([file], OPTIONS)
  if (loaded && !loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const known = loaded ? whatIsWritten(loaded, [file]) : nothingWritten(OPTIONS)
  const lesson = new Lesson(known, options)
  for (const line of lines) takeLine(line, (each) => lesson.suspicion.note(each))
  for (const line of lines) takeLine(line, (each) => lesson.evidence.note(each))
  const files = lesson.files(lesson.additions())
  const text = files.map((each) => each.text).join('---\n')
  if (files.length > 0) {
    const result = lesson.result(files, OPTIONS)
    const before = new Set(loaded?.warnings.map(({ message }) => message))
    const news = (result.ok ? result.warnings : result.problems).filter(({ message }) => !before.has(message))
    expect(news.map(({ code }) => code)).toEqual(warnings)
    if (!result.ok) throw new Error('it does not load')
    const proof = lesson.proof(result.policy.matrix)
    for (const line of lines) takeLine(line, (each) => proof.note(each))
    expect(proof.learned).toBe(0)
    expect(proof.covered).toBe(lesson.evidence.covered + lesson.evidence.learned)
  }
  return { text, files, lesson, why: lesson.evidence.notLearned().groups.map((each) => each.why) }
}

describe('not learned', () => {
  test.each([
    {
      name: 'a refused call',
      fields: { decision: 'deny', decisionReason: 'rule-not-matched', mode: 'Enforce' },
      why: /refused: rule-not-matched/,
    },
    { name: 'a forbid in Observe', fields: { wouldBeReason: 'forbidden' }, why: /forbidden/ },
    {
      name: 'a bad credential in Observe',
      fields: { wouldBeReason: 'user-token-expired' },
      why: /user-token-expired/,
    },
    { name: 'no target', fields: { targetService: undefined }, why: /nothing names its target/ },
    { name: 'a target that is no name', fields: { targetService: 'shop/Pay Me' }, why: /no namespace\/name/ },
    {
      name: 'a foreign workload',
      fields: { workloadId: 'spiffe://other.example/ns/a/sa/b' },
      why: /by hand/,
    },
    {
      name: 'a workload of another form',
      fields: { workloadId: 'spiffe://cluster.local/vm/7' },
      why: /by hand/,
    },
    { name: 'nobody', fields: { workloadId: undefined }, why: /require: None/ },
    {
      name: 'a path that was cut',
      fields: { requestPath: `/${'a/'.repeat(40)}...[cut, 9000 in all]` },
      why: /in part/,
    },
    { name: 'a path with too many segments', fields: { requestPath: '/a'.repeat(70) }, why: /too many/ },
    { name: 'a connection without a port', fields: { ...TCP, destinationPort: undefined }, why: /no port/ },
  ])('$name', ({ fields, why }) => {
    const { text, why: told } = learn([event(fields)])
    expect(text).toBe('')
    expect(told).toEqual([expect.stringMatching(why)])
  })

  test('who is mostly refused, calls that passed included', () => {
    const refused = { decision: 'deny', decisionReason: 'forbidden', ...from('shop/evil') }
    const { text, lesson } = learn([
      get('/orders'),
      get('/orders', from('shop/evil')),
      ...Array.from({ length: 12 }, () => get('/orders', refused)),
    ])
    expect(text).not.toContain('evil')
    expect([...lesson.suspects.values()]).toEqual([
      expect.objectContaining({ actor: 'spiffe://cluster.local/ns/shop/sa/evil', calls: 13 }),
    ])
  })

  test('a scan of paths', () => {
    const words =
      'admin login backup config env git php shell test debug console phpmyadmin wp-admin wp-login.php setup.php info.php .env .git server-status actuator metrics trace heapdump jenkins solr struts cgi-bin hudson manager html old new db sql dump'.split(
        ' ',
      )
    const { text, why } = learn(words.map((word) => get(`/${word}`)))
    expect(text).toBe('')
    expect(why).toEqual([expect.stringMatching(/attack: it tried 3\d paths of shop\/pay/)])
  })

  test('refused calls are learned when asked for', () => {
    const fields = { decision: 'deny', decisionReason: 'endpoint-not-exposed', wouldBeReason: undefined }
    expect(learn([event(fields)], undefined, { ...LEARN, includeDenied: true }).text).toContain('/orders')
  })

  test('nobody is learned when asked for', () => {
    const { text } = learn(
      [event({ workloadId: undefined })],
      undefined,
      { ...LEARN, includeAnonymous: true },
      ['open-endpoint'],
    )
    expect(text).toContain('require: None')
    expect(text).toContain('any: true')
  })
})

describe('paths', () => {
  test.each([
    ['integers', ['/orders/1', '/orders/22'], ['/orders/{id}']],
    ['UUIDs', ['/o/0190d2a4-7e1c-7b3a-9f00-1234567890ab/items'], ['/o/{uuid}/items']],
    ['hashes', ['/blobs/9f86d081884c7d65', '/blobs/d3b07384d113edec49eaa6238ad5ff00'], ['/blobs/{hash}']],
    ['ULIDs', ['/e/01ARZ3NDEKTSV4RRFFQ69G5FAV'], ['/e/{ulid}']],
    ['dates', ['/days/2026-11-03', '/days/2026-11'], ['/days/{date}']],
    ['e-mail addresses', ['/u/a.b@example.com'], ['/u/{email}']],
    ['ids of several kinds', ['/o/1', '/o/9f86d081884c7d65'], ['/o/{id}']],
    ['two ids', ['/o/1/items/2'], ['/o/{id}/items/{id2}']],
    ['words', ['/facade', '/deadbeef', '/a1'], ['/a1', '/deadbeef', '/facade']],
    ['a token that was cut out', ['/reset/[redacted]'], ['/reset/{value}']],
    ['a trailing slash', ['/a/', '/a'], ['/a', '/a/']],
    ['the root', ['/'], ['/']],
    ['encoded bytes', ['/caf%C3%A9'], ['/caf%C3%A9']],
    [
      '20 words',
      Array.from({ length: 20 }, (_, at) => `/u/${name(at)}`),
      Array.from({ length: 20 }, (_, at) => `/u/${name(at)}`).sort(),
    ],
    ['21 words of one shape', Array.from({ length: 21 }, (_, at) => `/u/${name(at)}/x`), ['/u/{name}/x']],
    [
      '21 words and others',
      [...Array.from({ length: 30 }, (_, at) => `/u/${name(at)}`), '/u/me.json'],
      ['/u/me.json', '/u/{name}'],
    ],
    ['crossing templates', ['/a/1', '/1/b'], ['/a/{id}', '/{id}/b']],
  ])('%s', (_, paths, templates) => {
    const { text } = learn(paths.flatMap((path) => Array.from({ length: 4 }, () => get(path))))
    const written = [...text.matchAll(/paths: \[ *(.*?) *\]/g)]
      .flatMap(([, list = '']) => list.split(/, */))
      .map((each) => each.replaceAll('"', ''))
    expect(written.filter((path) => path !== '/a/b').sort()).toEqual([...templates].sort())
  })

  function name(at: number): string {
    return `${String.fromCharCode(97 + (at % 26))}${String.fromCharCode(97 + Math.floor(at / 26))}lice`
  }
})

test('documents of a mesh that nobody wrote yet', () => {
  const { text, files } = learn([
    get('/orders/1'),
    get('/orders/2', { timestamp: '2026-11-20T10:00:00.000Z' }),
    get('/orders/2', { requestMethod: 'DELETE', userId: 'alice', userIssuer: 'https://idp.example' }),
    get('/orders/3', { ...from('edge/gateway') }),
    event({
      ...from('edge/gateway'),
      requestMethod: 'POST',
      requestPath: '/shop.v1.Pay/Refund',
      grpcMethod: 'shop.v1.Pay/Refund',
    }),
    event({ ...TCP, ...from('shop/pay'), targetService: 'data/db', destinationPort: 5432 }),
    get('/ws', { operation: 'Write' }),
  ])
  expect(files.map(({ file, isNew }) => [file, isNew])).toEqual([
    ['data/db.yaml', true],
    ['edge/gateway.yaml', true],
    ['shop/cart.yaml', true],
    ['shop/pay.yaml', true],
  ])
  expect(text).toMatchInlineSnapshot(`
   "apiVersion: portcullis.dev/v1beta1
   kind: ServicePolicy
   metadata: { name: db, namespace: data }
   spec:
     endpoints:
       # seen once, 2026-11-03
       - name: tcp-5432
         protocol: TCP
         ports: [5432]
     rules:
       # seen once, 2026-11-03
       - name: pay
         from: [{ services: [shop/pay] }]
         to: [{ endpoints: [tcp-5432] }]
   ---
   apiVersion: portcullis.dev/v1beta1
   kind: ServicePolicy
   metadata: { name: gateway, namespace: edge }
   spec:
     calls:
       # seen 2 times, 2026-11-03
       - service: shop/pay
         endpoints: [Refund, get-orders-id]
   ---
   apiVersion: portcullis.dev/v1beta1
   kind: ServicePolicy
   metadata: { name: cart, namespace: shop }
   spec:
     calls:
       # seen 4 times, 2026-11-03 to 2026-11-20
       - service: pay
         endpoints: [delete-orders-id, get-orders-id, socket-ws]
   ---
   apiVersion: portcullis.dev/v1beta1
   kind: ServicePolicy
   metadata: { name: pay, namespace: shop }
   spec:
     calls:
       # seen once, 2026-11-03
       - service: data/db
         endpoints: [tcp-5432]
     endpoints:
       # seen once, 2026-11-03
       - name: Refund
         grpc: [shop.v1.Pay/Refund]
       # seen once, 2026-11-03, by 1 user of 1
       - name: delete-orders-id
         paths: ["/orders/{id}"]
         methods: [DELETE]
         require: Both
       # seen 3 times, 2026-11-03 to 2026-11-20
       - name: get-orders-id
         paths: ["/orders/{id}"]
         methods: [GET]
       # seen once, 2026-11-03
       - name: socket-ws
         paths: [/ws]
         methods: [GET]
         protocol: WebSocket
     rules:
       # seen once, 2026-11-03
       - name: gateway
         from: [{ services: [edge/gateway] }]
         to: [{ endpoints: [Refund] }]
       # seen 2 times, 2026-11-03
       - name: cart
         from: [{ services: [cart] }]
         to: [{ endpoints: [delete-orders-id, socket-ws] }]
       # seen 3 times, 2026-11-03 to 2026-11-20
       - name: gateway-and-1-more
         from: [{ services: [edge/gateway, cart] }]
         to: [{ endpoints: [get-orders-id] }]
   "
  `)
})

test('nothing beyond the evidence is let pass', () => {
  const seen = [
    get('/orders/1'),
    get('/orders/list'),
    get('/orders/1', { requestMethod: 'POST', ...from('shop/desk') }),
    event({ requestMethod: 'POST', requestPath: '/p.S/Get', grpcMethod: 'p.S/Get' }),
    event({ ...TCP, destinationPort: 5432 }),
  ]
  const { lesson, files } = learn(seen)
  const result = lesson.result(files, OPTIONS)
  if (!result.ok) throw new Error('it does not load')
  const unseen = [
    get('/orders'),
    get('/orders/1/items'),
    get('/orders/list', { requestMethod: 'HEAD' }),
    get('/orders/1', { requestMethod: 'POST' }),
    get('/orders/1', from('shop/desk')),
    get('/orders/1', from('shop/other')),
    get('/orders/1', { workloadId: undefined, userId: 'bob' }),
    get('/orders/1', { workloadId: undefined }),
    get('/orders/1', { targetService: 'shop/cart' }),
    event({ requestMethod: 'POST', requestPath: '/p.S/Put', grpcMethod: 'p.S/Put' }),
    event({ ...TCP, destinationPort: 5433 }),
    event({ ...TCP, destinationPort: 5432, ...from('shop/desk') }),
  ]
  for (const line of unseen) {
    const proof = lesson.proof(result.policy.matrix)
    takeLine(line, (each) => proof.note(each))
    expect([line, proof.covered]).toEqual([line, 0])
  }
})

test('a proxy that forwards a caller gets the edge too', () => {
  const { text, files } = learn([
    get('/orders', { viaWorkloadId: 'spiffe://cluster.local/ns/edge/sa/gateway' }),
  ])
  expect(files.map(({ file }) => file)).toEqual(['edge/gateway.yaml', 'shop/cart.yaml', 'shop/pay.yaml'])
  expect(text).toContain('from: [{ services: [edge/gateway, cart] }]')
})

test('random paths, methods and words stay within bounds', () => {
  const lines = Array.from({ length: 3000 }, (_, at) =>
    get(`/${'ab'.repeat(at % 9)}-${at.toString(36)}/${at}/${at % 7}x${at % 11}`, {
      requestMethod: `M${at % 50}`,
      ...from(`shop/c${at % 40}`),
    }),
  )
  const { lesson } = learn([...lines, ...lines, ...lines, ...lines])
  expect(lesson.evidence.learned).toBe(12_000)
})

test('users alone; without a route lint asks how they come there', () => {
  const me = get('/me', { workloadId: undefined, userId: 'bob' })
  const { text } = learn([me, me], undefined, LEARN, ['uncallable-endpoint'])
  expect(text).toContain('require: User')
  expect(text).toContain('users: true')
})

const WRITTEN = `# The shop's own words.
${HEAD}metadata: { name: cart, namespace: shop }   # the cart
spec:
  calls:
    # by hand
    - { service: pay, endpoints: [List] }
---
${HEAD}metadata: { name: pay, namespace: shop }
spec:
  endpoints:
    - { name: List, paths: [/orders], methods: [GET] }  # everybody lists
    - { name: Show, paths: ["/orders/{id}"], methods: [GET] }
    - { name: Secret, paths: [/secret], methods: [GET] }
    - { name: Private, paths: [/private], methods: [GET], require: Both }
  rules:
    - { name: cart, from: [{ services: [cart] }], to: [{ endpoints: [List, Show] }] }
    - { name: admins, from: [{ services: [cart] }], to: [{ endpoints: [Secret] }], when: [{ key: "user.claims[team]", values: [sec] }] }
---
${HEAD}metadata: { name: open, namespace: shop }
spec:
  endpoints: [{ name: Ping, paths: [/ping], methods: [GET] }]
`

describe('beside what people wrote', () => {
  test('nothing is added where nothing is missing', () => {
    const { files, lesson } = learn([event({ endpoint: 'List', wouldBeReason: undefined })], WRITTEN)
    expect(files).toEqual([])
    expect(lesson.evidence.covered).toBe(1)
  })

  test.each([
    { name: 'a condition', fields: { requestPath: '/secret' } },
    { name: 'a forbid that an event can not tell', fields: { requestPath: '/orders' } },
  ])('$name that the policy of then found met is covered', ({ fields }) => {
    const { files, lesson } = learn(
      [event({ ...fields, wouldBeDecision: undefined, wouldBeReason: undefined })],
      WRITTEN.replace(
        '  rules:\n    - { name: cart,',
        '  forbid: [{ name: f, when: [{ key: "request.headers[x-a]", values: [b] }] }]\n  rules:\n    - { name: cart,',
      ),
    )
    if (fields.requestPath === '/orders') expect(lesson.evidence.covered).toBe(1)
    expect(files.some(({ text }) => text.includes('name: cart-2'))).toBe(false)
  })

  test.each([
    {
      name: 'a condition',
      fields: { requestPath: '/secret' },
      why: /the rule admins of shop\/pay \(shop.yaml:\d+:\d+\) has a condition/,
    },
    {
      name: 'a requirement',
      fields: { requestPath: '/private', wouldBeReason: 'user-required' },
      why: /asks for more/,
    },
  ])('$name that a call did not meet stays', ({ fields, why }) => {
    const { files, why: told } = learn([event(fields)], WRITTEN)
    expect(files).toEqual([])
    expect(told).toEqual([expect.stringMatching(why)])
  })

  test('only what is missing, with every comment kept', () => {
    const { text } = learn(
      [
        get('/orders/7', { wouldBeReason: 'call-not-allowed' }),
        get('/orders/list', { requestMethod: 'POST', wouldBeReason: 'endpoint-not-exposed' }),
        get('/orders', { ...from('edge/gateway'), wouldBeReason: 'caller-unknown' }),
        get('/ping', {
          ...from('edge/gateway'),
          targetService: 'shop/open',
          wouldBeReason: 'caller-unknown',
        }),
      ],
      WRITTEN,
    )
    expect(text).toMatchInlineSnapshot(`
     "# The shop's own words.
     apiVersion: portcullis.dev/v1beta1
     kind: ServicePolicy
     metadata: { name: cart, namespace: shop } # the cart
     spec:
       calls:
         # by hand
         - { service: pay, endpoints: [List, Show, post-orders-list] }
     ---
     apiVersion: portcullis.dev/v1beta1
     kind: ServicePolicy
     metadata: { name: pay, namespace: shop }
     spec:
       endpoints:
         - { name: List, paths: [/orders], methods: [GET] } # everybody lists
         - { name: Show, paths: ["/orders/{id}", /orders/list], methods: [GET] }
         - { name: Secret, paths: [/secret], methods: [GET] }
         - { name: Private, paths: [/private], methods: [GET], require: Both }
         # seen once, 2026-11-03
         - name: post-orders-list
           paths: [/orders/list]
           methods: [POST]
       rules:
         - { name: cart, from: [{ services: [cart] }], to: [{ endpoints: [List, Show] }] }
         - { name: admins, from: [{ services: [cart] }], to: [{ endpoints: [Secret] }], when: [{ key: "user.claims[team]", values: [sec] }] }
         # seen once, 2026-11-03
         - name: cart-2
           from: [{ services: [cart] }]
           to: [{ endpoints: [post-orders-list] }]
         # seen once, 2026-11-03
         - name: gateway
           from: [{ services: [edge/gateway] }]
           to: [{ endpoints: [List] }]
     ---
     apiVersion: portcullis.dev/v1beta1
     kind: ServicePolicy
     metadata: { name: open, namespace: shop }
     spec:
       endpoints: [{ name: Ping, paths: [/ping], methods: [GET] }]
       rules:
         # as it was while there was no rule
         - name: neighbours
           from: [{ namespaces: [shop] }]
           to: [{ endpoints: [Ping] }]
         # seen once, 2026-11-03
         - name: gateway
           from: [{ services: [edge/gateway] }]
           to: [{ endpoints: [Ping] }]
     ---
     apiVersion: portcullis.dev/v1beta1
     kind: ServicePolicy
     metadata: { name: gateway, namespace: edge }
     spec:
       calls:
         # seen once, 2026-11-03
         - service: shop/open
           endpoints: [Ping]
         # seen once, 2026-11-03
         - service: shop/pay
           endpoints: [List]
     "
    `)
  })
})
