import { STATUS_CODES } from 'node:http'
import type { Pointer } from '../schema/problem.js'
import type { PortProblem } from './ports.js'

/** Where in a request something is wrong. */
export type Part = 'body' | 'query' | 'path'

/** A request that is refused. Every answer but a success is written from one. */
export type Refusal = {
  readonly status: number
  /** For a person; never holds a credential. */
  readonly detail: string
  readonly errors?: readonly (PortProblem & { readonly in: Part })[]
  readonly headers?: Readonly<Record<string, string>>
}

export const PROBLEM_MEDIA_TYPE = 'application/problem+json'

/** The body of the answer. Source: RFC 9457 3. */
export function writeProblem({ status, detail, errors }: Refusal): string {
  return JSON.stringify({
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail,
    errors: errors?.map(({ in: part, pointer, code, message }) => ({
      in: part,
      pointer: jsonPointer(pointer),
      code,
      message,
    })),
  })
}

/** Source: RFC 6901. */
export function jsonPointer(pointer: Pointer): string {
  return pointer.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
