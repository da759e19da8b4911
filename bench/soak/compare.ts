import { ANY_REFUSAL, NO_ANSWER, type Right } from './reference.js'

/** What came back. `failure`: an error of the transport, or nothing before the deadline. */
export type Given =
  { readonly outcome: 'allow' | 'deny'; readonly reason: string } | { readonly failure: string }

export type Verdict = 'right' | 'wrong-allow' | 'wrong-deny' | 'wrong-reason' | 'no-answer'

/** The worst a server can do is wrong-allow; nothing but `right` passes. */
export function compare(given: Given, right: ReadonlySet<Right>): Verdict {
  if ('failure' in given) return right.has(NO_ANSWER) ? 'right' : 'no-answer'
  if (given.outcome === 'allow') return right.has('allowed') ? 'right' : 'wrong-allow'
  if (given.reason !== 'allowed' && (right.has(given.reason) || right.has(ANY_REFUSAL))) return 'right'
  return right.size === 1 && right.has('allowed') ? 'wrong-deny' : 'wrong-reason'
}
