import { type CaseResult } from './run-case.js'

/** Characters that XML 1.0 can't hold, not even as a reference. */
const NOT_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu

function escaped(text: string): string {
  return text.replace(NOT_XML, '\ufffd').replace(/[&<>"'\t\n\r]/g, (character) => {
    switch (character) {
      case '&':
        return '&amp;'
      case '<':
        return '&lt;'
      case '>':
        return '&gt;'
      case '"':
        return '&quot;'
      case "'":
        return '&apos;'
      default:
        // Attributes would have their line breaks and tabs turned into blanks.
        return `&#${character.codePointAt(0)};`
    }
  })
}

/** Results as JUnit XML: a suite for each PolicyTest, a failure with what was expected and the steps. */
export function writeJUnit(results: readonly CaseResult[]): string {
  const suites = new Map<string, CaseResult[]>()
  for (const result of results) {
    const suite = suites.get(result.read.suite)
    if (suite) suite.push(result)
    else suites.set(result.read.suite, [result])
  }
  const lines = ['<?xml version="1.0" encoding="UTF-8"?>']
  lines.push(`<testsuites name="portcullis test"${counts(results)}>`)
  for (const [suite, ofSuite] of suites) {
    const file = ofSuite[0]?.read.file ?? ''
    lines.push(`  <testsuite name="${escaped(suite)}" file="${escaped(file)}"${counts(ofSuite)}>`)
    for (const result of ofSuite) lines.push(...caseLines(result))
    lines.push('  </testsuite>')
  }
  lines.push('</testsuites>')
  return `${lines.join('\n')}\n`
}

function counts(results: readonly CaseResult[]): string {
  const failures = results.filter(({ mismatches }) => mismatches.length > 0).length
  return ` tests="${results.length}" failures="${failures}" errors="0" skipped="0" time="0"`
}

function caseLines({ read, mismatches, steps, decision }: CaseResult): string[] {
  const { suite, name, file, position } = read
  const opening = `    <testcase classname="${escaped(suite)}" name="${escaped(name)}" file="${escaped(file)}" line="${position.line}" time="0"`
  if (mismatches.length === 0) return [`${opening}/>`]
  const told = mismatches.map(
    ({ field, expected, actual }) => `${field}: expected ${expected}, got ${actual}`,
  )
  const text = [
    `${file}:${position.line}:${position.column}`,
    ...told,
    decision.message,
    ...steps.map(({ step, outcome, detail }) => `${outcome} ${step}: ${detail}`),
  ]
  const body = text.filter((line) => line !== '').map(escaped)
  return [
    `${opening}>`,
    `      <failure type="mismatch" message="${escaped(told.join('; '))}">${body.join('\n')}</failure>`,
    '    </testcase>',
  ]
}
