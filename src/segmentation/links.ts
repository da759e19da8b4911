import type { Pointer } from '../schema/problem.js'

/**
 * What becomes of a name that no document has. Refused: it is an error. Denied: what it would open stays closed until
 * it is there, what it would forbid is forbidden.
 */
export type Missing = 'Refused' | 'Denied'

/** Problems that are there only because another document is not. */
const LINK_CODES: ReadonlySet<string> = new Set([
  'unknown-service',
  'unknown-endpoint',
  'unknown-data-policy',
])

export function isLinkProblem(code: string): boolean {
  return LINK_CODES.has(code)
}

/** Another document's name; endpoints that a document names in its own `to` are its own. */
export function isLinkToOthers(code: string, [, section]: Pointer): boolean {
  return LINK_CODES.has(code) && (code !== 'unknown-endpoint' || section === 'calls')
}
