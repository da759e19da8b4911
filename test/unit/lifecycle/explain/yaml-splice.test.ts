import { expect, test } from '@jest/globals'
import type { Edit } from '../../../../src/lifecycle/explain/edit.js'
import { editValue } from '../../../../src/lifecycle/explain/edit.js'
import { flowText } from '../../../../src/lifecycle/explain/flow-text.js'
import { spliceYaml } from '../../../../src/lifecycle/explain/yaml-splice.js'

const edit = (op: Edit['op'], at: (string | number)[], value?: unknown): Edit => {
  const about = { document: 0, at, say: '' }
  if (op === 'remove') return { ...about, op }
  return op === 'set' ? { ...about, op, value } : { ...about, op, values: [value] }
}

test.each([
  ['an alias', 'a: &x [1]\nb: *x\n', edit('append', ['b'], 2)],
  ['a list that is a map', 'a: { b: 1 }\n', edit('append', ['a'], 2)],
  ['a place that is not there', 'a: 1\n', edit('append', ['b', 'c'], 2)],
  ['the last item of a list', 'a: [1]\n', edit('remove', ['a', 0])],
  ['a document that is a list', '[1]\n', edit('append', ['a'], 2)],
  ['no YAML', 'a: [1\n', edit('append', ['a', 'b'], 2)],
])('does not fit: %s', (_name, text, change) => {
  expect(spliceYaml(text, 1, change)).toBeUndefined()
})

test.each([
  ['flow list', 'a: [x, y] # why\n', edit('append', ['a'], 'z'), 'a: [x, y, z] # why\n'],
  ['flow list with a last comma', 'a: [x,]\n', edit('append', ['a'], 'z'), 'a: [x, z,]\n'],
  ['empty flow list', 'a: []\nb: 1\n', edit('append', ['a'], 'z'), 'a: [z]\nb: 1\n'],
  [
    'block list, with comments around',
    'a:\n  - x # one\n  # between\n  - y # two\n# after\nb: 1\n',
    edit('append', ['a'], { w: 'z' }),
    'a:\n  - x # one\n  # between\n  - y # two\n  - { w: z }\n# after\nb: 1\n',
  ],
  [
    'block list whose last item has lines',
    'a:\n  - w: x\n    m: [1,\n      2]\n\nb: 1\n',
    edit('append', ['a'], 'z'),
    'a:\n  - w: x\n    m: [1,\n      2]\n  - z\n\nb: 1\n',
  ],
  ['block list without an end of line', 'a:\n- x', edit('append', ['a'], 'z'), 'a:\n- x\n- z'],
  [
    'list that is missing, in a block',
    'a:\n  b: 1 # b\n',
    edit('append', ['a', 'c'], { w: 'z' }),
    'a:\n  b: 1 # b\n  c:\n    - { w: z }\n',
  ],
  [
    'list that is missing, in a list of maps',
    'a:\n  - w: x\n  - w: y\n',
    edit('append', ['a', 0, 'to'], 'z'),
    'a:\n  - w: x\n    to: [z]\n  - w: y\n',
  ],
  [
    'list that is missing, in a flow map',
    'a: { b: 1 }\n',
    edit('append', ['a', 'c'], 'z'),
    'a: { b: 1, c: [z] }\n',
  ],
  ['value that is set', 'a: { b: One } # why\n', edit('set', ['a', 'b'], 'Two'), 'a: { b: Two } # why\n'],
  ['value that is new', 'a:\n  b: One\n', edit('set', ['a', 'c'], 'Two'), 'a:\n  b: One\n  c: Two\n'],
  ['flow item taken out', 'a: [x, y, z]\n', edit('remove', ['a', 1]), 'a: [x, z]\n'],
  ['last flow item taken out', 'a: [x, y]\n', edit('remove', ['a', 1]), 'a: [x]\n'],
  [
    'block item taken out',
    'a:\n  - w: x\n    m: 1\n  - w: y # y\n  - w: z\n',
    edit('remove', ['a', 1]),
    'a:\n  - w: x\n    m: 1\n  - w: z\n',
  ],
  ['block field taken out', 'a: 1\nb:\n  - x\n  - y\nc: 2\n', edit('remove', ['b']), 'a: 1\nc: 2\n'],
])('%s', (_name, before, change, after) => {
  expect(spliceYaml(before, 1, change)).toBe(after)
})

test('only the document that begins on the line is changed', () => {
  const text = '# one\na: [x]\n---\n# two\na: [x]\n'
  expect(spliceYaml(text, 5, edit('append', ['a'], 'z'))).toBe('# one\na: [x]\n---\n# two\na: [x, z]\n')
  expect(spliceYaml(text, 4, edit('append', ['a'], 'z'))).toBeUndefined()
})

test.each([
  ['a word', 'yes', '"yes"'],
  ['a template', '/a/{id}', '"/a/{id}"'],
  ['a scope', 'a:b', '"a:b"'],
  ['a number as text', '1', '"1"'],
  ['a name', 'payment-service', 'payment-service'],
  ['a map', { a: [1, 'b'], c: undefined }, '{ a: [1, b] }'],
  ['nothing', {}, '{}'],
])('written on one line: %s', (_name, value, text) => {
  expect(flowText(value)).toBe(text)
})

test('the same change on plain values leaves what it was given alone', () => {
  const value = { spec: { calls: [{ service: 'a' }] } }
  const changed = editValue(value, edit('append', ['spec', 'calls'], { service: 'b' }))
  expect(changed).toEqual({ spec: { calls: [{ service: 'a' }, { service: 'b' }] } })
  expect(value.spec.calls).toHaveLength(1)
  expect(editValue(value, edit('append', ['spec', 'none', 'calls'], 1))).toBeUndefined()
  expect(editValue(value, edit('remove', ['spec', 'calls', 7]))).toBeUndefined()
})
