import { stat } from 'node:fs/promises'
import { type Command, Option } from 'commander'
import { listPolicyFiles, readFileBounded } from '../adapters/files.js'
import { loadPolicy, type LoadOptions } from '../policy/load-policy.js'
import type { PolicyFile } from '../policy/read-documents.js'
import { formatProblem, type Problem } from '../schema/problem.js'
import { readConfig } from './config-file.js'
import type { CliIo } from './io.js'
import { styleOf } from './style.js'

type Options = { readonly config?: string; readonly output: 'text' | 'json' }

const MAX_FILE_BYTES = 16 * 1024 * 1024
const LOCAL_TRUST_DOMAIN = 'cluster.local'

/** `portcullis lint`. */
export function register(program: Command, io: CliIo): void {
  program
    .command('lint')
    .description('check policy documents: every error and every doubt, with its place')
    .argument('[paths...]', 'folders or files of policy documents that belong together')
    .option(
      '-c, --config <file>',
      'portcullis.yaml, for its trust domains and, without paths, its policy folder',
    )
    .addOption(
      new Option('-o, --output <format>', 'form of the report').choices(['text', 'json']).default('text'),
    )
    .addHelpText(
      'after',
      `\nWithout --config the local trust domain is ${LOCAL_TRUST_DOMAIN}.\nExit codes: 0 no error, 1 errors found, 2 nothing could be read.\n\nExample:\n  portcullis lint ./policy\n  portcullis lint --config portcullis.yaml -o json`,
    )
    .action((paths: string[], options: Options) => lint(paths, options, io))
}

async function lint(paths: readonly string[], options: Options, io: CliIo): Promise<void> {
  const setting = await settingOf(paths, options, io)
  if (!setting) return
  const files = new Map<string, PolicyFile>()
  for (const path of setting.paths) {
    const problem = await collect(path, files)
    if (problem === undefined) continue
    io.stderr(`error: ${problem}\n`)
    io.exitCode = 2
  }
  if (io.exitCode === 2) return
  const loaded = loadPolicy([...files.values()], setting.load)
  const problems = loaded.ok ? loaded.warnings : loaded.problems
  const errors = problems.filter(({ severity }) => severity === 'error').length
  io.stdout(options.output === 'json' ? asJson(problems, errors) : asText(problems, errors, files.size, io))
  io.exitCode = errors > 0 ? 1 : 0
}

type Setting = { readonly paths: readonly string[]; readonly load: LoadOptions }

async function settingOf(
  paths: readonly string[],
  { config }: Options,
  io: CliIo,
): Promise<Setting | undefined> {
  if (config === undefined) {
    if (paths.length > 0) return { paths, load: { localTrustDomain: LOCAL_TRUST_DOMAIN, trustDomains: [] } }
    io.stderr('error: name a folder or files of policy documents, or --config\n')
    io.exitCode = 2
    return undefined
  }
  const loaded = await readConfig({ config, set: {} }, io)
  if (!loaded) return undefined
  const { trustDomain, trustDomains, policy, geo, deviceInventory } = loaded.config
  return {
    paths: paths.length > 0 ? paths : [policy.directory],
    load: {
      localTrustDomain: trustDomain,
      trustDomains: [...trustDomains.keys()],
      hasPlaces: geo !== undefined,
      hasDevices: deviceInventory.enabled,
    },
  }
}

/** Adds the files at `path`; gives what keeps them from being read. */
async function collect(path: string, files: Map<string, PolicyFile>): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined)
  const listed = found?.isDirectory() ? await listPolicyFiles(path) : { ok: true as const, files: [path] }
  if (!listed.ok) return listed.problem
  for (const file of listed.files) {
    if (files.has(file)) continue
    const read = await readFileBounded(file, MAX_FILE_BYTES)
    if (!read.ok) return read.problem
    files.set(file, { file, text: read.bytes })
  }
  return undefined
}

function asJson(problems: readonly Problem[], errors: number): string {
  const flat = problems.map(({ severity, code, message, position }) => ({
    severity,
    code,
    message,
    ...position,
  }))
  return `${JSON.stringify({ errors, warnings: problems.length - errors, problems: flat })}\n`
}

function asText(problems: readonly Problem[], errors: number, files: number, io: CliIo): string {
  const { good, bad, faint } = styleOf(io)
  const lines = problems.map((problem) =>
    problem.severity === 'error' ? bad(formatProblem(problem)) : formatProblem(problem),
  )
  const count = (number: number, word: string) => `${number} ${word}${number === 1 ? '' : 's'}`
  const sum = `${count(errors, 'error')}, ${count(problems.length - errors, 'warning')}`
  lines.push(`${errors > 0 ? bad(sum) : good(sum)} ${faint(`in ${count(files, 'file')}`)}`)
  return `${lines.join('\n')}\n`
}
