import { parseXfcc } from '../../src/identity/xfcc.js'
import { AGREED, casesOf, judgeCases, type Outcome, type Suite } from './suite.js'

type Case = {
  readonly id: string
  readonly header: string
  readonly expect: 'parse' | 'reject' | 'either'
  readonly elements?: readonly { readonly pairs: readonly (readonly [string, string])[] }[]
}

export const xfccSuite: Suite = {
  file: 'xfcc.json',
  run: async (content) => judgeCases(casesOf(content) as readonly Case[], judge),
}

function judge({ header, expect, elements }: Case): Outcome {
  const parsed = parseXfcc(header)
  if (!parsed.ok) return expect === 'parse' ? { verdict: 'wrong-refusal', detail: parsed.problem } : AGREED
  if (expect === 'reject') return { verdict: 'wrong-accept', detail: JSON.stringify(header) }
  return JSON.stringify(parsed.elements) === JSON.stringify(elements)
    ? AGREED
    : { verdict: 'wrong-result', detail: JSON.stringify(parsed.elements) }
}
