import { describe, expect, test } from '@jest/globals'
import { Type } from '@sinclair/typebox'
import { Fields, Named, Words, publishedSchema } from '../../../src/schema/fields.js'
import { formatProblem } from '../../../src/schema/problem.js'
import { checkShape } from '../../../src/schema/shape.js'
import { parseYamlDocuments } from '../../../src/schema/strict-yaml.js'
import { DurationSchema, SizeSchema } from '../../../src/schema/units.js'

const schema = Fields({
  mode: Type.Optional(Words(['Enforce', 'Shadow', 'Observe'])),
  kind: Type.Optional(Words(['Only'])),
  calls: Type.Optional(
    Type.Array(
      Fields({ service: Type.String({ minLength: 1 }), endpoints: Type.Optional(Type.Array(Type.String())) }),
      {
        minItems: 1,
      },
    ),
  ),
  timeout: Type.Optional(DurationSchema),
  size: Type.Optional(SizeSchema),
  port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535 })),
  labels: Type.Optional(Named(Type.String())),
  path: Type.Optional(Type.String({ pattern: '^/', description: 'A path begins with a slash.' })),
  tags: Type.Optional(Type.Array(Type.String(), { uniqueItems: true })),
  union: Type.Optional(Type.Union([Type.Literal('Left'), Type.Literal('Right')])),
})

const problemsOf = (text: string) => {
  const [document] = parseYamlDocuments('f.yaml', text).documents
  if (!document) throw new Error('no document')
  return checkShape(schema, document).map(formatProblem)
}

