import { describe, expect, test } from '@jest/globals'
import { writeJUnit } from '../../../../src/lifecycle/testing/junit.js'
import type { CaseResult } from '../../../../src/lifecycle/testing/run-case.js'

type Element = {
  readonly name: string
  readonly attributes: ReadonlyMap<string, string>
  readonly children: Element[]
  text: string
}

/** Reads the XML that has elements, attributes and text alone; anything not well-formed throws. */
function parseStrictXml(xml: string): Element {
  const root: Element = { name: '', attributes: new Map(), children: [], text: '' }
  const open = [root]
  const tokens =
    /<\?xml [^?]*\?>|<\/([a-z]+)>|<([a-z]+)((?: [a-z]+="[^"<&]*(?:&[^;]+;[^"<&]*)*")*)(\/?)>|((?:[^<&]|&(?:amp|lt|gt|quot|apos|#[0-9]+);)+)/gy
  let at = 0
  while (at < xml.length) {
    tokens.lastIndex = at
    const match = tokens.exec(xml)
    const inner = open.at(-1)
    if (!match || !inner) throw new Error(`not well-formed at ${at}: ${xml.slice(at, at + 40)}`)
    const [token, closed, opened, attributes = '', empty, text] = match
    if (closed !== undefined) {
      if (open.pop()?.name !== closed) throw new Error(`</${closed}> closes another`)
    } else if (opened !== undefined) {
      const pairs = [...attributes.matchAll(/ ([a-z]+)="([^"]*)"/g)]
      const read = new Map(pairs.map(([, name = '', value = '']) => [name, unescaped(value)]))
      const element: Element = { name: opened, attributes: read, children: [], text: '' }
      inner.children.push(element)
      if (empty === '') open.push(element)
    } else if (text !== undefined) inner.text += unescaped(text)
    at += token.length
  }
  const [document] = root.children
  if (open.length !== 1 || root.children.length !== 1 || !document) throw new Error('not one closed root')
  return document
}

const ENTITIES = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
])

function unescaped(text: string): string {
  return text.replace(/&([a-z]+|#[0-9]+);/g, (_, name: string) =>
    name.startsWith('#') ? String.fromCodePoint(Number(name.slice(1))) : (ENTITIES.get(name) ?? '?'),
  )
}

function result(over: { name?: string; suite?: string; message?: string; actual?: string }): CaseResult {
  const { name = 'a', suite = 's', message = '', actual } = over
  const position = { file: 'f.yaml', line: 3, column: 5 }
  return {
    read: {
      file: 'f.yaml',
      suite,
      name,
      written: { name, expect: { decision: 'allow' } },
      defaults: {},
      position,
      positionOf: () => position,
    },
    decision: {
      outcome: 'deny',
      reason: 'forbidden',
      message,
      mode: 'Enforce',
      obligations: [],
      revision: '',
    },
    mismatches: actual === undefined ? [] : [{ field: 'decision', expected: 'allow', actual }],
    steps: [],
  }
}

describe('whatever names hold, the report is well-formed XML that says the same', () => {
  test.each([
    { name: 'markup', text: `<a href="x">'&amp;]]></a>` },
    { name: 'line breaks and tabs', text: 'one\ntwo\r\n\tthree' },
    { name: 'other scripts', text: 'Zahlung über 5 € 💶' },
    { name: 'characters that XML has no word for', text: 'a\u0000b\u001bc\uffffd\ud800e', read: 'a�b�c�d�e' },
    { name: 'nothing', text: '' },
  ])('$name', ({ text, read = text }) => {
    const root = parseStrictXml(
      writeJUnit([result({ name: text, suite: text, message: text, actual: text })]),
    )
    const suite = root.children[0]
    const testcase = suite?.children[0]
    const failure = testcase?.children[0]
    expect(suite?.attributes.get('name')).toBe(read)
    expect(testcase?.attributes.get('name')).toBe(read)
    expect(testcase?.attributes.get('classname')).toBe(read)
    expect(failure?.attributes.get('message')).toBe(`decision: expected allow, got ${read}`)
    expect(failure?.text).toContain(read)
  })
})

test('suites are counted each and together', () => {
  const root = parseStrictXml(
    writeJUnit([result({}), result({ name: 'b', suite: 't', actual: 'deny' }), result({ name: 'c' })]),
  )
  const counts = (element: typeof root) =>
    ['name', 'tests', 'failures', 'errors', 'skipped'].map((name) => element.attributes.get(name))
  expect(counts(root)).toEqual(['portcullis test', '3', '1', '0', '0'])
  expect(root.children.map(counts)).toEqual([
    ['s', '2', '0', '0', '0'],
    ['t', '1', '1', '0', '0'],
  ])
  expect(root.children[1]?.children[0]?.attributes.get('line')).toBe('3')
})

test('no case at all', () => {
  expect(parseStrictXml(writeJUnit([])).children).toEqual([])
})
