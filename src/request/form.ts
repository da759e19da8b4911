/** A name or value of a form or query as text; undefined for an escape that is not UTF-8. Source: WHATWG URL, application/x-www-form-urlencoded. */
export function decodeFormText(text: string): string | undefined {
  if (!text.includes('%') && !text.includes('+')) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}

export type Form = {
  /** Fields that occur once; no prototype. */
  readonly fields: Readonly<Record<string, string>>
  /** Names that occur more than once: upstreams differ on which value counts. */
  readonly repeated: ReadonlySet<string>
}

/** Undefined where the text can be read in two ways: a `;` (some servers split there) or an escape that is not UTF-8. */
export function parseForm(text: string): Form | undefined {
  if (text.includes(';')) return undefined
  const fields: Record<string, string> = Object.create(null)
  const repeated = new Set<string>()
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decodeFormText(equals < 0 ? pair : pair.slice(0, equals))
    const value = equals < 0 ? '' : decodeFormText(pair.slice(equals + 1))
    if (name === undefined || value === undefined) return undefined
    if (repeated.has(name)) continue
    if (name in fields) {
      repeated.add(name)
      Reflect.deleteProperty(fields, name)
    } else fields[name] = value
  }
  return { fields, repeated }
}
