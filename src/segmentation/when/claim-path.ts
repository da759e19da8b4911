/** Follows names into a token's claims, or a body. Undefined where one is absent, or null, or leads into something else. */
export function readClaim(claims: unknown, path: readonly string[]): unknown {
  let value: unknown = claims
  for (const name of path) {
    if (value instanceof Map) value = value.get(name)
    else if (isRecord(value) && Object.hasOwn(value, name)) value = value[name]
    else return undefined
  }
  return value ?? undefined
}

/**
 * Whether there is something at the end of the path, null being nothing. Undefined where a step leads into what is
 * neither an object nor absent, as a list is, or where `isAmbiguous` says so of an object without the name.
 */
export function hasClaim(
  claims: unknown,
  path: readonly string[],
  isAmbiguous?: (object: object, name: string) => boolean,
): boolean | undefined {
  let value: unknown = claims
  for (const name of path) {
    if (value === undefined || value === null) return false
    let member: unknown
    if (value instanceof Map) member = value.get(name)
    else if (!isRecord(value)) return undefined
    else if (Object.hasOwn(value, name)) member = value[name]
    if (member === undefined && isAmbiguous?.(value, name)) return undefined
    value = member
  }
  return value !== undefined && value !== null
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * The strings that `values` looks among: one string, or a list of strings and numbers. Undefined for any
 * other shape, mixed lists included. A number counts in its shortest decimal form.
 */
export function claimTexts(value: unknown): readonly string[] | undefined {
  const items: readonly unknown[] = Array.isArray(value) ? value : [value]
  const texts: string[] = []
  for (const item of items) {
    if (typeof item === 'string') texts.push(item)
    else if (typeof item === 'number' && Number.isFinite(item)) texts.push(String(item))
    else return undefined
  }
  return texts
}
