import type { TSchema } from '@sinclair/typebox'
import { isSchema } from './fields.js'
import type { EffectiveConfiguration } from './schema.js'

/** A copy of plain data in which nothing is shared and maps have no prototype. */
export function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy)
  if (typeof value !== 'object' || value === null) return value
  const result: Record<string, unknown> = Object.create(null)
  for (const [name, inner] of Object.entries(value)) result[name] = copy(inner)
  return result
}

/** Fills in, at any depth, the defaults that the schema names. Changes `value`, and returns it. */
export function fillDefaults(schema: TSchema, value: unknown): unknown {
  if (Array.isArray(value)) {
    const items: unknown = schema['items']
    return isSchema(items) ? value.map((item) => fillDefaults(items, item)) : value
  }
  if (typeof value !== 'object' || value === null) return value
  const fields: unknown = schema['properties']
  if (isSchema(fields)) {
    for (const [name, field] of Object.entries(fields)) {
      if (!isSchema(field)) continue
      if (Object.hasOwn(value, name)) Reflect.set(value, name, fillDefaults(field, Reflect.get(value, name)))
      else if (field['default'] !== undefined)
        Reflect.set(value, name, fillDefaults(field, copy(field['default'])))
    }
  }
  const named: unknown = schema['additionalProperties']
  if (isSchema(named)) {
    for (const name of Object.keys(value))
      Reflect.set(value, name, fillDefaults(named, Reflect.get(value, name)))
  }
  return value
}

const TARGETS = {
  Sidecar: ['principal', 'extension'],
  Gateway: ['extension', 'route'],
} as const

/** The defaults that depend on another option. */
export function fillDependentDefaults(effective: EffectiveConfiguration): void {
  for (const listener of effective.listeners) listener.target ??= [...TARGETS[listener.role]]
}
