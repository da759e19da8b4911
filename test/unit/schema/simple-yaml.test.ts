import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import type { Pointer } from '../../../src/schema/problem.js'
import { readSimpleYaml } from '../../../src/schema/simple-yaml.js'
import { parseYamlDocuments, type SourcedDocument } from '../../../src/schema/strict-yaml.js'

/** A document's end makes a text more than simple and moves nothing in it. */
const whole = (text: string) => parseYamlDocuments('f', `${text}\n...\n`)

function described(document: SourcedDocument): unknown {
  const places: unknown[] = []
  const walk = (value: unknown, pointer: Pointer): void => {
    places.push([pointer.join('/'), document.positionOf(pointer), document.positionOf(pointer, 'key')])
    if (typeof value !== 'object' || value === null) return
    for (const [key, member] of Object.entries(value)) {
      walk(member, [...pointer, Array.isArray(value) ? Number(key) : key])
    }
  }
  walk(document.value, [])
  return { value: document.value, json: JSON.stringify(document.value), places }
}

/** Whether it was read as simple; then as the whole reader reads it. */
function agrees(text: string): boolean {
  if (!readSimpleYaml(text)) return false
  const [simple, other] = [parseYamlDocuments('f', text), whole(text)]
  expect({ text, problems: other.problems }).toEqual({ text, problems: [] })
  expect({ text, documents: simple.documents.map(described) }).toEqual({
    text,
    documents: other.documents.map(described),
  })
  return true
}

test.each([
  'a: b: c',
  'a: {b}',
  'a: [b, ]',
  'a: [b: c]',
  'a: [/x/{id}]',
  'a: "b" c',
  "a: 'b' # c\nd: 'e'#f",
  'a: "\\t"',
  "a: 'it''s'",
  'a: b\n  c',
  'a:\n  b',
  'a: |\n  b',
  'a: &b c',
  'a: *b',
  'a: !b c',
  'a: - b',
  'a: ? b',
  'a: yes',
  'a: 010',
  'a: 1e999',
  'yes: a',
  '1: a',
  '<<: {}',
  'a: 1\na: 2',
  'a: {b: 1, b: 2}',
  'a:\n    b: 1\n  c: 2',
  '- a\nb: c',
  'a: b\n- c',
  '  a: b\nc: d',
  'a\tb: c',
  'a: b\r\n',
  'a : b',
  '"a":b',
  'a: b\n...\nc: d',
  '%YAML 1.1\n---\na: b',
  '--- a: b',
  '---a',
  '~',
  'a',
  '[a]',
  `${'k'.repeat(1025)}: a`,
  `"${'k'.repeat(1025)}": a`,
  Array.from({ length: 70 }, (_, at) => `${' '.repeat(at)}a:`).join('\n'),
  `a: ${'['.repeat(70)}${']'.repeat(70)}`,
])('left to the whole reader: %j', (text) => {
  expect(readSimpleYaml(text)).toBeUndefined()
})

test.each([
  '',
  '# c\n\n',
  '---\n---\n',
  '---\na: b\n--- # c\nc: d\n---\n',
  'a: b',
  'a:\nb:   # c\n',
  'a:\n- b\n-\n- c: d\n  e:\n  - f\ng: h\n',
  '- - a\n  - b\n- -   c: 1\n      d: 2\n-\n',
  'a: {b: [1, -2.5, "x y", \'z\', {}, []], "c d": e f, g: a:b}\n',
  'a:   b c   # d\ne: f#g\n\n  # h\nh: http://x/y?z=1\n',
  'a: -x\nb: -.5\nc: ~\nd: null\ne: true\nf: ""\n',
  '__proto__: a\nconstructor: { toString: b }\n',
  '"a b": c\n\'d\': e\n',
])('read as the whole reader does: %j', (text) => {
  expect(agrees(text)).toBe(true)
})

const mesh = new URL('../../../examples/mesh/policy/', import.meta.url)
const texts = readdirSync(mesh).map((file) => readFileSync(new URL(file, mesh), 'utf8'))

test('nearly all of the example mesh is simple', () => {
  expect(texts.filter(agrees).length).toBeGreaterThan(texts.length - 3)
})

test('whatever is changed in a document, both readers agree or the whole one reads it', () => {
  let seed = 20261125
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
    return Math.floor((seed / 0x80000000) * below)
  }
  const pieces = [
    ' ',
    '  ',
    '\n',
    ':',
    ': ',
    '- ',
    '-',
    '#',
    ' #',
    ',',
    '[',
    ']',
    '{',
    '}',
    '"',
    "'",
    '\\',
    '&a',
    '*a',
    '!',
    '|',
    '>',
    '?',
    '? ',
    '%',
    '---',
    '...',
    '~',
    '1',
    'a',
    '<<: ',
    '\n- ',
    '\n  ',
    'é',
    '\u{1f600}',
    '@',
    '`',
    '=',
    '.',
  ]
  let simple = 0
  for (let round = 0; round < 3000; round++) {
    const source = texts[random(texts.length)] ?? ''
    const from = source.lastIndexOf('\n', random(source.length)) + 1
    let text = source.slice(from, from + 300)
    for (let change = random(4); change >= 0; change--) {
      const at = random(text.length)
      text = text.slice(0, at) + (pieces[random(pieces.length)] ?? '') + text.slice(at + random(3))
    }
    if (agrees(text)) simple++
  }
  expect(simple).toBeGreaterThan(200)
})
