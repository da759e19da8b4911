import type { TSchema } from '@sinclair/typebox'
import { hasDeviceFeed } from './admin.js'
import { isSchema } from './fields.js'
import { DEFAULT_POLICY_DIRECTORY } from './policy-schema.js'
import type { EffectiveConfiguration } from './schema.js'
import { STREAM_DEFAULTS, WEBHOOK_DEFAULTS } from './signal-schema.js'
import { DEFAULT_DIRECTORY, DEFAULT_LAST_KNOWN, REDIS_DEFAULTS } from './store-schema.js'

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
  effective.deviceInventory.enabled ??= hasDeviceFeed(effective)
  const { policy, store, onUnavailable, alerts } = effective
  if (!policy.kubernetes) policy.directory ??= DEFAULT_POLICY_DIRECTORY
  if (store.type === 'Embedded') store.directory ??= DEFAULT_DIRECTORY
  else fillMissing(store, REDIS_DEFAULTS)
  if (onUnavailable.mode === 'LastKnown') onUnavailable.for ??= DEFAULT_LAST_KNOWN
  for (const sink of alerts.sinks) {
    if (sink.type === 'Webhook') fillMissing(sink, WEBHOOK_DEFAULTS)
    if (sink.type === 'RedisStream') fillMissing(sink, STREAM_DEFAULTS)
  }
}

function fillMissing<Section extends object>(section: Section, defaults: Partial<Section>): void {
  for (const [name, value] of Object.entries(defaults)) {
    if (!Object.hasOwn(section, name)) Reflect.set(section, name, value)
  }
}
