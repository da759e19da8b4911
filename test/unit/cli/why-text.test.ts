import { expect, test } from '@jest/globals'
import { writeWhyText } from '../../../src/cli/why-text.js'
import type { SuggestedChange } from '../../../src/lifecycle/explain/why.js'

const plain = (text: string): string => text
const STYLE = { good: plain, bad: plain, faint: plain }

function textOf(opens: SuggestedChange['opens'], opensAll: boolean): string {
  const then = { decision: 'allow', reason: 'allowed', message: '' } as const
  const change = { edits: [], diff: '', opens, opensAll, then }
  const why = { refusedBy: undefined, advice: undefined, passed: undefined, nearest: undefined }
  return writeWhyText({ ...why, changes: [change] }, STYLE).join('\n')
}

const way = (request: string): SuggestedChange['opens'][number] => ({
  caller: 'x/b',
  target: 'x/a',
  endpoint: 'e',
  request,
  under: 'this user',
})

test('a change that could not be looked at whole is not said to open nothing else', () => {
  expect(textOf([], false)).not.toContain('nothing else')
  expect(textOf([], false)).toContain('too much to tell all that it opens')
  expect(textOf([way('GET /b')], false)).toContain('x/b → x/a  GET /b (e), for this user')
})

test('requests of one caller and endpoint are one line, of at most six', () => {
  const text = textOf(
    Array.from({ length: 8 }, (_, at) => way(`GET /${at}`)),
    true,
  )
  expect(text).toContain(
    'x/b → x/a  GET /0, GET /1, GET /2, GET /3, GET /4, GET /5 and 2 more (e), for this user',
  )
  expect(textOf([], true)).toContain('it opens nothing else')
})
