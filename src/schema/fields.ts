import { Type } from '@sinclair/typebox'
import type {
  ObjectOptions,
  SchemaOptions,
  Static,
  TObject,
  TProperties,
  TSchema,
  TUnsafe,
} from '@sinclair/typebox'

/** An object that knows exactly these fields. */
export function Fields<Properties extends TProperties>(
  properties: Properties,
  options: ObjectOptions = {},
): TObject<Properties> {
  return Type.Object(properties, { ...options, additionalProperties: false })
}

/** One of a closed list of words: one `enum`, as structural schemas of custom resources need it. */
export function Words<const Word extends string>(
  words: readonly Word[],
  options: SchemaOptions = {},
): TUnsafe<Word> {
  return Type.Unsafe<Word>({ type: 'string', enum: [...words], ...options })
}

/** Names that the user chooses, each with a value of one shape. Read it with own keys only. */
export function Named<Value extends TSchema>(
  value: Value,
  options: SchemaOptions = {},
): TUnsafe<Readonly<Record<string, Static<Value>>>> {
  return Type.Unsafe<Readonly<Record<string, Static<Value>>>>({
    type: 'object',
    additionalProperties: value,
    ...options,
  })
}

/** The schema as plain JSON Schema for publication: without the words meant for our own messages. */
export function publishedSchema(schema: TSchema): Record<string, unknown> {
  const published: Record<string, unknown> = JSON.parse(
    JSON.stringify(schema, (key, value: unknown) =>
      // A field of that name would have a schema, an object, as its value.
      key === 'expected' && typeof value === 'string' ? undefined : value,
    ),
  )
  return published
}
