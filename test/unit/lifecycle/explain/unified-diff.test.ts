import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { unifiedDiff } from '../../../../src/lifecycle/explain/unified-diff.js'
import { generator } from './random-policy.js'

test('equal texts differ in nothing', () => {
  expect(unifiedDiff('a', 'x\n', 'x\n')).toBe('')
})

test('lines, with what stands around them', () => {
  expect(unifiedDiff('p/a.yaml', '1\n2\n3\n4\n5\n6\n7\n8\n', '1\n2\n3\n4\nfive\n6\n7\n8\n')).toBe(
    '--- a/p/a.yaml\n+++ b/p/a.yaml\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n',
  )
})

test('git applies what it writes', () => {
  const random = generator(7)
  const directory = mkdtempSync(join(tmpdir(), 'portcullis-diff-'))
  try {
    for (let round = 0; round < 25; round++) {
      const lines = Array.from({ length: 1 + random.below(60) }, () => String(random.below(9)))
      const other = [...lines]
      for (let edits = 1 + random.below(5); edits > 0; edits--) {
        const added = random.chance(0.6) ? [`new ${random.below(9)}`] : []
        other.splice(random.below(other.length + 1), random.below(2), ...added)
      }
      if (other.length === 0 || other.join() === lines.join()) continue
      writeFileSync(join(directory, 'f'), `${lines.join('\n')}\n`)
      const diff = unifiedDiff('f', `${lines.join('\n')}\n`, `${other.join('\n')}\n`)
      execFileSync('git', ['apply', '-'], { cwd: directory, input: diff })
      expect(readFileSync(join(directory, 'f'), 'utf8')).toBe(`${other.join('\n')}\n`)
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
})
