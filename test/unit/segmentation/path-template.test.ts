import { describe, expect, test } from '@jest/globals'
import {
  covers,
  meet,
  parsePathTemplate,
  type PathTemplate,
  templateKey,
} from '../../../src/segmentation/path-template.js'
import { TemplateTrie } from '../../../src/segmentation/template-trie.js'

const template = (text: string): PathTemplate => {
  const parsed = parsePathTemplate(text)
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.template
}

test.each([
  ['/*', '/* is refused'],
  ['/api/*/x', '/* is refused'],
  ['/api/*', '/* is refused'],
  ['/api/**/x', 'only stand at the end'],
  ['/api/v*', 'part of a segment'],
  ['/api/v{id}', 'whole segment'],
  ['/api/{}', 'whole segment'],
  ['/api/{id', 'whole segment'],
  ['/{a}/{a}', 'occurs twice'],
  ['api', 'begins with /'],
  ['', 'begins with /'],
  ['/a//b', 'empty segment'],
  ['/a//**', 'empty segment'],
  ['/a/../b', 'dot segments'],
  ['/a/.', 'dot segments'],
  ['/a?x=1', 'neither query'],
  ['/a#x', 'neither query'],
  ['/a;v=1', 'path parameters'],
  ['/a\\b', 'never holds'],
  ['/a b', 'never holds'],
  ['/a%2fb', 'percent-encodes only'],
  ['/a%2Fb', 'percent-encodes only'],
  ['/%61', 'percent-encodes only'],
  ['/%c3%a9', 'upper-case hex'],
  ['/a%zz', 'percent-encodes only'],
  ['/café', 'caf%C3%A9'],
  ['/\ud800', 'never holds'],
])('the template %j is refused', (text, problem) => {
  const parsed = parsePathTemplate(text)
  expect(parsed.ok ? 'accepted' : parsed.problem).toContain(problem)
})

test('a template of more than 2048 characters is refused', () => {
  expect(parsePathTemplate(`/${'a'.repeat(2048)}`)).toEqual({
    ok: false,
    problem: 'longer than 2048 characters',
  })
})

test.each([
  ['/api/{id}', '/api', false],
  ['/api/{id}', '/api/', false],
  ['/api/{id}', '/api/1/2', false],
  ['/api', '/api/', false],
  ['/api', '/API', false],
  ['/api/**', '/apix', false],
  ['/api/{id}/**', '/api', false],
  ['/', '/a', false],
  ['/api/{id}', '/api/1', true],
  ['/api/**', '/api', true],
  ['/api/**', '/api/', true],
  ['/api/**', '/api/a/b/c', true],
  ['/**', '/', true],
  ['/', '/', true],
  ['/caf%C3%A9', '/caf%C3%A9', true],
])('%s on %s: %s', (text, path, matches) => {
  const trie = new TemplateTrie<string>()
  trie.set(template(text), text)
  expect(trie.find(path)).toBe(matches ? text : undefined)
})

describe('what two templates have in common', () => {
  test.each([
    ['/a', '/b', undefined],
    ['/a', '/a/b/**', undefined],
    ['/a/', '/a/{x}', undefined],
    ['/{x}', '/{x}/{y}', undefined],
    ['/a/{x}', '/{y}/b', '/a/b'],
    ['/a/**', '/{x}/b', '/a/b'],
    ['/a/**', '/{x}/b/**', '/a/b/**'],
    ['/a/**', '/a', '/a'],
    ['/**', '/', '/'],
    ['/a/**', '/a/', '/a/'],
  ])('%s and %s: %s', (left, right, both) => {
    for (const [one, other] of [
      [left, right],
      [right, left],
    ] as const) {
      const common = meet(template(one), template(other))
      expect(common && templateKey(common)).toBe(both)
    }
  })

  test.each([
    ['/a', '/a/**', false],
    ['/a/{x}', '/{y}/b', false],
    ['/{x}', '/', false],
    ['/a/**', '/a', true],
    ['/{x}', '/a', true],
    ['/a/{x}', '/a/{y}', true],
  ])('%s covers %s: %s', (outer, inner, expected) => {
    expect(covers(template(outer), template(inner))).toBe(expected)
  })
})
