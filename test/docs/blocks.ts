import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { readPage, REPOSITORY } from './pages.js'

/** A fenced block of a page. `info` is what follows the fence, for example `yaml policy`. */
export type Block = { readonly info: string; readonly text: string; readonly line: number }

/** Every page that is for readers, by its path from the repository's root. */
export function pages(): string[] {
  const docs = readdirSync(join(REPOSITORY, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`)
  return ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'envoy/README.md', ...docs.toSorted()]
}

export function blocksOf(page: string): Block[] {
  const blocks: Block[] = []
  let open: { info: string; line: number; lines: string[] } | undefined
  for (const [index, line] of readPage(page).split('\n').entries()) {
    if (!open) {
      const [, info] = /^```(.*)$/.exec(line) ?? []
      if (info !== undefined) open = { info, line: index + 1, lines: [] }
    } else if (line === '```') {
      blocks.push({ info: open.info, line: open.line, text: `${open.lines.join('\n')}\n` })
      open = undefined
    } else open.lines.push(line)
  }
  if (open) throw new Error(`${page}:${open.line}: a block without end`)
  return blocks
}
