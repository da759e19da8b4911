import type { Static, TObject, TSchema } from '@sinclair/typebox'
import type { EventDetails } from '../audit/admin-event.js'
import { Fields } from '../schema/fields.js'
import { type Fit, fit, fitQuery } from './fit.js'
import type { Actor, AdminPorts, Outcome, PortProblem, Refused, Result } from './ports.js'
import type { Part, Refusal } from './problem-details.js'

/** What an answer is made of. */
export type Reply =
  | {
      readonly kind: 'json'
      readonly status: 200 | 201
      readonly body: unknown
      /** Path of what was made. */
      readonly location?: string
    }
  | { readonly kind: 'empty' }
  | { readonly kind: 'text'; readonly mediaType: string; readonly text: string }
  /** Lines until the client leaves; `open` gives what ends them. */
  | { readonly kind: 'lines'; readonly open: (write: (line: string) => void) => () => void }

/** A change that was found sound; nothing happened yet. */
export type Change = {
  readonly resourceId: string
  readonly reason: string
  /** For the event: what is asked for. */
  readonly details: EventDetails
  readonly apply: () => Result<Reply>
}

export type Context = {
  readonly actor: Actor
  readonly ports: AdminPorts
  /** Milliseconds since the epoch. */
  readonly nowMs: number
  /** A name that nothing has yet. */
  readonly newId: () => string
}

export type Parts<Params extends TObject, Query extends TObject, Body extends TObject> = Context & {
  readonly params: Static<Params>
  readonly query: Static<Query>
  readonly body: Static<Body>
}

type Described = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** With `:name` for what `params` has. */
  readonly path: string
  readonly summary: string
  readonly answer: {
    readonly status: 200 | 201 | 204
    readonly schema?: TSchema
    /** Other forms than JSON. */
    readonly mediaTypes?: readonly string[]
  }
  /** A body that would do, for the document. */
  readonly example?: unknown
  /** Longest body, bytes. */
  readonly bodyBytes?: number
}

/** NONE where there is no such part. */
type Shapes<Params extends TObject, Query extends TObject, Body extends TObject> = {
  readonly params: Params
  readonly query: Query
  readonly body: Body
  /** A list in the body that may be long. */
  readonly list?: string
}

export type RawParts = {
  readonly params: unknown
  readonly query: Readonly<Record<string, unknown>>
  readonly body: unknown
}

/** What a request turns out to be: a question, or a change that has to be recorded first. */
export type Prepared =
  | { readonly kind: 'question'; readonly ask: () => Result<Reply> }
  | { readonly kind: 'change'; readonly change: Change }
  | { readonly kind: 'refused'; readonly refusal: Refusal }

/** One row of the table that serves requests and makes the OpenAPI document. */
export type Route = Described &
  Shapes<TObject, TObject, TObject> & {
    /** `grant.create`: a change, for Admin. Undefined: a question, for Reader too. */
    readonly action: string | undefined
    /** Where problems that a port tells are. */
    readonly part: Part
    readonly prepare: (raw: RawParts, context: Context) => Prepared
  }

/** A part that a request doesn't have. */
export const NONE = Fields({})

/** A route that only reads. */
export function question<Params extends TObject, Query extends TObject, Body extends TObject>(
  described: Described & Shapes<Params, Query, Body>,
  ask: (parts: Parts<Params, Query, Body>) => Result<Reply>,
): Route {
  return route(described, undefined, (parts) => ({ kind: 'question', ask: () => ask(parts) }))
}

/** A route that changes something: `action` is its name in events. `find` looks the request over and changes nothing. */
export function change<Params extends TObject, Query extends TObject, Body extends TObject>(
  { action, ...described }: Described & Shapes<Params, Query, Body> & { readonly action: string },
  find: (parts: Parts<Params, Query, Body>) => Outcome<Change>,
): Route {
  return route(described, action, (parts) => {
    const found = find(parts)
    return found.ok
      ? { kind: 'change', change: found.value }
      : { kind: 'refused', refusal: refusalOf(found, partOf(described)) }
  })
}

/** What a port refused, as an answer. */
export function refusalOf({ status, problems }: Refused, part: Part): Refusal {
  const detail = problems[0]?.message ?? 'refused'
  return { status, detail, errors: problems.map((problem) => ({ ...problem, in: part })) }
}

function route<Params extends TObject, Query extends TObject, Body extends TObject>(
  described: Described & Shapes<Params, Query, Body>,
  action: string | undefined,
  prepare: (parts: Parts<Params, Query, Body>) => Prepared,
): Route {
  return {
    ...described,
    action,
    part: partOf(described),
    prepare: (raw, context) => {
      const params = fit(described.params, raw.params)
      // A path that names nothing that could be is a path that nothing is at.
      if (!params.ok) return misfit(404, 'path', params.problems)
      const query = fitQuery(described.query, raw.query)
      const body = bodyOf(described, raw.body)
      const problems = [
        ...(query.ok ? [] : inPart('query', query.problems)),
        ...(body.ok ? [] : inPart('body', body.problems)),
      ]
      if (!query.ok || !body.ok) return refused(400, problems)
      return prepare({ ...context, params: params.value, query: query.value, body: body.value })
    },
  }
}

function bodyOf<Body extends TObject>(
  { body, list }: { readonly body: Body; readonly list?: string },
  raw: unknown,
): Fit<Static<Body>> {
  if (Object.keys(body.properties).length > 0) {
    if (raw !== undefined) return fit(body, raw, list)
    const message = 'the request has no body; send one of application/json'
    return { ok: false, problems: [{ pointer: [], code: 'body-missing', message }] }
  }
  if (raw === undefined) return fit(body, {})
  return { ok: false, problems: [{ pointer: [], code: 'body-unexpected', message: 'this takes no body' }] }
}

function partOf({ body }: { readonly body: TObject }): Part {
  return Object.keys(body.properties).length > 0 ? 'body' : 'query'
}

function inPart(part: Part, problems: readonly PortProblem[]): (PortProblem & { readonly in: Part })[] {
  return problems.map((problem) => ({ ...problem, in: part }))
}

function misfit(status: number, part: Part, problems: readonly PortProblem[]): Prepared {
  return refused(status, inPart(part, problems))
}

function refused(status: number, errors: readonly (PortProblem & { readonly in: Part })[]): Prepared {
  const [first, ...others] = errors
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`
  return { kind: 'refused', refusal: { status, detail: `${first?.message ?? 'refused'}${more}`, errors } }
}
