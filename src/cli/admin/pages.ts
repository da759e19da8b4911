import type { Static, TSchema } from '@sinclair/typebox'
import { InvalidArgumentError, Option } from 'commander'
import type { Answer } from './answer.js'
import type { Api } from './command.js'
import type { ApiRequest } from './exchange.js'

/** `more`: there are others beyond the limit. */
export type Listing<Row> = { readonly rows: readonly Row[]; readonly more: boolean }

const PAGE_ROWS = 1000
const MAX_LIMIT = 100_000
/** So that a server whose pages are empty without end is not asked for ever. */
const MAX_PAGES = 1000

export function limitOption(): Option {
  return new Option('--limit <n>', 'how many at most').argParser(parseLimit).default(PAGE_ROWS)
}

/** Asks for page after page, in the order of the server, up to `limit` rows. */
export async function allPages<Shape extends TSchema, Row>(
  api: Api,
  request: ApiRequest,
  shape: Shape,
  pageOf: (answer: Static<Shape>) => { readonly rows: readonly Row[]; readonly next: string | undefined },
  limit: number,
): Promise<Answer<Listing<Row>>> {
  const rows: Row[] = []
  let cursor: string | undefined
  for (let pages = 0; pages < MAX_PAGES; pages++) {
    const query = { ...request.query, limit: Math.min(PAGE_ROWS, limit - rows.length), cursor }
    const answer = await api.ask({ ...request, query }, shape)
    if (!answer.ok) return answer
    const page = pageOf(answer.value)
    rows.push(...page.rows)
    if (page.next === undefined)
      return { ok: true, value: { rows: rows.slice(0, limit), more: rows.length > limit } }
    if (rows.length >= limit) break
    cursor = page.next
  }
  return { ok: true, value: { rows: rows.slice(0, limit), more: true } }
}

/** What follows a table that does not show everything. */
export function moreNote({ rows, more }: Listing<unknown>): string {
  return more ? `There are more than these ${rows.length}; --limit <n> shows them.\n` : ''
}

function parseLimit(text: string): number {
  const limit = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0
  if (limit < 1 || limit > MAX_LIMIT) throw new InvalidArgumentError(`give a number from 1 to ${MAX_LIMIT}.`)
  return limit
}
