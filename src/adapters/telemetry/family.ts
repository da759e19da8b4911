/** One value of a metric. Labels must come from a bounded set, never from a request. */
export type Sample = { readonly labels?: Readonly<Record<string, string>>; readonly value: number }

/** A value that was observed in a trace. */
export type Exemplar = {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  readonly value: number
  /** Milliseconds since the epoch. */
  readonly atMs: number
}

export type Bucket = {
  /** Inclusive; Infinity for the last. */
  readonly upperBound: number
  /** Of this bucket alone. */
  readonly count: number
  readonly exemplar: Exemplar | undefined
}

/** What one process observed. */
export type Series = {
  readonly labels?: Readonly<Record<string, string>>
  readonly buckets: readonly Bucket[]
  readonly sum: number
}

/** A metric with its values at one moment, before it is written in any format. */
export type Family = {
  /** `portcullis_…`, units as suffix (`_seconds`, `_bytes`), counters end in `_total`. */
  readonly name: string
  readonly help: string
} & (
  | { readonly type: 'gauge' | 'counter'; readonly samples: readonly Sample[] }
  | { readonly type: 'histogram'; readonly series: readonly Series[] }
)

/** The unit that a name says, by the suffixes that this program uses. */
export function unitOf(name: string): 'seconds' | 'bytes' | undefined {
  const bare = name.replace(/_total$/, '')
  if (bare.endsWith('_seconds')) return 'seconds'
  return bare.endsWith('_bytes') ? 'bytes' : undefined
}
