import type { JsonObject } from './strict-json.js'

/** Seconds. Beyond it a NumericDate is milliseconds by mistake or nonsense. */
const MAX_NUMERIC_DATE = 100_000_000_000

/**
 * Readers of single claims. `undefined` is an absent claim, `'wrong'` one of another type, which is never taken
 * for absent. JSON null counts as absent, since several providers write it so.
 */
export type Read<T> = T | undefined | 'wrong'

/** A NumericDate in milliseconds, whole or fractional seconds. Source: RFC 7519 2. */
export function readDateMs(claims: JsonObject, name: string): Read<number> {
  const value = claims[name]
  if (value === undefined || value === null) return undefined
  return typeof value === 'number' && value >= 0 && value <= MAX_NUMERIC_DATE ? value * 1000 : 'wrong'
}

/** Text of 1 to `maxLength` UTF-16 units without control characters, boxed so that no value reads as `'wrong'`. */
export function readText(
  claims: JsonObject,
  name: string,
  maxLength = 1024,
): { readonly text: string } | undefined | 'wrong' {
  const value = claims[name]
  if (value === undefined || value === null) return undefined
  return typeof value === 'string' && value !== '' && value.length <= maxLength && !/\p{Cc}/u.test(value)
    ? { text: value }
    : 'wrong'
}

/** A list of texts; one text alone is a list of one. */
export function readTexts(claims: JsonObject, name: string): Read<readonly string[]> {
  const value = claims[name]
  if (value === undefined || value === null) return undefined
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  return list.every((entry) => typeof entry === 'string') ? list : 'wrong'
}

const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/** Scopes as a list or as one text with single blanks between. Source: RFC 6749 3.3, RFC 8693 4.2. */
export function readScopes(claims: JsonObject, name: string): Read<readonly string[]> {
  const value = claims[name]
  const list = typeof value === 'string' ? value.split(' ').filter(Boolean) : readTexts(claims, name)
  if (list === undefined || list === 'wrong') return list
  return list.every((scope) => SCOPE.test(scope)) ? list : 'wrong'
}
