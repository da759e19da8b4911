import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { demandTable } from '../support/http2-demands.js'
import { optionTables } from './configuration-options.js'
import { reasonsNobodyGives } from './given-reasons.js'
import { metricRows } from './metric-rows.js'

export const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url))

/** Pages with parts that are written by the code itself, between `<!-- NAME: begin -->` and `<!-- NAME: end -->`. */
const GENERATED: Readonly<Record<string, Readonly<Record<string, () => string | Promise<string>>>>> = {
  'docs/configuration.md': { options: optionTables },
  'docs/decisions.md': { 'not-given': () => asList(reasonsNobodyGives()) },
  'docs/http2.md': { demands: demandTable },
  'docs/operations.md': { metrics: metricRows },
}

export const GENERATED_PAGES: readonly string[] = Object.keys(GENERATED)

export function readPage(page: string): string {
  return readFileSync(`${REPOSITORY}${page}`, 'utf8')
}

/** The page as it should be. Throws where a marker is missing: a part would silently go out of date. */
export async function renewed(page: string): Promise<string> {
  let text = readPage(page)
  for (const [name, write] of Object.entries(GENERATED[page] ?? {})) {
    const begin = `<!-- ${name}: begin -->\n`
    const end = `<!-- ${name}: end -->`
    const [from, to] = [text.indexOf(begin), text.indexOf(end)]
    if (from < 0 || to < from) throw new Error(`${page} has no part \`${name}\``)
    text = `${text.slice(0, from)}${begin}\n${await write()}\n\n${text.slice(to)}`
  }
  return text
}

function asList(names: readonly string[]): string {
  return names.length === 0 ? 'None.' : names.map((name) => `- \`${name}\``).join('\n')
}
