import type { Condition } from '../../segmentation/when/condition.js'
import type { HeaderTest } from './access.js'

/** A rule's conditions as tests of headers, or the first that asks for something else. */
export type HeaderTests =
  | { readonly ok: true; readonly tests: readonly HeaderTest[] }
  | { readonly ok: false; readonly problem: string }

const HEADER = /^request\.headers\[([^\]]+)\]$/
const ASKED = new Set(['key', 'values', 'notValues', 'present'])

/** Only exact values of headers mean the same elsewhere. */
export function headerTests(when: readonly Condition[] | undefined): HeaderTests {
  const tests: HeaderTest[] = []
  for (const condition of when ?? []) {
    const { key = 'CEL', values, notValues, present } = condition
    const name = HEADER.exec(key)?.[1]?.toLowerCase()
    if (name === undefined) return { ok: false, problem: `the condition on ${key}` }
    const exact = [...(values ?? []), ...(notValues ?? [])].every((value) => !/[*,]/.test(value))
    const known = Object.keys(condition).every((field) => ASKED.has(field))
    if (!exact || !known) {
      return { ok: false, problem: `the condition on ${key}, which is not of exact values` }
    }
    tests.push({ name, values, notValues, present })
  }
  return { ok: true, tests }
}
