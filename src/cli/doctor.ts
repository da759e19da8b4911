import { type Command, InvalidArgumentError, Option } from 'commander'
import { readFileBounded } from '../adapters/files.js'
import { examine, type Examination } from '../lifecycle/doctor/examine.js'
import type { DoctorFinding } from '../lifecycle/doctor/finding.js'
import { MAX_DUMP_BYTES, readEnvoyText, type EnvoyText } from '../lifecycle/doctor/read-source.js'
import { printable, printableJson, printableLines } from './admin/printable.js'
import { fetchConfigDump } from './envoy-admin.js'
import type { CliIo } from './io.js'
import { styleOf, type Style } from './style.js'

type Options = {
  readonly admin?: string
  readonly cluster: readonly string[]
  readonly trustedHops: number
  readonly output: 'text' | 'json'
}

/** From connecting to the last byte. */
const ADMIN_TIME_MS = 10_000

const HELP = `
Reads bootstraps (YAML or JSON), files of resources (LDS, CDS, RDS, SDS), and config_dumps. Each bootstrap and each
config_dump is an Envoy; files of resources belong to all that are named.
Exit codes: 0 clean, 1 something found, 2 nothing could be read.

Example:
  portcullis doctor envoy.yaml
  portcullis doctor envoy/sidecar.yaml envoy/mesh/clusters.yaml envoy/mesh/routes.yaml
  portcullis doctor --admin http://127.0.0.1:9901 -o json`

/** `portcullis doctor`. */
export function register(program: Command, io: CliIo): void {
  program
    .command('doctor')
    .description("say what makes an Envoy's set-up unsafe or wrong, each with what mends it")
    .argument('[files...]', 'bootstraps, files of resources, config_dumps')
    .option('--admin <url>', "ask a running Envoy's admin interface, for example http://127.0.0.1:9901")
    .option('--cluster <names...>', 'the clusters that are Portcullis; else those that are called so', [])
    .option('--trusted-hops <n>', 'trustedHops of the Portcullis listener that a gateway asks', parseHops, 0)
    .addOption(
      new Option('-o, --output <format>', 'form of the report').choices(['text', 'json']).default('text'),
    )
    .addHelpText('after', HELP)
    .action((files: string[], options: Options) => doctor(files, options, io))
}

function parseHops(text: string): number {
  if (!/^[0-9]{1,2}$/.test(text)) throw new InvalidArgumentError('give a number of proxies, 0 to 99.')
  return Number(text)
}

async function doctor(files: readonly string[], options: Options, io: CliIo): Promise<void> {
  const texts = await readTexts(files, options.admin, io)
  if (!texts) {
    io.exitCode = 2
    return
  }
  const examination = examine(texts, { clusters: options.cluster, trustedHops: options.trustedHops })
  io.stdout(options.output === 'json' ? asJson(examination) : asText(examination, styleOf(io)))
  io.exitCode = examination.findings.length > 0 ? 1 : 0
}

/** Undefined after telling everything that keeps them from being read. */
async function readTexts(
  files: readonly string[],
  admin: string | undefined,
  io: CliIo,
): Promise<[EnvoyText, ...EnvoyText[]] | undefined> {
  const problems: string[] = []
  const texts: EnvoyText[] = []
  const take = (name: string, bytes: Uint8Array): void => {
    const read = readEnvoyText(name, bytes)
    if (read.ok) texts.push(read.read)
    else problems.push(...read.problems)
  }
  for (const file of new Set(files)) {
    const read = await readFileBounded(file, MAX_DUMP_BYTES)
    if (read.ok) take(file, read.bytes)
    else problems.push(read.problem)
  }
  if (admin !== undefined) {
    const dump = await fetchConfigDump(admin, { timeMs: ADMIN_TIME_MS, maxBytes: MAX_DUMP_BYTES })
    if (dump.ok) take(dump.name, dump.bytes)
    else problems.push(dump.problem)
  }
  const [first, ...more] = texts
  if (!first && problems.length === 0) problems.push('name the files of an Envoy, or --admin')
  for (const problem of problems) {
    const line = /: error: /.test(problem) || problem.startsWith('and ') ? problem : `error: ${problem}`
    io.stderr(`${printable(line)}\n`)
  }
  return first && problems.length === 0 ? [first, ...more] : undefined
}

function countsOf(findings: readonly DoctorFinding[]): {
  readonly errors: number
  readonly warnings: number
} {
  const errors = findings.filter(({ severity }) => severity === 'error').length
  return { errors, warnings: findings.length - errors }
}

function asJson({ findings, unseen, asks }: Examination): string {
  const problems = findings.map(({ severity, code, message, why, where, source, position, fix }) => ({
    severity,
    code,
    message,
    why,
    where,
    file: source,
    line: position?.line,
    column: position?.column,
    fix: { into: fix.called, path: fix.into.pointer, yaml: fix.yaml },
  }))
  return `${printableJson({ ...countsOf(findings), asks, problems, unseen })}\n`
}

function asText({ findings, unseen, asks }: Examination, style: Style): string {
  const { good, bad, faint } = style
  const blocks = findings.map((finding) => {
    const { severity, code, message, why, where, source, position, fix } = finding
    const place = position ? `${source}:${position.line}:${position.column}` : source
    const first = printable(`${place}: ${severity}: ${message} (${code})`)
    const yaml = fix.yaml.trimEnd().replaceAll(/^/gm, '      ')
    return [
      severity === 'error' ? bad(first) : first,
      `    at: ${printable(where)}`,
      `    why: ${printable(why)}`,
      `    fix, in ${printable(fix.called)}:`,
      `${printableLines(yaml)}\n`,
    ].join('\n')
  })
  const { errors, warnings } = countsOf(findings)
  const notes = unseen.map((what) => faint(`not seen: ${printable(what)}`))
  const sum = `${count(errors, 'error')}, ${count(warnings, 'warning')}`
  const filters = faint(`; Portcullis is asked by ${count(asks, 'filter')}`)
  return `${[...blocks, ...notes, `${errors > 0 ? bad(sum) : good(sum)}${filters}`].join('\n')}\n`
}

const count = (number: number, word: string): string => `${number} ${word}${number === 1 ? '' : 's'}`
