/**
 * What a scalar without quotes means. YAML 1.2's core rules, less everything that YAML 1.1 readers
 * take for something else: the author quotes it, or writes the value meant.
 */
export type PlainScalar =
  | { readonly value: string | number | boolean | null; readonly problem?: undefined }
  | { readonly value: string; readonly problem: { readonly code: string; readonly message: string } }

const SPECIAL: ReadonlyMap<string, boolean | null> = new Map<string, boolean | null>([
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, null] as const),
  ...['true', 'True', 'TRUE'].map((word) => [word, true] as const),
  ...['false', 'False', 'FALSE'].map((word) => [word, false] as const),
])
const YAML11_TRUE = /^(?:y|yes|on)$/i
const YAML11_FALSE = /^(?:n|no|off)$/i
const MAYBE_NUMBER = /^[-+.0-9]/
const OTHER_BASE = /^[-+]?0(?:[0-9_]+|[xXoObB][0-9a-fA-F_]+)$/
const DECIMAL = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/
const WHOLE = /^[-+]?[0-9]+$/
const NOT_FINITE = /^(?:[-+]?\.inf|\.nan)$/i

export function readPlainScalar(source: string): PlainScalar {
  const special = SPECIAL.get(source)
  if (special !== undefined) return { value: special }
  if (source.length <= 3 && (YAML11_TRUE.test(source) || YAML11_FALSE.test(source))) {
    const word = YAML11_TRUE.test(source) ? 'true' : 'false'
    return refused(
      source,
      'ambiguous-word',
      `plain \`${source}\` can be read as text or as ${word}: quote it, or write ${word}`,
    )
  }
  if (!MAYBE_NUMBER.test(source)) return { value: source }
  if (OTHER_BASE.test(source)) {
    return refused(
      source,
      'ambiguous-number',
      `plain \`${source}\` can be read as octal, hexadecimal or decimal: quote it, or write the decimal number`,
    )
  }
  if (NOT_FINITE.test(source))
    return refused(
      source,
      'not-a-number',
      `plain \`${source}\` is not a finite number: quote it if text is meant`,
    )
  if (!DECIMAL.test(source)) return { value: source }
  const value = Number(source)
  if (!Number.isFinite(value) || (WHOLE.test(source) && !Number.isSafeInteger(value))) {
    return refused(
      source,
      'number-too-large',
      `plain \`${source}\` is a number too large to be kept exactly: quote it`,
    )
  }
  return { value }
}

function refused(value: string, code: string, message: string): PlainScalar {
  return { value, problem: { code, message } }
}
