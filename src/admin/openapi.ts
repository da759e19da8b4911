import { type TObject, type TSchema, Type } from '@sinclair/typebox'
import { Fields, publishedSchema } from '../schema/fields.js'
import type { Route } from './route.js'

const ProblemSchema = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    errors: Type.Optional(
      Type.Array(
        Fields({
          in: Type.String({ description: 'body, query or path.' }),
          pointer: Type.String({ description: 'JSON pointer within it (RFC 6901).' }),
          code: Type.String({ description: 'Stable, kebab-case.' }),
          message: Type.String(),
        }),
      ),
    ),
  },
  { title: 'Problem', description: 'Problem details, RFC 9457. Nothing was changed.' },
)

const DESCRIPTION =
  'For people who run Portcullis and their tools. Every call needs a bearer token or a client certificate; changes ' +
  'need the role Admin, are recorded with who, why and from where before they take effect, and are refused where they ' +
  "can't be recorded."

/** The OpenAPI 3.1 document of the routes: made of the same schemas that requests are checked with. */
export function openApiDocument(routes: readonly Route[]): Readonly<Record<string, unknown>> {
  const components = new Components()
  const problem = {
    description: 'Refused.',
    content: { 'application/problem+json': { schema: components.refer(ProblemSchema) } },
  }
  const paths = new Map<string, Record<string, unknown>>()
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    const methods = paths.get(path) ?? {}
    methods[route.method.toLowerCase()] = operationOf(route, components)
    paths.set(path, methods)
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Portcullis admin API', version: '1', description: DESCRIPTION },
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    security: [{ token: [] }, { certificate: [] }],
    paths: Object.fromEntries(paths),
    components: {
      schemas: components.schemas(),
      responses: { Problem: problem },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'The token of a named person.' },
        certificate: { type: 'mutualTLS', description: 'A client certificate with a configured SPIFFE ID.' },
      },
    },
  }
}

function operationOf(route: Route, components: Components): Record<string, unknown> {
  const { method, path, summary, params, query, body, answer, example, action } = route
  const hasBody = Object.keys(body.properties).length > 0
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/[/:]+(\w)/g, (_, letter: string) => letter.toUpperCase())}`,
    summary,
    description: action === undefined ? 'Role: Reader or Admin.' : `Role: Admin. Recorded as \`${action}\`.`,
    tags: [path.split('/')[2] ?? 'document'],
    parameters: [...parametersOf(params, 'path', components), ...parametersOf(query, 'query', components)],
    ...(hasBody && {
      requestBody: {
        required: true,
        content: {
          'application/json': { schema: components.refer(body), ...(example !== undefined && { example }) },
        },
      },
    }),
    responses: {
      [answer.status]: { description: 'Done.', ...contentOf(route, components) },
      default: { $ref: '#/components/responses/Problem' },
    },
  }
}

function contentOf({ answer }: Route, components: Components): Record<string, unknown> {
  const content: Record<string, unknown> = {}
  if (answer.schema) content['application/json'] = { schema: components.refer(answer.schema) }
  for (const mediaType of answer.mediaTypes ?? []) content[mediaType] ??= {}
  return Object.keys(content).length > 0 ? { content } : {}
}

function parametersOf(shape: TObject, where: 'path' | 'query', components: Components): unknown[] {
  return Object.entries(shape.properties).map(([name, field]) => ({
    name,
    in: where,
    required: shape.required?.includes(name) ?? false,
    // Undefined is left out once this is JSON.
    description: field['description'],
    schema: components.refer(field),
  }))
}

/** Schemas that have a title stand once in the document, under it. */
class Components {
  readonly #schemas = new Map<string, unknown>()

  refer(schema: TSchema): unknown {
    return this.#lift(publishedSchema(schema))
  }

  schemas(): Readonly<Record<string, unknown>> {
    return Object.fromEntries(this.#schemas)
  }

  #lift(schema: unknown): unknown {
    if (Array.isArray(schema)) return schema.map((element) => this.#lift(element))
    if (typeof schema !== 'object' || schema === null) return schema
    const title: unknown = Reflect.get(schema, 'title')
    const isTitled = typeof title === 'string'
    const fields = Object.entries(schema).filter(([name]) => !isTitled || name !== 'title')
    const lifted = Object.fromEntries(fields.map(([name, inner]) => [name, this.#lift(inner)]))
    if (!isTitled) return lifted
    this.#schemas.set(title, lifted)
    return { $ref: `#/components/schemas/${title}` }
  }
}
