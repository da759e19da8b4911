import type { Command } from 'commander'
import { configurationSchema } from '../config/schema.js'
import { kinds } from '../policy/kinds.js'
import { customResourceDefinitions } from '../policy/resources/crds.js'
import { writeManifest } from '../policy/resources/manifest.js'
import { publishedSchema } from '../schema/fields.js'
import { suggestion } from '../schema/shape-messages.js'
import type { CliIo } from './io.js'

const CRDS = 'crds'

/** `portcullis schema`. */
export function register(program: Command, io: CliIo): void {
  program
    .command('schema')
    .description('JSON Schema of what you write, for editors and checks; without a kind, the kinds')
    .argument('[kind]', 'Configuration, a kind of policy document, or crds: the CustomResourceDefinitions')
    .addHelpText(
      'after',
      '\nExample:\n  portcullis schema ServicePolicy > service-policy.schema.json\n  portcullis schema crds | kubectl apply --server-side -f -',
    )
    .action((kind: string | undefined) => printSchema(kind, io))
}

function printSchema(kind: string | undefined, io: CliIo): void {
  const names = ['Configuration', ...kinds.keys()]
  if (kind === undefined) {
    io.stdout(`${names.join('\n')}\n`)
    return
  }
  if (kind === CRDS) {
    io.stdout(customResourceDefinitions().map(writeManifest).join('---\n'))
    return
  }
  const schema = schemaOf(kind)
  if (!schema) {
    io.stderr(
      `error: there is no kind ${kind}${suggestion(kind, [...names, CRDS])} (kinds: ${names.join(', ')})\n`,
    )
    io.exitCode = 2
    return
  }
  io.stdout(`${JSON.stringify(schema, undefined, 2)}\n`)
}

function schemaOf(kind: string): Record<string, unknown> | undefined {
  if (kind === 'Configuration') return configurationSchema
  const schema = kinds.get(kind)
  return schema && { $schema: 'https://json-schema.org/draft/2020-12/schema', ...publishedSchema(schema) }
}
