import { Type, type Static, type TSchema, type TUnsafe } from '@sinclair/typebox'

/**
 * The shape of an answer for who reads it: as the server's own schema, but fields that it does not know are no
 * misfit, so that a command gets along with a newer server.
 */
export function lenient<Shape extends TSchema>(shape: Shape): TUnsafe<Static<Shape>> {
  const open: Record<string, unknown> = JSON.parse(
    JSON.stringify(shape, (key, value: unknown) =>
      key === '$id' || (key === 'additionalProperties' && value === false) ? undefined : value,
    ),
  )
  return Type.Unsafe<Static<Shape>>(open)
}
