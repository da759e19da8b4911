/** One field that differs; undefined: it is not there. */
export type Change = {
  /** For example `endpoints[Refund].mfa`. */
  readonly field: string
  readonly was: string | undefined
  readonly is: string | undefined
}

/** Told of one document at most. */
const MAX_CHANGES = 1000
const MAX_TEXT = 300

/**
 * What differs between two plain values. Elements of lists are told apart by their `name`, `service`, `role` or `host`
 * where they have one, so that their order does not count; lists of words are compared as sets.
 */
export function changesBetween(was: unknown, is: unknown): readonly Change[] {
  const changes: Change[] = []
  walk(was, is, '', changes)
  return changes
}

function walk(was: unknown, is: unknown, field: string, changes: Change[]): void {
  if (changes.length >= MAX_CHANGES || textOf(was) === textOf(is)) return
  const [left, right] = [membersOf(was), membersOf(is)]
  if (!left || !right) {
    changes.push({ field: field === '' ? 'the whole' : field, was: shown(was), is: shown(is) })
    return
  }
  const isList = Array.isArray(was) || Array.isArray(is)
  for (const name of new Set([...left.keys(), ...right.keys()])) {
    const step = isList ? `[${name}]` : field === '' ? name : `.${name}`
    walk(left.get(name), right.get(name), `${field}${step}`, changes)
  }
}

/** Members of an object, elements of a list that have names; undefined for what is compared as a whole. */
function membersOf(value: unknown): Map<string, unknown> | undefined {
  if (!Array.isArray(value)) return isObject(value) ? new Map(Object.entries(value)) : undefined
  const members = new Map<string, unknown>()
  for (const item of value) {
    const name = nameOf(item)
    if (name === undefined || members.has(name)) return undefined
    members.set(name, item)
  }
  return members
}

function nameOf(item: unknown): string | undefined {
  if (!isObject(item)) return undefined
  for (const field of ['name', 'service', 'role', 'host']) {
    const name = item[field]
    if (typeof name === 'string') return name
  }
  return undefined
}

function textOf(value: unknown): string {
  if (Array.isArray(value) && value.every((item) => !isObject(item))) {
    return JSON.stringify(value.map(String).sort())
  }
  return JSON.stringify(value) ?? ''
}

function shown(value: unknown): string | undefined {
  if (value === undefined) return undefined
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
