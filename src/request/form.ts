import { foldCase } from '../identity/fold-case.js'

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
  /** Names that occur more than once, in any spelling (`formName`): upstreams differ on which value counts. */
  readonly repeated: ReadonlySet<string>
}

const forms = new WeakSet<object>()

/** Whether these are the fields of a form. */
export const isForm = (fields: object): boolean => forms.has(fields)

/**
 * What all spellings of a field's name share that some upstream takes for one: `a[]`, `a[x]` and `a.x` are members of `a`,
 * a NUL ends a name, blanks around it don't count (PHP, Rails, Spring), nor does case (ASP.NET).
 */
export function formName(name: string): string {
  // oxlint-disable-next-line no-control-regex
  return foldCase((name.split(/[[.\0]/, 1)[0] ?? '').trim())
}

/** Undefined where the text can be read in two ways: a `;` (some servers split there) or an escape that is not UTF-8. */
export function parseForm(text: string): Form | undefined {
  if (text.includes(';')) return undefined
  const fields: Record<string, string> = Object.create(null)
  forms.add(fields)
  const repeated = new Set<string>()
  const first = new Map<string, string>()
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decodeFormText(equals < 0 ? pair : pair.slice(0, equals))
    const value = equals < 0 ? '' : decodeFormText(pair.slice(equals + 1))
    if (name === undefined || value === undefined) return undefined
    const shared = formName(name)
    const earlier = first.get(shared)
    if (earlier === undefined) {
      first.set(shared, name)
      fields[name] = value
    } else {
      repeated.add(earlier).add(name)
      Reflect.deleteProperty(fields, earlier)
    }
  }
  return { fields, repeated }
}
