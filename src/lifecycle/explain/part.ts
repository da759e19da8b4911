/** One thing that a rule asks of a call. */
export type Part = {
  readonly part: 'from' | 'to' | 'when' | 'scopes'
  /** As it is written. */
  readonly asks: string
  /** Undefined where nobody can tell, which does not let in. */
  readonly met: boolean | undefined
  /** What the call had instead, or has. */
  readonly found?: string | undefined
  /** Of a condition: its index in `when`, its key, and a list of it that the found value could be added to. */
  readonly index?: number
  readonly key?: string
  readonly admit?: { readonly field: 'values' | 'cidr'; readonly value: string } | undefined
}
