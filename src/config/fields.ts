import { Type } from '@sinclair/typebox'
import type { TSchema } from '@sinclair/typebox'
import { DurationSchema, SizeSchema } from '../schema/units.js'

/** A duration option with its default. */
export const duration = (byDefault: string, description: string) =>
  Type.String({ ...DurationSchema, default: byDefault, description })

/** A size option with its default. */
export const size = (byDefault: string, description: string) =>
  Type.String({ ...SizeSchema, default: byDefault, description })

/** A file or folder. */
export const path = (description: string) =>
  Type.String({
    minLength: 1,
    description: `${description} A relative path starts at the folder of this file.`,
    expected: 'the path of a file or folder',
  })

/** A list of texts, empty by default. */
export const texts = (description: string) =>
  Type.Array(Type.String({ minLength: 1 }), { default: [], uniqueItems: true, description })

export const TRUST_DOMAIN_PATTERN = '^[a-z0-9._-]{1,255}$'
const SEGMENT = String.raw`(?:\*|(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+)`

/** SPIFFE IDs in which `*` may stand for one whole path segment. */
export const SpiffePatternSchema = Type.String({
  pattern: `^spiffe://[a-z0-9._-]{1,255}(?:/${SEGMENT})+$`,
  maxLength: 2048,
  description: 'A SPIFFE ID; `*` stands for one whole path segment, never for the trust domain.',
  expected:
    'a SPIFFE ID such as spiffe://cluster.local/ns/shop/sa/api, in which * may stand for one whole path segment',
})

/** The SPIFFE ID of one workload. */
export const SpiffeIdSchema = Type.String({
  pattern: String.raw`^spiffe://[a-z0-9._-]{1,255}(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._-]+)+$`,
  maxLength: 2048,
  description: 'A SPIFFE ID of one workload.',
  expected: 'the SPIFFE ID of one workload, such as spiffe://cluster.local/ns/edge/sa/gateway',
})

export const TrustDomainSchema = Type.String({
  pattern: TRUST_DOMAIN_PATTERN,
  description: 'A SPIFFE trust domain, without spiffe://.',
  expected: 'a trust domain such as cluster.local (a-z 0-9 . _ -), without spiffe://',
})

/**
 * The schema of what a user has to write: fields with a default may be left out. The other one, in which
 * they are required, is the schema of the effective configuration.
 */
export function withOptionalDefaults(schema: TSchema): TSchema {
  const relaxed: TSchema = { ...schema }
  const properties: unknown = schema['properties']
  if (isSchemas(properties)) {
    relaxed['properties'] = Object.fromEntries(
      Object.entries(properties).map(([name, field]) => [name, withOptionalDefaults(field)]),
    )
    const required: unknown = schema['required']
    if (Array.isArray(required)) {
      const still = required.filter((name) => properties[String(name)]?.['default'] === undefined)
      if (still.length > 0) relaxed['required'] = still
      else delete relaxed['required']
    }
  }
  for (const keyword of ['items', 'additionalProperties']) {
    const inner: unknown = schema[keyword]
    if (isSchema(inner)) relaxed[keyword] = withOptionalDefaults(inner)
  }
  return relaxed
}

export function isSchema(value: unknown): value is TSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isSchemas(value: unknown): value is Readonly<Record<string, TSchema>> {
  return isSchema(value)
}
