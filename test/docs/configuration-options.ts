import { configurationSchema } from '../../src/config/schema.js'

/** The keywords of JSON Schema that the published schema uses. */
type Schema = {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly format?: string
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
}

type Option = { readonly name: string; readonly schema: Schema; readonly required: boolean }

const ROOT = configurationSchema as Schema

/** Every option of the published schema as a table a section, in the order of the schema. */
export function optionTables(): string {
  return Object.entries(ROOT.properties ?? {})
    .map(([name, schema]) => section(name, schema))
    .join('\n\n')
}

function section(name: string, schema: Schema): string {
  const options = optionsOf({ name, schema, required: ROOT.required?.includes(name) ?? false })
  const table = ['| Option | Type | Default | Meaning |', '|---|---|---|---|', ...options.map(row)].join('\n')
  const { description } = schema
  // An option that is no section says it in its row.
  const introduction = description === undefined || children(schema).length === 0 ? [] : [description]
  return [`### \`${name}\``, ...introduction, table].join('\n\n')
}

type Child = {
  readonly step: string | number
  readonly written: (way: string) => string
  readonly child: Schema
}

function children(schema: Schema): Child[] {
  const fields = Object.entries(schema.properties ?? {}).map(([name, child]) => ({
    step: name,
    written: (way: string) => (way === '' ? name : `${way}.${name}`),
    child,
  }))
  if (schema.items) fields.push({ step: '0', written: (way) => `${way}[]`, child: schema.items })
  const named = namedBy(schema)
  if (named) fields.push({ step: 'name', written: (way) => `${way}.<name>`, child: named })
  return fields
}

function namedBy({ additionalProperties }: Schema): Schema | undefined {
  return typeof additionalProperties === 'object' ? additionalProperties : undefined
}

/** Sections are opened up; an option is what takes a value. */
function optionsOf(option: Option): Option[] {
  const { schema, name } = option
  const within = children(schema).filter(({ child }) => child.properties ?? namedBy(child) ?? child.items)
  const isSection = schema.properties !== undefined
  if (!isSection && within.length === 0) return [option]
  return children(schema).flatMap(({ step, written, child }) =>
    optionsOf({
      name: written(name),
      schema: child,
      required: schema.required?.includes(String(step)) ?? false,
    }),
  )
}

/** The page says it once. */
const RELATIVE = ' A relative path starts at the folder of this file.'

function row({ name, schema, required }: Option): string {
  const cells = [
    `\`${name}\``,
    typeOf(schema),
    required ? 'required' : defaultOf(schema),
    (schema.description ?? '').replace(RELATIVE, ''),
  ]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function typeOf(schema: Schema): string {
  if (schema.enum) return schema.enum.map((word) => `\`${String(word)}\``).join(', ')
  if (schema.items) return `list of ${plural(typeOf(schema.items))}`
  const named = namedBy(schema)
  if (named) return `map of name to ${typeOf(named)}`
  if (schema.format === 'portcullis-duration') return 'duration'
  if (schema.format === 'portcullis-size') return 'size'
  if (schema.description?.includes(RELATIVE)) return 'path'
  return schema.type === 'string' ? 'text' : (schema.type ?? '')
}

function plural(type: string): string {
  return type === 'text' ? 'texts' : type
}

function defaultOf({ default: value }: Schema): string {
  if (value === undefined) return '–'
  return `\`${typeof value === 'string' && value !== '' ? value : JSON.stringify(value)}\``
}
