import { Type } from '@sinclair/typebox'
import { Fields } from '../schema/fields.js'
import { matchesShape } from '../schema/shape.js'
import { MAX_TEXT } from '../state/record.js'
import type { Grant } from './grant.js'
import type { LiveGrant } from './live-grant.js'

/** Letters keep it short: service, endpoints, operations, roles, limit of uses, expiry, break-glass. */
const ShortSchema = Fields({
  s: Type.String({ minLength: 1 }),
  e: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
  o: Type.String({ pattern: '^R?W?D?$', minLength: 1 }),
  r: Type.Optional(Type.Array(Type.String())),
  u: Type.Optional(Type.Integer({ minimum: 1 })),
  x: Type.Integer(),
  b: Type.Optional(Type.Boolean()),
})

const OPERATIONS = [
  ['Read', 'R'],
  ['Write', 'W'],
  ['Download', 'D'],
] as const

/** The grant in its short form; undefined where that is too long for a field. */
export function writeGrantText(grant: Grant): string | undefined {
  const { service, endpoints, operations, roles = [], maxUses, expiresAtMs, breakGlass } = grant
  const text = JSON.stringify({
    s: service,
    e: endpoints,
    o: OPERATIONS.map(([operation, letter]) => (operations.includes(operation) ? letter : '')).join(''),
    r: roles.length > 0 ? roles : undefined,
    u: maxUses,
    x: expiresAtMs,
    b: breakGlass ? true : undefined,
  })
  return text.length > MAX_TEXT ? undefined : text
}

type ReadText = Omit<LiveGrant, 'id' | 'usesLeft'>

/** Texts that are read again on every change of their record; undefined for one that is no grant. */
const known = new Map<string, ReadText | undefined>()
const MAX_KNOWN = 4096

/** `uses` is how often it was used so far. Undefined for what is no grant. */
export function readGrantText(id: string, text: string, uses: number): LiveGrant | undefined {
  let read = known.get(text)
  if (!read && !known.has(text)) {
    read = parseText(text)
    if (known.size >= MAX_KNOWN) known.clear()
    known.set(text, read)
  }
  if (!read) return undefined
  const { service, endpoints, operations, roles, maxUses, expiresAtMs, breakGlass } = read
  const usesLeft = maxUses === undefined ? undefined : Math.max(0, maxUses - uses)
  return { id, service, endpoints, operations, roles, maxUses, usesLeft, expiresAtMs, breakGlass }
}

function parseText(text: string): ReadText | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!matchesShape(ShortSchema, value)) return undefined
  const { s, e, o, r = [], u, x, b = false } = value
  return {
    service: s,
    endpoints: e,
    operations: OPERATIONS.flatMap(([operation, letter]) => (o.includes(letter) ? [operation] : [])),
    roles: r,
    maxUses: u,
    expiresAtMs: x,
    breakGlass: b,
  }
}
