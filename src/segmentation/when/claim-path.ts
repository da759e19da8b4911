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
