import { parseSpiffeId } from '../../src/identity/spiffe-id.js'
import { AGREED, casesOf, judgeCases, type Outcome, type Suite } from './suite.js'

type Case = {
  readonly id: string
  readonly input: string
  readonly expect: 'valid' | 'invalid' | 'either'
  readonly trust_domain: string | null
  readonly path: string | null
}

export const spiffeIdSuite: Suite = {
  file: 'spiffe-ids.json',
  run: async (content) => judgeCases(casesOf(content) as readonly Case[], judge),
}

function judge({ input, expect, trust_domain: trustDomain, path }: Case): Outcome {
  const parsed = parseSpiffeId(input)
  if (!parsed.ok) {
    return expect === 'valid' ? { verdict: 'wrong-refusal', detail: `${input}: ${parsed.problem}` } : AGREED
  }
  if (expect === 'invalid') return { verdict: 'wrong-accept', detail: JSON.stringify(input) }
  if (expect === 'either') return AGREED
  return parsed.id.trustDomain === trustDomain && parsed.id.path === path && parsed.id.text === input
    ? AGREED
    : { verdict: 'wrong-result', detail: JSON.stringify(parsed.id) }
}
