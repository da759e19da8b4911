import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { availableCores } from '../../../../src/main/workers/cores.js'

let root = ''
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'cores-'))
  for (const [name, text] of Object.entries({
    'half/cpu.max': '50000 100000\n',
    'two/cpu.max': '200000 100000\n',
    'two/inner/cpu.max': 'max 100000\n',
    'most/cpu.max': '380000 100000\n',
    'odd/cpu.max': 'nonsense',
    'cpu/old/cpu.cfs_quota_us': '300000\n',
    'cpu/old/cpu.cfs_period_us': '100000\n',
    'cpu/free/cpu.cfs_quota_us': '-1\n',
    'cpu/free/cpu.cfs_period_us': '100000\n',
  })) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

test.each([
  { groups: '', cores: 8 },
  { groups: 'nonsense\n', cores: 8 },
  { groups: '0::/odd\n', cores: 8 },
  { groups: '0::/absent\n', cores: 8 },
  { groups: '4:cpu,cpuacct:/free\n', cores: 8 },
  { groups: '0::/half\n', cores: 1 },
  { groups: '0::/two/inner\n', cores: 2 },
  { groups: '0::/most\n', cores: 3 },
  { groups: '4:cpu,cpuacct:/old\n1:name=systemd:/\n', cores: 3 },
])('in $groups there are $cores of 8 cores', ({ groups, cores }) => {
  expect(availableCores(8, groups, root)).toBe(cores)
})

test('there are never more than the system has, and here there is one at least', () => {
  expect(availableCores(1, '0::/most\n', root)).toBe(1)
  expect(availableCores()).toBeGreaterThanOrEqual(1)
})
