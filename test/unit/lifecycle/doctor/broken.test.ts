import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { parse } from 'yaml'
import { FINDING_CODES } from '../../../../src/lifecycle/doctor/finding.js'
import { applyFix, mendedWhole, written } from './apply-fix.js'
import { BROKEN } from './broken/all.js'
import { brokenText, examineText, shipped } from './examined.js'

const broken = BROKEN.map((each) => ({
  ...each,
  name: `${each.file}: ${each.name} (${each.finds})`,
  text: brokenText(each),
}))

describe('a shipped file with one thing wrong', () => {
  test.each(broken)('$name', ({ text, finds, line }) => {
    const { findings } = examineText(text)
    const lines = text.split('\n')
    expect(
      findings.map(({ severity, code, position }) => ({
        finds: `${severity} ${code}`,
        line: lines[(position?.line ?? 0) - 1]?.trim(),
      })),
    ).toEqual([{ finds, line: expect.stringContaining(line) }])
  })

  test.each(broken)('$name: the fix mends it', ({ text }) => {
    const [finding] = examineText(text).findings
    const mended = finding ? applyFix(parse(text), finding) : undefined
    const left = examineText(written(mended)).findings
    expect(left.filter(({ code }) => code === finding?.code)).toEqual([])
    // A filter that was missing brings the questions that go with it; their fixes end them.
    const whole = examineText(written(mendedWhole(mended))).findings
    expect(whole.map(({ code, where }) => `${code} ${where}`)).toEqual([])
  })

  test('every kind of finding is among them', () => {
    const found = new Set(BROKEN.map(({ finds }) => finds.split(' ')[1]))
    expect(FINDING_CODES.filter((code) => !found.has(code))).toEqual([])
  })

  test('the page has every kind, with each severity', () => {
    const page = readFileSync(new URL('../../../../docs/doctor.md', import.meta.url), 'utf8')
    let code = ''
    const told = Array.from(
      page.matchAll(/^\|(?: `([a-z0-9-]+)` \|)?(?: \|)? (error|warning) \|/gm),
      (row) => {
        code = row[1] ?? code
        return `${row[2]} ${code}`
      },
    )
    expect(told.toSorted()).toEqual([...new Set(BROKEN.map(({ finds }) => finds))].toSorted())
  })

  test('each says why, in words that end', () => {
    const findings = broken.flatMap(({ text }) => examineText(text).findings)
    const unfit = findings.filter(
      ({ why, message, where }) => !/^[A-Z].*\.$/.test(why) || message.endsWith('.') || where === '',
    )
    expect(unfit.map(({ code, message, why }) => ({ code, message, why }))).toEqual([])
  })
})

describe('what is shipped is clean', () => {
  test.each(['sidecar.yaml', 'sidecar-tcp.yaml', 'gateway.yaml'])('%s', (file) => {
    expect(examineText(shipped(file)).findings).toEqual([])
    expect(examineText(shipped(file)).asks).toBe(1)
  })
})
