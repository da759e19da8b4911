import type { RuleSource } from '../../decision/decision.js'
import type { PathTemplate } from '../../segmentation/path-template.js'

/** Paths of one template; `folded`: for somebody who ignores case and a trailing slash, as forbids do. */
export type PathShape = { readonly template: PathTemplate; readonly folded: boolean }

/** Requests that agree in everything that is named here. Empty lists ask nothing. */
export type RequestShape = {
  /** Any of them. */
  readonly paths: readonly PathShape[]
  /** None of them: a more specific endpoint has these. */
  readonly except: readonly PathShape[]
  readonly methods: readonly string[]
  /** Destination ports. */
  readonly ports: readonly number[]
  /** Whether the call asks for an upgrade; undefined where that doesn't matter. */
  readonly upgrade: boolean | undefined
}

/** What is asked of one header. A header that is repeated, or holds a comma, has no value. */
export type HeaderTest = {
  /** Lower-case. */
  readonly name: string
  readonly values: readonly string[] | undefined
  readonly notValues: readonly string[] | undefined
  readonly present: boolean | undefined
}

/** A calling workload by its verified SPIFFE ID. */
export type Principal =
  | { readonly kind: 'identity'; readonly text: string }
  /** `*` is one whole segment. */
  | { readonly kind: 'pattern'; readonly text: string }
  /** Every workload of a trust domain. */
  | { readonly kind: 'domain'; readonly trustDomain: string }
  /** Every verified workload. */
  | { readonly kind: 'any' }

/** One way in, or one way that is barred. */
export type Clause = {
  readonly name: string
  readonly source: RuleSource
  /** Undefined, of a clause that bars: everybody. */
  readonly principals: readonly Principal[] | undefined
  /** Any of them; undefined: every request. */
  readonly requests: readonly RequestShape[] | undefined
  /** All must hold; for a clause that bars, what can't be evaluated holds. */
  readonly headers: readonly HeaderTest[]
}

/** Why a service can't be said in another format, and where the reason is written. */
export type Obstacle = { readonly message: string; readonly source: RuleSource }

/** Who may do what at one service, by verified workload and request alone. A clause that bars wins. */
export type Access = {
  readonly service: string
  readonly http: { readonly permits: readonly Clause[]; readonly bars: readonly Clause[] }
  /** Undefined: nothing of the service is reached without HTTP. */
  readonly tcp: { readonly permits: readonly Clause[]; readonly bars: readonly Clause[] } | undefined
  /** Nothing here holds where there are any. */
  readonly obstacles: readonly Obstacle[]
}
