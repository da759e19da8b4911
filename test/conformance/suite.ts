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
export function casesOf(content: unknown): readonly { readonly id: string }[] {
  const cases = (content as { readonly cases?: unknown }).cases
  if (!Array.isArray(cases) || cases.some((one: { id?: unknown } | null) => typeof one?.id !== 'string')) {
    throw new Error('no list of `cases` with an `id` each')
  }
  return cases as readonly { readonly id: string }[]
}

/** Every case of a file by a judge that answers at once. */
export function judgeCases<Case extends { readonly id: string }>(
  cases: readonly Case[],
  judge: (one: Case) => Outcome,
): readonly NamedOutcome[] {
  return cases.map((one) => Object.assign({ id: one.id }, judge(one)))
}

export const AGREED: Outcome = { verdict: 'agreed' }
export const NOT_APPLICABLE: Outcome = { verdict: 'not-applicable' }
