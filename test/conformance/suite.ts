/** What became of one case; `wrong-accept` is the one that must never occur. */
export type Outcome =
  | { readonly verdict: 'agreed' | 'not-applicable' }
  | { readonly verdict: 'wrong-accept' | 'wrong-refusal' | 'wrong-result'; readonly detail: string }

export type NamedOutcome = Outcome & { readonly id: string }

/** One corpus file and how the product's own functions are asked about its cases. */
export type Suite = {
  /** Inside the corpora directory. */
  readonly file: string
  readonly run: (content: unknown) => Promise<readonly NamedOutcome[]>
}

/** The `cases` of a corpus file. Its shape is that of ../shared/corpora/README.md; a case lacking `id` is a fault. */
export function casesOf<Case extends { readonly id: string }>(content: unknown): readonly Case[] {
  const cases = (content as { readonly cases?: unknown }).cases
  if (!Array.isArray(cases) || cases.some((one: { id?: unknown } | null) => typeof one?.id !== 'string')) {
    throw new Error('no list of `cases` with an `id` each')
  }
  return cases as readonly Case[]
}

export const AGREED: Outcome = { verdict: 'agreed' }
export const NOT_APPLICABLE: Outcome = { verdict: 'not-applicable' }