describe('checkShape', () => {
  test.each([
    { text: 'mod: x', says: '1:1: error: unknown field `mod`; did you mean `mode`? (unknown-field)' },
    { text: 'Mode: x', says: '1:1: error: unknown field `Mode`; did you mean `mode`? (unknown-field)' },
    { text: 'somethingElse: x', says: '1:1: error: unknown field `somethingElse` (unknown-field)' },
    { text: '__proto__: x', says: '1:1: error: unknown field `__proto__` (unknown-field)' },
    { text: 'toString: x', says: '1:1: error: unknown field `toString` (unknown-field)' },
    {
      text: 'calls: [{ service: a, endpoint: b }]',
      says: '1:23: error: unknown field `calls[0].endpoint`; did you mean `endpoints`? (unknown-field)',
    },
    {
      text: 'calls:\n  - endpoints: []',
      says: '2:5: error: missing field `service` in `calls[0]` (missing-field)',
    },
    { text: 'calls: a', says: '1:8: error: `calls` is a string, must be a list (wrong-type)' },
    { text: 'calls:\nport: 1', says: '1:1: error: `calls` is empty, must be a list (wrong-type)' },
    { text: 'calls: {}', says: '1:8: error: `calls` is a map of fields, must be a list (wrong-type)' },
    { text: 'calls: [a]', says: '1:9: error: `calls[0]` is a string, must be a map of fields (wrong-type)' },
    {
      text: 'calls: []',
      says: '1:8: error: `calls` is an empty list, must have at least one element (wrong-value)',
    },
    {
      text: 'calls: [{ service: "" }]',
      says: '1:20: error: `calls[0].service` must not be empty (wrong-value)',
    },
    {
      text: 'calls: [{ service: 12 }]',
      says: '1:20: error: `calls[0].service` is the number `12`, must be a string: quote it (wrong-type)',
    },
    {
      text: 'mode: enforce',
      says: '1:7: error: `mode`: `enforce` is none of Enforce, Shadow, Observe; did you mean `Enforce`? (wrong-word)',
    },
    {
      text: 'mode: Off2',
      says: '1:7: error: `mode`: `Off2` is none of Enforce, Shadow, Observe (wrong-word)',
    },
    {
      text: 'mode: 7',
      says: '1:7: error: `mode` is the number `7`, must be a string: quote it (wrong-type)',
    },
    { text: 'kind: only', says: '1:7: error: `kind`: `only` is not Only; did you mean `Only`? (wrong-word)' },
    {
      text: 'union: left',
      says: '1:8: error: `union`: `left` is none of Left, Right; did you mean `Left`? (wrong-word)',
    },
    {
      text: 'timeout: 5 minutes',
      says: '1:10: error: `timeout` is `5 minutes`, must be a duration such as 30s, 15m or 8h (units: ms, s, m, h, d, y) (wrong-value)',
    },
    {
      text: 'timeout: 99999999999999999999y',
      says: '1:10: error: `timeout` is `99999999999999999999y`, must be a duration such as 30s, 15m or 8h (units: ms, s, m, h, d, y) (wrong-value)',
    },
    {
      text: 'timeout: 30',
      says: '1:10: error: `timeout` is the number `30`, must be a string: quote it (wrong-type)',
    },
    {
      text: 'size: 64KB',
      says: '1:7: error: `size` is `64KB`, must be a size such as 64KiB or 4MiB (units: B, KiB, MiB, GiB) (wrong-value)',
    },
    { text: 'port: 0', says: '1:7: error: `port` is 0, must be at least 1 (wrong-value)' },
    { text: 'port: 70000', says: '1:7: error: `port` is 70000, must be at most 65535 (wrong-value)' },
    {
      text: 'port: 1.5',
      says: '1:7: error: `port` is the number `1.5`, must be a whole number (wrong-type)',
    },
    {
      text: 'labels: { a.b/c: 1 }',
      says: '1:18: error: `labels["a.b/c"]` is the number `1`, must be a string: quote it (wrong-type)',
    },
    { text: 'labels: { __proto__: 1 }', says: '`labels.__proto__` is the number `1`' },
    {
      text: 'path: x',
      says: '1:7: error: `path` is `x`, which is not valid here: A path begins with a slash. (wrong-value)',
    },
    {
      text: 'tags: [a, b, a]',
      says: '1:7: error: `tags` names the same thing twice (elements 1 and 3) (wrong-value)',
    },
    { text: '- a', says: '1:1: error: `the document` is a list, must be a map of fields (wrong-type)' },
  ])('$text', ({ text, says }) => {
    const problems = problemsOf(text)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(says)
  })

  test('tells everything at once', () => {
    const text = 'mode: x\nport: 0\nbogus: 1\ncalls:\n  - services: a\n'
    expect(
      problemsOf(text)
        .map((line) => line.replace(/:\d+: error: .*\(/, ' ('))
        .sort(),
    ).toEqual([
      'f.yaml:1 (wrong-word)',
      'f.yaml:2 (wrong-value)',
      'f.yaml:3 (unknown-field)',
      'f.yaml:5 (missing-field)',
      'f.yaml:5 (unknown-field)',
    ])
  })

  test('never speaks raw control characters or endless values', () => {
    const [line] = problemsOf(`timeout: "${'x'.repeat(500)}\\e[2J"`)
    expect(line?.length).toBeLessThan(250)
    expect(problemsOf('mode: "\\e[2J"')[0]).toContain('`?[2J`')
  })

  test('does not judge a value whose reading was already refused', () => {
    const { documents, problems } = parseYamlDocuments('f.yaml', 'port: 0777\nmode: yes\n')
    expect(problems).toHaveLength(2)
    expect(documents.flatMap((document) => checkShape(schema, document))).toEqual([])
  })

  test('looks at a part of a document', () => {
    const [document] = parseYamlDocuments('f.yaml', 'kind: A\nspec:\n  items:\n    - mod: x\n').documents
    if (!document) throw new Error('no document')
    expect(checkShape(schema, document, { at: ['spec', 'items', 0] }).map(formatProblem)).toEqual([
      'f.yaml:4:7: error: unknown field `spec.items[0].mod`; did you mean `mode`? (unknown-field)',
    ])
  })

  test('accepts what fits', () => {
    const text =
      'mode: Shadow\ncalls: [{ service: a, endpoints: [] }]\ntimeout: 30s\nsize: 4MiB\nport: 443\nlabels: { a: "1" }\npath: /\n'
    expect(problemsOf(text)).toEqual([])
  })

  test('publishes plain JSON Schema', () => {
    const published = publishedSchema(Fields({ expected: DurationSchema }))
    expect(published).toEqual({
      type: 'object',
      additionalProperties: false,
      required: ['expected'],
      properties: {
        expected: {
          type: 'string',
          pattern: '^[0-9]+(ms|s|m|h|d|y)$',
          format: 'portcullis-duration',
          description: expect.any(String),
        },
      },
    })
  })
})
