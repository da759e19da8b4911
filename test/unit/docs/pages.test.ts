import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { HTTP_STATUS_OF_REASON } from '../../../src/decision/reason.js'
import { pages } from '../../docs/blocks.js'
import { isRefusedInEveryMode } from '../../docs/given-reasons.js'
import { GENERATED_PAGES, readPage, renewed, REPOSITORY } from '../../docs/pages.js'
import { runCli } from '../../support/cli.js'

test.each(GENERATED_PAGES)('what the code writes into %s is up to date (else: make docs)', async (page) => {
  expect(readPage(page)).toBe(await renewed(page))
})

describe('docs/decisions.md', () => {
  const sections = readPage('docs/decisions.md').split(/^### /m).slice(1)
  const statuses = Object.entries(HTTP_STATUS_OF_REASON)

  test('has no section for what is no reason', () => {
    const named = sections.map((section) => section.slice(0, section.indexOf('\n')))
    expect(named.toSorted()).toEqual(statuses.map(([reason]) => `\`${reason}\``).toSorted())
  })

  test.each(statuses)('says what %s answers', (reason, status) => {
    const section = sections.find((text) => text.startsWith(`\`${reason}\`\n`)) ?? ''
    expect(section).toContain(`\n**${status}**`)
    expect(section.includes('Refused in every mode.')).toBe(isRefusedInEveryMode(reason))
  })
})

describe('README.md', () => {
  test('names every command', async () => {
    const commands = await commandsBelow([])
    expect(commands.length).toBeGreaterThan(5)
    expect(commands.filter((command) => !readPage('README.md').includes(`| \`${command}`))).toEqual([])
  })
})

/** Full names of the commands that do something, `portcullis token mint` and the like. */
async function commandsBelow(names: readonly string[]): Promise<string[]> {
  const { stdout } = await runCli([...names, '--help'])
  const [, listed] = stdout.split('\nCommands:\n')
  if (listed === undefined) return [['portcullis', ...names].join(' ')]
  const [list = ''] = listed.split('\n\n')
  const inner = Array.from(list.matchAll(/^ {2}([a-z]\S*)/gm), ([, name = '']) => name)
  const below = inner.filter((name) => name !== 'help').map((name) => commandsBelow([...names, name]))
  return (await Promise.all(below)).flat()
}

/** As GitHub makes them of headings. */
function anchorsOf(page: string): Set<string> {
  const headings = readPage(page)
    .replaceAll(/^```[\s\S]*?^```/gm, '')
    .matchAll(/^#+ (.*)$/gm)
  return new Set(
    Array.from(headings, ([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  )
}

test.each(pages())('every link within the repository leads somewhere: %s', (page) => {
  const text = readPage(page).replaceAll(/^```[\s\S]*?^```/gm, '')
  const broken = Array.from(
    text.matchAll(/\]\(([^)\s]+)\)|\b(?:src|srcset)="([^"]+)"/g),
    ([, link, source]) => {
      const [path = '', anchor] = (link ?? source ?? '').split('#')
      if (/^[a-z]+:/.test(path)) return undefined
      const found = path === '' ? page : join(dirname(page), path)
      const there = existsSync(join(REPOSITORY, found))
      const anchored =
        anchor === undefined || !found.endsWith('.md') || (there && anchorsOf(found).has(anchor))
      return there && anchored ? undefined : (link ?? source)
    },
  )
  expect(broken.filter((link) => link !== undefined)).toEqual([])
})
