import { describe, expect, test } from '@jest/globals'
import { readCases } from '../../../../src/lifecycle/testing/read-cases.js'
import { formatProblem } from '../../../../src/schema/problem.js'

const HEAD = 'apiVersion: portcullis.dev/v1beta1\nkind: PolicyTest\nmetadata: { name: t }\nspec:\n'
const CASE = '  cases: [{ name: a, expect: { decision: allow } }]\n'

const problemsOf = (...texts: string[]) =>
  readCases(texts.map((text, index) => ({ file: `${index}.yaml`, text }))).problems.map(formatProblem)

describe('what is wrong with a file of cases is told with its place', () => {
  test.each([
    { name: 'nothing at all', texts: [''], says: 'none of the files holds a case' },
    { name: 'no file', texts: [], says: 'none of the files holds a case' },
    {
      name: 'a policy alone',
      texts: [HEAD.replace('PolicyTest', 'DataPolicy')],
      says: 'none of the files holds',
    },
    {
      name: 'a kind misspelt',
      texts: [HEAD.replace('PolicyTest', 'PolicyTests') + CASE],
      says: '0.yaml:2:7: error: no kind `PolicyTests`; did you mean `PolicyTest`?',
    },
    { name: 'another version', texts: [HEAD.replace('v1beta1', 'v1') + CASE], says: '0.yaml:1:13: error' },
    { name: 'no list of cases', texts: [`${HEAD}  defaults: {}\n`], says: 'missing field `cases`' },
    { name: 'an empty list', texts: [`${HEAD}  cases: []\n`], says: '0.yaml:5:10: error' },
    {
      name: 'a case without expectation',
      texts: [`${HEAD}  cases: [{ name: a }]\n`],
      says: 'missing field `expect`',
    },
    {
      name: 'an unknown field',
      texts: [`${HEAD}  cases: [{ name: a, calller: x, expect: { decision: allow } }]\n`],
      says: '0.yaml:5:22: error: ',
    },
    {
      name: 'its right name',
      texts: [`${HEAD}  cases: [{ name: a, calller: x, expect: { decision: allow } }]\n`],
      says: 'did you mean `caller`?',
    },
    {
      name: 'an unknown reason',
      texts: [`${HEAD}  cases: [{ name: a, expect: { decision: deny, reason: forbiden } }]\n`],
      says: 'did you mean `forbidden`?',
    },
    {
      name: 'a plain no',
      texts: [`${HEAD}  cases: [{ name: no, expect: { decision: deny } }]\n`],
      says: 'quote it',
    },
    { name: 'a tab', texts: [`${HEAD}\tcases: []\n`], says: '0.yaml:5:' },
    { name: 'bytes that are no text', texts: [`${HEAD}${CASE}\u0000`], says: 'error' },
    {
      name: 'a case twice',
      texts: [
        `${HEAD}  cases: [{ name: a, expect: { decision: allow } }, { name: a, expect: { decision: deny } }]\n`,
      ],
      says: 'a second case is named `a`',
    },
    {
      name: 'a name in two files',
      texts: [HEAD + CASE, HEAD + CASE],
      says: '1.yaml:3:19: error: a PolicyTest `t` stands at 0.yaml:3:19 already',
    },
    {
      name: 'a half word of a duration',
      texts: [`${HEAD}  defaults: { user: { authAge: 5 minutes } }\n${CASE}`],
      says: 'duration such as 30s',
    },
  ])('$name', ({ texts, says }) => {
    expect(problemsOf(...texts).join('\n')).toContain(says)
  })

  test('all at once', () => {
    const text = `${HEAD}  cases:\n    - { name: a, expect: { decision: yes } }\n    - { nam: b, expect: { decision: "no" } }\n`
    expect(problemsOf(text).length).toBeGreaterThanOrEqual(3)
  })
})

test('documents of others are passed over', () => {
  const { cases, problems } = readCases([
    { file: 'b.yaml', text: `${HEAD}${CASE}` },
    {
      file: 'a.yaml',
      text: 'apiVersion: v1\nkind: ConfigMap\n---\napiVersion: portcullis.dev/v1beta1\nkind: Configuration\n',
    },
  ])
  expect(problems).toEqual([])
  expect(cases.map(({ suite, name, position }) => [suite, name, position])).toEqual([
    ['t', 'a', { file: 'b.yaml', line: 5, column: 11 }],
  ])
})

test('a part that only the defaults have is shown there', () => {
  const { cases } = readCases([{ file: 'a.yaml', text: `${HEAD}  defaults: { caller: x }\n${CASE}` }])
  expect(cases[0]?.positionOf(['caller'])).toMatchObject({ line: 5, column: 23 })
  expect(cases[0]?.positionOf(['at'])).toMatchObject({ line: 6 })
})
