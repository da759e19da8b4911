import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isJsonObject, parseStrictJsonBytes } from '../identity/strict-json.js'
import type { Refusal } from './problem-details.js'
import { refuse } from './replies.js'
import { methodsAt } from './routes.js'

/** A request that can't be read on; the error handler answers it. */
class Unreadable extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.detail)
    this.refusal = refusal
  }
}

/** Bodies are strict JSON in UTF-8; an empty one is none. */
export function readJsonOnly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, body: Buffer) => {
      if (body.length === 0) return undefined
      const parsed = parseStrictJsonBytes(body)
      if (!parsed.ok) {
        const message = `${parsed.problem} (${placeIn(body, parsed.at)})`
        throw new Unreadable({
          status: 400,
          detail: `the body is no JSON: ${message}`,
          errors: [{ in: 'body', pointer: [], code: 'invalid-json', message }],
        })
      }
      if (isJsonObject(parsed.value)) return parsed.value
      throw new Unreadable({
        status: 400,
        detail: 'the body must be a JSON object',
        errors: [{ in: 'body', pointer: [], code: 'wrong-type', message: 'the body must be a JSON object' }],
      })
    },
  )
}

/** Line and column, from 1, of what stands behind so many UTF-16 units. */
function placeIn(body: Buffer, at: number): string {
  const before = body.toString().slice(0, at).split('\n')
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`
}

/** Paths and methods that nothing is at, and what broke on the way. */
export function answerTheRest(app: FastifyInstance, warn: (message: string) => void): void {
  app.setNotFoundHandler(async (request, reply) => {
    const methods = methodsAt(request.url.split('?', 1)[0] ?? '')
    const refusal: Refusal =
      methods.length === 0
        ? { status: 404, detail: 'nothing is at this path; /openapi.json says what there is' }
        : {
            status: 405,
            detail: `this path takes ${methods.join(' and ')} only`,
            headers: { allow: methods.join(', ') },
          }
    await refuse(reply, refusal)
  })
  app.setErrorHandler(async (error, request, reply) => {
    const refusal = refusalOfError(error)
    if (refusal.status >= 500) {
      warn(
        `${request.method} ${request.routeOptions.url ?? ''}: ${error instanceof Error ? error.message : 'failed'}`,
      )
    }
    await refuse(reply, refusal)
  })
}

function refusalOfError(error: unknown): Refusal {
  if (error instanceof Unreadable) return error.refusal
  const status: unknown = error instanceof Error ? Reflect.get(error, 'statusCode') : undefined
  switch (status) {
    case 413:
      return { status, detail: 'the body is too large' }
    case 415:
      return { status, detail: 'a body must be of the media type application/json' }
    case 400:
      return { status, detail: 'the request is not well formed' }
    default:
      return { status: 500, detail: 'this failed for a reason of our own; the log says which' }
  }
}
