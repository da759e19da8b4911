import { decodeFormText } from '../../request/form.js'

/** How often a parameter occurs, and its value where it occurs once. */
export type QueryParameter = { readonly count: number; readonly value: string | undefined }

/**
 * Looks a query parameter up. Undefined where the query can be read in two ways: a `;` (some servers split
 * there) or an escape that is not UTF-8. Names are compared decoded, so `%61dmin` is `admin`.
 */
export function queryParameter(query: string, name: string): QueryParameter | undefined {
  if (query.includes(';')) return undefined
  let count = 0
  let found: string | undefined
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=')
    const key = decodeFormText(equals < 0 ? pair : pair.slice(0, equals))
    if (key === undefined) return undefined
    if (key !== name) continue
    found = equals < 0 ? '' : decodeFormText(pair.slice(equals + 1))
    if (found === undefined) return undefined
    count += 1
  }
  return { count, value: count === 1 ? found : undefined }
}
