import { resolve } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { readFileBounded } from '../adapters/files.js'
import type { Config } from '../config/config.js'
import { loadConfig, type LoadedConfig } from '../config/load.js'
import { formatProblem, type Problem } from '../schema/problem.js'
import type { CliIo } from './io.js'

export type ConfigOptions = {
  readonly config: string
  readonly set?: Readonly<Record<string, string>>
  readonly listen?: string | undefined
  readonly policy?: string | undefined
}

const MAX_CONFIG_BYTES = 1024 * 1024

/** The options of every command that reads portcullis.yaml; flags win over environment and file. */
export function addConfigOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'the configuration', 'portcullis.yaml')
    .option('--listen <address>', 'address of the first listener, for example [::]:9191')
    .option('--policy <directory>', 'folder of policy documents')
    .option(
      '--set <option=value>',
      'any option by its way, for example --set store.type=Embedded',
      collectSetting,
    )
}

/** Undefined, with every problem told on standard error and exit code 2, when it can't be used. */
export async function readConfig(options: ConfigOptions, io: CliIo): Promise<LoadedConfig | undefined> {
  const read = await readFileBounded(options.config, MAX_CONFIG_BYTES)
  if (!read.ok) {
    io.stderr(`error: ${read.problem}\n`)
    io.exitCode = 2
    return undefined
  }
  const loaded = loadConfig({
    file: options.config,
    text: read.bytes,
    env: io.env,
    flags: {
      ...options.set,
      'listeners[0].address': options.listen,
      'policy.directory': options.policy === undefined ? undefined : resolve(options.policy),
    },
  })
  if (!('problems' in loaded)) return loaded
  refuse(loaded.problems, io)
  return undefined
}

/** The folder that a command reads; undefined after telling that the configuration has none. */
export function policyFolder(
  named: string | undefined,
  config: Config | undefined,
  io: CliIo,
): string | undefined {
  if (named !== undefined || !config) return named ?? 'policy'
  if (config.policy.directory !== undefined) return config.policy.directory
  io.stderr('error: this configuration takes policy from custom resources: name a folder with --policy\n')
  io.exitCode = 2
  return undefined
}

/** Tells problems that keep a command from doing its work. */
export function refuse(problems: readonly Problem[], io: CliIo): void {
  for (const problem of problems) io.stderr(`${formatProblem(problem)}\n`)
  io.exitCode = 2
}

function collectSetting(
  text: string,
  earlier: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const equals = text.indexOf('=')
  if (equals < 1)
    throw new InvalidArgumentError('give an option and its value, for example store.type=Embedded.')
  return { ...earlier, [text.slice(0, equals)]: text.slice(equals + 1) }
}
