import type { Steps } from '../schema/steps.js'

/** Which service calls which, and through which endpoints, in the fewest bytes: rows of ascending targets. */
export class CallTable {
  /** Row of caller n: from offsets[n] to offsets[n + 1]. */
  readonly #offsets: Int32Array<ArrayBuffer>
  readonly #targets: Int32Array<ArrayBuffer>
  /** Of each edge, its list of endpoints; 0: every endpoint. */
  readonly #limits: Uint32Array<ArrayBuffer>
  readonly #lists: readonly (readonly number[])[]

  private constructor(
    offsets: Int32Array<ArrayBuffer>,
    targets: Int32Array<ArrayBuffer>,
    limits: Uint32Array<ArrayBuffer>,
    lists: readonly (readonly number[])[],
  ) {
    this.#offsets = offsets
    this.#targets = targets
    this.#limits = limits
    this.#lists = lists
  }

  /** One row for each service, in their order; a row a step. */
  static *of(rows: readonly CallRow[]): Steps<CallTable> {
    const edges = rows.reduce((sum, row) => sum + row.size, 0)
    const offsets = new Int32Array(rows.length + 1)
    const targets = new Int32Array(edges)
    const limits = new Uint32Array(edges)
    const lists: (readonly number[])[] = [[]]
    const known = new Map<string, number>()
    let at = 0
    for (const [caller, row] of rows.entries()) {
      for (const target of Array.from(row.keys()).sort((a, b) => a - b)) {
        targets[at] = target
        limits[at] = limitOf(row.get(target), lists, known)
        at++
      }
      offsets[caller + 1] = at
      yield
    }
    return new CallTable(offsets, targets, limits, lists)
  }

  static unpack({ offsets, targets, limits, lists }: PackedCalls): CallTable {
    return new CallTable(offsets, targets, limits, lists)
  }

  /** Shares its memory. */
  pack(): PackedCalls {
    return { offsets: this.#offsets, targets: this.#targets, limits: this.#limits, lists: this.#lists }
  }

  get edges(): number {
    return this.#targets.length
  }

  /** Whether the caller's half is there. Without an endpoint only an edge to all of them will do. */
  find(
    caller: number,
    target: number,
    endpoint: number | undefined,
  ): 'called' | 'other-endpoints' | 'not-called' {
    let low = this.#offsets[caller] ?? 0
    const end = this.#offsets[caller + 1] ?? 0
    let high = end
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#targets[middle] ?? 0) < target) low = middle + 1
      else high = middle
    }
    if (low >= end || this.#targets[low] !== target) return 'not-called'
    const limit = this.#limits[low] ?? 0
    if (limit === 0) return 'called'
    return endpoint !== undefined && this.#lists[limit]?.includes(endpoint) ? 'called' : 'other-endpoints'
  }

  /** The caller's row: targets, and the endpoints that each is called through; undefined: every one. */
  *rowOf(
    caller: number,
  ): Generator<{ readonly target: number; readonly endpoints: readonly number[] | undefined }> {
    const end = this.#offsets[caller + 1] ?? 0
    for (let at = this.#offsets[caller] ?? 0; at < end; at++) {
      const limit = this.#limits[at] ?? 0
      yield { target: this.#targets[at] ?? 0, endpoints: limit === 0 ? undefined : this.#lists[limit] }
    }
  }

  /** The services that a caller may call. */
  targetsOf(caller: number): Int32Array {
    return this.#targets.subarray(this.#offsets[caller], this.#offsets[caller + 1])
  }
}

/** The table as plain data. */
export type PackedCalls = {
  readonly offsets: Int32Array<ArrayBuffer>
  readonly targets: Int32Array<ArrayBuffer>
  readonly limits: Uint32Array<ArrayBuffer>
  readonly lists: readonly (readonly number[])[]
}

/** By target: the endpoints it is called through, or undefined for every one. */
export type CallRow = ReadonlyMap<number, ReadonlySet<number> | undefined>

/** Lists that repeat are kept once. */
function limitOf(
  endpoints: ReadonlySet<number> | undefined,
  lists: (readonly number[])[],
  known: Map<string, number>,
): number {
  if (!endpoints) return 0
  const list = Array.from(endpoints).sort((a, b) => a - b)
  const key = list.join()
  let limit = known.get(key)
  if (limit === undefined) {
    limit = lists.push(list) - 1
    known.set(key, limit)
  }
  return limit
}
