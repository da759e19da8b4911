import { describe, expect, test } from '@jest/globals'
import { OPENAPI_DOCUMENT, ROUTES } from '../../../src/admin/routes.js'
import { readPage } from '../../docs/pages.js'
import { shapeFindings, valueAt } from '../../../src/schema/shape.js'

const document: unknown = JSON.parse(JSON.stringify(OPENAPI_DOCUMENT))

type Operation = Readonly<Record<string, unknown>>

const operations: readonly { at: string; path: string; operation: Operation }[] = Object.entries(
  Object(valueAt(document, ['paths'])),
).flatMap(([path, methods]) =>
  Object.entries(Object(methods)).map(([method, operation]) => ({
    at: `${method.toUpperCase()} ${path}`,
    path,
    operation: Object(operation),
  })),
)

/** Every value under a key of that name, at any depth. */
const valuesOf = (key: string, value: unknown, found: unknown[] = []): unknown[] => {
  if (typeof value !== 'object' || value === null) return found
  for (const [name, inner] of Object.entries(value)) {
    if (name === key) found.push(inner)
    valuesOf(key, inner, found)
  }
  return found
}

test('docs/admin-api.md has every route, with its role', () => {
  const page = readPage('docs/admin-api.md')
  const rows = ROUTES.map(
    ({ method, path, action }) =>
      `| \`${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}\` | ${action === undefined ? 'Reader' : 'Admin'} |`,
  )
  expect(rows.filter((row) => !page.includes(row))).toEqual([])
  expect(page.match(/^\| `[A-Z]+ \//gm)).toHaveLength(ROUTES.length)
  for (const { action } of ROUTES) if (action !== undefined) expect(page).toContain(`\`${action}\``)
})

describe('the OpenAPI document', () => {
  test('has what OpenAPI 3.1 asks for', () => {
    expect(document).toMatchObject({
      openapi: expect.stringMatching(/^3\.1\.\d+$/),
      info: { title: expect.any(String), version: expect.any(String) },
      components: {
        securitySchemes: { token: { type: 'http', scheme: 'bearer' }, certificate: { type: 'mutualTLS' } },
      },
      security: [{ token: [] }, { certificate: [] }],
    })
  })

  test('has every route and nothing else', () => {
    const served = ROUTES.map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
    expect(operations.map(({ at }) => at).toSorted()).toEqual(served.toSorted())
  })

  test('names every operation once', () => {
    const ids = operations.map(({ operation }) => operation['operationId'])
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids).toContain('postV1GrantsIdRevoke')
  })

  test('every reference leads somewhere', () => {
    const references = valuesOf('$ref', document).map(String)
    expect(references.length).toBeGreaterThan(ROUTES.length)
    for (const reference of references) {
      expect(reference).toMatch(/^#\//)
      expect(valueAt(document, reference.slice(2).split('/'))).toBeDefined()
    }
  })

  test.each(operations)('$at is whole', ({ path, operation }) => {
    expect(operation['summary']).toEqual(expect.any(String))
    const parameters = valueAt(operation, ['parameters'])
    const inPath = (Array.isArray(parameters) ? parameters : [])
      .map(Object)
      .filter((parameter) => parameter.in === 'path')
    expect(inPath.map(({ name, required }) => [name, required])).toEqual(
      [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, true]),
    )
    const responses = Object.keys(Object(operation['responses']))
    expect(responses).toContain('default')
    expect(responses.some((status) => /^2\d\d$/.test(status))).toBe(true)
    for (const media of Object.values(Object(valueAt(operation, ['requestBody', 'content'])))) {
      expect(media).toMatchObject({ schema: expect.any(Object), example: expect.any(Object) })
    }
  })

  test('examples are what the routes take', () => {
    const withExample = ROUTES.filter(({ example }) => example !== undefined)
    expect(withExample.length).toBeGreaterThan(6)
    for (const { body, example } of withExample) expect(shapeFindings(body, example)).toEqual([])
  })

  test('keeps words for our own messages to itself', () => {
    expect(valuesOf('expected', document).filter((value) => typeof value === 'string')).toEqual([])
  })
})
