import { parse, stringify } from 'yaml'
import type { DoctorFinding } from '../../../../src/lifecycle/doctor/finding.js'
import { examineText } from './examined.js'

type Fields = Record<string, unknown>

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isNamed = (value: unknown): value is Fields & { readonly name: string } =>
  isFields(value) && typeof value['name'] === 'string'

/** Puts a fix into a configuration as its page says: maps merge, named things merge by name, null takes away. */
export function applyFix(root: unknown, { fix }: DoctorFinding): unknown {
  const set: unknown = parse(fix.yaml)
  return changeAt(structuredClone(root), fix.into.pointer, (old) => merged(old, set))
}

function changeAt(
  value: unknown,
  [step, ...rest]: readonly (string | number)[],
  change: (old: unknown) => unknown,
): unknown {
  if (step === undefined) return change(value)
  if (Array.isArray(value)) {
    return value.map((each: unknown, index) => (index === step ? changeAt(each, rest, change) : each))
  }
  const fields = isFields(value) ? value : {}
  return { ...fields, [step]: changeAt(fields[step], rest, change) }
}

function merged(old: unknown, set: unknown): unknown {
  if (Array.isArray(old) && Array.isArray(set) && [...old, ...set].every(isNamed) && set.length > 0) {
    const all: readonly { readonly name: string }[] = [...old].filter(isNamed)
    return set.filter(isNamed).map((each) => merged(all.find(({ name }) => name === each.name) ?? {}, each))
  }
  if (!isFields(old) || !isFields(set)) return set
  const result: Fields = { ...old }
  for (const [name, value] of Object.entries(set)) {
    if (value === null) delete result[name]
    else result[name] = merged(result[name], value)
  }
  return result
}

export const written = (value: unknown): string => stringify(value, { aliasDuplicateObjects: false })

/** After the fixes of what is found, a few times over: a filter that was missing brings questions of its own. */
export function mendedWhole(value: unknown): unknown {
  let current = value
  for (let round = 0; round < 4; round++) {
    current = examineText(written(current)).findings.reduce<unknown>(applyFix, current)
  }
  return current
}
