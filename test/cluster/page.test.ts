import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { REPOSITORY } from '../../demo/lay.js'
import { blocksOf } from '../docs/blocks.js'
import { readPage } from '../docs/pages.js'
import { refuseExisting, removeNamespaces } from './support/own-namespaces.js'

/** docs/kubernetes.md from zero to the first enforced call, by the page's own commands. */
const PAGE = 'docs/kubernetes.md'
const NAMESPACES = ['portcullis-system', 'shop', 'edge'] as const

const lines = readPage(PAGE).split('\n')
const begin = lines.findIndex((line) => line.startsWith('## From zero'))
const end = lines.findIndex((line, at) => at > begin && line.startsWith('## '))
const blocks = blocksOf(PAGE).filter(({ line }) => line > begin && line < end)
/** Each command with what the page says that it prints. */
const steps = blocks.flatMap(({ info, text }, index) => {
  const next = blocks[index + 1]
  return info === 'bash' ? [{ command: text, printed: next?.info === 'text' ? next.text : undefined }] : []
})

/** For a slow machine's first calls: a 503 is no decision. */
const TRIES = 10
let isOurs = false

beforeAll(async () => {
  await refuseExisting(NAMESPACES)
  isOurs = true
}, 30_000)

afterAll(() => (isOurs ? removeNamespaces(NAMESPACES) : undefined), 120_000)

test('the page has commands and what they print', () => {
  expect(steps.length).toBeGreaterThan(5)
  expect(steps.filter(({ printed }) => printed !== undefined).length).toBe(2)
})

test.each(steps)(
  '$command',
  async ({ command, printed }) => {
    let stdout = await run(command)
    for (let tries = 1; stdout.startsWith('503') && tries < TRIES; tries++) {
      await sleep(1000)
      stdout = await run(command)
    }
    if (printed !== undefined) expect(stdout).toBe(printed)
  },
  240_000,
)

async function run(command: string): Promise<string> {
  const bash = promisify(execFile)
  const { stdout } = await bash('bash', ['-euo', 'pipefail', '-c', command], {
    cwd: REPOSITORY,
    timeout: 200_000,
  })
  return stdout
}
