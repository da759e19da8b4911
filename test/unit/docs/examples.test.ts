import { describe, expect, test } from '@jest/globals'
import { loadConfig } from '../../../src/config/load.js'
import { loadPolicy } from '../../../src/policy/load-policy.js'
import { formatProblem, type Problem } from '../../../src/schema/problem.js'
import { type Block, blocksOf, pages } from '../../docs/blocks.js'
import { readPage } from '../../docs/pages.js'
import { runCli } from '../../support/cli.js'

type Example = { readonly place: string; readonly block: Block; readonly next: Block | undefined }

/** `yaml policy` and `yaml config` load; with `refused` they are refused as the `text` block behind them says. */
function examples(info: string): Example[] {
  return pages().flatMap((page) => {
    const blocks = blocksOf(page)
    return blocks.flatMap((block, index) =>
      block.info === info ? [{ place: `${page}:${block.line}`, block, next: blocks[index + 1] }] : [],
    )
  })
}

function policyProblems(text: string): string[] {
  const loaded = loadPolicy([{ file: 'policy.yaml', text: Buffer.from(text) }], {
    localTrustDomain: 'cluster.local',
    trustDomains: ['partner.example'],
  })
  return loaded.ok ? [] : errorsOf(loaded.problems)
}

function configurationProblems(text: string): string[] {
  const loaded = loadConfig({ file: 'portcullis.yaml', text, env: {}, flags: {} })
  return 'problems' in loaded ? errorsOf(loaded.problems) : []
}

function errorsOf(problems: readonly Problem[]): string[] {
  return problems.filter(({ severity }) => severity === 'error').map(formatProblem)
}

describe('examples that are refused, as the page says', () => {
  test.each(examples('yaml policy refused'))('$place', ({ block, next }) => {
    expect(next?.info).toBe('text')
    expect(policyProblems(block.text).join('\n')).toBe(next?.text.trimEnd())
  })

  test.each(examples('yaml config refused'))('$place', ({ block, next }) => {
    expect(next?.info).toBe('text')
    expect(configurationProblems(block.text).join('\n')).toBe(next?.text.trimEnd())
  })
})

describe('examples that load', () => {
  test.each(examples('yaml policy'))('$place', ({ block }) => {
    expect(policyProblems(block.text)).toEqual([])
  })

  test.each(examples('yaml config'))('$place', ({ block }) => {
    expect(configurationProblems(block.text)).toEqual([])
  })

  test('every YAML block says what it is: policy or config, refused or not, or else a fragment', () => {
    const unmarked = pages().flatMap((page) =>
      blocksOf(page)
        .filter(
          ({ info }) =>
            /^ya?ml/.test(info) && !/^yaml (?:(?:policy|config)(?: refused)?|fragment)$/.test(info),
        )
        .map(({ line }) => `${page}:${line}`),
    )
    expect(unmarked).toEqual([])
  })
})

describe('keys of conditions', () => {
  const [, table = ''] = /^\| Key \| Holds[^\n]*\n((?:\|.*\n)+)/m.exec(readPage('docs/policy.md')) ?? []
  const keys = table
    .split('\n')
    .flatMap((row) => Array.from((row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g), ([, key = '']) => key))

  test('are told', () => {
    expect(keys.length).toBeGreaterThan(30)
  })

  test.each(keys)('%s is one', (key) => {
    const problems = policyProblems(`
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: api }
spec: { forbid: [{ name: one, when: [{ key: "${key}", present: true }] }] }
`)
    // Of time there is always one, so nobody asks whether it is present.
    expect(problems.filter((problem) => !problem.endsWith('(condition-operator)'))).toEqual([])
  })
})

/** In a `console` block: commands behind `$ `, a backslash continues one, and what each prints. */
function commandsOf({ text }: Block): { readonly command: string; readonly output: string }[] {
  return text
    .replaceAll(/\\\n */g, '')
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf('\n')
      return { command: part.slice(0, end), output: part.slice(end + 1).trimEnd() }
    })
}

/** Blanks part words; quotes keep them together. */
function wordsOf(command: string): string[] {
  return Array.from(
    command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g),
    ([word, single, double]) => single ?? double ?? word,
  )
}

describe('commands print what the page shows', () => {
  const shown = examples('console').flatMap(({ place, block }) =>
    commandsOf(block)
      .filter(({ command }) => /^portcullis (?:check|lint|schema)\b/.test(command))
      .map(({ command, output }) => ({ place, command, output })),
  )

  test('there are some', () => {
    expect(shown.length).toBeGreaterThan(0)
  })

  test.each(shown)('$place: $command', async ({ command, output }) => {
    const { stdout, stderr } = await runCli(wordsOf(command).slice(1))
    expect(`${stdout}${stderr}`.trimEnd()).toBe(output)
  })
})
