import { type Command, Option } from 'commander'
import { Document, isCollection, isMap, isScalar } from 'yaml'
import type { LoadedConfig } from '../config/load.js'
import type { Pointer } from '../schema/problem.js'
import { addConfigOptions, type ConfigOptions, readConfig } from './config-file.js'
import type { CliIo } from './io.js'

type Options = ConfigOptions & { readonly output: 'yaml' | 'json' }

/** `portcullis config print`. */
export function register(program: Command, io: CliIo): void {
  const config = program.command('config').description('the configuration')
  config.addHelpText('after', '\nExample:\n  portcullis config print --config portcullis.yaml')
  addConfigOptions(
    config
      .command('print')
      .description('the configuration in force, defaults filled in, and where each value comes from'),
  )
    .addOption(
      new Option('-o, --output <format>', 'yaml names the origins in comments')
        .choices(['yaml', 'json'])
        .default('yaml'),
    )
    .addHelpText(
      'after',
      '\nFlags win over the environment (PORTCULLIS__STORE__TYPE), that over the file, that over defaults. Secrets are in files that are only named here.\n\nExample:\n  portcullis config print --config portcullis.yaml --set health.listen=',
    )
    .action(async (options: Options) => {
      const loaded = await readConfig(options, io)
      if (loaded)
        io.stdout(
          options.output === 'json' ? `${JSON.stringify(loaded.effective, undefined, 2)}\n` : asYaml(loaded),
        )
    })
}

/** The configuration as a file that could be used as it is, each value with its origin behind it. */
function asYaml({ effective, originOf }: LoadedConfig): string {
  const document = new Document(effective, { aliasDuplicateObjects: false })
  const annotate = (node: unknown, pointer: Pointer): void => {
    if (isCollection(node) && node.items.length > 0) {
      const names: readonly (string | number)[] = isMap(node)
        ? node.items.map(({ key }) => String(isScalar(key) ? key.value : key))
        : [...node.items.keys()]
      for (const name of names) annotate(node.get(name, true), [...pointer, name])
    } else if (isScalar(node) || isCollection(node)) node.comment = ` ${originOf(pointer)}`
  }
  annotate(document.contents, [])
  // The printer gives an empty list with a comment three lines.
  return document.toString({ lineWidth: 0 }).replace(/:\n +(\[\]|\{\})\n +#/g, ': $1 #')
}
