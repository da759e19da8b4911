import { describe, expect, test } from '@jest/globals'
import { formatProblem } from '../../../src/schema/problem.js'
import { parseYamlDocuments } from '../../../src/schema/strict-yaml.js'

const problemsOf = (source: string | Uint8Array, maxBytes?: number) =>
  parseYamlDocuments('f.yaml', source, maxBytes === undefined ? {} : { maxBytes }).problems.map(formatProblem)

describe('parseYamlDocuments refuses', () => {
  test.each([
    { name: 'a tab as indentation', text: 'a:\n\tb: 1\n', at: '2:1', says: 'tab' },
    { name: 'a duplicate key', text: 'a: 1\nb: 2\na: 3\n', at: '3:1', says: '`a` is given twice' },
    { name: 'a duplicate key in a flow map', text: 'x: {a: 1, a: 2}', at: '1:11', says: 'twice' },
    { name: 'a duplicate key in another spelling', text: 'a: 1\n"a": 3\n', at: '2:1', says: 'twice' },
    { name: 'two keys on one line', text: 'a: b: c\n', at: '1:4', says: 'second `key: value`' },
    {
      name: 'a path template in brackets without quotes',
      text: 'paths: [/a/{id}/b, /c/{id}]\n',
      at: '1:12',
      says: 'must be quoted within brackets',
    },
    {
      name: 'a path template in braces without quotes',
      text: 'x: { path: /a/{id} }\n',
      at: '1:15',
      says: 'must be quoted within brackets',
    },
    { name: 'an unclosed list', text: 'a: [1, 2\n', at: '2:1', says: 'not YAML' },
    { name: 'an unclosed quote', text: 'a: "b\n', at: '2:1', says: 'not YAML' },
    ...['yes', 'No', 'ON', 'off', 'y', 'N'].map((word) => ({
      name: `plain ${word}`,
      text: `a:\n  b: ${word}\n`,
      at: '2:6',
      says: `plain \`${word}\``,
    })),
    { name: 'plain on as a key', text: 'on: 1\n', at: '1:1', says: 'plain `on`' },
    ...['0777', '0o777', '-017', '0x1F', '0b11', '00', '0123456789'].map((word) => ({
      name: `plain ${word}`,
      text: `a: ${word}\n`,
      at: '1:4',
      says: `plain \`${word}\``,
    })),
    { name: 'infinity', text: 'a: .inf', at: '1:4', says: 'finite' },
    { name: 'a number that loses digits', text: 'a: 9007199254740993', at: '1:4', says: 'too large' },
    { name: 'an exponent beyond numbers', text: 'a: 12e45678', at: '1:4', says: 'too large' },
    { name: 'a number as key', text: '1: a', at: '1:1', says: 'the key `1` is not text' },
    { name: 'null as key', text: 'null: a', at: '1:1', says: 'not text' },
    { name: 'an empty key', text: ': a', at: '1:1', says: 'missing' },
    { name: 'a list as key', text: '? [a]\n: b', at: '1:3', says: 'a key must be text' },
    { name: 'an alias as key', text: 'a: &k x\n*k : b', at: '2:1', says: 'a key must be text' },
    { name: 'a merge key', text: 'a: &d {x: 1}\nb:\n  <<: *d\n', at: '3:3', says: 'merge' },
    { name: 'a tag', text: 'a: !!binary aGk=', at: '1:13', says: '`!!binary`' },
    { name: 'a tag on a map', text: 'a: !x {b: 1}', at: '1:7', says: '`!x`' },
    { name: 'a directive', text: '%YAML 1.1\n---\na: 1\n', at: '1:1', says: 'directives' },
    { name: 'an alias without anchor', text: 'a: *b', at: '1:4', says: 'no anchor `&b`' },
    { name: 'an alias of a later document', text: 'a: &b 1\n---\nc: *b', at: '3:4', says: 'no anchor' },
    { name: 'a cyclic alias', text: 'a: &b [*b]', at: '1:8', says: 'within its own anchor' },
    { name: 'NUL', text: 'a: b\0c', at: '1:5', says: 'U+0000' },
    { name: 'escape bytes', text: 'a: "\u001b[2J"', at: '1:5', says: 'U+001B' },
    { name: 'a right-to-left override', text: 'a: x # \u202e', at: '1:8', says: 'U+202E' },
    { name: 'half a surrogate pair', text: 'a: \ud800', at: '1:4', says: 'U+D800' },
  ])('$name', ({ text, at, says }) => {
    const problems = problemsOf(text)
    expect(problems[0]).toContain(`f.yaml:${at}: error: `)
    expect(problems[0]).toContain(says)
  })

  test.each([
    { name: 'invalid UTF-8', bytes: Buffer.from([0x61, 0x3a, 0x0a, 0x20, 0x62, 0xff, 0x0a]), at: '2:3' },
    {
      name: 'an overlong form after a real replacement character',
      bytes: Buffer.concat([Buffer.from('ä: \uFFFD '), Buffer.from([0xc0, 0x80])]),
      at: '1:6',
    },
    { name: 'UTF-16', bytes: Buffer.from('\uFEFFa: b', 'utf16le'), at: '1:1' },
  ])('$name', ({ bytes, at }) => {
    expect(problemsOf(bytes)).toEqual([`f.yaml:${at}: error: the file is not UTF-8 here (invalid-utf8)`])
  })

  test.each([
    { name: 'text', source: 'ä'.repeat(6) },
    { name: 'bytes', source: Buffer.from('ä'.repeat(6)) },
  ])('$name beyond the size limit', ({ source }) => {
    expect(problemsOf(source, 11)).toEqual([
      'f.yaml:1:1: error: the file has 12 bytes; at most 11 are read (file-too-large)',
    ])
    expect(problemsOf(source, 12)).toEqual([])
  })

  test('a bomb of aliases, in bounded time', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
    for (let i = 1; i < 30; i++)
      lines.push(
        `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      )
    const startedAt = performance.now()
    const problems = problemsOf(lines.join('\n'))
    expect(performance.now() - startedAt).toBeLessThan(1000)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain('too-many-aliases')
  })

  test.each([
    { name: 'lists', text: '['.repeat(100_000) },
    { name: 'closed lists', text: '['.repeat(80) + ']'.repeat(80) },
    { name: 'maps', text: Array.from({ length: 80 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join('') },
  ])('nesting without end: $name', ({ text }) => {
    expect(problemsOf(text).join('\n')).toMatch(/nested/)
  })

  test('a long run of brackets, in bounded time', () => {
    const startedAt = performance.now()
    expect(problemsOf('['.repeat(2_000_000))).toHaveLength(1)
    expect(problemsOf(']'.repeat(500_000)).length).toBeLessThanOrEqual(1000)
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  }, 20_000)

  test('a template is explained once', () => {
    expect(problemsOf('x: { path: /a/{id} }\ny: [/c/{id}/d, /e]\n')).toHaveLength(2)
  })

  test('every problem of a file at once, in documents after a broken one too', () => {
    const text = 'a: yes\nb: 010\n---\nc: [\n---\nd: 1\nd: 2\n'
    const codes = parseYamlDocuments('f.yaml', text).problems.map(
      ({ code, position }) => `${position?.line} ${code}`,
    )
    expect(codes).toEqual(['1 ambiguous-word', '2 ambiguous-number', '5 yaml-syntax', '7 duplicate-key'])
  })

  test('no more than a bounded number of problems', () => {
    expect(problemsOf('a: [' + 'yes, '.repeat(5000) + ']')).toHaveLength(1000)
  })
})

describe('parseYamlDocuments reads', () => {
  const valueOf = (text: string) =>
    JSON.parse(JSON.stringify(parseYamlDocuments('f.yaml', text).documents[0]?.value)) as unknown

  test.each([
    { text: 'a: true\nb: False\nc:\nd: ~\ne: null', value: { a: true, b: false, c: null, d: null, e: null } },
    {
      text: 'a: 12\nb: -3\nc: 1.50\nd: 0\ne: 1e3\nf: 0.5',
      value: { a: 12, b: -3, c: 1.5, d: 0, e: 1000, f: 0.5 },
    },
    { text: `a: "yes"\nb: 'no'\nc: "0777"\n"on": "1"`, value: { a: 'yes', b: 'no', c: '0777', on: '1' } },
    {
      text: 'a: 2026-01-02\nb: 22:00\nc: 10.0.0.1\nd: 15m\ne: 1.2.3',
      value: { a: '2026-01-02', b: '22:00', c: '10.0.0.1', d: '15m', e: '1.2.3' },
    },
    { text: 'a: |\n  yes\n  no\nb: >\n  x\n  y\n', value: { a: 'yes\nno\n', b: 'x y\n' } },
    { text: 'a: &x [1, 2]\nb: *x', value: { a: [1, 2], b: [1, 2] } },
    { text: '\uFEFFa: 1\r\nb: 2\r\n', value: { a: 1, b: 2 } },
    { text: '{a: {b}, c: [d, ]}', value: { a: { b: null }, c: ['d'] } },
  ])('$text', ({ text, value }) => {
    expect(problemsOf(text)).toEqual([])
    expect(valueOf(text)).toEqual(value)
  })

  test('names of Object.prototype as ordinary fields', () => {
    const [document] = parseYamlDocuments('f.yaml', '__proto__: {x: 1}\nconstructor: 2\n').documents
    expect(Object.getPrototypeOf(document?.value)).toBe(null)
    expect(Object.keys(Object(document?.value))).toEqual(['__proto__', 'constructor'])
    expect(({} as Record<string, unknown>)['x']).toBe(undefined)
  })

  test('several documents, empty ones left out', () => {
    const { documents, problems } = parseYamlDocuments(
      'f.yaml',
      '# only words\n---\na: 1\n---\n---\n# nothing\n---\nb: 2\n...\n',
    )
    expect(problems).toEqual([])
    expect(documents.map(({ value }) => JSON.stringify(value))).toEqual(['{"a":1}', '{"b":2}'])
    expect(parseYamlDocuments('f.yaml', '').documents).toEqual([])
  })

  test.each([
    { pointer: [], what: 'value', at: '2:1' },
    { pointer: ['spec'], what: 'key', at: '3:1' },
    { pointer: ['spec'], what: 'value', at: '4:3' },
    { pointer: ['spec', 'calls', 0, 'service'], what: 'value', at: '5:16' },
    { pointer: ['spec', 'calls', 1, 'service'], what: 'key', at: '6:7' },
    { pointer: ['spec', 'calls', 1, 'ports', 1], what: 'value', at: '7:18' },
    { pointer: ['spec', 'empty'], what: 'value', at: '8:3' },
    { pointer: ['spec', 'calls', 9, 'x'], what: 'value', at: '5:5' },
    { pointer: ['spec', '10'], what: 'value', at: '9:9' },
    { pointer: ['spec', 'again', 0, 'service'], what: 'value', at: '5:16' },
    { pointer: ['spec', 'again'], what: 'value', at: '10:10' },
  ] as const)('positions: $what of $pointer is $at', ({ pointer, what, at }) => {
    const text = `---
kind: A
spec:
  calls: &c
    - service: a
    - service: b
      ports: [1, 2]
  empty:
  "10": x
  again: *c
`
    const [document] = parseYamlDocuments('f.yaml', text).documents
    const position = document?.positionOf(pointer, what)
    expect(`${position?.line}:${position?.column}`).toBe(at)
  })

  test('10,000 documents in a few seconds', () => {
    const one = `---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: svc, namespace: shop, labels: { tier: core } }
spec:
  calls: [{ service: a }, { service: b, endpoints: [query] }]
  endpoints:
    - name: Get
      paths: [/api/things/{id}]
      methods: [GET]
`
    const startedAt = performance.now()
    const { documents, problems } = parseYamlDocuments(
      'f.yaml',
      one.replace('things/{id}', 'things/x').repeat(10_000),
    )
    expect(problems).toEqual([])
    expect(documents).toHaveLength(10_000)
    expect(documents[9_999]?.positionOf(['kind']).line).toBe(9_999 * 10 + 3)
    // Generous, since the machine may be busy: about 1.5 s when it is not.
    expect(performance.now() - startedAt).toBeLessThan(15_000)
  }, 30_000)
})
